"""Positives: the interactions that a recommender learns from.

Distinct (user, item) pairs with an interaction of a positive type in the window, at the time of the last one. Users and
items below the minimums are removed (k-core); each user keeps the newest pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import InteractionType, SamplingRules
from gata_assets.interactions.sampling.empty_samples import MOST_OF_A_USER, MOST_OF_AN_ITEM
from gata_assets.tables.columns.arrays import Bools, Int32s, Int64s
from gata_assets.tables.columns.id_encoding import group_by
from gata_assets.tables.columns.jit import compiled


class Positives(NamedTuple):
    """The positives by user: `items[starts[u]:starts[u + 1]]` are item codes of `users[u]`, newest first.

    `users` are codes, ascending, each with at least one positive; items at the same time are in the order of their
    codes. `left_out_by_minimum` and `left_out_by_maximum` count the pairs removed by the minimums and by the maximum.
    """

    users: Int32s
    starts: Int64s
    items: Int32s
    left_out_by_minimum: int
    left_out_by_maximum: int


def find_positives(events: EventTable, first: int, rules: SamplingRules) -> Int64s:
    """The indexes of the events of a positive type, from the index `first` on."""
    is_positive = np.zeros(len(InteractionType), dtype=np.bool_)
    is_positive[[kind.code for kind in rules.positive_types]] = True
    return first + np.flatnonzero(is_positive[events.type_code[first:]])


def choose_positives(
    events: EventTable, *, first: int, rules: SamplingRules, below_minimum: Bools | None = None
) -> Positives:
    """Choose the positives among the events from the index `first` on.

    Users with fewer than `min_interactions_per_user` pairs and items with fewer than `min_interactions_per_item` are
    removed repeatedly until none is left; the result is the largest such set, independent of the order. Then each user
    keeps the newest `max_interactions_per_user` pairs. The items `below_minimum` (by code) are removed before.
    """
    rows = find_positives(events, first, rules)
    if below_minimum is not None:
        rows = rows[~below_minimum[events.item[rows]]]
    user, item = events.user[rows], events.item[rows]
    _order_ties(events.timestamp[rows], user, item)
    starts, items = _newest_first(*group_by(user, item, len(events.users)), len(events.items))
    kept = np.ones(len(items), dtype=np.bool_)
    if rules.min_interactions_per_user > 1 or rules.min_interactions_per_item > 1:
        kept = _k_core(starts, items, len(events.items), rules)
    in_core = int(kept.sum())
    users, new_starts, new_items = _take_newest(starts, items, kept, rules.max_interactions_per_user)
    return Positives(users, new_starts, new_items, len(items) - in_core, in_core - len(new_items))


def count_largest(user: Int32s, item: Int32s) -> dict[str, int]:
    """The positives of the user and of the item with most, of pairs that may be repeated."""
    pairs = np.unique((user.astype(np.int64) << 32) | item)
    return {
        MOST_OF_A_USER: int(np.unique(pairs >> 32, return_counts=True)[1].max(initial=0)),
        MOST_OF_AN_ITEM: int(np.unique(pairs & 0xFFFFFFFF, return_counts=True)[1].max(initial=0)),
    }


def find_below_minimum(user: Int64s, item: Int64s, rules: SamplingRules) -> tuple[Int64s, Int64s, int]:
    """Find the users and items that the k-core of distinct pairs does not contain.

    Args:
        user: Each pair's user, as any integer id.
        item: Each pair's item, as any integer id.
        rules: The minimums per user and per item.

    Returns:
        The users and the items below the minimums, and the number of pairs in the k-core.
    """
    users, user_codes = np.unique(user, return_inverse=True)
    items, item_codes = np.unique(item, return_inverse=True)
    by_user = np.argsort(user_codes, kind="stable")
    user_codes, codes = user_codes[by_user], item_codes[by_user].astype(np.int32)
    starts = np.searchsorted(user_codes, np.arange(len(users) + 1))
    kept = _k_core(starts, codes, len(items), rules)
    is_user_below = np.bincount(user_codes[kept], minlength=len(users)) == 0
    is_item_below = np.bincount(codes[kept], minlength=len(items)) == 0
    return users[is_user_below], items[is_item_below], int(kept.sum())


@compiled
def _order_ties(timestamp: Int64s, user: Int32s, item: Int32s) -> None:
    """Sort events at the same time by item, descending, in place: `_newest_first` reads them from the end."""
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
def _newest_first(bounds: Int64s, by_user: Int32s, items: int) -> tuple[Int64s, Int32s]:
    """Each user's distinct items, the latest first, from items grouped by user in ascending order of time."""
    users, newest = len(bounds) - 1, np.empty_like(by_user)
    starts = np.zeros(users + 1, dtype=np.int64)
    last_user = np.full(items, -1, dtype=np.int32)
    kept = 0
    for code in range(users):
        for at in range(bounds[code + 1] - 1, bounds[code] - 1, -1):
            item_code = by_user[at]
            if last_user[item_code] != code:
                last_user[item_code] = code
                newest[kept] = item_code
                kept += 1
        starts[code + 1] = kept
    return starts, newest[:kept].copy()


def _k_core(starts: Int64s, item: Int32s, items: int, rules: SamplingRules) -> Bools:
    """Whether each pair is in the k-core."""
    user = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    minimums = rules.min_interactions_per_user, rules.min_interactions_per_item
    return _peel(starts, item, *group_by(item, user, items), *minimums)


@compiled
def _peel(starts: Int64s, item: Int32s, bounds: Int64s, by_item: Int32s, min_per_user: int, min_per_item: int) -> Bools:
    """Whether each pair is in the k-core, given the pairs by user and by item; visits every pair at most twice."""
    users, items = len(starts) - 1, len(bounds) - 1
    # Nodes are numbered users first, then items.
    degree = np.concatenate((np.diff(starts), np.diff(bounds)))
    is_removed = np.zeros(users + items, dtype=np.bool_)
    queue = np.empty(users + items, dtype=np.int64)
    waiting = 0
    for node in range(users + items):
        if degree[node] < (min_per_user if node < users else min_per_item):
            is_removed[node] = True
            queue[waiting] = node
            waiting += 1
    while waiting:
        waiting -= 1
        node = queue[waiting]
        is_user = node < users
        code = node if is_user else node - users
        ends = starts if is_user else bounds
        for at in range(ends[code], ends[code + 1]):
            other = np.int64(item[at]) + users if is_user else np.int64(by_item[at])
            if not is_removed[other]:
                degree[other] -= 1
                if degree[other] < (min_per_item if is_user else min_per_user):
                    is_removed[other] = True
                    queue[waiting] = other
                    waiting += 1
    kept = np.empty(len(item), dtype=np.bool_)
    for code in range(users):
        for at in range(starts[code], starts[code + 1]):
            kept[at] = not is_removed[code] and not is_removed[users + item[at]]
    return kept


@compiled
def _take_newest(starts: Int64s, item: Int32s, kept: Bools, limit: int) -> tuple[Int32s, Int64s, Int32s]:
    """The users with a kept pair, the starts of their items, and their first `limit` kept items each."""
    users = len(starts) - 1
    with_rows = np.empty(users, dtype=np.int32)
    new_starts = np.zeros(users + 1, dtype=np.int64)
    new_items = np.empty(len(item), dtype=np.int32)
    rows, count = 0, 0
    for code in range(users):
        before = rows
        for at in range(starts[code], starts[code + 1]):
            if kept[at] and rows - before < limit:
                new_items[rows] = item[at]
                rows += 1
        if rows > before:
            with_rows[count] = code
            count += 1
            new_starts[count] = rows
    return with_rows[:count].copy(), new_starts[: count + 1].copy(), new_items[:rows].copy()
