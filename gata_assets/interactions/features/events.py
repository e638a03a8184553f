"""Interactions with their ids encoded as small integers: the input of features and training rows.

Codes are in the order of the ids, so that sorting by code sorts by id. They are computed for each batch from the
hashes of the curated days; no dictionary is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.errors import DataRuleError
from gata_assets.interactions.rules import InteractionType
from gata_assets.tables.columns.arrays import Float32s, Int32s, Int64s, UInt8s, UInt64s
from gata_assets.tables.columns.id_encoding import KeyTable, read_only

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Ids:
    """A table's distinct ids (String, ascending) and their hashes; a code is an index into them."""

    ids: pl.Series
    keys: UInt64s

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class EventTable:
    """Interactions as columns of equal length, in ascending order of time.

    `user` and `item` are codes (indexes into `users` and `items`), `timestamp` is microseconds since 1970 (UTC),
    `type_code` is InteractionType's code, `rating` is NaN if missing.
    """

    user: Int32s
    item: Int32s
    timestamp: Int64s
    type_code: UInt8s
    rating: Float32s
    users: Ids
    items: Ids

    def __len__(self) -> int:
        return len(self.user)


def code_events(events: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame) -> EventTable:
    """Encode the users and items of interactions.

    Args:
        events: `user_key, item_key, timestamp, type_code, rating` as in CuratedInteractions, in any order.
        users: `user_id, user_key`, at least once for every user key of the events; other users get no code.
        items: `item_id, item_key`, at least once for every item key of the events; other items get a code too.

    Raises:
        DataRuleError: If two ids have the same hash, or a hash has no id.
    """
    coder = EventCoder()
    coder.add(events.sort("timestamp", maintain_order=True), users, items)
    return coder.finish()


class EventCoder:
    """Encodes interactions piece by piece, so that only one piece's hashes are in memory.

    Until `finish`, codes are in the order in which ids arrived. An interaction takes 21 bytes.
    """

    def __init__(self) -> None:
        self._users, self._items = _IdCoder("user"), _IdCoder("item")
        self._user: list[Int32s] = []
        self._item: list[Int32s] = []
        self._timestamp: list[Int64s] = []
        self._type_code: list[UInt8s] = []
        self._rating: list[Float32s] = []
        self._last_at = np.iinfo(np.int64).min

    def add(self, events: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame) -> None:
        """Add the next interactions, in order of time, and ids; columns and errors as in `code_events`.

        Raises:
            DataRuleError: Also if interactions are not in order of time, or their type is unknown.
        """
        self._users.learn(users)
        self._items.learn(items)
        if events.is_empty():
            return
        timestamp, type_code = _column(events["timestamp"].to_physical()), _column(events["type_code"])
        self._require_order(timestamp)
        unknown = int((type_code >= len(InteractionType)).sum())
        if unknown:
            raise DataRuleError(
                f"{unknown:,} of {len(events):,} curated interactions have an unknown type_code: curate their day "
                "again."
            )
        self._user.append(self._users.codes(_column(events["user_key"])))
        self._item.append(self._items.codes(_column(events["item_key"])))
        self._timestamp.append(timestamp)
        self._type_code.append(type_code)
        self._rating.append(_column(events["rating"].fill_null(float("nan"))))

    def add_items(self, items: pl.DataFrame) -> None:
        """Add items that may have no interaction: `item_id, item_key`."""
        self._items.learn(items)

    def finish(self) -> EventTable:
        """Return all interactions, with codes in the order of the ids."""
        users, new_users = self._users.in_order(only_used=True)
        items, new_items = self._items.in_order(only_used=False)
        return EventTable(
            user=_recoded(self._user, new_users),
            item=_recoded(self._item, new_items),
            timestamp=_joined(self._timestamp, np.int64),
            type_code=_joined(self._type_code, np.uint8),
            rating=_joined(self._rating, np.float32),
            users=users,
            items=items,
        )

    def _require_order(self, timestamp: Int64s) -> None:
        disordered = int((timestamp[1:] < timestamp[:-1]).sum()) + int(timestamp[0] < self._last_at)
        if disordered:
            raise DataRuleError(
                f"{disordered:,} of {len(timestamp):,} curated interactions are earlier than the one before them: "
                "curate their day again."
            )
        self._last_at = timestamp[-1]


class _IdCoder:
    """Codes of ids by their keys, in the order in which ids arrived."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._ids = pl.Series("id", [], pl.String)
        self._table = KeyTable()

    def learn(self, table: pl.DataFrame) -> None:
        """Assign codes to new ids."""
        ids = table[f"{self._kind}_id"]
        codes, new = self._table.learn(table[f"{self._kind}_key"].to_numpy())
        if len(new):
            self._ids = pl.concat([self._ids, ids.gather(new).rename("id")]).rechunk()
        clashes = int((self._ids.gather(codes) != ids).sum())
        if clashes:
            raise DataRuleError(
                f"{clashes:,} of {len(ids):,} {self._kind} ids have the same hash (XXH64) as another id: rename one of "
                "each pair."
            )

    def codes(self, keys: UInt64s) -> Int32s:
        """The code of each key."""
        codes = self._table.find(keys)
        unknown = int((codes < 0).sum())
        if unknown:
            raise DataRuleError(
                f"{unknown:,} of {len(keys):,} curated interactions have a {self._kind} hash without an id: curate "
                "their day again."
            )
        return codes

    def in_order(self, *, only_used: bool) -> tuple[Ids, Int32s]:
        """Sort the ids; returns them, and the new code of each old code."""
        order = self._ids.arg_sort().to_numpy()
        if only_used:
            order = order[self._table.is_found[order]]
        new_codes = np.full(len(self._ids), -1, dtype=np.int32)
        new_codes[order] = np.arange(len(order), dtype=np.int32)
        return Ids(self._ids.gather(order), self._table.keys[order]), new_codes


def _column(values: pl.Series) -> NDArray[Any]:
    return read_only(values.to_numpy())


def _recoded(pieces: list[Int32s], new_codes: Int32s) -> Int32s:
    """Concatenate the pieces with new codes, freeing each piece once it is copied."""
    codes = np.empty(sum(len(piece) for piece in pieces), dtype=np.int32)
    at = 0
    while pieces:
        piece = pieces.pop(0)
        # With the default mode `raise`, NumPy would make a copy.
        np.take(new_codes, piece, out=codes[at : at + len(piece)], mode="clip")
        at += len(piece)
    return codes


def _joined(pieces: list[NDArray[Scalar]], dtype: type[Scalar]) -> NDArray[Scalar]:
    joined = np.concatenate(pieces, dtype=dtype) if pieces else np.empty(0, dtype=dtype)
    pieces.clear()
    return joined
