"""Training rows on Spark: the compiled loops on each range of users, after the k-core over all ranges is known.

A range has all seen items of its users, so that the draws equal those of the single-machine engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.interactions.engines.base import NEGATIVE_SAMPLES, WITH_FEATURES
from gata_assets.interactions.engines.polars import row_sources
from gata_assets.interactions.engines.spark.positives import PositivePairs, is_positive
from gata_assets.interactions.engines.spark.reports import report_of
from gata_assets.interactions.engines.spark.shuffle import FEATURES, events_of
from gata_assets.interactions.engines.spark.survey import WindowTotals
from gata_assets.interactions.engines.spark.task_outputs import TaskOutput, pack, table_output, unpack
from gata_assets.interactions.engines.spark.tasks import (
    CachedOutputs,
    PerPartition,
    collect_outputs,
    repartition_by_part,
)
from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling.candidates import choose_candidates
from gata_assets.interactions.sampling.checks import NOTHING_AFTER_THE_BATCH, check_times, split_rows
from gata_assets.interactions.sampling.evidence import Evidence, count_evidence, group_by_user, weigh_items
from gata_assets.interactions.sampling.join import JoinedRows, check_features_of_users
from gata_assets.interactions.sampling.negatives import gather_histories, sample_negatives
from gata_assets.interactions.sampling.positives import choose_positives
from gata_assets.interactions.sampling.samples import SampledRows
from gata_assets.interactions.tables import SPECS
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.columns.arrays import Bools, Float64s, Int64s, UInt64s
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WITH_FEATURES_ARE_VALID = "with_features_are_valid"

# The kernel's output besides tables: draws by catalog item.
DRAWS = "draws"


@dataclass(frozen=True)
class Catalog:
    """The catalog's items, by item_id: whether each was available before the batch, and its interactions.

    `items` has `item_id, item_key`. It is sent to every executor: 30 bytes per item, or 40 MB for a million.
    """

    items: pl.DataFrame
    is_available: Bools
    interactions: Int64s

    @classmethod
    def of(cls, items: pl.DataFrame, is_available: Bools, interactions: pl.DataFrame) -> Catalog:
        """Build from the catalog's items; `interactions` has `item_key, rows` of items with interactions."""
        counts = items.select("item_key").join(interactions, on="item_key", how="left", maintain_order="left")["rows"]
        return cls(items.select("item_id", "item_key"), is_available, counts.fill_null(0).to_numpy())

    def places(self, events: EventTable) -> Int64s:
        """The code of each item."""
        by_key = np.argsort(events.items.keys)
        found = np.searchsorted(events.items.keys, self.items["item_key"].to_numpy(), sorter=by_key)
        return by_key[found]


@dataclass(frozen=True)
class SampleKernel:
    """Draws the negatives of a range's users, and joins the rows to the features.

    `items_below_minimum` are keys; `user_schema` is the schema of the written user features without `recent_items`;
    `start` and `end` are the window's, in microseconds since 1970.
    """

    rules: SamplingRules
    catalog: Catalog
    items_below_minimum: UInt64s
    item_features: pa.Table
    user_schema: pa.Schema
    start: int
    end: int
    buckets: int

    def __call__(self, parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
        """A range's outputs: a report, rows and draws by catalog item."""
        features = [table for part in parts if part.name == FEATURES for table in unpack(part.content)]
        users = pa.concat_tables(
            [self.user_schema.empty_table(), *(table.cast(self.user_schema) for table in features)]
        )
        return self.outputs_of(parts[0].part, events_of(parts, self.catalog.items), users)

    def empty_outputs(self) -> Iterator[TaskOutput]:
        """The outputs without interactions, and therefore without ranges."""
        return self.outputs_of(0, events_of([], self.catalog.items), self.user_schema.empty_table())

    def outputs_of(self, part: int, events: EventTable, users: pa.Table) -> Iterator[TaskOutput]:
        """The outputs of a range's interactions and user features."""
        places = self.catalog.places(events)
        is_available = np.zeros(len(events.items), dtype=np.bool_)
        is_available[places] = self.catalog.is_available
        interactions = np.zeros(len(events.items), dtype=np.int64)
        interactions[places] = self.catalog.interactions
        rows = self._sample(events, is_available, interactions)
        evidence = self._evidence(rows, events, weigh_items(interactions, is_available, self.rules))
        joined = JoinedRows(rows, users, self.item_features)
        yield report_of(
            part,
            {
                NEGATIVE_SAMPLES: {
                    "negative_samples_are_valid": check_arrow_tables(SPECS["negative_samples"], split_rows(rows)),
                    NOTHING_AFTER_THE_BATCH: check_times([events.timestamp], self.end, evidence),
                },
                WITH_FEATURES: {WITH_FEATURES_ARE_VALID: check_features_of_users(users)},
            },
            {
                "seen": len(events),
                "seen_by": len(events.users),
                "pairs": len(rows.positives) + rows.positives.left_out_by_maximum,
                **{f"numbers.{name}": value for name, value in rows.numbers.items()},
                **{
                    f"evidence.{name}": value
                    for name, value in vars(evidence).items()
                    if isinstance(value, int | float)
                },
            },
        )
        for name, source in row_sources(rows, joined).items():
            yield table_output(name, part, source)
        drawn, withheld = evidence.drawn[places], evidence.withheld[places]
        for bucket, (start, end) in enumerate(_slices(len(places), self.buckets)):
            draws = pa.table({"drawn": drawn[start:end], "withheld": withheld[start:end]})
            yield TaskOutput(DRAWS, bucket, end - start, pack(draws), part)

    def _sample(self, events: EventTable, is_available: Bools, interactions: Int64s) -> SampledRows:
        is_below = np.isin(events.items.keys, self.items_below_minimum)
        pairs = _filter(events, is_positive(events, self.rules, self.start) & ~is_below[events.item])
        # Items below the minimum are removed already, so users below it follow from their own rows.
        positives = choose_positives(pairs, first=0, rules=replace(self.rules, min_interactions_per_item=1))
        candidates = choose_candidates(is_available, interactions, self.rules)
        place = np.full(len(events.users), -1, dtype=np.int32)
        place[positives.users] = np.arange(len(positives.users), dtype=np.int32)
        histories = gather_histories(
            place[events.user],
            events.item,
            candidates,
            keys=events.users.keys[positives.users],
            wanted=np.diff(positives.starts) * self.rules.ratio,
        )
        negatives = sample_negatives(histories, candidates, self.rules)
        return SampledRows(events.users, events.items, positives, negatives, candidates)

    def _evidence(self, rows: SampledRows, seen: EventTable, weights: Float64s) -> Evidence:
        starts, items = group_by_user(seen.user, seen.item, len(seen.users))

        def gather_range(first: int, last: int) -> Evidence:
            users = rows.positives.users[first:last]
            return count_evidence(rows.columns(first, last), users, starts, items, weights, self.rules.ratio)

        return sum((gather_range(*bounds) for bounds in rows.ranges()), gather_range(0, 0))


def _filter(events: EventTable, chosen: Bools) -> EventTable:
    columns = ("user", "item", "timestamp", "type_code", "rating")
    return replace(events, **{name: getattr(events, name)[chosen] for name in columns})


def _slices(count: int, pieces: int) -> list[tuple[int, int]]:
    """Split the catalog's indexes into pieces, given by their bounds."""
    bounds = [count * piece // pieces for piece in range(pieces + 1)]
    return list(pairwise(bounds))


def numbers_of(cached: CachedOutputs, pairs: PositivePairs, candidates: int) -> dict[str, int]:
    """The sums of `SampledRows.numbers` over all ranges."""
    counts = cached.report.counts
    sums = {name.removeprefix("numbers."): value for name, value in counts.items() if name.startswith("numbers.")}
    return {**sums, "candidates": candidates, "left_out_by_minimum": pairs.left_out_by_minimum}


def sum_draws(outputs: DataFrame, items: int, buckets: int) -> tuple[Int64s, Float64s]:
    """Sum `drawn` and `withheld` over all ranges, by catalog item."""
    summed = repartition_by_part(outputs.where(outputs["name"] == DRAWS), buckets).mapInArrow(
        PerPartition(_sum_draws_of_bucket), outputs.schema
    )
    drawn, withheld = np.zeros(items, dtype=np.int64), np.zeros(items, dtype=np.float64)
    slices = _slices(items, buckets)
    for part in collect_outputs(summed):
        [draws] = unpack(part.content)
        start, end = slices[part.part]
        drawn[start:end], withheld[start:end] = draws["drawn"].to_numpy(), draws["withheld"].to_numpy()
    return drawn, withheld


def _sum_draws_of_bucket(parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
    tables = [table for part in parts for table in unpack(part.content)]
    sums = {name: np.sum([table[name].to_numpy() for table in tables], axis=0) for name in ("drawn", "withheld")}
    yield TaskOutput(DRAWS, parts[0].part, parts[0].rows, pack(pa.table(sums)))


def gather_evidence(cached: CachedOutputs, items: int, buckets: int) -> Evidence:
    """Sum the evidence of all ranges, by catalog item."""
    drawn, withheld = sum_draws(cached.rows, items, buckets)
    scalars = {
        name.removeprefix("evidence."): value for name, value in cached.report.counts.items() if name.startswith("evid")
    }
    return Evidence(**scalars, drawn=drawn, withheld=withheld)


def check_shuffle(counts: Mapping[str, int], totals: WindowTotals, pairs: PositivePairs) -> list[Outcome]:
    """The ranges' totals equal those of the survey, so that their evidence covers all interactions.

    A user in two ranges counts in both.
    """
    return [
        Outcome(
            "every seen interaction is in one range of users",
            abs(counts["seen"] - totals.interactions),
            totals.interactions,
            _BUG,
        ),
        Outcome("no user is in two ranges", abs(counts["seen_by"] - totals.users), totals.users, _BUG, unit="users"),
        Outcome("every pair is in one range of users", abs(counts["pairs"] - pairs.count), pairs.count, _BUG),
    ]


_BUG = "This is a bug in the shuffle; please report it."
