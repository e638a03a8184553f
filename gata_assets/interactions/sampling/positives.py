"""Positives: which interactions a recommender is to learn from.

Distinct (user, item) with an interaction of a positive type in the window, at the time of the last one; without thin
users and items; of each user the newest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import InteractionType, SamplingRules
from gata_assets.tables.columns.jit import compiled


@dataclass(frozen=True)
class Positives:
    """The positives by user: `items[starts[u]:starts[u + 1]]` are item codes of `users[u]`, newest first.

    `users` are codes, ascending, each with a positive; items of one time stand in the order of their codes.
    `left_out_by_minimum` and `left_out_by_maximum` count the pairs that the thresholds and the limit left out.
    """

    users: NDArray[np.int32]
    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    left_out_by_minimum: int
    left_out_by_maximum: int

    def __len__(self) -> int:
        return len(self.items)


def choose_positives(events: EventTable, *, first: int, rules: SamplingRules) -> Positives:
    """The positives of the events from the place `first` on, by the rules.

    Users with fewer than `min_interactions_per_user` of them and items with fewer than `min_interactions_per_item` go,
    until there are none (the largest such set, whatever the order). Then each user keeps the newest
    `max_interactions_per_user`.
    """
    counts = np.zeros(len(InteractionType), dtype=np.bool_)
    counts[[kind.code for kind in rules.positive_types]] = True
    rows = first + np.flatnonzero(counts[events.type_code[first:]])
    user, item = events.user[rows], events.item[rows]
    _order_ties(events.timestamp[rows], user, item)
    starts, items = _newest_first(user, item, len(events.users), len(events.items))
    kept = np.ones(len(items), dtype=np.bool_)
    if rules.min_interactions_per_user > 1 or rules.min_interactions_per_item > 1:
        kept = _core(starts, items, len(events.items), rules.min_interactions_per_user, rules.min_interactions_per_item)
    in_core = int(kept.sum())
    users, new_starts, new_items = _take_newest(starts, items, kept, rules.max_interactions_per_user)
    return Positives(users, new_starts, new_items, len(items) - in_core, in_core - len(new_items))


def find_below_minimum(
    user: NDArray[np.int64], item: NDArray[np.int64], rules: SamplingRules
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Of distinct pairs the users and items that the minimums leave out, and how many pairs stay.

    `user` and `item` are any numbers that stand for them. A pair stays where neither of its two is left out.
    """
    users, of_user = np.unique(user, return_inverse=True)
    items, of_item = np.unique(item, return_inverse=True)
    by_user = np.argsort(of_user, kind="stable")
    of_user, codes = of_user[by_user], of_item[by_user].astype(np.int32)
    starts = np.searchsorted(of_user, np.arange(len(users) + 1))
    kept = _core(starts, codes, len(items), rules.min_interactions_per_user, rules.min_interactions_per_item)
    thin_users = np.bincount(of_user[kept], minlength=len(users)) == 0
    thin_items = np.bincount(codes[kept], minlength=len(items)) == 0
    return users[thin_users], items[thin_items], int(kept.sum())


@compiled
def _order_ties(timestamp: NDArray[np.int64], user: NDArray[np.int32], item: NDArray[np.int32]) -> None:
    """Put events of one time in descending order of items, in place: they are read from the end."""
    start = 0
    while start < len(timestamp):
        end = start + 1
        while end < len(timestamp) and timestamp[end] == timestamp[start]:
            end += 1
        if end - start > 1:
            packed = np.empty(end - start, dtype=np.int64)
            for at in range(start, end):
                packed[at - start] = (np.int64(item[at]) << 32) | np.int64(user[at])
            packed.sort()
            for at in range(start, end):
                pair = packed[end - 1 - at]
                item[at] = pair >> 32
                user[at] = pair & 0xFFFFFFFF
        start = end


@compiled
def _newest_first(
    user: NDArray[np.int32], item: NDArray[np.int32], users: int, items: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The distinct items of each user, the last first, from pairs in ascending order of time."""
    bounds = np.zeros(users + 1, dtype=np.int64)
    for row in range(len(user)):
        bounds[user[row] + 1] += 1
    for one in range(users):
        bounds[one + 1] += bounds[one]
    nexts = bounds[:users].copy()
    by_user = np.empty(len(user), dtype=np.int32)
    for row in range(len(user) - 1, -1, -1):
        by_user[nexts[user[row]]] = item[row]
        nexts[user[row]] += 1
    starts = np.zeros(users + 1, dtype=np.int64)
    met_by = np.full(items, -1, dtype=np.int32)
    kept = 0
    for one in range(users):
        for at in range(bounds[one], bounds[one + 1]):
            met = by_user[at]
            if met_by[met] != one:
                met_by[met] = one
                by_user[kept] = met
                kept += 1
        starts[one + 1] = kept
    return starts, by_user[:kept].copy()


@compiled
def _core(
    starts: NDArray[np.int64], item: NDArray[np.int32], items: int, least_of_user: int, least_of_item: int
) -> NDArray[np.bool_]:
    """Whether each pair is in the core; every pair is looked at twice at most."""
    users = len(starts) - 1
    # The users of each item: the same pairs the other way round.
    bounds = np.zeros(items + 1, dtype=np.int64)
    for at in range(len(item)):
        bounds[item[at] + 1] += 1
    for one in range(items):
        bounds[one + 1] += bounds[one]
    nexts = bounds[:items].copy()
    by_item = np.empty(len(item), dtype=np.int32)
    # Users are the numbers from 0, items those after them.
    degree = np.empty(users + items, dtype=np.int64)
    for one in range(users):
        degree[one] = starts[one + 1] - starts[one]
        for at in range(starts[one], starts[one + 1]):
            by_item[nexts[item[at]]] = one
            nexts[item[at]] += 1
    is_out = np.zeros(users + items, dtype=np.bool_)
    queue = np.empty(users + items, dtype=np.int64)
    waiting = 0
    for node in range(users + items):
        if node >= users:
            degree[node] = bounds[node - users + 1] - bounds[node - users]
        if degree[node] < (least_of_user if node < users else least_of_item):
            is_out[node] = True
            queue[waiting] = node
            waiting += 1
    while waiting:
        waiting -= 1
        node = queue[waiting]
        is_user = node < users
        one = node if is_user else node - users
        ends = starts if is_user else bounds
        for at in range(ends[one], ends[one + 1]):
            other = np.int64(item[at]) + users if is_user else np.int64(by_item[at])
            if not is_out[other]:
                degree[other] -= 1
                if degree[other] < (least_of_item if is_user else least_of_user):
                    is_out[other] = True
                    queue[waiting] = other
                    waiting += 1
    kept = np.empty(len(item), dtype=np.bool_)
    for one in range(users):
        for at in range(starts[one], starts[one + 1]):
            kept[at] = not is_out[one] and not is_out[users + item[at]]
    return kept


@compiled
def _take_newest(
    starts: NDArray[np.int64], item: NDArray[np.int32], kept: NDArray[np.bool_], most: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """The users that have a pair left, and of each the first `most` pairs that are kept."""
    users = len(starts) - 1
    with_rows = np.empty(users, dtype=np.int32)
    new_starts = np.zeros(users + 1, dtype=np.int64)
    new_items = np.empty(len(item), dtype=np.int32)
    rows, count = 0, 0
    for one in range(users):
        before = rows
        for at in range(starts[one], starts[one + 1]):
            if kept[at] and rows - before < most:
                new_items[rows] = item[at]
                rows += 1
        if rows > before:
            with_rows[count] = one
            count += 1
            new_starts[count] = rows
    return with_rows[:count].copy(), new_starts[: count + 1].copy(), new_items[:rows].copy()
