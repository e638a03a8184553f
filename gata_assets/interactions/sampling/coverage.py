"""The coverage test of negatives: whether the draws are distributed over the catalog as expected (chi-square)."""

from __future__ import annotations

import numpy as np

from gata_assets.tables.columns.arrays import Float64s, Int64s
from gata_assets.tables.outcomes import Outcome

# Of batches with valid rows.
_FALSE_POSITIVE_RATE = 1e-9
# The catalog is divided into at most this many parts, each with at least this many expected draws.
_MAX_PARTS = 100
_MIN_DRAWS = 100.0

SAMPLING_BUG = "This is a bug in the sampling; please report it."


def check_coverage(drawn: Int64s, expected: Float64s) -> Outcome:
    """Compare draws with their expected number, in parts of the catalog that are contiguous by item_id.

    Valid rows fail in at most one of 10^9 batches. Fewer than 200 draws are not tested.

    Args:
        drawn: Draws by item code.
        expected: The result of `expected_draws`.
    """
    draws = int(drawn.sum())
    rule = "negatives are distributed over the catalog as expected"
    statistic, parts, misplaced = measure_coverage(drawn, expected)
    if parts < 2:
        return Outcome(rule, 0, draws, SAMPLING_BUG)
    # Imported here, since features do not need it: 0.15 s to load; scipy.stats takes three times as long.
    from scipy.special import chdtrc

    return Outcome(rule, misplaced if chdtrc(parts - 1, statistic) < _FALSE_POSITIVE_RATE else 0, draws, SAMPLING_BUG)


def measure_coverage(drawn: Int64s, expected: Float64s) -> tuple[float, int, int]:
    """Pearson's chi-square over up to 100 parts with about equally many expected draws.

    Expectations are conditional on the previous draws, so the differences are a martingale whose covariance is at most
    the multinomial's: for valid rows the statistic is at most chi-square distributed.

    Returns:
        The statistic, the number of parts, and the number of misplaced draws.
    """
    starts = _divide(expected)
    if not starts:
        return 0.0, 0, 0
    observed = np.add.reduceat(drawn, starts)
    expected_by_part = np.add.reduceat(expected, starts)
    differences = observed - expected_by_part
    misplaced = max(int(np.abs(differences).sum() / 2), 1)
    return float((differences**2 / expected_by_part).sum()), len(starts), misplaced


def _divide(expected: Float64s) -> list[int]:
    """The first items of contiguous parts, each with an equal share of the expected draws, or a single larger item."""
    sums = np.cumsum(expected)
    total = float(sums[-1]) if len(sums) else 0.0
    parts = min(_MAX_PARTS, int(total / _MIN_DRAWS))
    starts: list[int] = []
    start, before = 0, 0.0
    while parts and start < len(sums) and total - before >= total / parts * (1 - 1e-9):
        starts.append(start)
        start = int(np.searchsorted(sums, before + total / parts * (1 - 1e-9))) + 1
        before = float(sums[min(start, len(sums)) - 1])
    return starts
