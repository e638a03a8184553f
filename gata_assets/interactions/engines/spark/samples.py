"""Training rows on Spark: the compiled loops on each range of users, after the k-core over all ranges is known.

A range has all seen items of its users, so that the draws equal those of the single-machine engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.interactions.check_names import NOTHING_AFTER_THE_BATCH, WITH_FEATURES_ARE_VALID
from gata_assets.interactions.engines.base import NEGATIVE_SAMPLES, WITH_FEATURES
from gata_assets.interactions.engines.polars import row_sources
from gata_assets.interactions.engines.spark.positives import PositivePairs
from gata_assets.interactions.engines.spark.shuffle import FEATURES, events_of
from gata_assets.interactions.engines.spark.survey import WindowTotals
from gata_assets.interactions.engines.spark.task_outputs import (
    TaskOutput,
    pack_buckets,
    report_of,
    table_output,
    unpack,
)
from gata_assets.interactions.engines.spark.tasks import CachedOutputs, sum_rows
from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling.candidates import choose_candidates
from gata_assets.interactions.sampling.checks import check_times, split_rows
from gata_assets.interactions.sampling.evidence import Evidence, gather_evidence, weigh_items
from gata_assets.interactions.sampling.join import JoinedRows, check_features_of_users
from gata_assets.interactions.sampling.positives import choose_positives
from gata_assets.interactions.sampling.samples import draw_rows
from gata_assets.interactions.tables import SPECS
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.columns.arrays import Bools, Int64s, UInt64s
from gata_assets.tables.outcomes import Outcome

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

    def __call__(self, part: int, parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
        """A range's outputs: a report, rows and draws by catalog item."""
        features = [table for output in parts if output.name == FEATURES for table in unpack(output.content)]
        users = pa.concat_tables(
            [self.user_schema.empty_table(), *(table.cast(self.user_schema) for table in features)]
        )
        events = events_of(parts, self.catalog.items)
        places = self.catalog.places(events)
        is_available = np.zeros(len(events.items), dtype=np.bool_)
        is_available[places] = self.catalog.is_available
        interactions = np.zeros(len(events.items), dtype=np.int64)
        interactions[places] = self.catalog.interactions
        # Items below the minimum are known, so users below it follow from their own rows.
        positives = choose_positives(
            events,
            first=int(np.searchsorted(events.timestamp, self.start)),
            rules=replace(self.rules, min_interactions_per_item=1),
            below_minimum=np.isin(events.items.keys, self.items_below_minimum),
        )
        candidates = choose_candidates(is_available, interactions, self.rules)
        rows = draw_rows(events, positives, candidates, self.rules)
        weights = weigh_items(interactions, is_available, self.rules)
        evidence = gather_evidence(events, rows, weights, self.rules.ratio)
        joined = JoinedRows(rows, users, self.item_features)
        yield report_of(
            part,
            {
                NEGATIVE_SAMPLES: {
                    "negative_samples_are_valid": check_arrow_tables(SPECS["negative_samples"], split_rows(rows)),
                    NOTHING_AFTER_THE_BATCH: check_times(events.timestamp, self.end, evidence),
                },
                WITH_FEATURES: {WITH_FEATURES_ARE_VALID: check_features_of_users(users)},
            },
            {
                "seen": len(events),
                "seen_by": len(events.users),
                "pairs": len(rows.positives.items) + rows.positives.left_out_by_maximum,
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
        draws = pl.DataFrame({"drawn": evidence.drawn[places], "withheld": evidence.withheld[places]})
        yield from pack_buckets(DRAWS, draws.with_row_index("place"), "place", self.buckets, part)


def numbers_of(cached: CachedOutputs, pairs: PositivePairs, candidates: int) -> dict[str, int]:
    """The sums of `SampledRows.numbers` over all ranges; without rows, also how large the largest are."""
    counts = cached.report.counts
    sums = {name.removeprefix("numbers."): value for name, value in counts.items() if name.startswith("numbers.")}
    return {**sums, "candidates": candidates, "left_out_by_minimum": pairs.left_out_by_minimum, **pairs.largest}


def sum_evidence(cached: CachedOutputs, items: int, buckets: int) -> Evidence:
    """Sum the evidence of all ranges, by catalog item."""
    values = {"drawn": pl.Int64, "withheld": pl.Float64}
    draws = sum_rows(cached.rows, DRAWS, buckets, by={"place": pl.UInt32}, values=values).sort("place")
    if draws.is_empty():
        draws = pl.DataFrame({name: np.zeros(items) for name in values}, schema=values)
    scalars = {
        name.removeprefix("evidence."): value
        for name, value in cached.report.counts.items()
        if name.startswith("evidence.")
    }
    return Evidence(**scalars, drawn=draws["drawn"].to_numpy(), withheld=draws["withheld"].to_numpy())


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
