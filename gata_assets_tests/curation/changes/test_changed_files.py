"""Raw files that change, come again or late, and staged parts that are damaged.

Real: raw files as Parquet, the curator. Faked: the store, in memory; the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gata_assets.errors import DamagedTableError
from gata_assets_tests.shop.engine import PLACES, curated_bytes, curator, deliver, run, stored_rows
from gata_assets_tests.shop.stories import (
    DAYS,
    arrive,
    at,
    at_once,
    customer,
    files_of,
    item,
    order,
    payment,
    product,
    stock,
)
from gata_assets_tests.shop.worlds import RawFile, World, worlds
from gata_assets_tests.support.memory_store import MemoryStore

NOW = at(30)
SHOP = files_of(
    0,
    *(customer("c1", 0), customer("c2", 0), product("p1", 0), product("p2", 0), stock("p1", 0), stock("p2", 0)),
    *(order("o1", 1, 10), item("i1", "o1", 1), order("o2", 1, 10, customer_id="c2"), item("i2", "o2", 1)),
    *(order("o3", 1, 10, ordered_at=DAYS[1]), item("i3", "o3", 1, product_id="p2"), payment("y1", "o3", 1)),
)


def reloaded(files: Sequence[RawFile], table: str, *kept: int) -> list[RawFile]:
    """The files, with some rows only of a table's."""
    return [
        replace(file, rows=tuple(file.rows[number] for number in kept)) if file.table == table else file
        for file in files
    ]


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        ("customers", (0,)),
        ("products", (1,)),
        ("orders", (2, 0)),
        ("order_items", (2,)),
        ("payments", ()),
        ("inventory", (1,)),
    ],
)
def test_a_table_that_is_loaded_again_has_the_rows_of_the_new_file_only(table: str, kept: tuple[int, ...]) -> None:
    store = MemoryStore()
    arrive(store, SHOP, NOW)
    changed = reloaded(SHOP, table, *kept)
    arrive(store, changed, NOW)
    assert curated_bytes(store) == at_once(changed, NOW)


def test_rows_of_an_overwritten_file_do_not_move_to_other_days() -> None:
    """An order's new version moves it to another day in the run in which the file of its first one has changed."""
    moved = files_of(1, order("o1", 2, 20, "U", ordered_at=DAYS[4]), item("i1", "o1", 2, "U", quantity=2))
    changed = [*reloaded(SHOP, "orders", 1, 2), *moved]
    store = MemoryStore()
    arrive(store, SHOP, NOW)
    arrive(store, changed, NOW)
    assert curated_bytes(store) == at_once(changed, NOW)


def test_an_item_whose_overwritten_file_named_an_order_without_a_day_waits_there_no_more() -> None:
    """The file named an order that had not come; now it names another, and a later file the first, which comes too."""
    before = files_of(0, item("i4", "o1", 23, "U"))
    changed = files_of(0, item("i4", "o2", 22))
    later = files_of(1, customer("c1", 0), product("p1", 0), order("o1", 23, 10), item("i4", "o1", 23, "U"))
    store = MemoryStore()
    arrive(store, before, NOW)
    arrive(store, [*changed, *later], NOW)
    assert curated_bytes(store) == at_once([*changed, *later], NOW)


@st.composite
def changing_worlds(draw: st.DrawFn) -> tuple[World, list[RawFile]]:
    """A world, and its files as they were before: with fewer, other or more rows."""
    world = draw(worlds())
    before = []
    for file in world.all_files():
        of_table = [row for other in world.files[file.table] for row in other.rows]
        before.append(replace(file, rows=tuple(draw(st.lists(st.sampled_from(of_table), max_size=4)))))
    return world, draw(st.permutations(before))


def check_changed(world: World, before: Sequence[RawFile]) -> None:
    store = MemoryStore()
    arrive(store, before, world.now, world.parked_days)
    arrive(store, world.all_files(), world.now, world.parked_days)
    assert curated_bytes(store) == at_once(world.all_files(), world.now, world.parked_days)


_SETTINGS = settings(
    max_examples=5,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.mark.slow
@_SETTINGS
@given(changing_worlds())
def test_what_files_were_before_they_changed_makes_no_difference(changing: tuple[World, list[RawFile]]) -> None:
    check_changed(*changing)


@pytest.mark.soak
@settings(_SETTINGS, max_examples=1_000)
@given(changing_worlds())
def test_what_files_were_before_makes_no_difference_in_many_worlds(changing: tuple[World, list[RawFile]]) -> None:
    check_changed(*changing)


def test_a_file_that_is_superseded_no_longer_counts() -> None:
    store = MemoryStore()
    arrive(store, SHOP, NOW)
    new = files_of(1, product("p1", 0, name="Lamp"))
    arrive(store, new, NOW)
    validator = curator(store, NOW)
    by_key = {report.raw_key: report for report in validator.reports("products")}
    old_key, new_key = (f"{PLACES.raw('products')}{file[0].name}.parquet" for file in (products_of(SHOP), new))
    validator.supersede(by_key[new_key], [by_key[old_key].file_id])
    run(store, NOW, 3)
    assert curated_bytes(store) == at_once([*(file for file in SHOP if file.table != "products"), *new], NOW)


def products_of(files: Sequence[RawFile]) -> list[RawFile]:
    return [file for file in files if file.table == "products"]


@pytest.mark.parametrize("table", ["products", "orders", "payments"])
@pytest.mark.parametrize("damage", ["missing", "other bytes", "cut off"])
def test_a_damaged_staged_part_is_named_and_what_was_curated_stays(table: str, damage: str) -> None:
    store = MemoryStore()
    arrive(store, SHOP, NOW)
    before = curated_bytes(store)
    more = files_of(1, product("p3", 3), order("o1", 3, 10, "U"), payment("y2", "o1", 3))
    for file in more:
        deliver(store, file)
    validator = curator(store, NOW, 3)
    for name in validator.tables:
        validator.validate_new(name)
    [part] = [part for report in validator.reports(table) if "20260102-" in report.raw_key for part in report.parts]
    content = store.read(part.key)
    if damage == "missing":
        store.delete(part.key)
    else:
        store.write(part.key, content[:-9] if damage == "cut off" else content.replace(b"p", b"q"))
    with pytest.raises(DamagedTableError, match="Remove the report of its raw file") as error:
        list(curator(store, NOW, 3).curate())
    assert part.key in str(error.value)
    if table != "products":
        assert {key: before[key] for key in before if "/orders/" in key} == {
            key: content for key, content in curated_bytes(store).items() if "/orders/" in key
        }
    # As a replay does.
    store.write(part.key, content)
    run(store, NOW, 3)
    assert curated_bytes(store) == at_once([*SHOP, *more], NOW)


def test_a_delivery_that_comes_twice_counts_once_whatever_it_is_called() -> None:
    again = [replace(file, name=f"{file.name}-again") for file in SHOP]
    store = MemoryStore()
    for files in (SHOP, SHOP, again, again):
        arrive(store, files, NOW)
    assert curated_bytes(store) == at_once([*SHOP, *again], NOW)
    for table, key in (("orders", "order_id"), ("order_items", "order_item_id"), ("payments", "payment_id")):
        ids = [row[key] for row in stored_rows(store, table)]
        assert len(ids) == len({*ids}) > 0


def test_an_older_file_that_comes_late_changes_nothing_that_is_newer() -> None:
    newer = files_of(
        2, order("o1", 5, 20, "U"), item("i1", "o1", 5, "U", quantity=2), product("p1", 5, "U", name="New")
    )
    older = files_of(
        1, order("o1", 3, 30, "U"), item("i1", "o1", 3, "U", quantity=3), product("p1", 3, "U", name="Old")
    )
    store = MemoryStore()
    for files in (SHOP, newer, older):
        arrive(store, files, NOW)
    assert curated_bytes(store) == at_once([*SHOP, *older, *newer], NOW)
    assert {row["name"] for row in stored_rows(store, "products")} == {"Pan", "New"}
