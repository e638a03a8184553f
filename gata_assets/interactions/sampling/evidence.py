"""Evidence about training rows: the counts that the checks of negative samples use.

All counts are recomputed from the interactions and the rows, without data structures of the sampling. Evidence of
disjoint groups of users can be added, so that any engine can gather it group by group.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import SamplingRules, SamplingStrategy
from gata_assets.interactions.sampling.samples import RowColumns, SampledRows
from gata_assets.tables.columns.arrays import Bools, Float64s, Int32s, Int64s
from gata_assets.tables.columns.id_encoding import group_by
from gata_assets.tables.columns.jit import compiled

# Draws are tested while at least this share of the weights is left: smaller sums have too little precision.
_MIN_WEIGHT_SHARE = 1e-6


@dataclass(frozen=True)
class Evidence:
    """Counts over the rows of a group of users; `+` adds the evidence of another group.

    The arrays are by item code: `drawn` counts the tested negatives; `withheld` is the difference between `chances`
    times the item's weight and the expected number of draws (see `expected_draws`).
    """

    users: int
    positives: int
    negatives: int
    positives_not_seen: int
    negatives_seen: int
    negatives_repeated: int
    negatives_not_available: int
    probabilities_off: int
    users_off_ratio: int
    shortfall: int
    chances: float
    drawn: Int64s
    withheld: Float64s

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def weigh_items(interactions: Int64s, is_available: Bools, rules: SamplingRules) -> Float64s:
    """The weight of each item (by code) in draws, 0 if it was not available."""
    by_popularity = rules.strategy is SamplingStrategy.POPULARITY
    weights = (interactions + 1.0) ** rules.power if by_popularity else np.ones(len(interactions))
    return np.where(is_available, weights, 0.0)


def gather_evidence(
    events: EventTable, rows: SampledRows, weights: Float64s, ratio: int, *, threads: int = 1
) -> Evidence:
    """Gather the evidence of rows; `events` are those of the seen window, `weights` and `ratio` as below."""
    starts, seen = group_by(events.user, events.item, len(events.users))

    def gather_range(bounds: tuple[int, int]) -> Evidence:
        users = rows.positives.users[bounds[0] : bounds[1]]
        return count_evidence(rows.columns(*bounds), users, starts, seen, weights, ratio)

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(gather_range, rows.ranges()))
    empty = count_evidence(rows.columns(0, 0), rows.positives.users[:0], starts, seen, weights, ratio)
    return sum(parts, empty)


def count_evidence(
    columns: RowColumns, users: Int32s, starts: Int64s, seen: Int32s, weights: Float64s, ratio: int
) -> Evidence:
    """Count the evidence in the rows of a group of users.

    Args:
        columns: The rows.
        users: `users[columns.user]` is a row's user code, an index into `starts`.
        starts: `seen[starts[u]:starts[u + 1]]` are the items of user code u.
        seen: The codes of all items in the user's interactions in the seen window, of any type and in any order.
        weights: The weights by item code, 0 for items that cannot be drawn.
        ratio: The number of negatives per positive.
    """
    drawn, withheld = np.zeros(len(weights), dtype=np.int64), np.zeros(len(weights), dtype=np.float64)
    counts, chances = _count(columns, users, starts, seen, weights, ratio, _MIN_WEIGHT_SHARE, drawn, withheld)
    values: list[Any] = [len(users), *counts.tolist(), chances, drawn, withheld]
    return Evidence(*values)


def expected_draws(evidence: Evidence, weights: Float64s) -> Float64s:
    """The expected number of draws of each item (by code), given the previous draws before each draw.

    A draw chooses item i with probability w_i / (sum of the weights that its user has neither seen nor drawn). The sum
    of these probabilities over all draws is w_i times the sum over the users' draws of 1 / (remaining weight), minus
    the terms of users that had seen the item, and of the draws after the one that chose it.
    """
    return np.maximum(weights * evidence.chances - evidence.withheld, 0.0)


@compiled
def _count(
    columns: RowColumns,
    users: Int32s,
    starts: Int64s,
    seen: Int32s,
    weights: Float64s,
    ratio: int,
    min_share: float,
    drawn: Int64s,
    withheld: Float64s,
) -> tuple[Int64s, float]:
    """Count what Evidence says of rows, in the order of its fields, and the sum of their chances."""
    row_user, row_item, label, probability = columns
    all_positives = all_negatives = not_seen = was_seen = repeated = not_available = off = off_ratio = shortfall = 0
    chances, total, available = 0.0, 0.0, 0
    for weight in weights:
        total += weight
        available += weight > 0
    seen_by, drawn_by = np.full(len(weights), -1, dtype=np.int64), np.full(len(weights), -1, dtype=np.int64)
    chances_at = np.empty(len(row_user), dtype=np.float64)
    row = 0
    for index in range(len(users)):
        start, end = starts[users[index]], starts[users[index] + 1]
        unseen, left = available, total
        for at in range(start, end):
            item = seen[at]
            if seen_by[item] != index:
                seen_by[item] = index
                left -= weights[item]
                unseen -= weights[item] > 0
        unseen_weight, own_chances, first_row = left, 0.0, row
        is_precise = unseen_weight > min_share * total
        positives = negatives = 0
        while row < len(row_user) and row_user[row] == index:
            item = row_item[row]
            chances_at[row] = -1.0
            if label[row] == 1.0:
                positives += 1
                not_seen += seen_by[item] != index
            else:
                negatives += 1
                if is_precise and abs(probability[row] * unseen_weight - weights[item]) > 1e-6 * weights[item]:
                    off += 1
                if seen_by[item] == index:
                    was_seen += 1
                elif drawn_by[item] == index:
                    repeated += 1
                elif weights[item] == 0:
                    not_available += 1
                elif left > min_share * total:
                    own_chances += 1.0 / left
                    chances_at[row] = own_chances
                    left -= weights[item]
                    drawn[item] += 1
                drawn_by[item] = index
            row += 1
        for at in range(first_row, row):
            if chances_at[at] >= 0:
                withheld[row_item[at]] += weights[row_item[at]] * (own_chances - chances_at[at])
        for at in range(start, end):
            if seen_by[seen[at]] == index:
                withheld[seen[at]] += weights[seen[at]] * own_chances
                seen_by[seen[at]] = -1
        chances += own_chances
        expected = min(positives * ratio, unseen)
        off_ratio += negatives != expected
        shortfall += positives * ratio - expected
        all_positives += positives
        all_negatives += negatives
    # Rows out of order by user are left over.
    off_ratio += row < len(row_user)
    return np.array(
        [all_positives, all_negatives, not_seen, was_seen, repeated, not_available, off, off_ratio, shortfall]
    ), chances
