"""What a change costs, and that building on what is there gives what a first build gives. Faked: the store, in memory.

Real: everything else, the file catalog included.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from gata_assets.shop.prod.source import Compression
from gata_assets_tests.shop.prod.shops import FOLDER, GRACE, ProdShop, built, contents_of, order_of
from gata_assets_tests.support.shop_worlds import STATUSES, ShopWorld, small_world

OF_ORDERS = ("order_facts", "daily_sales", "daily_category_sales")


def world_by_customers() -> ShopWorld:
    """Two customers with an order with an item in each of three months, a third one in the first month alone."""
    world = small_world(5, orders=0)
    for number, (customer, month) in enumerate([*(("c0", month) for month in (1, 2, 3)), ("c1", 1), ("c1", 3)]):
        at = datetime(2026, month, 10, tzinfo=UTC)
        world.rows["orders"].append(order_of(customer, number, at) | {"total_amount": Decimal(1)})
        item = {"order_item_id": f"i{number}", "order_id": f"late{number}", "product_id": f"p{number}"}
        world.rows["order_items"].append(item | {"quantity": 1, "unit_price": Decimal(1), "discount_amount": None})
    return world


def test_the_same_rows_build_nothing_read_nothing_and_write_nothing() -> None:
    shop, world = ProdShop(), small_world(1)
    first = shop.build(world)
    objects = dict(shop.store.objects)
    world.reads.clear()
    report = shop.build(world, code_version="another")
    assert built(report) == {}
    assert report.up_to_date.total() == first.built.total()
    assert world.reads == []
    assert shop.store.objects == objects


def test_a_change_in_the_newest_month_builds_that_month_alone() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    world.rows["orders"][2]["status"] = "cancelled"
    report = shop.build(world)
    assert built(report) == dict.fromkeys((*OF_ORDERS, "customer_summary", "inventory_status"), 1)
    assert shop.contents() == contents_of(world)


def test_a_late_order_builds_later_months_in_which_its_customer_has_orders() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    world.rows["orders"].append(order_of("c1", 9, datetime(2026, 1, 11, tzinfo=UTC)))
    report = shop.build(world)
    # January and March; in February c1 has none. Sums by category know no numbers of orders.
    assert built(report) == {"order_facts": 2, "daily_sales": 2, "daily_category_sales": 1, "customer_summary": 1}
    assert shop.contents() == contents_of(world)


def test_a_change_of_a_customer_builds_the_months_with_their_orders() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    world.rows["customers"][1]["city"] = "Wien"
    assert built(shop.build(world)) == {"order_facts": 2, "customer_summary": 1}
    assert shop.contents() == contents_of(world)


def test_a_change_of_a_product_builds_the_months_with_its_items() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    world.rows["products"][1]["cost"] = Decimal("0.37")
    assert built(shop.build(world)) == dict.fromkeys((*OF_ORDERS, "inventory_status"), 1)
    assert shop.contents() == contents_of(world)


def test_another_compression_builds_everything_again() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    assert built(shop.build(world, compression=Compression.SNAPPY)) == {
        **dict.fromkeys(OF_ORDERS, 3),
        "customer_summary": 1,
        "inventory_status": 1,
    }
    assert shop.contents() == contents_of(world, compression=Compression.SNAPPY)


def test_a_month_that_lost_all_orders_is_gone_and_its_files_after_the_grace() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    for table in ("orders", "order_items"):
        world.rows[table] = [row for row in world.rows[table] if row["order_id"] != "late1"]
    report = shop.build(world)
    assert dict(report.removed) == dict.fromkeys(OF_ORDERS, 1)
    assert shop.contents() == contents_of(world)
    assert shop.build(world).removed.total() == 0
    shop.now += GRACE
    shop.build(world)
    assert [key for key in shop.store.objects if "month=02" in key and key.endswith(".parquet")] == []


def test_a_month_of_orders_without_items_has_sales_and_no_facts() -> None:
    shop, world = ProdShop(), small_world(5, orders=0)
    world.rows["orders"].append(order_of("c0", 1, datetime(2026, 1, 1, tzinfo=UTC)))
    shop.build(world)
    months = {key: len(files) for key, files in shop.contents().items() if key[1]}
    assert months == {("daily_sales", ("2026", "01")): 1}
    assert built(shop.build(world)) == {}


@pytest.mark.parametrize(
    ("name", "content"), [("manifest.json", None), ("manifest.json", b"{"), ("part-00000.parquet", None)]
)
def test_a_missing_file_or_a_damaged_manifest_is_built_again(name: str, content: bytes | None) -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    before = shop.contents()
    folder = f"{FOLDER}order_facts/year=2026/month=02/"
    [key] = [key for key in shop.store.objects if key.startswith(folder) and key.endswith(name)]
    if content is None:
        shop.store.delete(key)
    else:
        shop.store.write(key, content)
    assert built(shop.build(world)) == {"order_facts": 1}
    assert shop.contents() == before


def test_a_deleted_partition_is_built_again() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    before = shop.contents()
    for key in [key for key in shop.store.objects if "daily_sales/year=2026/month=02/" in key]:
        shop.store.delete(key)
    assert built(shop.build(world)) == {"daily_sales": 1}
    assert shop.contents() == before


def test_a_dropped_catalog_is_filled_again_without_building() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    before = shop.contents()
    shop.store.delete("catalog.json")
    assert built(shop.build(world)) == {}
    assert shop.contents() == before


def test_superseded_files_stay_for_the_grace_and_are_then_dropped() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    old = {key for key in shop.store.objects if "order_facts/year=2026/month=03/build=" in key}
    world.rows["orders"][2]["status"] = "refunded"
    shop.now += timedelta(days=30)
    shop.build(world)
    shop.now += GRACE - timedelta(seconds=1)
    shop.build(world)
    assert old <= shop.store.objects.keys()
    shop.now += timedelta(seconds=1)
    shop.build(world)
    assert not old & shop.store.objects.keys()
    assert shop.contents() == contents_of(world)


def test_a_role_that_may_not_delete_leaves_files_and_counts_them() -> None:
    shop, world = ProdShop(), world_by_customers()
    shop.build(world)
    shop.store.can_delete = False
    world.rows["orders"][2]["status"] = "refunded"
    # The two files of the month's state.
    assert shop.build(world).files_left == 2
    shop.now += GRACE
    assert [shop.build(world).files_left for _ in range(2)] == [5, 5]
    assert shop.contents() == contents_of(world)
    shop.store.can_delete = True
    assert shop.build(world).files_left == 0


def change(world: ShopWorld, rng: Random, number: int) -> None:
    """Change a shop as time does: new, late, moved and deleted orders, other customers and products."""

    def add() -> None:
        at = datetime(2025, 12, 15, tzinfo=UTC) + timedelta(seconds=rng.randrange(8_000_000))
        world.rows["orders"].append(order_of(f"c{rng.randrange(9)}", 100 * number + len(world.rows["orders"]), at))

    def move() -> None:
        order = rng.choice(world.rows["orders"])
        order["ordered_at"] += timedelta(days=rng.choice((-20, 1, 33)))

    def delete() -> None:
        order_id = rng.choice(world.rows["orders"])["order_id"]
        for table in ("orders", "order_items", "payments"):
            world.rows[table] = [row for row in world.rows[table] if row["order_id"] != order_id]

    def progress() -> None:
        rng.choice(world.rows["orders"])["status"] = rng.choice(STATUSES)

    def reprice() -> None:
        rng.choice(world.rows["products"])["cost"] = Decimal(rng.randrange(999)) / 100

    def relocate() -> None:
        rng.choice(world.rows["customers"])["city"] = rng.choice(("Wien", None))

    def leave() -> None:
        world.rows["customers"].pop()

    changes: list[Callable[[], None]] = [add, move, delete, progress, reprice, relocate, leave]
    for chosen in rng.choices(changes, k=rng.randrange(1, 3)):
        chosen()


def require_incremental_is_full(seed: int, steps: int) -> None:
    rng, shop, world = Random(seed), ProdShop(), small_world(seed, orders=20)
    for number in range(steps):
        shop.build(world)
        assert shop.contents() == contents_of(world), number
        change(world, rng, number)
        shop.now += timedelta(hours=rng.randrange(40))


@pytest.mark.slow
def test_builds_on_what_is_there_give_what_a_first_build_gives() -> None:
    require_incremental_is_full(11, 6)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_many_builds_on_what_is_there_give_what_a_first_build_gives(seed: int) -> None:
    require_incremental_is_full(seed, 8)


def test_a_world_is_not_changed_by_building_it() -> None:
    world = small_world(3)
    before = deepcopy(world.rows)
    contents_of(world)
    assert world.rows == before
