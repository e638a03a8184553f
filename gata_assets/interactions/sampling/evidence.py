"""The truths about training rows: what the checks of negative samples count, and what they say of it.

Everything is worked out anew from the interactions and the rows, with no structure that the sampling made. Evidence
of groups of users adds up, so that any engine can gather it group by group.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import SamplingRules, SamplingStrategy
from gata_assets.interactions.sampling.samples import RowColumns, SampledRows
from gata_assets.tables.columns.jit import compiled
from gata_assets.tables.outcomes import Outcome

NEGATIVES_WERE_NEVER_INTERACTED = "negatives_were_never_interacted"
NO_NEGATIVE_TWICE = "no_negative_twice"
RATIO_IS_KEPT_OR_COUNTED_SHORT = "ratio_is_kept_or_counted_short"
NEGATIVES_COVER_THE_CATALOGUE = "negatives_cover_the_catalogue"
NOTHING_AFTER_THE_BATCH = "nothing_after_the_batch"

# Rows that are right fail the test of the catalogue in one batch of so many at most.
_ALARM = 1e-9
# The catalogue is tested in at most so many parts, each with at least so many draws expected.
_MOST_PARTS = 100
_LEAST_DRAWS = 100.0
# Draws are tested as long as this share of the weights is left: sums of less have too few digits.
_LEAST_WEIGHT = 1e-6

_DEFECT = "This is a defect of the sampling; please report it."


@dataclass(frozen=True)
class Evidence:
    """What was counted in the rows of some users; `+` adds that of others.

    The arrays are by item code: `drawn` counts the negatives that were tested, `withheld` is what their expected number
    lacks from `chances` times the item's weight (see `expected_draws`).
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
    drawn: NDArray[np.int64]
    withheld: NDArray[np.float64]

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def weigh_items(
    interactions: NDArray[np.int64], is_available: NDArray[np.bool_], rules: SamplingRules
) -> NDArray[np.float64]:
    """The weight with which each item (by code) should be drawn, 0 where it was not available."""
    by_popularity = rules.strategy is SamplingStrategy.POPULARITY
    weights = (interactions + 1.0) ** rules.power if by_popularity else np.ones(len(interactions))
    return np.where(is_available, weights, 0.0)


def gather_evidence(
    events: EventTable,
    rows: SampledRows,
    *,
    first: int,
    is_available: NDArray[np.bool_],
    rules: SamplingRules,
    threads: int = 1,
) -> Evidence:
    """The evidence of all rows of a batch; the arguments are those that the rows were made from."""
    weights = weigh_items(np.bincount(events.item[first:], minlength=len(events.items)), is_available, rules)
    starts, seen = group_by_user(events.user, events.item, len(events.users))

    def of_range(bounds: tuple[int, int]) -> Evidence:
        users = rows.positives.users[bounds[0] : bounds[1]]
        return count_evidence(rows.columns(*bounds), users, starts, seen, weights, rules.ratio)

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(of_range, rows.ranges()))
    none = count_evidence(rows.columns(0, 0), rows.positives.users[:0], starts, seen, weights, rules.ratio)
    return sum(parts, none)


def count_evidence(
    columns: RowColumns,
    users: NDArray[np.int32],
    starts: NDArray[np.int64],
    seen: NDArray[np.int32],
    weights: NDArray[np.float64],
    ratio: int,
) -> Evidence:
    """Count in the rows of some users.

    `users[columns.user]` is a row's place in `starts`; `seen[starts[u]:starts[u + 1]]` are the codes of all items that
    `u` interacted with in the seen window, in any way and order; `weights` are by item code, 0 for what cannot be
    drawn.
    """
    drawn, withheld = np.zeros(len(weights), dtype=np.int64), np.zeros(len(weights), dtype=np.float64)
    (positives, negatives, not_seen, was_seen, repeated, not_available, off, off_ratio, shortfall), chances = _count(
        columns.user,
        columns.item,
        columns.label,
        columns.probability,
        users,
        starts,
        seen,
        weights,
        ratio,
        _LEAST_WEIGHT,
        drawn,
        withheld,
    )
    return Evidence(
        users=len(users),
        positives=int(positives),
        negatives=int(negatives),
        positives_not_seen=int(not_seen),
        negatives_seen=int(was_seen),
        negatives_repeated=int(repeated),
        negatives_not_available=int(not_available),
        probabilities_off=int(off),
        users_off_ratio=int(off_ratio),
        shortfall=int(shortfall),
        chances=float(chances),
        drawn=drawn,
        withheld=withheld,
    )


def expected_draws(evidence: Evidence, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often each item (by code) should have been drawn, given what had been drawn before each draw.

    A draw takes item i with the chance w_i / (sum of the weights that its user has neither seen nor drawn). The sum of
    these chances over all draws is w_i times the sum over the users' draws of 1 / what was left, less the part of the
    users that had seen the item, and of the draws after the one that took it.
    """
    return np.maximum(weights * evidence.chances - evidence.withheld, 0.0)


def check_samples(
    evidence: Evidence, weights: NDArray[np.float64], *, reported_shortfall: int
) -> dict[str, list[Outcome]]:
    """What the evidence says of each truth but that of the times, by the names above."""
    negatives = evidence.negatives
    return {
        NEGATIVES_WERE_NEVER_INTERACTED: [
            Outcome("no negative is an item that its user met", evidence.negatives_seen, negatives, _DEFECT),
            Outcome(
                "every positive is an item that its user met", evidence.positives_not_seen, evidence.positives, _DEFECT
            ),
        ],
        NO_NEGATIVE_TWICE: [
            Outcome("no user has a negative twice", evidence.negatives_repeated, negatives, _DEFECT),
        ],
        RATIO_IS_KEPT_OR_COUNTED_SHORT: [
            Outcome(
                "every user has the ratio's negatives, or all that are unseen",
                evidence.users_off_ratio,
                evidence.users,
                _DEFECT,
                unit="users",
            ),
            Outcome(
                "the shortfall is counted",
                abs(evidence.shortfall - reported_shortfall),
                evidence.shortfall + negatives,
                _DEFECT,
            ),
        ],
        NEGATIVES_COVER_THE_CATALOGUE: [
            check_cover(evidence.drawn, expected_draws(evidence, weights)),
            Outcome("the probability is that of one draw", evidence.probabilities_off, negatives, _DEFECT),
        ],
    }


def check_cover(drawn: NDArray[np.int64], expected: NDArray[np.float64]) -> Outcome:
    """Hold the numbers of draws against those expected, in parts of the catalogue that lie together by item_id.

    Rows that are right fail in one batch of 10^9 at most. Fewer than 200 draws are not tested.
    """
    draws = int(drawn.sum())
    rule = "negatives fall on the parts of the catalogue as expected"
    statistic, parts, misplaced = measure_cover(drawn, expected)
    if parts < 2:
        return Outcome(rule, 0, draws, _DEFECT)
    # Here, for who makes features alone: 0.15 s and MB. chi2.sf of scipy.stats takes three times as long to load.
    from scipy.special import chdtrc

    return Outcome(rule, misplaced if chdtrc(parts - 1, statistic) < _ALARM else 0, draws, _DEFECT)


def measure_cover(drawn: NDArray[np.int64], expected: NDArray[np.float64]) -> tuple[float, int, int]:
    """Pearson's chi-square over up to 100 parts of about as many expected draws; the parts; how many draws are off.

    Each draw is expected given those before it, so that the differences are a martingale's, and their covariance is at
    most the multinomial's: where the rows are right, the statistic is at most that of chance.
    """
    starts = _divide(expected)
    if not starts:
        return 0.0, 0, 0
    observed = np.add.reduceat(drawn, starts)
    wanted = np.add.reduceat(expected, starts)
    misplaced = max(int(np.abs(observed - wanted).sum() / 2), 1)
    return float(((observed - wanted) ** 2 / wanted).sum()), len(starts), misplaced


def _divide(expected: NDArray[np.float64]) -> list[int]:
    """The first items of parts that lie together, each with its share of what is expected, or one item with more."""
    sums = np.cumsum(expected)
    total = float(sums[-1]) if len(sums) else 0.0
    parts = min(_MOST_PARTS, int(total / _LEAST_DRAWS))
    starts: list[int] = []
    start, before = 0, 0.0
    while parts and start < len(sums) and total - before >= total / parts * (1 - 1e-9):
        starts.append(start)
        start = int(np.searchsorted(sums, before + total / parts * (1 - 1e-9))) + 1
        before = float(sums[min(start, len(sums)) - 1])
    return starts


def check_times(timestamps: Iterable[NDArray[np.int64]], end: int, evidence: Evidence) -> list[Outcome]:
    """No interaction that was used is from `end` (microseconds since 1970) on, no negative of an item of later."""
    events = late = 0
    for one in timestamps:
        events, late = events + len(one), late + int(np.count_nonzero(one >= end))
    advice = "This is a defect of reading the window; please report it."
    return [
        Outcome("interactions are before the batch", late, events, advice, unit="interactions"),
        Outcome(
            "negatives were available before the batch", evidence.negatives_not_available, evidence.negatives, advice
        ),
    ]


@compiled
def group_by_user(
    user: NDArray[np.int32], item: NDArray[np.int32], users: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The items of each user (`items[starts[u]:starts[u + 1]]`) from interactions in any order, repeated ones too."""
    ends = np.zeros(users + 1, dtype=np.int64)
    for row in range(len(user)):
        ends[user[row]] += 1
    for one in range(1, users + 1):
        ends[one] += ends[one - 1]
    items = np.empty(len(item), dtype=np.int32)
    for row in range(len(user)):
        ends[user[row]] -= 1
        items[ends[user[row]]] = item[row]
    return ends, items


@compiled
def _count(
    row_user: NDArray[np.int32],
    row_item: NDArray[np.int32],
    label: NDArray[np.float32],
    probability: NDArray[np.float64],
    users: NDArray[np.int32],
    starts: NDArray[np.int64],
    seen: NDArray[np.int32],
    weights: NDArray[np.float64],
    ratio: int,
    least_share: float,
    drawn: NDArray[np.int64],
    withheld: NDArray[np.float64],
) -> tuple[NDArray[np.int64], float]:
    all_positives = all_negatives = not_seen = was_seen = repeated = not_available = off = off_ratio = shortfall = 0
    chances, total, available = 0.0, 0.0, 0
    for weight in weights:
        total += weight
        available += weight > 0
    seen_by, drawn_by = np.full(len(weights), -1, dtype=np.int64), np.full(len(weights), -1, dtype=np.int64)
    chances_at = np.empty(len(row_user), dtype=np.float64)
    row = 0
    for one in range(len(users)):
        start, end = starts[users[one]], starts[users[one] + 1]
        unseen, left = available, total
        for at in range(start, end):
            item = seen[at]
            if seen_by[item] != one:
                seen_by[item] = one
                left -= weights[item]
                unseen -= weights[item] > 0
        whole, own_chances, first_row = left, 0.0, row
        has_digits = whole > least_share * total
        positives = negatives = 0
        while row < len(row_user) and row_user[row] == one:
            item = row_item[row]
            chances_at[row] = -1.0
            if label[row] == 1.0:
                positives += 1
                not_seen += seen_by[item] != one
            else:
                negatives += 1
                if has_digits and abs(probability[row] * whole - weights[item]) > 1e-6 * weights[item]:
                    off += 1
                if seen_by[item] == one:
                    was_seen += 1
                elif drawn_by[item] == one:
                    repeated += 1
                elif weights[item] == 0:
                    not_available += 1
                elif left > least_share * total:
                    own_chances += 1.0 / left
                    chances_at[row] = own_chances
                    left -= weights[item]
                    drawn[item] += 1
                drawn_by[item] = one
            row += 1
        for at in range(first_row, row):
            if chances_at[at] >= 0:
                withheld[row_item[at]] += weights[row_item[at]] * (own_chances - chances_at[at])
        for at in range(start, end):
            if seen_by[seen[at]] == one:
                withheld[seen[at]] += weights[seen[at]] * own_chances
                seen_by[seen[at]] = -1
        chances += own_chances
        given = min(positives * ratio, unseen)
        off_ratio += negatives != given
        shortfall += positives * ratio - given
        all_positives += positives
        all_negatives += negatives
    # Rows that do not stand by user are those of nobody.
    off_ratio += row < len(row_user)
    return np.array(
        [all_positives, all_negatives, not_seen, was_seen, repeated, not_available, off, off_ratio, shortfall]
    ), chances
