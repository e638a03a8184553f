"""Routes changes of units to partitions: the days of their orders, so that each partition can be judged by itself.

A partition contains units completely: all changes of a root go to every day that any of its versions names, and all
changes of a member to every partition of every unit that any of its versions names. Units without a day go to one of a
few partitions of their own, which are negative. What a partition contains besides changes no verdict.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.tables.changes.graph import Unit
from gata_assets.tables.changes.key_index import (
    NO_ENTRIES,
    Hashes,
    KeyIndex,
    Partitions,
    Places,
    Segment,
    hashes_of,
    merge,
)
from gata_assets.tables.changes.versions import PARTITION

# Units without a day are divided by the first bits of their key's hash.
_BITS = 4
UNPLACED = tuple(range(-(1 << _BITS), 0))
# Instead of the partition of a change that names none.
_ASK = np.iinfo(np.int32).min


def unplaced(hashes: Hashes) -> Partitions:
    """The partitions of units without a day."""
    return (-1 - (hashes >> np.uint64(64 - _BITS)).astype(np.int64)).astype(np.int32)


class Moved(NamedTuple):
    """Keys whose stored changes are copied: hashes, a partition that contains them, and one that does not yet."""

    hashes: Hashes
    sources: Partitions
    targets: Partitions


@dataclass
class Router:
    """Routes the changes of one run; `index` has the partitions of known keys, by table.

    It is shown all new changes first: roots, then what `units_with_new_days` asks for, then members. Then each is
    routed, and stored changes are copied as `moved` says.
    """

    unit: Unit
    index: Mapping[str, KeyIndex]
    _added: dict[str, list[Segment]] = field(default_factory=dict)
    _entries: dict[str, Segment] = field(default_factory=dict)
    # By table, for each frame until it is routed, a partition of each change: the only one, unless its key has several.
    _shown: dict[str, deque[Partitions]] = field(default_factory=dict)

    def add_roots(self, changes: pl.DataFrame) -> None:
        """Show changes of the root: each names the day of its version, but for deletes."""
        spec = self.unit.root
        days = changes[spec.event_time or ""].dt.date().cast(pl.Int32)
        hashes, has_day = hashes_of(changes[self.unit.key]), days.is_not_null().to_numpy()
        own = days.drop_nulls().to_numpy()
        self._shown.setdefault(spec.table, deque()).append(days.fill_null(_ASK).to_numpy())
        self.add(spec.table, Segment.of(hashes[has_day], own))
        self.add(f"{spec.table} without", Segment.of(hashes[~has_day], unplaced(hashes[~has_day])))

    def units_with_new_days(self) -> Moved:
        """The units that get further days, and where rows that name them may be stored; once all roots are added."""
        table = self.unit.root.table
        entries = self.entries(table)
        is_new = ~_contains(self.index[table], entries)
        hashes, days = entries.hashes[is_new], entries.partitions[is_new]
        places, sources = self.index[table].find(hashes)
        # Of units without a row of their own, members wait where units without a day are.
        without = _others(len(hashes), places)
        return Moved(
            np.concatenate([hashes[places], hashes[without]]),
            np.concatenate([sources, unplaced(hashes[without])]),
            np.concatenate([days[places], days[without]]),
        )

    def add(self, table: str, entries: Segment) -> None:
        """Add partitions of keys."""
        self._added.setdefault(table, []).append(entries)

    def add_members(self, table: str, changes: pl.DataFrame) -> None:
        """Show changes of a member: each names its unit, but for deletes."""
        root = self.final(self.unit.root.table)
        member = next(member for member in self.unit.members if member.spec.table == table)
        is_named = changes[member.column].is_not_null().to_numpy()
        keys, units = hashes_of(changes[member.spec.key[0]]), hashes_of(changes[member.column].drop_nulls())
        places, partitions = root.find(units)
        without = _others(len(units), places)
        named = keys[is_named]
        of_units = unplaced(units)
        of_units[places] = partitions
        shown = np.full(len(keys), _ASK, np.int32)
        shown[is_named] = of_units
        self._shown.setdefault(table, deque()).append(shown)
        self.add(table, Segment.of(named[places], partitions))
        self.add(table, Segment.of(named[without], unplaced(units[without])))
        self.add(f"{table} without", Segment.of(keys[~is_named], unplaced(keys[~is_named])))

    def final(self, table: str) -> KeyIndex:
        """The index of a table with the new entries."""
        return KeyIndex((self.entries(table), *self.index[table].segments))

    def moved(self, table: str) -> Moved:
        """The keys of a table whose stored changes belong to further partitions."""
        if not self.index[table].segments:
            return Moved(NO_ENTRIES.hashes, NO_ENTRIES.partitions, NO_ENTRIES.partitions)
        entries = self.entries(table)
        is_new = ~_contains(self.index[table], entries)
        hashes, targets = entries.hashes[is_new], entries.partitions[is_new]
        first, count = np.unique(hashes, return_inverse=True)
        places, sources = self.index[table].find(first)
        # All changes of a key are in each of its partitions; the last is a day, if it has one: what has a day is
        # removed from the others before the index says so.
        known, at = np.unique(places[::-1], return_index=True)
        source_of = np.zeros(len(first), np.int32)
        is_known = np.zeros(len(first), np.bool_)
        source_of[known], is_known[known] = sources[::-1][at], True
        kept = is_known[count]
        return Moved(hashes[kept], source_of[count][kept], targets[kept])

    def route(self, table: str, changes: pl.DataFrame) -> pl.DataFrame:
        """New changes, each once for every partition that it belongs to; frames come in the order of showing."""
        shown, several = self._shown[table].popleft(), self.entries(table).several
        is_asked = shown == _ASK
        if not (len(several) or is_asked.any()):
            return changes.with_columns(pl.Series(PARTITION, shown, pl.Int32))
        hashes = hashes_of(changes[self.unit.key_of(table)])
        if len(several):
            is_asked |= several[np.minimum(np.searchsorted(several, hashes), len(several) - 1)] == hashes
        asked, others = np.flatnonzero(is_asked), np.flatnonzero(~is_asked)
        places, partitions = self.final(table).find(hashes[asked])
        rows = pl.Series(np.concatenate([others, asked[places]]))
        return changes[rows].with_columns(pl.Series(PARTITION, np.concatenate([shown[others], partitions]), pl.Int32))

    def placed(self, table: str) -> Segment:
        """Those entries that name days, or partitions that the index names already."""
        entries = self.entries(table)
        return entries.where((entries.partitions >= 0) | _contains(self.index[table], entries))

    def waiting(self, table: str, removed: Iterable[Segment]) -> Segment:
        """The entries of keys that got a partition without a day, or were removed from one; `placed` has the others."""
        entries, gone = self.entries(table), merge([*removed])
        without_day = entries.where(entries.partitions < 0)
        hashes = np.unique(without_day.hashes[~_contains(self.index[table], without_day)])
        places, partitions = entries.find(hashes)
        added = Segment(hashes[places], partitions)
        return self.final(table).with_entries(added, gone) if gone.rows else added

    def entries(self, table: str) -> Segment:
        """All entries of the keys of a table that were added, once all are: the newest segment of its index."""
        if table not in self._entries:
            added = merge(self._added.pop(table, []))
            found = self.index[table].with_entries(added) if self.index[table].segments else added
            # A key that only deletes name is where it is known to be, or where what is known of no unit is.
            without = merge(self._added.pop(f"{table} without", []))
            known = KeyIndex((found, *self.index[table].segments))
            rest = without.where(~_contains_hash(known, without))
            self._entries[table] = merge([found, rest]) if rest.rows else found
        return self._entries[table]


def _others(rows: int, places: Places) -> Places:
    is_other = np.ones(rows, np.bool_)
    is_other[places] = False
    return np.flatnonzero(is_other)


def _contains_hash(index: KeyIndex, entries: Segment) -> NDArray[np.bool_]:
    found = np.zeros(entries.rows, np.bool_)
    found[index.find(entries.hashes)[0]] = True
    return found


def _contains(index: KeyIndex, entries: Segment) -> NDArray[np.bool_]:
    """Which entries an index has."""
    found = np.zeros(entries.rows, np.bool_)
    if index.segments:
        places, partitions = index.find(entries.hashes)
        found[places[partitions == entries.partitions[places]]] = True
    return found
