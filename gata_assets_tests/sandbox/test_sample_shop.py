"""The sample shop: the same bytes by seed, files as AWS DMS writes them, with all names reserved for examples.

All real: the generator, a directory, pyarrow. Nothing is faked.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gata_assets.sandbox.sample_shop import write_sample_shop
from gata_assets.sandbox.shop.parameters import (
    FileFaults,
    RawShopFiles,
    ShopParameters,
)
from gata_assets.storage.local import LocalStore
from gata_assets_tests.sandbox.generated_shops import (
    MOST_FAULTS,
    NO_FAULTS,
    Files,
    changes_of,
    generate,
    parquet_files,
    rows_of,
    table_of,
)
from gata_assets_tests.shop.oracle import (
    KEYS,
)

DECIMAL, INSTANT, TEXT = pa.decimal128(18, 2), pa.timestamp("us"), pa.string()


@pytest.fixture(scope="module")
def faultless(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return generate(tmp_path_factory.mktemp("faultless"), NO_FAULTS)[0]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    small = replace(MOST_FAULTS, orders=120, days=6, loaded_days=3)
    first, second = (generate(tmp_path / name, small) for name in ("a", "b"))
    assert first == second
    other, _ = generate(tmp_path / "c", replace(small, seed=1))
    assert not set(other.values()) & set(first[0].values())


def test_the_rows_are_the_same_on_every_machine(tmp_path: Path) -> None:
    rows = rows_of(generate(tmp_path, replace(MOST_FAULTS, orders=120, days=6, loaded_days=3))[0])
    assert sha256(repr(rows).encode()).hexdigest()[:16] == "55f5be0ed8918553"


def test_orders_and_their_items_are_committed_in_one_transaction(faultless: Files) -> None:
    changes = changes_of(faultless)
    placed = {one.values["order_id"]: one.committed_at for one in changes["orders"] if one.op == "I"}
    items = [one for one in changes["order_items"] if one.op == "I" and "LOAD" not in one.file]
    assert items and all(one.committed_at == placed[one.values["order_id"]] for one in items)
    paid = {one.committed_at for one in changes["orders"] if one.op == "U" and one.values["status"] == "paid"}
    payments = [one for one in changes["payments"] if one.op == "I" and "LOAD" not in one.file]
    assert payments and {one.committed_at for one in payments} <= paid


def test_deletions_carry_the_key_alone_and_operations_are_known(faultless: Files) -> None:
    for table, changes in changes_of(faultless).items():
        assert {one.op for one in changes} <= {"I", "U", "D"}
        for one in changes:
            if one.op == "D":
                assert {name for name, value in one.values.items() if value is not None} == set(KEYS[table])
    deleted = {
        table: [one.committed_at for one in each if one.op == "D"] for table, each in changes_of(faultless).items()
    }
    assert deleted["orders"] and deleted["payments"]
    assert set(deleted["order_items"]) == set(deleted["orders"]) >= set(deleted["payments"])


def test_files_lie_where_and_are_named_as_by_aws_dms(tmp_path: Path) -> None:
    for key in generate(tmp_path, MOST_FAULTS)[0]:
        match = re.fullmatch(
            r"shop/raw/ecommerce/[a-z_]+-raw/year=(\d{4})/month=(\d\d)/day=(\d\d)/"
            r"(LOAD[0-9A-F]{8}|(\d{8})-\d{9})\.parquet",
            key,
        )
        assert match, key
        year, month, day, _, named = match.groups()
        assert named in (None, year + month + day)
        assert named or date(int(year), int(month), int(day)) == MOST_FAULTS.load_day


def test_a_large_full_load_has_files_with_a_hexadecimal_counter(tmp_path: Path) -> None:
    files = RawShopFiles(rows_per_load_file=23)
    loaded, counts = generate(tmp_path, replace(NO_FAULTS, files=files, loaded_days=14))
    names = [key.rpartition("/")[2] for key in loaded if "orders-raw" in key and "LOAD" in key]
    assert names == [f"LOAD{number:08X}.parquet" for number in range(1, 19)]
    assert counts.rows["orders"] == NO_FAULTS.orders == len(rows_of(loaded)["orders"])
    times = [one.committed_at for one in changes_of(loaded)["orders"]]
    assert len(set(times)) == len(times)


def test_parquet_has_the_types_of_aws_dms(faultless: Files) -> None:
    types: dict[str, set[tuple[tuple[str, pa.DataType], ...]]] = defaultdict(set)
    for key, table in parquet_files(faultless).items():
        assert pq.read_metadata(io.BytesIO(faultless[key])).metadata is None, "as by any other writer"
        columns = [(field.name, field.type) for field in table.schema]
        if "LOAD" not in key:
            assert columns.pop(0) == ("Op", TEXT)
        assert columns[0] == ("dms_timestamp", TEXT)
        types[table_of(key)].add(tuple(columns[1:]))
    assert all(len(each) == 1 for each in types.values()), "all files of a table are alike"
    assert set(types["orders"].pop()) >= {("order_id", TEXT), ("total_amount", DECIMAL), ("ordered_at", INSTANT)}
    assert set(types["order_items"].pop()) >= {("quantity", pa.int32()), ("discount_amount", DECIMAL)}
    assert ("paid_at", INSTANT) in types["payments"].pop() and ("price", DECIMAL) in types["products"].pop()
    assert ("quantity", pa.int64()) in types["inventory"].pop() and ("phone", TEXT) in types["customers"].pop()


def test_op_and_the_timestamp_column_come_as_asked(tmp_path: Path) -> None:
    for number, (column, has_op) in enumerate(((None, False), (None, True), ("changed_at", True))):
        settings = RawShopFiles(timestamp_column=column, has_op_in_full_load=has_op)
        files, _ = generate(tmp_path / str(number), replace(NO_FAULTS, orders=30, files=settings))
        for key, table in parquet_files(files).items():
            first = ["Op"] if has_op or "LOAD" not in key else []
            assert table.column_names[: len(first) + 1] == [*first, column or next(iter(KEYS[table_of(key)]))]


def test_days_of_csv_and_json_lines_have_the_rows_that_parquet_has(tmp_path: Path) -> None:
    # A name that a file of another format has is free: copies would be named otherwise.
    parameters = replace(MOST_FAULTS, file_faults=FileFaults(0, 0))
    settings = RawShopFiles(csv_days=2, json_lines_days=2)
    files, _ = generate(tmp_path / "mixed", replace(parameters, files=settings))
    expected, _ = generate(tmp_path / "parquet", parameters)
    endings = Counter(key.rpartition(".")[2] for key in files)
    assert endings["csv"] > 10 and endings["jsonl"] > 10 and len(files) == len(expected)
    for key, content in files.items():
        name, _, ending = key.rpartition(".")
        rows = pq.read_table(io.BytesIO(expected[f"{name}.parquet"])).to_pylist()
        if ending == "parquet":
            assert content == expected[key]
        elif ending == "csv":
            read = [
                {one: value or None for one, value in row.items()}
                for row in csv.DictReader(io.StringIO(content.decode()))
            ]
            assert read == [{one: as_csv(value) for one, value in row.items()} for row in rows]
        else:
            read = [json.loads(line) for line in content.decode().splitlines()]
            assert read == [{one: as_json(value) for one, value in row.items()} for row in rows]


def as_csv(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")
    return None if value is None else str(value)


def as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    return str(value) if isinstance(value, Decimal) else value


def test_every_name_is_reserved_for_examples(faultless: Files) -> None:
    rows = rows_of(faultless)
    domains = {row["email"].partition("@")[2] for row in rows["customers"] if row["email"]}
    assert {".".join(domain.split(".")[-2:]) for domain in domains} == {"example.org", "example.com", "example.net"}
    texts = {str(value) for each in rows.values() for row in each for value in row.values()}
    assert not [text for text in texts if "http" in text or "www." in text]
    phones = {row["phone"] for row in rows["customers"]} - {None}
    fiction = r"\+(493023125\d{3}|3319900\d{4}|442079460\d{3}|120255501\d\d|467017406\d\d)"
    assert len(phones) > 80 and not [phone for phone in phones if not re.fullmatch(fiction, phone)]


def test_products_follow_zipf_and_all_of_them_are_in_stock(faultless: Files) -> None:
    rows = rows_of(faultless)
    sold = Counter(row["product_id"] for row in rows["order_items"] if row["product_id"]).most_common()
    assert sold[0][1] > 3 * sold[-1][1]
    assert {row["product_id"] for row in rows["inventory"]} == {row["product_id"] for row in rows["products"]}


def test_a_shop_of_one_day_or_without_orders_is_written_too(tmp_path: Path) -> None:
    for number, (days, loaded, orders) in enumerate(((1, 0, 5), (1, 1, 5), (3, 1, 0), (2, 2, 1))):
        parameters = replace(NO_FAULTS, days=days, loaded_days=loaded, orders=orders)
        files, counts = generate(tmp_path / str(number), parameters)
        rows = rows_of(files)
        assert len({row["order_id"] for row in rows["orders"]}) == orders
        assert counts.rows == {table: len(each) for table, each in rows.items()}


@pytest.mark.slow
def test_a_large_shop_is_written_in_batches_with_its_faults(tmp_path: Path) -> None:
    parameters = ShopParameters(orders=120_000, customers=20_000, products=2_000, days=3, loaded_days=2)
    counts = write_sample_shop(LocalStore(str(tmp_path)), parameters)
    lines = counts.lines()
    assert counts.files["orders"] == 3 and counts.faults["total_mismatch"] == 1_200
    assert any(line == "total_mismatch: 1,200" for line in lines)
    items = list(tmp_path.glob("shop/raw/ecommerce/order_items-raw/**/LOAD*.parquet"))
    assert sum(pq.read_metadata(path).num_rows for path in items) == pytest.approx(2.25 * 80_000, rel=0.15)
