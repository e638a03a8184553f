"""Encodes the ids of a table as small numbers in the order of the ids, to order and write rows by them.

An order by code is an order by id, and a code is a position in the distinct ids, which are far fewer than the rows.
Each table has its own codes; only the keys of `hashing` are permanent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.tables.columns.arrow_buffers import text_buffers
from gata_assets.tables.columns.hashing import hash_texts
from gata_assets.tables.columns.jit import compiled


@dataclass(frozen=True)
class CodedIds:
    """`codes` has each row's position in `ids` (distinct, ascending by their bytes), whose keys are `keys`."""

    codes: NDArray[np.int32]
    ids: pl.Series
    keys: NDArray[np.uint64]


def code_ids(texts: pl.Series) -> CodedIds:
    """Encode ids; null, which equals the empty text, comes first."""
    # The bytes behind a null are undefined.
    ends, data = text_buffers(texts.fill_null("") if texts.null_count() else texts)
    keys = hash_texts(ends, data)
    codes, firsts = _number(ends, data, keys)
    distinct = texts.gather(firsts)
    order = distinct.arg_sort(nulls_last=False).to_numpy()
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    return CodedIds(ranks[codes], distinct.gather(order), keys[firsts[order]])


def places_of(codes: NDArray[np.int32], ids: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The codes that occur in rows, ascending, and each row's position among them; `ids` is the number of all ids."""
    occurs = np.zeros(ids, dtype=np.bool_)
    occurs[codes] = True
    places = np.flatnonzero(occurs)
    local = np.empty(ids, dtype=np.int32)
    local[places] = np.arange(len(places), dtype=np.int32)
    return places, local[codes]


@compiled
def order_by(order: NDArray[np.int32], numbers: NDArray[np.uint64]) -> NDArray[np.int32]:
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


@compiled
def _number(
    ends: NDArray[np.int64], data: NDArray[np.uint8], keys: NDArray[np.uint64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number texts by first occurrence: the number of each text, and where each number occurs first."""
    rows, size = len(keys), 1024
    # As large as the distinct texts need, not all rows, so that it fits the processor's cache.
    slots, mask = np.full(size, -1, dtype=np.int32), np.uint64(size - 1)
    codes, firsts, found = np.empty(rows, dtype=np.int32), np.empty(rows, dtype=np.int64), 0
    for row in range(rows):
        slot = keys[row] & mask
        start, length = ends[row], ends[row + 1] - ends[row]
        while True:
            code = slots[slot]
            if code < 0:
                slots[slot], firsts[found], codes[row] = found, row, found
                found += 1
                if 2 * found > size:
                    size *= 4
                    slots, mask = np.full(size, -1, dtype=np.int32), np.uint64(size - 1)
                    for other in range(found):
                        slot = keys[firsts[other]] & mask
                        while slots[slot] >= 0:
                            slot = (slot + np.uint64(1)) & mask
                        slots[slot] = other
                break
            first = firsts[code]
            if keys[first] == keys[row] and ends[first + 1] - ends[first] == length:
                # Ids with the same key are compared: equal keys do not prove equal ids.
                at, same = ends[first], 0
                while same < length and data[at + same] == data[start + same]:
                    same += 1
                if same == length:
                    codes[row] = code
                    break
            slot = (slot + np.uint64(1)) & mask
    return codes, firsts[:found].copy()
