"""Ids of a table as small numbers in the order of the ids: what rows are sorted by and written with.

An order by code is an order by id, and a code is a place in the distinct ids, of which there are far fewer than rows.
Made anew for each table; what lasts are the keys of `id_keys`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.core.compiling import compiled
from gata_assets.core.id_keys import key_texts
from gata_assets.core.texts import Texts


@dataclass(frozen=True)
class CodedIds:
    """`codes` has each row's place in `ids` (distinct, ascending by their bytes), whose keys are `keys` (UInt64)."""

    codes: NDArray[np.int32]
    ids: pl.Series
    keys: pl.Series


def code_ids(ids: pl.Series) -> CodedIds:
    """Give the ids of a string column their codes; none may be missing."""
    texts = Texts.of(ids)
    keys = key_texts(texts)
    codes, firsts = _number(texts.ends, texts.data, keys)
    distinct = ids.gather(pl.Series(firsts))
    order = distinct.arg_sort()
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    return CodedIds(ranks[codes], distinct.gather(order), pl.Series(keys[firsts]).gather(order))


def places_of(codes: NDArray[np.int32], ids: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Of some rows' codes: the ones that occur, ascending, and each row's place among them; `ids` is how many exist."""
    occurs = np.zeros(ids, dtype=np.bool_)
    occurs[codes] = True
    places = np.flatnonzero(occurs)
    local = np.empty(ids, dtype=np.int32)
    local[places] = np.arange(len(places), dtype=np.int32)
    return places, local[codes]


@compiled
def _number(
    ends: NDArray[np.int64], data: NDArray[np.uint8], keys: NDArray[np.uint64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number texts as they first occur: the number of each, and where each number occurs first."""
    rows, size = len(keys), 16
    while size < 2 * rows:
        size *= 2
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
                break
            first = firsts[code]
            if keys[first] == keys[row] and ends[first + 1] - ends[first] == length:
                # Ids of one key are told apart: the key is no proof.
                at, same = ends[first], 0
                while same < length and data[at + same] == data[start + same]:
                    same += 1
                if same == length:
                    codes[row] = code
                    break
            slot = (slot + np.uint64(1)) & mask
    return codes, firsts[:found].copy()
