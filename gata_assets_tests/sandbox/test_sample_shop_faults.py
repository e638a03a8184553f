"""The faults of the sample shop: exactly those that were asked for, and what they lead to.

All real: the generator, a directory, email-validator and phonenumbers. What the faults lead to is worked out by the
oracle of the shop's verdicts. Nothing is faked.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gata_assets.sandbox.sample_data import SHOP
from gata_assets.sandbox.shop.parameters import OrderFaults, RawShopFiles, ShopCounts, ShopParameters
from gata_assets_tests.sandbox.generated_shops import (
    MOST_FAULTS,
    NO_FAULTS,
    Files,
    changes_of,
    faults_of,
    generate,
    parquet_files,
    rows_of,
    table_of,
    without_copies,
)
from gata_assets_tests.shop.oracle import (
    CUSTOMER_IS_KNOWN,
    ORDER_IS_KNOWN,
    ORDER_TOTAL,
    PARKED,
    PAYMENT_CURRENCY,
    QUARANTINED,
    REJECTED,
    VALID,
    judge,
    sum_of_items,
)

CARD_LENGTHS = range(13, 20)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, ShopCounts]:
    return generate(tmp_path_factory.mktemp("faulty"), MOST_FAULTS)


@pytest.fixture(scope="module")
def faultless(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return generate(tmp_path_factory.mktemp("faultless"), NO_FAULTS)[0]


def is_card(digits: str) -> bool:
    """By the check digit."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return len(digits) in CARD_LENGTHS and sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


def test_each_fault_is_put_in_exactly_as_often_as_asked(faulty: tuple[Files, ShopCounts]) -> None:
    shares: list[Any] = [MOST_FAULTS.customer_faults, MOST_FAULTS.product_faults, MOST_FAULTS.order_faults]
    totals = [MOST_FAULTS.customers, MOST_FAULTS.products, MOST_FAULTS.orders]
    asked = {
        name: round(share * total)
        for faults, total in zip(shares, totals, strict=True)
        for name, share in asdict(faults).items()
    }
    counts = faulty[1].faults
    assert {name: counts[name] for name in asked} == asked
    assert set(counts) - set(asked) == {"duplicate_delivery", "late_file"}


def test_rows_with_a_fault_of_their_own_are_as_many_as_counted(faulty: tuple[Files, ShopCounts]) -> None:
    found: Counter[str] = Counter()
    for table, rows in rows_of(faulty[0]).items():
        for row in rows:
            faults = faults_of(table, row)
            assert len(faults) <= 1
            found.update(faults)
    assert found == {name: faulty[1].faults[name] for name in found} and len(found) == 8


def test_the_faults_lead_to_as_many_verdicts_and_to_no_others(faulty: tuple[Files, ShopCounts]) -> None:
    files, counts = faulty
    changes = {
        table: [change for change in every if not faults_of(table, change.values)]
        for table, every in changes_of(files).items()
    }
    faults = counts.faults
    now = datetime.combine(MOST_FAULTS.last_day + timedelta(days=1), datetime.min.time(), UTC)
    for wait, verdict in ((timedelta(0), PARKED), (timedelta(days=99), QUARANTINED)):
        result = judge(changes, now + wait, 30)
        found = Counter((one.table, one.verdict, one.reasons) for each in result.verdicts.values() for one in each)
        assert {what: count for what, count in found.items() if what[1] != VALID and what[0] != "order_items"} == {
            ("orders", verdict, (ORDER_TOTAL,)): faults["total_mismatch"],
            ("orders", verdict, (CUSTOMER_IS_KNOWN,)): faults["customer_never"] + faults["customer_deleted"],
            ("payments", REJECTED, (PAYMENT_CURRENCY,)): faults["other_currency"],
        }
        assert found["order_items", verdict, (ORDER_IS_KNOWN,)] == faults["item_without_order"]
        hidden = faults["total_mismatch"] + faults["customer_never"]
        assert len(result.visible["orders"]) == len(result.verdicts["orders"]) - hidden


def test_faultless_orders_have_the_totals_of_their_items_and_all_rows_are_valid(faultless: Files) -> None:
    changes = changes_of(faultless)
    result = judge(changes, datetime(2026, 2, 1, tzinfo=UTC), 1)
    assert {one.verdict for each in result.verdicts.values() for one in each} == {VALID}
    items = defaultdict(list)
    for row in result.visible["order_items"]:
        items[row.values["order_id"]].append(row.values)
    assert len(result.visible["orders"]) > 0.9 * NO_FAULTS.orders
    for row in result.visible["orders"]:
        assert isinstance(row.values["total_amount"], Decimal)
        assert row.values["total_amount"] == sum_of_items(items[row.key[0]]) > 0
    assert not any(faults_of(table, one.values) for table, each in changes.items() for one in each if one.op != "D")


def test_files_that_come_twice_or_late_are_as_many_as_counted(faulty: tuple[Files, ShopCounts]) -> None:
    files, counts = faulty
    copies = len(files) - len(set(files.values()))
    assert copies == counts.faults["duplicate_delivery"] > 3
    late = 0
    read = parquet_files(files)
    for key, table in read.items():
        latest = max(table["dms_timestamp"].to_pylist())
        late += latest[:10].replace("-", "/") != "/".join(re.findall(r"=(\d+)", key))
    assert late == counts.faults["late_file"] > 3
    assert sum(counts.files.values()) == len(files) - copies
    changes = [key for key in without_copies(files) if "LOAD" not in key]
    may_come_twice = [key for key in changes if not any(faults_of(table_of(key), row) for row in read[key].to_pylist())]
    assert copies == int(len(may_come_twice) * 0.3) and late == int((len(changes) - copies) * 0.4)
    assert counts.rows == {table: len(rows) for table, rows in rows_of(without_copies(files)).items()}


def test_cards_are_those_for_tests_and_notes_have_as_many_as_counted(faulty: tuple[Files, ShopCounts]) -> None:
    rows = rows_of(faulty[0])
    known = set(SHOP["payments"]["card_numbers"])
    assert all(map(is_card, known))
    paid = {row["card_number"] for row in rows["payments"]} - {None}
    assert paid <= known and len(paid) > 5
    digits = [re.sub(r"\D", "", row["note"] or "") for row in rows_of(without_copies(faulty[0]))["orders"]]
    assert sum(one in known for one in digits) == faulty[1].faults["card_in_note"]


def test_what_cannot_be_generated_is_refused() -> None:
    for wrong, words in (
        ({"customers": 0}, "customers must be at least 1"),
        ({"loaded_days": 15}, "loaded_days 15 must be at most days 14"),
        ({"order_faults": OrderFaults(total_mismatch=1.0)}, "shares of OrderFaults"),
        ({"customers": 10, "orders": 4_000}, "set more of them"),
        ({"files": RawShopFiles(timestamp_column=None)}, "set late_file to 0"),
        ({"files": RawShopFiles(files_per_day=0)}, "files_per_day must be at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            replace(ShopParameters(), **wrong)
