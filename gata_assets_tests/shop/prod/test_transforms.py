"""The tables for analysts against an oracle in plain Python, through the whole build. Real: files, the file catalog."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.errors import DataRuleError
from gata_assets.shop.prod.build import build_prod
from gata_assets.shop.prod.source import ProdSettings
from gata_assets.shop.prod.tables import CUSTOMER_SUMMARY, TABLES
from gata_assets.storage.catalog.local_file import FileCatalog
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.shop_oracle import expected_tables
from gata_assets_tests.support.shop_readers import DATABASE, read_bytes, read_rows
from gata_assets_tests.support.shop_worlds import ShopWorld, small_world

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def build(world: ShopWorld, place: Path, *, now: datetime = NOW) -> FileCatalog:
    """Build all tables in a directory; gives the catalog."""
    store = LocalStoreResource(directory=str(place))
    catalog = FileCatalog(store, "catalog.json")
    build_prod(world, store, catalog, "prod/", ProdSettings(DATABASE), now=now)
    return catalog


def require_expected(world: ShopWorld, catalog: FileCatalog) -> None:
    """Compare every table with the oracle's, and with its declaration."""
    expected = expected_tables(world)
    for table in TABLES:
        rows = read_rows(catalog, table)
        assert rows.schema == table.spec.curated_schema, table.name
        # A quotient is a double, and Polars rounds it differently in its last digit.
        computed = rows.to_dicts()
        pairs = [[row.pop("days_to_pay", None) for row in found] for found in (computed, expected[table.name])]
        for found, exact in zip(*pairs, strict=True):
            assert (found is None) == (exact is None)
            assert exact is None or found == pytest.approx(exact, rel=1e-14)
        assert computed == expected[table.name], table.name
        if len(rows):
            table.spec.model.validate(rows)


@pytest.mark.parametrize("seed", range(4))
def test_every_row_of_every_table_is_what_plain_python_computes(tmp_path: Path, seed: int) -> None:
    world = small_world(seed)
    require_expected(world, build(world, tmp_path))


def test_a_shop_without_orders_has_customers_and_stock(tmp_path: Path) -> None:
    world = small_world(0, orders=0)
    catalog = build(world, tmp_path)
    require_expected(world, catalog)
    assert read_rows(catalog, CUSTOMER_SUMMARY)["currency"].null_count() == 8


def test_a_shop_without_any_row_has_empty_tables(tmp_path: Path) -> None:
    catalog = build(ShopWorld(), tmp_path)
    assert [len(read_rows(catalog, table)) for table in TABLES] == [0] * 5


@cache
def bytes_in_order() -> dict[tuple[str, tuple[str, ...]], list[bytes]]:
    """What is built from the rows of the test below in their first order."""
    with TemporaryDirectory() as place:
        return read_bytes(build(small_world(7, orders=25, months=2), Path(place)))


@settings(max_examples=5)
@given(seed=st.integers(1, 10**6), instant=st.datetimes(datetime(2026, 1, 1), datetime(2099, 1, 1)))
def test_bytes_depend_neither_on_the_order_of_rows_nor_on_the_present_instant(seed: int, instant: datetime) -> None:
    world = small_world(7, orders=25, months=2)
    world.order_seed = seed
    with TemporaryDirectory() as place:
        assert read_bytes(build(world, Path(place), now=instant.replace(tzinfo=UTC))) == bytes_in_order()


def test_orders_of_one_instant_are_numbered_by_their_ids(tmp_path: Path) -> None:
    world = small_world(1, orders=12)
    for order in world.rows["orders"]:
        order["ordered_at"], order["customer_id"] = datetime(2026, 1, 1, tzinfo=UTC), "c1"
    require_expected(world, build(world, tmp_path))


def test_amounts_are_exact_where_floats_are_not(tmp_path: Path) -> None:
    world = small_world(2, orders=6)
    large = Decimal("9999999999999.97")
    for item in world.rows["order_items"]:
        item["unit_price"], item["quantity"] = large, 7
    require_expected(world, build(world, tmp_path))


def test_an_amount_with_too_many_digits_is_refused_without_its_value(tmp_path: Path) -> None:
    world = small_world(2, orders=6)
    for item in world.rows["order_items"]:
        item["unit_price"], item["quantity"] = Decimal("9876543210123456.78"), 7
    count = len(world.rows["order_items"])
    with pytest.raises(DataRuleError) as raised:
        build(world, tmp_path)
    assert "Decimal(precision=18, scale=2)" in str(raised.value)
    assert "987654" not in str(raised.value)
    assert count


def test_items_without_their_order_are_refused_with_their_number(tmp_path: Path) -> None:
    class Contradicting(ShopWorld):
        def read_days(self, table: str, days: object, columns: object) -> pl.DataFrame:
            found = super().read_days(table, days, columns)  # type: ignore[arg-type]
            return found.filter(pl.col("order_id") != "o000") if table == "orders" else found

    world = small_world(3, orders=4)
    for item in world.rows["order_items"]:
        item["order_id"] = "o000"
    with pytest.raises(DataRuleError, match=rf"{len(world.rows['order_items'])} curated items have no order"):
        build(Contradicting(world.rows), tmp_path)


def test_a_day_ends_at_midnight_utc(tmp_path: Path) -> None:
    world = small_world(4, orders=4)
    for order, seconds in zip(world.rows["orders"], (-1, 0, 1, 86_400), strict=True):
        order["ordered_at"] = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    require_expected(world, build(world, tmp_path))
