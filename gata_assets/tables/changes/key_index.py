"""In which partitions the changes of a key are: sorted 64-bit hashes of keys, beside the partitions.

Two keys with the same hash share their entries: both are looked for in all of these partitions, which costs time and
changes no row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.tables.columns.hashing import hash_ids

Hashes: TypeAlias = NDArray[np.uint64]
Partitions: TypeAlias = NDArray[np.int32]
Places: TypeAlias = NDArray[np.int64]

_NO_PARTITIONS = np.zeros(0, np.int32)
# About so many entries are sorted at once: of 20 million, sorting all took three times as much memory as they do.
_SORTED_AT_ONCE = 1 << 20


def hashes_of(keys: pl.Series) -> Hashes:
    """The hashes of keys, which are texts; null has one too, and is in no index."""
    return hash_ids(keys.fill_null("")).to_numpy()


def _order_of(hashes: Hashes) -> NDArray[np.uint32]:
    """The places of hashes in ascending order: by Polars in 40 % of NumPy's time."""
    return pl.Series(hashes).arg_sort().to_numpy()


@dataclass(frozen=True, eq=False)
class Segment:
    """Entries of an index: hashes in ascending order, and a partition for each; all entries of a hash together."""

    hashes: Hashes
    partitions: Partitions

    @classmethod
    def of(cls, hashes: Hashes, partitions: Partitions) -> Segment:
        """The distinct entries among these."""
        order = _order_of(hashes)
        hashes, partitions = hashes[order], partitions[order]
        is_repeated = hashes[1:] == hashes[:-1]
        if not is_repeated.any():
            return cls(hashes, partitions)
        # Few hashes have several entries: only these are ordered by partition, to find equal ones.
        several = np.flatnonzero(np.append(is_repeated, False) | np.insert(is_repeated, 0, False))
        within = several[np.lexsort((partitions[several], hashes[several]))]
        partitions[several] = partitions[within]
        is_new = np.insert(~is_repeated | (partitions[1:] != partitions[:-1]), 0, True)
        return cls(hashes[is_new], partitions[is_new])

    @cached_property
    def rows(self) -> int:
        """The number of entries."""
        return len(self.hashes)

    def where(self, kept: NDArray[np.bool_] | slice) -> Segment:
        """Some of the entries."""
        return Segment(self.hashes[kept], self.partitions[kept])

    @cached_property
    def several(self) -> Hashes:
        """The hashes that have several entries, in ascending order."""
        return np.unique(self.hashes[1:][self.hashes[1:] == self.hashes[:-1]])

    def find(self, hashes: Hashes) -> tuple[Places, Partitions]:
        """The places of the hashes that have entries, once for each entry, and the entries' partitions."""
        if not self.rows or not len(hashes):
            return np.zeros(0, np.int64), _NO_PARTITIONS
        # In ascending order, since neighbors are near in memory then: a fifth of the time.
        order = _order_of(hashes)
        first = np.empty(len(hashes), np.int64)
        first[order] = np.searchsorted(self.hashes, hashes[order], "left")
        first_clipped = np.minimum(first, self.rows - 1)
        found = np.flatnonzero(self.hashes[first_clipped] == hashes)
        starts = first[found]
        # Most have one entry: whether the next is of the same hash shows which have more.
        counts = np.ones(len(found), np.int64)
        following = np.minimum(starts + 1, self.rows - 1)
        several = np.flatnonzero((self.hashes[following] == hashes[found]) & (following > starts))
        if not len(several):
            return found, self.partitions[starts]
        counts[several] = np.searchsorted(self.hashes, hashes[found[several]], "right") - starts[several]
        places = np.repeat(found, counts)
        offsets = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return places, self.partitions[np.repeat(starts, counts) + offsets]


NO_ENTRIES = Segment(np.zeros(0, np.uint64), _NO_PARTITIONS)


def merge(segments: list[Segment], *, sorted_at_once: int = _SORTED_AT_ONCE) -> Segment:
    """The distinct entries of segments; the list is empty then, so that their memory is free."""
    segments[:] = [segment for segment in segments if segment.rows]
    if len(segments) < 2:
        return segments.pop() if segments else NO_ENTRIES
    ranges = 1 + sum(segment.rows for segment in segments) // sorted_at_once
    starts = np.array([place * ((1 << 64) // ranges) for place in range(ranges)], np.uint64)
    cuts = [[*np.searchsorted(segment.hashes, starts).tolist(), segment.rows] for segment in segments]
    merged = []
    for place in range(ranges):
        pieces = [segment.where(slice(*cut[place : place + 2])) for segment, cut in zip(segments, cuts, strict=True)]
        hashes = np.concatenate([piece.hashes for piece in pieces])
        merged.append(Segment.of(hashes, np.concatenate([piece.partitions for piece in pieces])))
        del pieces
    segments.clear()
    return Segment(
        np.concatenate([segment.hashes for segment in merged]),
        np.concatenate([segment.partitions for segment in merged]),
    )


@dataclass(frozen=True, eq=False)
class KeyIndex:
    """Segments, the newest first: the first that has entries of a hash has all of them."""

    segments: tuple[Segment, ...] = ()

    def find(self, hashes: Hashes) -> tuple[Places, Partitions]:
        """See `Segment.find`."""
        left = np.arange(len(hashes))
        found_places, found_partitions = [np.zeros(0, np.int64)], [_NO_PARTITIONS]
        for segment in self.segments:
            places, partitions = segment.find(hashes[left])
            found_places.append(left[places])
            found_partitions.append(partitions)
            is_left = np.ones(len(left), np.bool_)
            is_left[places] = False
            left = left[is_left]
        return np.concatenate(found_places), np.concatenate(found_partitions)

    def with_entries(self, added: Segment, removed: Segment = NO_ENTRIES) -> Segment:
        """The segment that adds entries, and removes others, of the hashes that either has."""
        hashes = np.unique(np.concatenate([added.hashes, removed.hashes]))
        places, partitions = self.find(hashes)
        kept = Segment.of(
            np.concatenate([hashes[places], added.hashes]), np.concatenate([partitions, added.partitions])
        )
        if not removed.rows:
            return kept
        gone = set(zip(removed.hashes.tolist(), removed.partitions.tolist(), strict=True))
        is_kept = [pair not in gone for pair in zip(kept.hashes.tolist(), kept.partitions.tolist(), strict=True)]
        return kept.where(np.array(is_kept, np.bool_))

    def merged(self) -> Segment:
        """All entries in one segment."""
        found = KeyIndex()
        for segment in reversed(self.segments):
            older = found.segments[0] if found.segments else NO_ENTRIES
            found = KeyIndex((merge([older.where(~_are_among(older.hashes, segment.hashes)), segment]),))
        return found.segments[0] if found.segments else NO_ENTRIES


def _are_among(hashes: Hashes, others: Hashes) -> NDArray[np.bool_]:
    """Which hashes are among others; both are in ascending order."""
    if not len(others):
        return np.zeros(len(hashes), np.bool_)
    is_among: NDArray[np.bool_] = others[np.minimum(np.searchsorted(others, hashes), len(others) - 1)] == hashes
    return is_among
