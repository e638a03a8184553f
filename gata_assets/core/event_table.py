"""Interactions with their ids as small numbers: what features and training rows are made from on one machine.

Codes stand in the order of the ids, so that an order by code is an order by id. Made anew for each batch from the keys
of the curated layer; no dictionary is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.core.compiling import compiled
from gata_assets.errors import DataRuleError


@dataclass(frozen=True)
class Ids:
    """The distinct ids of a table: `ids` (String, ascending) and the key of each; a code is a place in them."""

    ids: pl.Series
    keys: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class EventTable:
    """Interactions as columns of one length, in ascending order of time.

    `user` and `item` are codes (places in `users` and `items`), `timestamp` microseconds since 1970 (UTC),
    `type_code` the type's place in InteractionType, `rating` NaN where there is none.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    timestamp: NDArray[np.int64]
    type_code: NDArray[np.uint8]
    rating: NDArray[np.float32]
    users: Ids
    items: Ids

    def __len__(self) -> int:
        return len(self.user)


def code_events(events: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame) -> EventTable:
    """Give the users and items of interactions their codes.

    `events` has `user_key, item_key, timestamp, type_code, rating` as in CuratedInteractions, in any order; `users` has
    `user_id, user_key` and `items` has `item_id, item_key`, each at least once for every key of the events; of those
    that the events lack, users get no code, items do. Raises DataRuleError when two ids have one key, or a key no id.
    """
    known_users, known_items = _collect_ids(users, "user"), _collect_ids(items, "item")
    times = _column(events["timestamp"].to_physical())
    # Curated days are in order of time already; to sort 5M rows again takes longer than all else here.
    if not (times[1:] >= times[:-1]).all():
        events = events.sort("timestamp", maintain_order=True)
        times = _column(events["timestamp"].to_physical())
    user = _codes(_column(events["user_key"]), known_users, "user")
    present = renumber(user, len(known_users))
    return EventTable(
        user=user,
        item=_codes(_column(events["item_key"]), known_items, "item"),
        timestamp=times,
        type_code=_column(events["type_code"]),
        rating=_column(events["rating"].fill_null(float("nan"))),
        users=Ids(known_users.ids.gather(present), _column(pl.Series(known_users.keys[present]))),
        items=known_items,
    )


def _collect_ids(table: pl.DataFrame, kind: str) -> Ids:
    distinct = table.select(id=f"{kind}_id", key=f"{kind}_key").unique().sort("id")
    clashes = len(distinct) - distinct["key"].n_unique()
    if clashes:
        raise DataRuleError(
            f"{clashes} of {len(distinct):,} {kind} ids have the key of another (XXH64): rename one of each pair."
        )
    return Ids(distinct["id"], _column(distinct["key"]))


def _column(values: pl.Series) -> NDArray[Any]:
    # Never writable, whether it was copied or not: numba would compile its functions for either.
    array = values.to_numpy().view()
    array.flags.writeable = False
    return array


def _codes(keys: NDArray[np.uint64], known: Ids, kind: str) -> NDArray[np.int32]:
    codes, unknown = _look_up(keys, known.keys)
    if unknown:
        raise DataRuleError(f"{unknown:,} of {len(keys):,} interactions have a {kind} key without an id.")
    return codes


@compiled
def _look_up(keys: NDArray[np.uint64], known: NDArray[np.uint64]) -> tuple[NDArray[np.int32], int]:
    """The place of each key among the known ones, which are distinct, or -1; and how many have none."""
    slots = 2
    while slots < 2 * len(known):
        slots *= 2
    # Keys are hashes: their low bits are a slot, and the next free one is near.
    mask = np.uint64(slots - 1)
    places = np.full(slots, -1, dtype=np.int32)
    for place in range(len(known)):
        slot = known[place] & mask
        while places[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        places[slot] = place
    codes = np.empty(len(keys), dtype=np.int32)
    unknown = 0
    for row in range(len(keys)):
        slot = keys[row] & mask
        while places[slot] >= 0 and known[places[slot]] != keys[row]:
            slot = (slot + np.uint64(1)) & mask
        codes[row] = places[slot]
        unknown += places[slot] < 0
    return codes, unknown


@compiled
def renumber(codes: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Number the codes that occur from 0, in their order, in place; gives which they are."""
    number = np.full(count, -1, dtype=np.int32)
    for row in range(len(codes)):
        number[codes[row]] = 0
    used = np.flatnonzero(number == 0)
    for at in range(len(used)):
        number[used[at]] = at
    for row in range(len(codes)):
        codes[row] = number[codes[row]]
    return used
