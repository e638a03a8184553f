"""Encodes the ids of a table as small numbers in the order of the ids, to order and write rows by them.

An order by code is an order by id, and a code is a position in the distinct ids, which are far fewer than the rows.
Each table has its own codes; only the keys of `hashing` are permanent.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.tables.columns.arrays import Bools, Int32s, Int64s, UInt8s, UInt32s, UInt64s
from gata_assets.tables.columns.arrow_buffers import text_buffers
from gata_assets.tables.columns.hashing import SEED, hash_texts
from gata_assets.tables.columns.jit import compiled, inlined

Values = TypeVar("Values", Int32s, UInt32s)


@dataclass(frozen=True)
class CodedIds:
    """`codes` has each row's position in `ids` (distinct, ascending by their bytes), whose keys are `keys`."""

    codes: Int32s
    ids: pl.Series
    keys: UInt64s


def code_ids(texts: pl.Series) -> CodedIds:
    """Encode ids; null, which equals the empty text, comes first."""
    # The bytes behind a null are undefined.
    ends, data = text_buffers(texts.fill_null("") if texts.null_count() else texts)
    keys = hash_texts(ends, data, SEED)
    codes, firsts = _number(ends, data, keys)
    distinct = texts.gather(firsts)
    order = distinct.arg_sort(nulls_last=False).to_numpy()
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    return CodedIds(ranks[codes], distinct.gather(order), keys[firsts[order]])


def places_of(codes: Int32s, ids: int) -> tuple[Int64s, Int32s]:
    """The codes that occur in rows, ascending, and each row's position among them; `ids` is the number of all ids."""
    occurs = np.zeros(ids, dtype=np.bool_)
    occurs[codes] = True
    places = np.flatnonzero(occurs)
    local = np.empty(ids, dtype=np.int32)
    local[places] = np.arange(len(places), dtype=np.int32)
    return places, local[codes]


@compiled
def group_by(codes: Int32s, values: Values, count: int) -> tuple[Int64s, Values]:
    """Group values by code, in their order: `grouped[starts[c]:starts[c + 1]]` are the values of the code `c`."""
    starts = np.zeros(count + 1, dtype=np.int64)
    for code in codes:
        starts[code + 1] += 1
    for code in range(count):
        starts[code + 1] += starts[code]
    nexts, grouped = starts[:-1].copy(), np.empty_like(values)
    for row in range(len(codes)):
        grouped[nexts[codes[row]]] = values[row]
        nexts[codes[row]] += 1
    return starts, grouped


@compiled
def order_by(order: Int32s, numbers: UInt64s) -> Int32s:
    """Order positions by their numbers; the order of equal numbers is kept.

    A radix sort by eleven bits, least significant first: as fast for many equal numbers as for few.
    """
    rows = len(order)
    most = np.uint64(0)
    for number in numbers:
        most = max(most, number)
    now, then, shift = order.copy(), np.empty_like(order), np.uint64(0)
    while shift < np.uint64(64) and most >> shift > np.uint64(0):
        starts = np.zeros(2049, dtype=np.int64)
        for number in numbers:
            starts[((number >> shift) & np.uint64(2047)) + np.uint64(1)] += 1
        if starts.max() < rows:
            for digit in range(2048):
                starts[digit + 1] += starts[digit]
            for place in range(rows):
                digit_of = (numbers[now[place]] >> shift) & np.uint64(2047)
                then[starts[digit_of]] = now[place]
                starts[digit_of] += 1
            now, then = then, now
        shift += np.uint64(11)
    return now


def _number(ends: Int64s, data: UInt8s, keys: UInt64s) -> tuple[Int32s, Int64s]:
    """Number texts by first occurrence: the number of each text, and where each number occurs first.

    Equal keys do not prove equal texts: where two texts have the same, all are numbered by hashes with other seeds.
    """
    for seed in count(SEED + 1):
        codes, firsts = KeyTable().learn(keys)
        if _are_texts_of(codes, firsts, ends, data):
            break
        keys = hash_texts(ends, data, seed)
    return codes, firsts


@compiled
def _are_texts_of(codes: Int32s, firsts: Int64s, ends: Int64s, data: UInt8s) -> bool:
    """Whether each text equals the first with its number."""
    for row in range(len(codes)):
        first = firsts[codes[row]]
        start, other, length = ends[row], ends[first], ends[row + 1] - ends[row]
        different = length ^ (ends[first + 1] - other)
        for at in range(0 if different else length):
            different |= data[start + at] ^ data[other + at]
        if different:
            return False
    return True


class KeyTable:
    """A hash table from keys, which are hashes already, to codes 0, 1, 2, … in the order in which keys arrive.

    `keys` are those of the codes, `is_found` says which of them `find` was asked for. The table is as large as they
    need, not all rows, so that it fits the processor's cache; it is at most half full, so that a lookup ends after a
    slot or two.
    """

    def __init__(self) -> None:
        self.keys, self.is_found = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.bool_)
        self._set_slots(1024)

    def learn(self, keys: UInt64s) -> tuple[Int32s, Int64s]:
        """Look up or assign the code of each key; returns the codes, and the rows of new keys."""
        keys = read_only(keys)
        codes, new = np.empty(len(keys), dtype=np.int32), np.empty(len(keys), dtype=np.int64)
        known, row, found = len(self.keys), 0, 0
        while row < len(keys):
            row, found = _learn(keys, row, known, found, codes, new, self._slot_keys, self._slot_codes)
            if 2 * (known + found) >= len(self._slot_keys):
                self._grow(np.concatenate([self.keys, keys[new[:found]]]))
        new = new[:found].copy()
        self.keys = np.concatenate([self.keys, keys[new]])
        self.is_found = np.concatenate([self.is_found, np.zeros(found, dtype=np.bool_)])
        return codes, new

    def _set_slots(self, size: int) -> None:
        self._slot_keys, self._slot_codes = np.zeros(size, dtype=np.uint64), np.full(size, -1, dtype=np.int32)

    def _grow(self, keys: UInt64s) -> None:
        self._set_slots(4 * len(self._slot_keys))
        codes, new = np.empty(len(keys), dtype=np.int32), np.empty(len(keys), dtype=np.int64)
        _learn(read_only(keys), 0, 0, 0, codes, new, self._slot_keys, self._slot_codes)

    def find(self, keys: UInt64s) -> Int32s:
        """The code of each key, -1 for an unknown one."""
        return _find(read_only(keys), self._slot_keys, self._slot_codes, self.is_found)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view, whether copied or not: numba would compile its functions for both kinds."""
    array = array.view()
    array.flags.writeable = False
    return array


@inlined
def _slot_of(key: np.uint64, slot_keys: UInt64s, slot_codes: Int32s) -> np.uint64:
    """The slot of a key, or the empty one where it belongs."""
    mask = np.uint64(len(slot_keys) - 1)
    slot = key & mask
    while slot_codes[slot] >= 0 and slot_keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@compiled
def _learn(
    keys: UInt64s,
    start: int,
    known: int,
    found: int,
    codes: Int32s,
    new: Int64s,
    slot_keys: UInt64s,
    slot_codes: Int32s,
) -> tuple[int, int]:
    """Code the keys from the row `start` until the table is half full; returns the next row, and all keys found."""
    for row in range(start, len(keys)):
        if 2 * (known + found) >= len(slot_keys):
            return row, found
        slot = _slot_of(keys[row], slot_keys, slot_codes)
        if slot_codes[slot] < 0:
            slot_keys[slot], slot_codes[slot], new[found] = keys[row], known + found, row
            found += 1
        codes[row] = slot_codes[slot]
    return len(keys), found


@compiled
def _find(keys: UInt64s, slot_keys: UInt64s, slot_codes: Int32s, is_found: Bools) -> Int32s:
    codes = np.empty(len(keys), dtype=np.int32)
    for row in range(len(keys)):
        code = slot_codes[_slot_of(keys[row], slot_keys, slot_codes)]
        codes[row] = code
        if code >= 0:
            is_found[code] = True
    return codes
