"""Ids of users and items as 64-bit keys: tables are joined and grouped by them, and they seed random streams.

A key is XXH64 of the id's UTF-8 bytes with seed 42, as Apache Spark's `xxhash64(column)` gives it. It depends on the
id alone: no dictionary has to be kept, and every engine and machine computes the same.
Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from __future__ import annotations

import numpy as np
import polars as pl

from gata_assets.errors import DataRuleError
from gata_assets.tables.columns.arrays import Int64s, UInt8s, UInt64s
from gata_assets.tables.columns.arrow_buffers import text_buffers
from gata_assets.tables.columns.jit import compiled, inlined

SEED = 42

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)


def hash_ids(ids: pl.Series) -> pl.Series:
    """The key of each id of a string column: UInt64, under the same name.

    Raises DataRuleError for a missing id.
    """
    if ids.null_count():
        raise DataRuleError(f"{ids.name}: {ids.null_count():,} of {len(ids):,} ids are missing, and have no key.")
    if ids.is_empty():
        # Of nothing, such as a table without rows yet, no compiler has to be loaded.
        return pl.Series(ids.name, dtype=pl.UInt64)
    return pl.Series(ids.name, hash_texts(*text_buffers(ids), SEED))


@compiled
def hash_texts(ends: Int64s, data: UInt8s, seed: int) -> UInt64s:
    """The hash of each text of `arrow_buffers.text_buffers`; with SEED, its key."""
    keys = np.empty(len(ends) - 1, dtype=np.uint64)
    for row in range(len(keys)):
        keys[row] = _hash_one(data, ends[row], ends[row + 1], np.uint64(seed))
    return keys


@inlined
def _rotate(value: np.uint64, bits: int) -> np.uint64:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@inlined
def _read(data: UInt8s, at: int, size: int) -> np.uint64:
    value = np.uint64(0)
    for byte in range(size):
        value |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
    return value


@inlined
def _round(accumulated: np.uint64, lane: np.uint64) -> np.uint64:
    return _rotate(accumulated + lane * _P2, 31) * _P1


@inlined
def _merge(accumulated: np.uint64, lane: np.uint64) -> np.uint64:
    return (accumulated ^ _round(np.uint64(0), lane)) * _P1 + _P4


@compiled
def _hash_one(data: UInt8s, start: int, end: int, seed: np.uint64) -> np.uint64:
    at = start
    if end - start >= 32:
        lane_1, lane_2, lane_3, lane_4 = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while at + 32 <= end:
            lane_1 = _round(lane_1, _read(data, at, 8))
            lane_2 = _round(lane_2, _read(data, at + 8, 8))
            lane_3 = _round(lane_3, _read(data, at + 16, 8))
            lane_4 = _round(lane_4, _read(data, at + 24, 8))
            at += 32
        key = _rotate(lane_1, 1) + _rotate(lane_2, 7) + _rotate(lane_3, 12) + _rotate(lane_4, 18)
        key = _merge(_merge(_merge(_merge(key, lane_1), lane_2), lane_3), lane_4)
    else:
        key = seed + _P5
    key += np.uint64(end - start)
    while at + 8 <= end:
        key = _rotate(key ^ _round(np.uint64(0), _read(data, at, 8)), 27) * _P1 + _P4
        at += 8
    if at + 4 <= end:
        key = _rotate(key ^ (_read(data, at, 4) * _P1), 23) * _P2 + _P3
        at += 4
    while at < end:
        key = _rotate(key ^ (np.uint64(data[at]) * _P5), 11) * _P1
        at += 1
    key = (key ^ (key >> np.uint64(33))) * _P2
    key = (key ^ (key >> np.uint64(29))) * _P3
    return key ^ (key >> np.uint64(32))
