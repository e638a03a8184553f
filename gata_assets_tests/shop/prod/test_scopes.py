"""Builds of some months, or of the tables without a date alone, and what they leave for others.

Faked: the store, in memory. Real: everything else, the file catalog included.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from gata_assets.shop.prod.build import build_partitions, is_built
from gata_assets.shop.prod.builds import Change, PublishedPartition
from gata_assets.shop.prod.digests import digest_days
from gata_assets.shop.prod.months import read_state
from gata_assets.shop.prod.source import Month, ProdSettings, Scope
from gata_assets.shop.prod.states import MonthStates
from gata_assets_tests.shop.prod.shops import FOLDER, GRACE, ProdShop, contents_of, order_of
from gata_assets_tests.shop.prod.test_incremental import OF_ORDERS, change, world_by_customers
from gata_assets_tests.support.shop_readers import DATABASE
from gata_assets_tests.support.shop_worlds import ShopWorld, small_world

WHOLE = Scope(has_whole_tables=True)
JANUARY, FEBRUARY, MARCH = (("2026", f"{month:02}") for month in (1, 2, 3))


def build(shop: ProdShop, world: ShopWorld, scope: Scope) -> list[PublishedPartition]:
    settings = ProdSettings(DATABASE, grace=GRACE)
    return list(build_partitions(world, shop.store, shop.catalog, FOLDER, settings, now=shop.now, scope=scope))


def is_complete(shop: ProdShop, world: ShopWorld) -> bool:
    return is_built(world, shop.store, shop.catalog, FOLDER, ProdSettings(DATABASE, grace=GRACE), now=shop.now)


def of(*months: Month) -> Scope:
    return Scope(frozenset(months))


def built(partitions: list[PublishedPartition]) -> set[tuple[str, ...]]:
    return {partition.values for partition in partitions if partition.change is Change.BUILT}


def test_the_months_of_a_scope_are_built_and_no_others() -> None:
    shop, world = ProdShop(), world_by_customers()
    found = build(shop, world, of(FEBRUARY))
    assert built(found) == {FEBRUARY}
    # With the numbers of orders that customers had in January, which is not built.
    assert shop.contents() == {key: files for key, files in contents_of(world).items() if key[1] == FEBRUARY}
    assert not is_complete(shop, world)


def test_months_in_any_order_and_the_whole_tables_are_a_complete_build() -> None:
    shop, world = ProdShop(), world_by_customers()
    for scope in (of(MARCH), WHOLE, of(FEBRUARY)):
        build(shop, world, scope)
        assert not is_complete(shop, world), scope
    build(shop, world, of(JANUARY))
    assert shop.contents() == contents_of(world)
    # January alone does not look at later months.
    assert not is_complete(shop, world)
    build(shop, world, WHOLE)
    assert is_complete(shop, world)


def test_the_last_month_completes_a_build_if_all_else_is_up_to_date() -> None:
    shop, world = ProdShop(), world_by_customers()
    for scope in (of(JANUARY, FEBRUARY), WHOLE, of(MARCH)):
        build(shop, world, scope)
    assert is_complete(shop, world)
    # What is in stock concerns no month.
    world.rows["inventory"][0]["quantity"] += 1
    assert built(build(shop, world, of(MARCH))) == set()
    assert not is_complete(shop, world)


def test_a_month_that_is_up_to_date_is_reported_and_nothing_is_written() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    for changed in (False, True):
        if changed:
            world.rows["orders"][2]["status"] = "cancelled"
        before, reads = dict(shop.store.objects), len(world.reads)
        found = build(shop, world, of(JANUARY))
        assert [(one.table, one.values, one.change) for one in found] == [
            (table, JANUARY, Change.UNCHANGED) for table in OF_ORDERS
        ]
        assert all(one.rows and one.digest for one in found)
        assert shop.store.objects == before
        # Customers and products, to know that they are the same; no orders.
        assert world.reads[reads:] == (["customers", "products"] if changed else [])


def test_a_month_without_orders_is_reported_and_one_that_lost_them_is_removed() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    for table in ("orders", "order_items"):
        world.rows[table] = [row for row in world.rows[table] if row["order_id"] not in ("late2", "late4")]
    assert built(build(shop, world, WHOLE)) == {()}
    assert not is_complete(shop, world)
    never = ("2024", "02")
    found = build(shop, world, of(MARCH, never))
    assert {(one.values, one.change, one.rows) for one in found} == {
        (MARCH, Change.REMOVED, 0),
        (never, Change.UNCHANGED, 0),
    }
    assert is_complete(shop, world)
    assert shop.contents() == contents_of(world)


def test_what_a_month_passes_on_is_the_same_whether_it_is_built_or_read() -> None:
    world, shop = small_world(4, orders=40), ProdShop()
    shop.build(world)
    states = MonthStates(shop.store, f"{FOLDER}_months/", code_version="")
    read = 0
    for key in shop.store.objects:
        if key.startswith(f"{FOLDER}_months/") and key.endswith("/manifest.json"):
            year, month = (folder.partition("=")[2] for folder in key.split("/")[-3:-1])
            days = {day: digest for day, digest in world.days().items() if f"{day:%Y-%m}" == f"{year}-{month}"}
            stored = states.read((year, month), digest_days(days))
            found = read_state(world, sorted(days))
            assert stored is not None
            assert found.customers.equals(stored.customers)
            assert found.products.equals(stored.products)
            read += 1
    assert read > 1


def require_scopes_never_matter(seed: int, steps: int) -> None:
    rng, shop, world = Random(seed), ProdShop(), small_world(seed, orders=20)
    world.rows["orders"].append(order_of("c0", 99, datetime(2026, 2, 1, tzinfo=UTC)))
    for number in range(steps):
        months = {(f"{day:%Y}", f"{day:%m}") for day in world.days()}
        asked = of(*rng.sample(sorted(months), rng.randrange(len(months) + 1)))
        build(shop, world, asked)
        expected, found = contents_of(world), shop.contents()
        for key in expected.keys() | found.keys():
            if key[1] in asked.months:
                assert found.get(key) == expected.get(key), (number, key)
        if rng.random() < 0.5:
            build(shop, world, WHOLE)
            assert {key: files for key, files in shop.contents().items() if not key[1]} == {
                key: files for key, files in expected.items() if not key[1]
            }
        change(world, rng, number)
        shop.now += timedelta(hours=rng.randrange(40))
    shop.build(world)
    assert shop.contents() == contents_of(world)


@pytest.mark.slow
def test_what_was_asked_for_before_changes_no_byte() -> None:
    require_scopes_never_matter(3, 6)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_whatever_was_asked_for_before_changes_no_byte(seed: int) -> None:
    require_scopes_never_matter(seed, 10)
