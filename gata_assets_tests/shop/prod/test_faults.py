"""Every call of the store that fails, in turn: readers see the tables before or after, and the next run finishes.

Real: the build and the file catalog, whose calls fail too. Faked: the store, in memory, which fails before or after it
has done its work; two commands are threads that wait for their turns.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from gata_assets.errors import ConflictError, StoreError
from gata_assets.shop.prod.builds import build_folder, read_partition
from gata_assets.shop.prod.tables import TABLES
from gata_assets.tables.manifests import MANIFEST_FILE
from gata_assets_tests.shop.prod.shops import FOLDER, GRACE, Contents, ProdShop, contents_of, order_of
from gata_assets_tests.support.interleaving import run_in_turns
from gata_assets_tests.support.memory_store import Fault
from gata_assets_tests.support.shop_readers import locations, read_files
from gata_assets_tests.support.shop_worlds import ShopWorld, small_world


def before_and_after() -> tuple[ShopWorld, ShopWorld]:
    """A shop, and the same one with a late order, another customer's city, and without the orders of one month."""
    before, after = small_world(9, orders=14), small_world(9, orders=14)
    after.rows["orders"].append(order_of("c1", 1, datetime(2025, 12, 20, tzinfo=UTC)))
    after.rows["customers"][2]["city"] = "Wien"
    gone = {row["order_id"] for row in after.rows["orders"] if row["ordered_at"].month == 2}
    assert gone
    for table in ("orders", "order_items", "payments"):
        after.rows[table] = [row for row in after.rows[table] if row["order_id"] not in gone]
    return before, after


def require_old_or_new(found: Contents, old: Contents, new: Contents) -> None:
    """Compare each partition that a reader finds."""
    for key in {*old, *new, *found}:
        assert found.get(key) in (old.get(key), new.get(key)), key


def fail_each_call(step: int, *, is_done: bool) -> None:
    """Build the second shop over the first one, with every `step`-th call failing, until no call fails."""
    before, after = before_and_after()
    old, new = contents_of(before), contents_of(after)
    shop = ProdShop()
    shop.build(before)
    start = dict(shop.store.objects)
    at = 1
    while True:
        shop.store.objects.clear()
        shop.store.objects.update(start)
        fault = shop.store.fault = Fault(at, is_done=is_done)
        try:
            shop.build(after)
        except StoreError:
            require_old_or_new(shop.contents(), old, new)
            # Long after the crash, a query begins just before the next run: its files stay.
            shop.now += timedelta(days=2)
            in_use = {location: read_files(location, shop.store) for location in all_locations(shop)}
            shop.store.fault = Fault()
            shop.build(after)
            assert {location: read_files(location, shop.store) for location in in_use} == in_use, at
        assert shop.contents() == new, at
        # A call that only deletes files of months' states may fail, which leaves them to the next build.
        shop.store.fault = Fault()
        shop.build(after)
        shop.now += GRACE
        shop.build(after)
        assert shop.contents() == new
        assert files_of(shop) == sum(map(len, new.values())), "nothing is left"
        if fault.calls < at:
            break
        at += step
    assert at > 60


def require_catalog_follows_manifests(shop: ProdShop) -> None:
    """Compare where readers look with the builds that the manifests name."""
    current = set()
    for key in sorted(shop.store.objects):
        if key.endswith(f"/{MANIFEST_FILE}") and key.startswith(tuple(f"{FOLDER}{table.name}/" for table in TABLES)):
            folder = key.removesuffix(MANIFEST_FILE)
            if build := read_partition(shop.store, folder).build:
                current.add(shop.store.uri(build_folder(folder, build)))
    assert set(all_locations(shop)) == current


def all_locations(shop: ProdShop) -> list[str]:
    """Where readers look at the moment."""
    return [location for table in TABLES for location in locations(shop.catalog, table).values()]


def files_of(shop: ProdShop) -> int:
    """The number of files of all builds."""
    return sum("/build=" in key for key in shop.store.objects)


@pytest.mark.slow
@pytest.mark.parametrize("is_done", [False, True])
def test_some_calls_fail_and_readers_see_old_or_new_partitions(is_done: bool) -> None:
    fail_each_call(13, is_done=is_done)


@pytest.mark.soak
@pytest.mark.parametrize("is_done", [False, True])
def test_each_call_fails_and_readers_see_old_or_new_partitions(is_done: bool) -> None:
    fail_each_call(1, is_done=is_done)


def test_a_first_build_that_failed_is_finished_by_the_next() -> None:
    world = small_world(9, orders=10)
    new = contents_of(world)
    for at in range(2, 100, 19):
        shop = ProdShop()
        shop.store.fault = Fault(at)
        with pytest.raises(StoreError):
            shop.build(world)
        require_old_or_new(shop.contents(), {}, new)
        shop.store.fault = Fault()
        shop.build(world)
        assert shop.contents() == new


def test_a_build_that_nobody_finished_is_dropped_after_the_grace() -> None:
    before, after = before_and_after()
    shop = ProdShop()
    shop.build(before)
    files, start = files_of(shop), dict(shop.store.objects)
    for at in count(1):
        shop.store.objects.clear()
        shop.store.objects.update(start)
        shop.store.fault = Fault(at)
        with suppress(StoreError):
            shop.build(after)
            continue
        if files_of(shop) > files:
            break
    assert shop.contents() == contents_of(before)
    shop.store.fault = Fault()
    for _ in range(2):
        shop.build(before)
        assert files_of(shop) > files
    shop.now += GRACE
    shop.build(before)
    assert files_of(shop) == files
    assert shop.contents() == contents_of(before)


def meet_at(steps: range) -> None:
    """Two builds at once, of an older and of a newer shop: whoever ends last, a further build has the newer one."""
    before, after = before_and_after()
    old, new = contents_of(before), contents_of(after)
    empty = small_world(9, orders=0)
    for pause in steps:
        shop = ProdShop()
        shop.build(empty)
        nothing = shop.contents()

        def ended(ends: list[StoreError | None], shop: ProdShop = shop, nothing: Contents = nothing) -> None:
            assert all(end is None or isinstance(end, ConflictError) for end in ends), ends
            found = shop.contents()
            for key, files in found.items():
                assert files in (nothing.get(key), old.get(key), new.get(key)), key
                assert files

        _, calls = run_in_turns(
            shop.store,
            lambda store, shop=shop: shop.build(before, store),  # type: ignore[misc]
            lambda store, shop=shop: shop.build(after, store),  # type: ignore[misc]
            pause_first=pause,
            after_each=ended,
        )
        require_catalog_follows_manifests(shop)
        shop.build(after)
        assert shop.contents() == new, pause
        if calls[0] < pause:
            break


@pytest.mark.slow
def test_two_commands_at_once_leave_complete_partitions() -> None:
    meet_at(range(5, 1_000, 23))


@pytest.mark.soak
def test_two_commands_meet_at_each_call_and_leave_complete_partitions() -> None:
    meet_at(range(1, 1_000))
