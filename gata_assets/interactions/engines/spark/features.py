"""Features on Spark: the single-machine engine's loops on each range of users, and sums over the ranges.

A user's interactions are all in one range, so that the user's rows are final and an item's distinct users can be added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.interactions.check_names import FEATURES_MATCH_THE_EVENTS
from gata_assets.interactions.engines.base import RECENT_INTERACTIONS, USER_FEATURES
from gata_assets.interactions.engines.polars import feature_sources
from gata_assets.interactions.engines.spark.shuffle import events_of, ids_frame
from gata_assets.interactions.engines.spark.survey import WindowTotals
from gata_assets.interactions.engines.spark.task_outputs import TaskOutput, pack_buckets, report_of, table_output
from gata_assets.interactions.engines.spark.tasks import sum_rows
from gata_assets.interactions.features import kernel as feature_kernel
from gata_assets.interactions.features.checks import check_features, equal
from gata_assets.interactions.features.events import Ids
from gata_assets.interactions.features.tables import FeatureTables, ItemCounts, make_item_features, make_user_tables
from gata_assets.interactions.rules import InteractionType
from gata_assets.interactions.tables import SPECS
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# The kernel's output besides tables: aggregates by item, by bucket of the item keys.
ITEM_COUNTS = "item_counts"
_COUNTS = tuple(f"count_{column}" for column in range(feature_kernel.WIDTH))
_BUG = "This is a bug in the feature computation; please report it."

_NO_CATALOG = pl.DataFrame(
    schema={"item_id": pl.String, "category": pl.String, "price": pl.Float64, "available_at": pl.Datetime("us", "UTC")}
)


@dataclass(frozen=True)
class FeatureKernel:
    """Builds a range's user tables, and its aggregates by item."""

    window: Window
    buckets: int

    def __call__(self, part: int, parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
        """A range's outputs: a report, two tables and aggregates by item."""
        events = events_of(parts)
        user_tables = make_user_tables(events)
        items = make_item_features(user_tables.item_counts, _NO_CATALOG, before=self.window.end_at)
        tables = FeatureTables(user_tables.user_features, items, user_tables.recent_interactions)
        by_type = np.bincount(events.type_code, minlength=len(InteractionType))
        pairs = int(user_tables.user_features["unique_items"].to_numpy().sum(dtype=np.int64))
        yield report_of(
            part,
            check_features(tables, events, self.window),
            {"pairs": pairs, **{f"type_{code}": int(count) for code, count in enumerate(by_type)}},
        )
        sources = feature_sources(tables)
        for name in (USER_FEATURES, RECENT_INTERACTIONS):
            yield table_output(name, part, sources[name])
        item_counts = user_tables.item_counts
        counts = ids_frame("item", item_counts.items).with_columns(
            **{name: pl.Series(item_counts.counts[:, at]) for at, name in enumerate(_COUNTS)},
            ratings=pl.Series(item_counts.ratings),
            users=pl.Series(item_counts.unique_users),
        )
        yield from pack_buckets(ITEM_COUNTS, counts, "item_key", self.buckets, part)


def sum_item_counts(outputs: DataFrame, buckets: int, catalog: pl.DataFrame) -> ItemCounts:
    """Sum the aggregates by item over all ranges; zero for a catalog item without interactions."""
    values = {**dict.fromkeys(_COUNTS, pl.UInt32), "ratings": pl.Float64, "users": pl.UInt32}
    summed = sum_rows(outputs, ITEM_COUNTS, buckets, by={"item_id": pl.String, "item_key": pl.UInt64}, values=values)
    ids = pl.concat([summed.select("item_id", "item_key"), catalog.select("item_id", "item_key")]).unique()
    items = ids.join(summed, on=["item_id", "item_key"], how="left").fill_null(0).sort("item_id")
    return ItemCounts(
        Ids(items["item_id"], items["item_key"].to_numpy()),
        np.ascontiguousarray(items.select(_COUNTS).to_numpy().astype(np.uint32).reshape(-1, len(_COUNTS))),
        items["ratings"].to_numpy(),
        items["users"].to_numpy(),
    )


def check_ranges(counts: Mapping[str, int], users: int, totals: WindowTotals) -> list[Outcome]:
    """Every interaction of the window is in a range, and no user is in two."""
    missing = sum(abs(counts[f"type_{code}"] - count) for code, count in enumerate(totals.by_type))
    return [
        Outcome("every interaction is in one range of users", missing, totals.interactions, _BUG),
        Outcome("every user has one row", abs(users - totals.users), totals.users, _BUG, unit="users"),
    ]


def check_items(items: pa.Table, totals: WindowTotals, pairs: int) -> dict[str, Sequence[Outcome]]:
    """Check item features against their schema and the survey's totals; returns outcomes by check."""
    interactions = items["total_interactions"].to_numpy().astype(np.int64)
    users = items["unique_users"].to_numpy().astype(np.int64)
    averages = items["avg_rating"]
    return {
        "item_features_are_valid": check_arrow_tables(SPECS["item_features"], [items]),
        FEATURES_MATCH_THE_EVENTS: [
            equal(
                "every item with an interaction has a row", int((interactions > 0).sum()), totals.items, unit="items"
            ),
            equal("the items' interactions sum to the total", int(interactions.sum()), totals.interactions),
            equal(
                "the items' users and the users' items are the same number of pairs", int(users.sum()), pairs, "pairs"
            ),
            equal("items with a rating have an average", len(averages) - averages.null_count, totals.rated_items),
        ],
    }
