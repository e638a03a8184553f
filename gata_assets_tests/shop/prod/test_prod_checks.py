"""The checks of tables for analysts: each fails by a fault in the rows it is about, and nothing is published then.

Real: the build, the Parquet files and the file catalog. Faked: the store, in memory, and curated tables with faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from gata_assets.shop.events.process import is_transient
from gata_assets.shop.prod.build import build_partitions
from gata_assets.shop.prod.builds import Change, PublishedPartition
from gata_assets.shop.prod.parts import PartWriter
from gata_assets.shop.prod.source import EVERYTHING, ProdSettings, Scope
from gata_assets.shop.prod.tables import CUSTOMER_SUMMARY, DAILY_CATEGORY_SALES, TABLES
from gata_assets.shop.prod.transforms import daily_category_sales, daily_sales, number_orders, order_facts
from gata_assets.shop.prod_checks import (
    CATEGORIES_ADD_UP,
    EVERY_ITEM_IS_THERE_ONCE,
    EVERY_ORDER_IS_COUNTED_ONCE,
    EVERY_STOCK_IS_THERE_ONCE,
    ROWS_ARE_VALID_AND_IN_ORDER,
    SUMS_ARE_THOSE_OF_ORDER_FACTS,
    Outcomes,
    ProdChecksFailedError,
    check_categories,
    check_sales,
    count_unordered,
    descriptions,
)
from gata_assets.tables.outcomes import broken
from gata_assets_tests.shop.prod.shops import FOLDER, ProdShop, contents_of, order_of
from gata_assets_tests.shop.prod.test_parts import rows_of
from gata_assets_tests.support.shop_readers import DATABASE
from gata_assets_tests.support.shop_worlds import ShopWorld, small_world

WHOLE = Scope(has_whole_tables=True)
CENT = pl.lit("0.01").cast(pl.Decimal(38, 2))


@dataclass
class FaultyWorld(ShopWorld):
    """A shop of which one table is not read as it is."""

    faulty: str = ""
    fault: Callable[[pl.DataFrame], pl.DataFrame] = pl.DataFrame.clear

    def read_days(self, table: str, days: Sequence[date], columns: Sequence[str]) -> pl.DataFrame:
        return self._read(table, super().read_days(table, days, columns))

    def read_table(self, table: str, columns: Sequence[str]) -> pl.DataFrame:
        return self._read(table, super().read_table(table, columns))

    def _read(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        return self.fault(rows) if table == self.faulty else rows


def world_with_an_empty_order() -> ShopWorld:
    world = small_world(3, orders=20)
    world.rows["orders"].append(order_of("c0", 9, datetime(2026, 1, 20, tzinfo=UTC)))
    return world


def without_first(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort(rows.columns[0]).slice(1)


def without_empty_order(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("order_id") != "late9")


def twice(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([rows, rows])


def failed_in(outcomes: Outcomes) -> list[str]:
    return [name for name, of_check in outcomes.items() if broken(of_check)]


def build(shop: ProdShop, world: ShopWorld, scope: Scope) -> list[PublishedPartition]:
    settings = ProdSettings(DATABASE)
    return list(build_partitions(world, shop.store, shop.catalog, FOLDER, settings, now=shop.now, scope=scope))


def test_every_built_partition_has_passed_the_checks_that_its_table_names() -> None:
    shop, world, checked = ProdShop(), world_with_an_empty_order(), Counter[tuple[str, str]]()
    for partition in build(shop, world, EVERYTHING):
        assert partition.change is Change.BUILT
        assert not failed_in(partition.outcomes)
        for name, of_check in partition.outcomes.items():
            checked[partition.table, name] += sum(outcome.checked for outcome in of_check)
    assert checked.keys() == {(table.name, name) for table in TABLES for name in descriptions(table)}
    assert all(checked.values()), "a check of nothing proves nothing"
    assert not any(partition.outcomes for partition in build(shop, world, EVERYTHING))


@pytest.mark.parametrize(
    ("faulty", "fault", "scope", "table", "check"),
    [
        ("order_items", without_first, EVERYTHING, "order_facts", EVERY_ITEM_IS_THERE_ONCE),
        ("order_items", twice, EVERYTHING, "order_facts", ROWS_ARE_VALID_AND_IN_ORDER),
        ("orders", without_empty_order, EVERYTHING, "daily_sales", EVERY_ORDER_IS_COUNTED_ONCE),
        ("customers", twice, WHOLE, "customer_summary", EVERY_ORDER_IS_COUNTED_ONCE),
        ("products", twice, WHOLE, "inventory_status", EVERY_STOCK_IS_THERE_ONCE),
    ],
)
def test_a_fault_fails_its_check_and_readers_see_what_they_saw(
    faulty: str, fault: Callable[[pl.DataFrame], pl.DataFrame], scope: Scope, table: str, check: str
) -> None:
    shop, world = ProdShop(), small_world(3, orders=20)
    shop.build(world)
    before = {key: files for key, files in shop.contents().items() if key[0] == table}
    # Each partition of this world is stale.
    changed = FaultyWorld(world_with_an_empty_order().rows, faulty=faulty, fault=fault)
    for row in changed.rows["products"]:
        row["name"] += "!"
    with pytest.raises(ProdChecksFailedError, match=f"prod {table}.* breaks rules, and was not published") as failed:
        build(shop, changed, scope)
    assert (failed.value.table, check in failed.value.checks) == (table, True)
    assert check in failed_in(failed.value.outcomes)
    # An event that fails so is not tried again: it is a dead letter at once.
    assert not is_transient(failed.value)
    assert {key: files for key, files in shop.contents().items() if key[0] == table} == before
    shop.build(world_with_an_empty_order())
    assert shop.contents() == contents_of(world_with_an_empty_order())


@pytest.fixture(scope="module")
def frames() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Facts, daily sales, and those by category of a shop."""
    world = small_world(3, orders=40)
    orders = number_orders(world.frame("orders"), pl.DataFrame(schema={"customer_id": pl.String, "orders": pl.Int64}))
    facts = order_facts(orders, *(world.frame(table) for table in ("order_items", "payments", "customers", "products")))
    return facts, daily_sales(orders, facts), daily_category_sales(facts)


@pytest.mark.parametrize(
    "fault",
    [
        lambda sales: sales.with_columns(
            net_amount=pl.col("net_amount") + pl.when(pl.int_range(pl.len()) == 0).then(CENT).otherwise(0)
        ),
        lambda sales: sales.with_columns(pl.col("units") + pl.col("items")),
        lambda sales: sales.slice(1),
    ],
)
def test_a_cent_units_or_a_day_that_differ_fail_the_sums(
    frames: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], fault: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    facts, sales, categories = frames
    files = [facts.head(20).lazy(), facts.slice(20).lazy()]
    sold = sales.filter(pl.col("items") > 0)
    orders = sum(int(sold[name].sum()) for name in ("orders", "pending_orders", "cancelled_orders", "refunded_orders"))
    assert failed_in(check_sales(sold, files, orders)) == []
    assert failed_in(check_categories(categories, sales)) == []
    assert SUMS_ARE_THOSE_OF_ORDER_FACTS in failed_in(check_sales(fault(sold), files, orders))
    assert failed_in(check_categories(fault(categories), sales)) == [CATEGORIES_ADD_UP]
    assert failed_in(check_categories(categories, fault(sold))) == [CATEGORIES_ADD_UP]


def test_rows_that_break_a_rule_or_the_order_of_the_whole_partition_are_counted(tmp_path: Path) -> None:
    rows = rows_of(6).sort("category")
    cases: list[tuple[list[pl.DataFrame], int, int]] = [
        ([rows.head(3), rows.tail(3)], 0, 0),
        ([rows.tail(3), rows.head(3)], 1, 0),
        ([rows.head(3), rows.slice(2)], 1, 0),
        ([rows.head(3), rows.tail(3).with_columns(orders=pl.lit(0, pl.Int64))], 0, 3),
    ]
    for number, (pieces, unordered, invalid) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        writer = PartWriter(DAILY_CATEGORY_SALES, folder, ProdSettings(DATABASE))
        for piece in pieces:
            writer.write(piece)
        writer.close()
        *rules, in_order = writer.check.outcomes()
        assert (in_order.failed, sum(rule.failed for rule in rules)) == (unordered, invalid), number
        assert in_order.checked == sum(map(len, pieces))


def test_null_is_the_last_of_an_order() -> None:
    keys = pl.DataFrame({"day": [1, 1, 1, 2, 2], "category": ["a", "b", None, "a", None]})
    assert count_unordered(keys) == 0
    assert count_unordered(keys.reverse()) == 4
    assert count_unordered(keys[[0, 0, 2, 2, 3]]) == 2
    assert count_unordered(keys.clear()) == 0
    assert set(CUSTOMER_SUMMARY.key) <= CUSTOMER_SUMMARY.spec.curated_schema.keys()


def test_an_item_that_moved_is_in_two_orders_and_in_each_once() -> None:
    shop, world = ProdShop(), world_with_an_empty_order()
    [item, *_] = world.rows["order_items"]
    world.rows["order_items"].append(item | {"order_id": "late9"})
    shop.build(world)
    assert shop.contents() == contents_of(world)
