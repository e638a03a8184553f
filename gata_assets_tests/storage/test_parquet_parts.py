"""Parts of tables: how rows become files, what is left of an earlier run, and files that are none.

Real: Parquet files, a local directory, and S3 over HTTP on loopback (an S3 server for tests). Faked: a store whose role
may not delete.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import GROUPS_OF_A_PART, TableSource, read_parts, write_tables
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.columns.dictionaries import compacted

PREFIX = "acme/features/2026010203/"
FOLDER = f"{PREFIX}numbers/"
TOKEN = "0123456789abcdef"


def numbers(rows: int) -> pa.Table:
    """A table with a column of each kind: numbers, ids as codes, and lists of them."""
    codes = pa.array([number % 7 for number in range(rows)], pa.int32())
    ids = pa.DictionaryArray.from_arrays(codes, pa.array([f"id {n}" for n in range(7)], pa.large_string()))
    lists = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), ids)
    return pa.table({"number": pa.array(range(rows), pa.int64()), "id": ids, "ids": lists})


def source(table: pa.Table, rows: int) -> TableSource:
    groups = [(start, min(start + rows, len(table))) for start in range(0, max(len(table), 1), rows)]
    return TableSource(groups, partial(compacted, table), frozenset({"number"}))


def plain(table: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*.parquet")}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(0, 40), of_a_group=st.integers(1, 12))
def test_all_rows_are_in_the_parts_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, rows: int, of_a_group: int
) -> None:
    store = LocalStoreResource(directory=str(tmp_path_factory.mktemp("target")))
    table = numbers(rows)
    written = write_tables(store, PREFIX, {"numbers": source(table, of_a_group)}, token=TOKEN, threads=2)["numbers"]
    groups = max(-(-rows // of_a_group), 1)
    assert len(written) == -(-groups // GROUPS_OF_A_PART)
    assert [file.key for file in written] == [
        f"{FOLDER}part-{part:05d}-{TOKEN}.parquet" for part in range(len(written))
    ]
    assert sum(file.rows for file in written) == rows
    assert plain(read_parts(store, [file.key for file in written])) == plain(table)


@pytest.mark.parametrize("threads", [2, 5])
def test_the_bytes_are_those_of_one_thread(tmp_path: Path, threads: int) -> None:
    tables = {"numbers": source(numbers(1_000), 90), "others": source(numbers(500), 500), "none": source(numbers(0), 9)}
    written = {}
    for name, count in (("one", 1), ("many", threads)):
        store = LocalStoreResource(directory=str(tmp_path / name))
        written[name] = write_tables(store, PREFIX, tables, token=TOKEN, threads=count)
    assert written["one"] == written["many"]
    assert contents(tmp_path / "one") == contents(tmp_path / "many")
    assert len(contents(tmp_path / "one")) == 6 + 1 + 1


def test_a_group_has_no_value_that_is_not_in_its_rows(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    table = numbers(14).set_column(1, "id", numbers(14)["id"].take(pa.array([0] * 7 + [6] * 7)))
    # By which rows stand comes first, and says alone what is in a group.
    table = table.select(["id", *(name for name in table.column_names if name != "id")])
    [written] = write_tables(store, PREFIX, {"numbers": source(table.combine_chunks(), 7)}, token=TOKEN, threads=1)[
        "numbers"
    ]
    statistics = pq.ParquetFile(tmp_path / written.key).metadata
    bounds, nothing = (
        [statistics.row_group(group).column(column).statistics for group in range(statistics.num_row_groups)]
        for column in (0, 1)
    )
    assert [(one.min, one.max) for one in bounds] == [("id 0", "id 0"), ("id 6", "id 6")]
    # Not by `==`: statistics of Parquet that are compared with None end the process.
    assert all(one is None for one in nothing)


def test_a_column_is_left_out_of_all_parts(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    write_tables(store, PREFIX, {"numbers": source(numbers(40), 5)}, token=TOKEN, threads=1)
    assert read_parts(store, list(store.list_keys(FOLDER)), without="ids").column_names == ["number", "id"]


def test_a_part_that_is_gone_is_reported(any_store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFoundError, match=r"numbers/part-00007\.parquet, which its manifest lists"):
        read_parts(any_store, [f"{FOLDER}part-00007.parquet"])


@pytest.mark.parametrize("content", [b"", b"no Parquet file", None])
def test_a_damaged_part_is_reported_by_its_key(any_store: ObjectStore, content: bytes | None) -> None:
    write_tables(any_store, PREFIX, {"numbers": source(numbers(40), 5)}, token=TOKEN, threads=1)
    key = f"{FOLDER}part-00001-{TOKEN}.parquet"
    any_store.write(key, any_store.read(key)[:-20] if content is None else content)
    with pytest.raises(DamagedTableError, match=r"part-00001-.*\.parquet is no complete Parquet file: write it again"):
        read_parts(any_store, [key])
