"""The checks of training rows: no seen items, no repetitions, the ratio, coverage of the catalog, and times."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from gata_assets.interactions import check_names
from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling.coverage import SAMPLING_BUG, check_coverage
from gata_assets.interactions.sampling.evidence import Evidence, expected_draws, gather_evidence, weigh_items
from gata_assets.interactions.sampling.samples import SampledRows
from gata_assets.interactions.tables import SPECS
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.columns.arrays import Bools, Float64s, Int64s
from gata_assets.tables.outcomes import Outcome


def check_negative_samples(
    events: EventTable,
    rows: SampledRows,
    *,
    first: int,
    is_available: Bools,
    rules: SamplingRules,
    end: int,
    threads: int,
) -> dict[str, list[Outcome]]:
    """Check a batch's training rows and their schema.

    Args:
        events: The interactions of the seen window.
        rows: The training rows.
        first: As in `sample_rows`.
        is_available: As in `sample_rows`.
        rules: As in `sample_rows`.
        end: The batch's start in microseconds since 1970.
        threads: The number of threads.

    Returns:
        Outcomes by check.
    """
    weights = weigh_items(np.bincount(events.item[first:], minlength=len(events.items)), is_available, rules)
    evidence = gather_evidence(events, rows, weights, rules.ratio, threads=threads)
    return {
        "negative_samples_are_valid": check_arrow_tables(SPECS["negative_samples"], split_rows(rows)),
        **check_samples(evidence, weights, reported_shortfall=rows.numbers["shortfall"]),
        check_names.NOTHING_AFTER_THE_BATCH: check_times(events.timestamp, end, evidence),
    }


def split_rows(rows: SampledRows) -> Iterator[pa.Table]:
    """The rows in the pieces in which they are written."""
    for bounds in rows.ranges() or [(0, 0)]:
        yield rows.table(*bounds)


def check_samples(evidence: Evidence, weights: Float64s, *, reported_shortfall: int) -> dict[str, list[Outcome]]:
    """Check the evidence of all rows.

    Args:
        evidence: The evidence of the batch's rows.
        weights: The result of `weigh_items`.
        reported_shortfall: The shortfall in the rows' metadata.

    Returns:
        Outcomes by check, without `nothing_after_the_batch`.
    """

    def rule(text: str, failed: int, checked: int, unit: str = "rows") -> Outcome:
        return Outcome(text, failed, checked, SAMPLING_BUG, unit=unit)

    negatives, shortfall = evidence.negatives, evidence.shortfall
    return {
        check_names.NEGATIVES_WERE_NEVER_INTERACTED: [
            rule("no negative is an item that its user has seen", evidence.negatives_seen, negatives),
            rule("every positive is an item that its user has seen", evidence.positives_not_seen, evidence.positives),
        ],
        check_names.NO_NEGATIVE_TWICE: [
            rule("no user has a repeated negative", evidence.negatives_repeated, negatives)
        ],
        check_names.RATIO_IS_KEPT_OR_COUNTED_SHORT: [
            rule(
                "every user has the negatives of the ratio, or all unseen items",
                evidence.users_off_ratio,
                evidence.users,
                unit="users",
            ),
            rule("the shortfall is reported", abs(shortfall - reported_shortfall), shortfall + negatives),
        ],
        check_names.NEGATIVES_COVER_THE_CATALOGUE: [
            check_coverage(evidence.drawn, expected_draws(evidence, weights)),
            rule("the probability is that of a single draw", evidence.probabilities_off, negatives),
        ],
    }


def check_times(timestamp: Int64s, end: int, evidence: Evidence) -> list[Outcome]:
    """No interaction is at or after `end` (microseconds since 1970); no negative became available only later."""
    late = int(np.count_nonzero(timestamp >= end))
    advice = "This is a bug in reading the window; please report it."
    return [
        Outcome("interactions are before the batch", late, len(timestamp), advice, unit="interactions"),
        Outcome(
            "negatives were available before the batch", evidence.negatives_not_available, evidence.negatives, advice
        ),
    ]
