"""Interactions with their ids as small numbers: what features and training rows are made from on one machine.

Codes stand in the order of the ids, so that an order by code is an order by id. Made anew for each batch from the keys
of the curated layer; no dictionary is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

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
    present = np.isin(known_users.keys, events["user_key"].unique().to_numpy())
    known_users = Ids(known_users.ids.filter(pl.Series(present)), known_users.keys[present])
    events = events.sort("timestamp", maintain_order=True)
    return EventTable(
        user=_codes(events["user_key"].to_numpy(), known_users, "user"),
        item=_codes(events["item_key"].to_numpy(), known_items, "item"),
        timestamp=events["timestamp"].to_physical().to_numpy(),
        type_code=events["type_code"].to_numpy(),
        rating=events["rating"].fill_null(float("nan")).to_numpy(),
        users=known_users,
        items=known_items,
    )


def _collect_ids(table: pl.DataFrame, kind: str) -> Ids:
    distinct = table.select(id=f"{kind}_id", key=f"{kind}_key").unique().sort("id")
    clashes = len(distinct) - distinct["key"].n_unique()
    if clashes:
        raise DataRuleError(
            f"{clashes} of {len(distinct):,} {kind} ids have the key of another (XXH64): rename one of each pair."
        )
    return Ids(distinct["id"], distinct["key"].to_numpy())


def _codes(keys: NDArray[np.uint64], known: Ids, kind: str) -> NDArray[np.int32]:
    by_key = np.argsort(known.keys)
    places = np.searchsorted(known.keys, keys, sorter=by_key)
    places = by_key[np.minimum(places, max(len(known) - 1, 0))] if len(known) else np.zeros(len(keys), dtype=np.int64)
    unknown = int((known.keys[places] != keys).sum()) if len(known) else len(keys)
    if unknown:
        raise DataRuleError(f"{unknown:,} of {len(keys):,} interactions have a {kind} key without an id.")
    return places.astype(np.int32)
