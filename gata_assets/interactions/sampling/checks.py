"""All that is held against the training rows of a batch that were made on one machine, by check."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling.evidence import (
    NOTHING_AFTER_THE_BATCH,
    check_samples,
    check_times,
    gather_evidence,
    weigh_items,
)
from gata_assets.interactions.sampling.samples import SampledRows
from gata_assets.interactions.schema import NegativeSamples
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.outcomes import Outcome


def check_negative_samples(
    events: EventTable,
    rows: SampledRows,
    *,
    first: int,
    is_available: NDArray[np.bool_],
    rules: SamplingRules,
    end: int,
    threads: int,
) -> dict[str, list[Outcome]]:
    """Hold the truths about training rows and the rules of their schema.

    `first`, `is_available` and `rules` are what the rows were made with; `end` is the batch's instant in microseconds.
    """
    evidence = gather_evidence(events, rows, first=first, is_available=is_available, rules=rules, threads=threads)
    weights = weigh_items(np.bincount(events.item[first:], minlength=len(events.items)), is_available, rules)
    return {
        "negative_samples_are_valid": check_arrow_tables(NegativeSamples.to_schema(), pieces_of(rows)),
        **check_samples(evidence, weights, reported_shortfall=rows.numbers["shortfall"]),
        NOTHING_AFTER_THE_BATCH: check_times([events.timestamp], end, evidence),
    }


def pieces_of(rows: SampledRows) -> Iterator[pa.Table]:
    """The rows in pieces, as they are written."""
    for bounds in rows.ranges() or [(0, 0)]:
        yield rows.table(*bounds)
