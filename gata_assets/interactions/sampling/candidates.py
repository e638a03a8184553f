"""The candidates for negatives: the items that can be drawn, and their weights.

A place is an item's index among the candidates, which are ordered by id. Draws are of places, so that items that cannot
be drawn do not affect them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gata_assets.interactions.rules import SamplingRules, SamplingStrategy
from gata_assets.tables.columns.arrays import Bools, Float64s, Int32s, Int64s, UInt64s
from gata_assets.tables.columns.jit import compiled


class AliasTable(NamedTuple):
    """Draws in proportion to weights in constant time: a uniform column, then that column or its alias.

    The column is chosen if a random 53-bit number is below its threshold. Source: Vose, "A linear algorithm for
    generating random numbers with a given distribution", IEEE Transactions on Software Engineering 17(9), 1991.
    """

    thresholds: UInt64s
    aliases: Int32s


@dataclass(frozen=True)
class Candidates:
    """The items that can be drawn: `items` are their codes, ascending; `place` has each item's place or -1, by code.

    `weights` (by place) and `table` are set if items are drawn by popularity; `total_weight` is the sum of the weights,
    otherwise the number of candidates.
    """

    items: Int32s
    place: Int32s
    total_weight: float
    weights: Float64s | None = None
    table: AliasTable | None = None

    def __len__(self) -> int:
        return len(self.items)


def choose_candidates(is_available: Bools, interactions: Int64s, rules: SamplingRules) -> Candidates:
    """Choose the items that can be drawn, and their weights: (interactions + 1) ** power by popularity, else equal.

    Args:
        is_available: By item code, whether the item was available before the batch.
        interactions: By item code, the window's interactions with the item, of all types and users.
        rules: The strategy and the power.
    """
    items = np.flatnonzero(is_available).astype(np.int32)
    place = np.full(len(is_available), -1, dtype=np.int32)
    place[items] = np.arange(len(items), dtype=np.int32)
    if rules.strategy is SamplingStrategy.UNIFORM:
        return Candidates(items, place, float(len(items)))
    weights = (interactions[items].astype(np.float64) + 1.0) ** rules.power
    total, thresholds, aliases = _build_alias_table(weights)
    return Candidates(items, place, total, weights, AliasTable(thresholds, aliases))


@compiled
def _build_alias_table(weights: Float64s) -> tuple[float, UInt64s, Int32s]:
    count = len(weights)
    total = 0.0  # summed in order, since NumPy's summation order differs between processors
    for place in range(count):
        total += weights[place]
    shares = weights * (count / total) if count else weights.copy()
    thresholds = np.full(count, np.uint64(1 << 53), dtype=np.uint64)
    aliases = np.arange(count).astype(np.int32)
    small, large = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    smalls, larges = 0, 0
    for place in range(count):
        if shares[place] < 1.0:
            small[smalls] = place
            smalls += 1
        else:
            large[larges] = place
            larges += 1
    while smalls and larges:
        smalls -= 1
        less, more = small[smalls], large[larges - 1]
        thresholds[less] = np.uint64(shares[less] * 2.0**53)
        aliases[less] = more
        shares[more] -= 1.0 - shares[less]
        if shares[more] < 1.0:
            larges -= 1
            small[smalls] = more
            smalls += 1
    return total, thresholds, aliases
