"""Negatives: for each user, catalog items that the user has not seen.

`sample_negatives` serves every engine: it takes any group of users, and the candidates that all groups share. A user's
negatives depend only on (seed, user key, the user's seen items, the candidates).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling import kernel
from gata_assets.interactions.sampling.candidates import Candidates
from gata_assets.interactions.sampling.kernel import Negatives, UserHistories
from gata_assets.tables.columns.arrays import Int32s, Int64s, UInt64s
from gata_assets.tables.columns.jit import compiled

# User ranges per thread: few enough to cost nothing, enough that no thread waits long for another.
_RANGES_PER_THREAD = 8


def gather_histories(
    user: Int32s, item: Int32s, candidates: Candidates, *, keys: UInt64s, wanted: Int64s
) -> UserHistories:
    """Group interactions, in any order, by user.

    Args:
        user: Each interaction's user, an index into `keys`; negative to ignore the interaction.
        item: Each interaction's item code; items that are not candidates are ignored.
        candidates: The items that can be drawn.
        keys: The user keys.
        wanted: The number of negatives wanted for each user.

    Raises:
        IndexError: If a user or item is out of range, which compiled loops do not check.
    """
    if len(user) and (int(user.max()) >= len(keys) or int(item.min()) < 0 or int(item.max()) >= len(candidates.place)):
        raise IndexError("an interaction's user or item is out of range")
    starts, seen = _gather(user, item, candidates.place, len(keys))
    return UserHistories(keys, starts, seen, wanted)


@compiled
def _gather(user: Int32s, item: Int32s, place: Int32s, users: int) -> tuple[Int64s, Int32s]:
    starts = np.zeros(users + 1, dtype=np.int64)
    for row in range(len(user)):
        if user[row] >= 0 and place[item[row]] >= 0:
            starts[user[row] + 1] += 1
    for code in range(users):
        starts[code + 1] += starts[code]
    ends = starts[:users].copy()
    seen = np.empty(starts[users], dtype=np.int32)
    for row in range(len(user)):
        if user[row] >= 0 and place[item[row]] >= 0:
            seen[ends[user[row]]] = place[item[row]]
            ends[user[row]] += 1
    return starts, seen


def sample_negatives(
    users: UserHistories, candidates: Candidates, rules: SamplingRules, *, threads: int = 1
) -> Negatives:
    """Draw each user's negatives: a prefix of a random permutation of the candidates that the user has not seen.

    Uniform: a place is drawn from all candidates and skipped if it is taken; once the seen and drawn places reach half
    of them, the rest is enumerated and shuffled (Fisher–Yates) with the same stream. By popularity: a place is drawn
    with its weight and skipped if it is taken; once more than half of the weight is taken, the rest is ordered by
    exponential times. Both switches depend only on the seen and drawn places. Therefore more negatives extend the same
    permutation, and the number of threads has no effect.
    """
    places = len(candidates)
    seed = np.uint64(rules.seed)
    counts = users.wanted.copy()
    # Unseen items are counted in advance only for users who may have too few.
    crowded = np.flatnonzero(np.diff(users.starts) + counts > places)
    unseen = places - kernel.count_distinct(crowded, users.starts, users.seen, places)
    counts[crowded] = np.minimum(counts[crowded], unseen)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
    shortfall = users.wanted - counts
    drawn = Negatives(starts, np.empty(starts[-1], dtype=np.int32), np.zeros(len(counts), dtype=np.float64), shortfall)
    weights, table = candidates.weights, candidates.table

    def draw(bounds: tuple[int, int]) -> None:
        if weights is None or table is None:
            kernel.draw_uniformly(*bounds, users, seed, places, drawn)
        else:
            kernel.draw_by_weight(*bounds, users, seed, weights, candidates.total_weight, table, drawn)

    if places:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(draw, split_evenly(starts + users.starts, _RANGES_PER_THREAD * threads)))
    return drawn


def split_evenly(starts: Int64s, parts: int) -> list[tuple[int, int]]:
    """Split users into ranges `[first, last)` of about equal work; `starts` is ascending, with an element more than
    there are users.
    """
    cuts = np.searchsorted(starts, np.linspace(starts[0], starts[-1], parts + 1)[1:-1])
    bounds = np.unique(np.concatenate([[0], cuts, [len(starts) - 1]]))
    return [(int(first), int(last)) for first, last in pairwise(bounds)]
