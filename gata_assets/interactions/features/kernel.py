"""The compiled loops of the features: counts by user and by item, distinct pairs, and everybody's last interactions.

Arrays in, arrays out; each loop looks at an interaction once. What the numbers mean stands in the schemas.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from gata_assets.tables.columns.jit import compiled

_MICROSECONDS_OF_A_DAY = 86_400_000_000

# Columns of the counts: one a type, by its code, and then these. Eight of four bytes are half a line of the cache.
RATED = 6
DAYS = 7
WIDTH = 8


@compiled
def count_by_user(
    user: NDArray[np.int32],
    timestamp: NDArray[np.int64],
    type_code: NDArray[np.uint8],
    rating: NDArray[np.float32],
    users: int,
) -> tuple[NDArray[np.uint32], NDArray[np.float64], NDArray[np.int64]]:
    """Of interactions in order of time, for each user: counts (`WIDTH` columns), sum of ratings, time of the last."""
    counts = np.zeros((users, WIDTH), dtype=np.uint32)
    ratings = np.zeros(users, dtype=np.float64)
    last_at = np.full(users, -1, dtype=np.int64)
    last_day = np.full(users, -1, dtype=np.int64)
    for row in range(len(user)):
        one = user[row]
        counts[one, type_code[row]] += np.uint32(1)
        if not np.isnan(rating[row]):
            counts[one, RATED] += np.uint32(1)
            ratings[one] += rating[row]
        day = timestamp[row] // _MICROSECONDS_OF_A_DAY
        if day != last_day[one]:
            counts[one, DAYS] += np.uint32(1)
            last_day[one] = day
        last_at[one] = timestamp[row]
    return counts, ratings, last_at


@compiled
def count_by_item(
    item: NDArray[np.int32], type_code: NDArray[np.uint8], rating: NDArray[np.float32], items: int
) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """For each item: counts (`WIDTH` columns, without days) and the sum of ratings."""
    counts = np.zeros((items, WIDTH), dtype=np.uint32)
    ratings = np.zeros(items, dtype=np.float64)
    for row in range(len(item)):
        one = item[row]
        counts[one, type_code[row]] += np.uint32(1)
        if not np.isnan(rating[row]):
            counts[one, RATED] += np.uint32(1)
            ratings[one] += rating[row]
    return counts, ratings


@compiled
def group_by_user(user: NDArray[np.int32], totals: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The rows of each user in their order: `rows[offsets[u]:offsets[u + 1]]` are those of user `u`."""
    offsets = np.zeros(len(totals) + 1, dtype=np.int64)
    for one in range(len(totals)):
        offsets[one + 1] = offsets[one] + totals[one]
    nexts = offsets[:-1].copy()
    rows = np.empty(len(user), dtype=np.uint32)
    for row in range(len(user)):
        rows[nexts[user[row]]] = row
        nexts[user[row]] += 1
    return offsets, rows


@compiled
def count_distinct(
    offsets: NDArray[np.int64], rows: NDArray[np.uint32], item: NDArray[np.int32], items: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Each user's distinct items and each item's distinct users, of rows grouped by user."""
    of_users = np.zeros(len(offsets) - 1, dtype=np.uint32)
    of_items = np.zeros(items, dtype=np.uint32)
    last_user = np.full(items, -1, dtype=np.int32)
    for user in range(len(offsets) - 1):
        for at in range(offsets[user], offsets[user + 1]):
            one = item[rows[at]]
            if last_user[one] != user:
                last_user[one] = user
                of_users[user] += np.uint32(1)
                of_items[one] += np.uint32(1)
    return of_users, of_items


@compiled
def choose_recent(
    offsets: NDArray[np.int64],
    rows: NDArray[np.uint32],
    timestamp: NDArray[np.int64],
    item: NDArray[np.int32],
    type_code: NDArray[np.uint8],
    rating: NDArray[np.float32],
    most: int,
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The rows of each user's last `most` interactions, newest first, ties by item, type and higher rating.

    Gives offsets by user and the rows, as `group_by_user` does; takes its rows, which are in order of time.
    """
    users = len(offsets) - 1
    ends = np.zeros(users + 1, dtype=np.int64)
    for user in range(users):
        ends[user + 1] = ends[user] + min(offsets[user + 1] - offsets[user], most)
    chosen = np.empty(ends[users], dtype=np.uint32)
    for user in range(users):
        at, end, stop = ends[user], ends[user + 1], offsets[user + 1]
        while at < end:
            # Interactions of one instant are put in order as far as there is room: linear, however many there are.
            start = stop - 1
            while start > offsets[user] and timestamp[rows[start - 1]] == timestamp[rows[stop - 1]]:
                start -= 1
            filled = at
            for place in range(start, stop):
                row = rows[place]
                if filled < end:
                    filled += 1
                elif not _goes_before(row, chosen[end - 1], item, type_code, rating):
                    continue
                to = filled - 1
                while to > at and _goes_before(row, chosen[to - 1], item, type_code, rating):
                    chosen[to] = chosen[to - 1]
                    to -= 1
                chosen[to] = row
            at, stop = filled, start
    return ends, chosen


@nb.njit(inline="always")
def _goes_before(
    one: int, other: int, item: NDArray[np.int32], type_code: NDArray[np.uint8], rating: NDArray[np.float32]
) -> bool:
    if item[one] != item[other]:
        return bool(item[one] < item[other])
    if type_code[one] != type_code[other]:
        return bool(type_code[one] < type_code[other])
    return bool(rating[one] > rating[other] or (np.isnan(rating[other]) and not np.isnan(rating[one])))
