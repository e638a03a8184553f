"""Negatives: for each user, items of the catalogue that they have not seen.

`sample_negatives` serves every engine: it takes any group of users and the candidates that all groups share. What it
gives a user depends on (seed, user key, what the user has seen, the candidates) alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling import kernel as negative_kernel
from gata_assets.interactions.sampling.candidates import Candidates
from gata_assets.tables.columns.jit import compiled

# So many ranges of users a thread: few enough to cost nothing, enough that no thread waits long for another.
_RANGES_PER_THREAD = 8


@dataclass(frozen=True)
class UserHistories:
    """What a group of users has seen, and how many negatives each shall have.

    `seen[starts[u]:starts[u + 1]]` are places among the candidates, in any order, repeated or not; what is no
    candidate is not among them. `keys` are the user keys, `wanted` counts.
    """

    keys: NDArray[np.uint64]
    starts: NDArray[np.int64]
    seen: NDArray[np.int32]
    wanted: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Negatives:
    """The negatives of a group of users, as drawn: `places[starts[u]:starts[u + 1]]` among the candidates.

    `unseen_weight` is the sum of the weights (or the number) of all that each user has not seen. A user with fewer
    unseen items than wanted gets them all; `shortfall` is by how many each falls short.
    """

    starts: NDArray[np.int64]
    places: NDArray[np.int32]
    unseen_weight: NDArray[np.float64]
    shortfall: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.places)


def gather_histories(
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    candidates: Candidates,
    *,
    keys: NDArray[np.uint64],
    wanted: NDArray[np.int64],
) -> UserHistories:
    """What each user has seen, from interactions in any order: `user` is a place in `keys` or negative, `item` a code.

    Interactions of a negative user, and with items that are no candidates, do not count. Raises IndexError for a user
    or an item that there is none of: compiled loops do not look.
    """
    if len(user) and (int(user.max()) >= len(keys) or int(item.min()) < 0 or int(item.max()) >= len(candidates.place)):
        raise IndexError("an interaction has a user or an item that is not among those given")
    starts, seen = _gather(user, item, candidates.place, len(keys))
    return UserHistories(keys, starts, seen, wanted)


@compiled
def _gather(
    user: NDArray[np.int32], item: NDArray[np.int32], place: NDArray[np.int32], users: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    starts = np.zeros(users + 1, dtype=np.int64)
    for row in range(len(user)):
        if user[row] >= 0 and place[item[row]] >= 0:
            starts[user[row] + 1] += 1
    for one in range(users):
        starts[one + 1] += starts[one]
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
    """Draw each user's negatives: the head of one permutation of the candidates that the user has not seen.

    Uniform: a place is drawn from all candidates and skipped when it is taken; once what is seen and drawn reaches
    half of them, the rest is enumerated and shuffled (Fisher–Yates) with the same stream. By popularity: a place is
    drawn with its weight and skipped when it is taken; once more than half of the weight is taken, the rest is ordered
    by exponential times. Since both turns depend on what is seen and drawn alone, more negatives are only more of the
    same permutation, and the number of threads changes nothing.
    """
    places = len(candidates)
    seed = np.uint64(rules.seed)
    given = users.wanted.copy()
    # Only of users who may run short it has to be known beforehand how many items they have not seen.
    crowded = np.flatnonzero(np.diff(users.starts) + given > places)
    unseen = places - negative_kernel.count_distinct(crowded, users.starts, users.seen, places)
    given[crowded] = np.minimum(given[crowded], unseen)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(given)])
    out = np.empty(starts[-1], dtype=np.int32)
    unseen_weight = np.empty(len(users), dtype=np.float64)
    weights, table = candidates.weights, candidates.table

    def draw(bounds: tuple[int, int]) -> None:
        of_users = (*bounds, users.keys, users.starts, users.seen, seed)
        if weights is None or table is None:
            negative_kernel.draw_uniformly(*of_users, places, starts, out, unseen_weight)
        else:
            law = (weights, candidates.total_weight, table.thresholds, table.aliases)
            negative_kernel.draw_by_weight(*of_users, *law, starts, out, unseen_weight)

    if places:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(draw, split_evenly(starts + users.starts, _RANGES_PER_THREAD * threads)))
    else:
        unseen_weight[:] = 0
    return Negatives(starts, out, unseen_weight, users.wanted - given)


def split_evenly(starts: NDArray[np.int64], parts: int) -> list[tuple[int, int]]:
    """Divide what `starts` (ascending, one more than there are users) counts into ranges of users of like work."""
    cuts = np.searchsorted(starts, np.linspace(starts[0], starts[-1], parts + 1)[1:-1])
    bounds = np.unique(np.concatenate([[0], cuts, [len(starts) - 1]]))
    return [(int(first), int(last)) for first, last in pairwise(bounds)]
