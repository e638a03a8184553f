"""The compiled loops of the features: counts by user and by item, distinct pairs, and each user's latest interactions.

Arrays in, arrays out; each loop visits an interaction once. The schemas define what the numbers mean.
"""

from __future__ import annotations

import numpy as np

from gata_assets.tables.columns.arrays import Float32s, Float64s, Int32s, Int64s, UInt8s, UInt32s
from gata_assets.tables.columns.jit import compiled, inlined

_MICROSECONDS_PER_DAY = 86_400_000_000

# The columns of the counts: one per type, by its code, then these. Eight columns of 4 bytes fill half a cache line.
RATED = 6
DAYS = 7
WIDTH = 8


@compiled
def count_by_user(
    user: Int32s, timestamp: Int64s, type_code: UInt8s, rating: Float32s, users: int
) -> tuple[UInt32s, Float64s, Int64s]:
    """Aggregate each user's interactions, given in order of time.

    Returns:
        By user code: counts (`WIDTH` columns), sums of ratings, and the last interaction's time in microseconds.
    """
    counts = np.zeros((users, WIDTH), dtype=np.uint32)
    ratings = np.zeros(users, dtype=np.float64)
    last_at = np.full(users, -1, dtype=np.int64)
    last_day = np.full(users, -1, dtype=np.int64)
    for row in range(len(user)):
        code = user[row]
        counts[code, type_code[row]] += np.uint32(1)
        if not np.isnan(rating[row]):
            counts[code, RATED] += np.uint32(1)
            ratings[code] += rating[row]
        day = timestamp[row] // _MICROSECONDS_PER_DAY
        if day != last_day[code]:
            counts[code, DAYS] += np.uint32(1)
            last_day[code] = day
        last_at[code] = timestamp[row]
    return counts, ratings, last_at


@compiled
def count_by_item(item: Int32s, type_code: UInt8s, rating: Float32s, items: int) -> tuple[UInt32s, Float64s]:
    """Aggregate each item's interactions: counts (`WIDTH` columns, DAYS is 0) and sums of ratings, by item code."""
    counts = np.zeros((items, WIDTH), dtype=np.uint32)
    ratings = np.zeros(items, dtype=np.float64)
    for row in range(len(item)):
        code = item[row]
        counts[code, type_code[row]] += np.uint32(1)
        if not np.isnan(rating[row]):
            counts[code, RATED] += np.uint32(1)
            ratings[code] += rating[row]
    return counts, ratings


@compiled
def count_distinct(offsets: Int64s, rows: UInt32s, item: Int32s, items: int) -> tuple[UInt32s, UInt32s]:
    """Count each user's distinct items and each item's distinct users, given the rows by user."""
    items_by_user = np.zeros(len(offsets) - 1, dtype=np.uint32)
    users_by_item = np.zeros(items, dtype=np.uint32)
    last_user = np.full(items, -1, dtype=np.int32)
    for user in range(len(offsets) - 1):
        for at in range(offsets[user], offsets[user + 1]):
            code = item[rows[at]]
            if last_user[code] != user:
                last_user[code] = user
                items_by_user[user] += np.uint32(1)
                users_by_item[code] += np.uint32(1)
    return items_by_user, users_by_item


@compiled
def choose_recent(
    offsets: Int64s, rows: UInt32s, timestamp: Int64s, item: Int32s, type_code: UInt8s, rating: Float32s, limit: int
) -> tuple[Int64s, UInt32s]:
    """Choose each user's latest `limit` interactions, newest first, ties by item, type and higher rating.

    Takes rows grouped by user, in order of time, and returns the chosen ones in the same form.
    """
    users = len(offsets) - 1
    ends = np.zeros(users + 1, dtype=np.int64)
    for user in range(users):
        ends[user + 1] = ends[user] + min(offsets[user + 1] - offsets[user], limit)
    chosen = np.empty(ends[users], dtype=np.uint32)
    for user in range(users):
        at, end, stop = ends[user], ends[user + 1], offsets[user + 1]
        while at < end:
            # Interactions at the same instant are sorted only up to the limit: linear, however many there are.
            start = stop - 1
            while start > offsets[user] and timestamp[rows[start - 1]] == timestamp[rows[stop - 1]]:
                start -= 1
            filled = at
            for place in range(start, stop):
                row = rows[place]
                if filled < end:
                    filled += 1
                elif not _comes_first(row, chosen[end - 1], item, type_code, rating):
                    continue
                to = filled - 1
                while to > at and _comes_first(row, chosen[to - 1], item, type_code, rating):
                    chosen[to] = chosen[to - 1]
                    to -= 1
                chosen[to] = row
            at, stop = filled, start
    return ends, chosen


@inlined
def _comes_first(row: int, other: int, item: Int32s, type_code: UInt8s, rating: Float32s) -> bool:
    if item[row] != item[other]:
        return bool(item[row] < item[other])
    if type_code[row] != type_code[other]:
        return bool(type_code[row] < type_code[other])
    return bool(rating[row] > rating[other] or (np.isnan(rating[other]) and not np.isnan(rating[row])))
