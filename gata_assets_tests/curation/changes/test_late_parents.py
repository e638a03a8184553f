"""What arrives late of rows that others refer to: the same bytes as if all had arrived at once.

Real: raw files as Parquet, the curator. Faked: the store, in memory; the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gata_assets_tests.shop.engine import curated_bytes, stored_rows
from gata_assets_tests.shop.stories import (
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
from gata_assets_tests.shop.worlds import RawChange
from gata_assets_tests.support.memory_store import MemoryStore

PARENTS = (customer("c1", 0), product("p1", 0))
ORDER = (order("o1", 1, 10), item("i1", "o1", 1))
# What arrives first, what arrives later, and the hour at which both are judged.
STORIES: dict[str, tuple[Sequence[RawChange], Sequence[RawChange], float]] = {
    "a product that was deleted before it is known to have existed": (
        (customer("c1", 0), product("p1", 5, "D"), *ORDER),
        (product("p1", 0),),
        10,
    ),
    "a customer that was deleted before it is known to have existed": (
        (product("p1", 0), customer("c1", 5, "D"), *ORDER),
        (customer("c1", 0),),
        10,
    ),
    "a product of an earlier version of an order, whose present one is not balanced": (
        (*PARENTS, order("o1", 1, 10), item("i1", "o1", 1, product_id="p2"), item("i1", "o1", 3, "U", quantity=2)),
        (product("p2", 0),),
        10,
    ),
    "a product that an item no longer names": (
        (
            *PARENTS,
            order("o1", 1, 10),
            item("i1", "o1", 1, product_id="p2"),
            item("i1", "o1", 3, "U", quantity=2),
        ),
        (product("p2", 0),),
        10,
    ),
    "a later deletion of a product that was deleted": (
        (*PARENTS, product("p1", 5, "D"), *ORDER, stock("p1", 1)),
        (product("p1", 70, "D"),),
        80,
    ),
    "an earlier change that moves the deletion of a product": (
        (*PARENTS, product("p1", 70, "D"), *ORDER, stock("p1", 1)),
        (product("p1", 60), product("p1", 5, "D")),
        78,
    ),
    "a customer that an order named before": (
        (*PARENTS, order("o1", 1, 10, customer_id="c2"), item("i1", "o1", 1), order("o1", 3, 11, "U")),
        (customer("c2", 0),),
        10,
    ),
    "the order of an item that was once of an order that never came": (
        (*PARENTS, item("i1", "o1", 1), item("i1", "o2", 2, "U"), item("i1", "o1", 3, "U")),
        (order("o1", 1, 10),),
        10,
    ),
    "a product that comes back": (
        (*PARENTS, product("p1", 5, "D"), *ORDER, stock("p1", 1), payment("y1", "o1", 2)),
        (product("p1", 6),),
        10,
    ),
    "a product that is deleted": (
        (*PARENTS, *ORDER, stock("p1", 1), payment("y1", "o1", 2)),
        (product("p1", 6, "D"),),
        10,
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_arrives_late_is_judged_as_if_all_had_arrived_at_once(story: str) -> None:
    first, later, hours = STORIES[story]
    early, late = files_of(0, *first), files_of(1, *later)
    store = MemoryStore()
    arrive(store, early, at(hours))
    arrive(store, late, at(hours))
    assert curated_bytes(store) == at_once([*early, *late], at(hours))


def test_an_order_is_visible_once_its_deleted_product_is_known_to_have_existed() -> None:
    first, later, hours = STORIES["a product that was deleted before it is known to have existed"]
    store = MemoryStore()
    arrive(store, files_of(0, *first), at(hours))
    assert stored_rows(store, "orders") == []
    arrive(store, files_of(1, *later), at(hours))
    [row] = stored_rows(store, "orders")
    assert row["order_id"] == "o1"
    [waiting] = stored_rows(store, "orders", "_waiting")
    assert waiting["verdict"] == "parked"
