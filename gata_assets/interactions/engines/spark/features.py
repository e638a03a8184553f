"""Features on Spark: the compiled loops of the one-machine engine on each range of users, and sums over the ranges.

Users are whole in a range, so that their rows are finished there, and even an item's distinct users add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.interactions.engines.base import RECENT_INTERACTIONS, USER_FEATURES
from gata_assets.interactions.engines.polars import sources_of
from gata_assets.interactions.engines.spark.shuffle import Facts, events_of, frame_of, ids_frame, in_buckets
from gata_assets.interactions.engines.spark.tasks import (
    Part,
    PerPart,
    as_part,
    by_part,
    collect_parts,
    pack,
    report_of,
    unpack,
)
from gata_assets.interactions.features import kernel as feature_kernel
from gata_assets.interactions.features.checks import FEATURES_MATCH_THE_EVENTS, check_features
from gata_assets.interactions.features.events import EventTable, Ids
from gata_assets.interactions.features.tables import FeatureTables, ItemCounts, make_item_features, make_user_tables
from gata_assets.interactions.rules import InteractionType
from gata_assets.interactions.schema import ItemFeatures
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What the kernel gives besides parts of tables: what was done with items, by bucket of their keys.
ITEM_COUNTS = "item_counts"
_COUNTS = tuple(f"count_{column}" for column in range(feature_kernel.WIDTH))
_DEFECT = "This is a defect of the counting; please report it."

_NO_CATALOGUE = pl.DataFrame(
    schema={"item_id": pl.String, "category": pl.String, "price": pl.Float64, "available_at": pl.Datetime("us", "UTC")}
)


@dataclass(frozen=True)
class FeatureKernel:
    """Makes the users' tables of a range from its interactions, and what was done with items in it."""

    window: Window
    buckets: int

    def __call__(self, parts: Sequence[Part]) -> Iterator[Part]:
        """Everything that is made of a range: two tables, counts of items, and what is said of them."""
        return self.parts_of(parts[0].part, events_of(parts))

    def parts_of_nothing(self) -> Iterator[Part]:
        """The same where there are no interactions, and so no range."""
        return self.parts_of(0, events_of([]))

    def parts_of(self, part: int, events: EventTable) -> Iterator[Part]:
        """The same, of interactions."""
        made = make_user_tables(events)
        items = make_item_features(made.item_counts, _NO_CATALOGUE, before=self.window.end_at)
        tables = FeatureTables(made.user_features, items, made.recent_interactions)
        by_type = np.bincount(events.type_code, minlength=len(InteractionType))
        pairs = int(made.user_features["unique_items"].to_numpy().sum(dtype=np.int64))
        yield report_of(
            part,
            check_features(tables, events, self.window),
            {"pairs": pairs, **{f"type_{code}": int(count) for code, count in enumerate(by_type)}},
        )
        sources = sources_of(tables)
        for name in (USER_FEATURES, RECENT_INTERACTIONS):
            yield as_part(name, part, sources[name])
        for bucket, counts in in_buckets(_counts_frame(made.item_counts), "item_key", self.buckets).items():
            yield Part(ITEM_COUNTS, bucket, len(counts), pack(counts.to_arrow()), part)


def _counts_frame(made: ItemCounts) -> pl.DataFrame:
    return ids_frame("item", made.items).with_columns(
        **{name: pl.Series(made.counts[:, at]) for at, name in enumerate(_COUNTS)},
        ratings=pl.Series(made.ratings),
        users=pl.Series(made.unique_users),
    )


def sum_item_counts(held: DataFrame, buckets: int, catalogue: pl.DataFrame) -> ItemCounts:
    """What was done with each item by the users of all ranges; zero for an item of the catalogue without anything."""
    parts = by_part(held.where(held["name"] == ITEM_COUNTS), buckets).mapInArrow(PerPart(_add_up_counts), held.schema)
    known = {"item_id": pl.String, **dict.fromkeys(_COUNTS, pl.UInt32), "ratings": pl.Float64, "users": pl.UInt32}
    summed = pl.concat(
        [
            pl.DataFrame(schema=known),
            *(frame_of(table) for part in collect_parts(parts) for table in unpack(part.content)),
        ]
    )
    whole = (
        pl.concat([summed.select("item_id"), catalogue.select("item_id")])
        .unique()
        .join(summed, on="item_id", how="left")
        .fill_null(0)
        .sort("item_id")
    )
    return ItemCounts(
        Ids(whole["item_id"], hash_ids(whole["item_id"]).to_numpy()),
        np.ascontiguousarray(whole.select(_COUNTS).to_numpy().astype(np.uint32).reshape(-1, len(_COUNTS))),
        whole["ratings"].to_numpy(),
        whole["users"].to_numpy(),
    )


def _add_up_counts(parts: Sequence[Part]) -> Iterator[Part]:
    """The sums of a bucket, in the order of the ranges: a sum of ratings is the same at every run."""
    rows = pl.concat([frame_of(table) for part in parts for table in unpack(part.content)])
    sums = rows.group_by("item_id", maintain_order=True).agg(pl.col(*_COUNTS, "ratings", "users").sum())
    yield Part(ITEM_COUNTS, parts[0].part, len(sums), pack(sums.to_arrow()))


def check_ranges(counted: Mapping[str, int], users: int, facts: Facts) -> list[Outcome]:
    """Every interaction of the window is in one range, and every user in one alone."""
    missing = sum(abs(counted[f"type_{code}"] - count) for code, count in enumerate(facts.by_type))
    return [
        Outcome("every interaction is in one range of users", missing, facts.total, _DEFECT),
        Outcome("every user has one row", abs(users - facts.users), facts.users, _DEFECT, unit="users"),
    ]


def check_items(items: pa.Table, facts: Facts, pairs: int) -> dict[str, list[Outcome]]:
    """What is held against item features, by check: their schema, and what was counted apart from ranges."""

    def equal(rule: str, found: int, expected: int, unit: str = "rows") -> Outcome:
        return Outcome(rule, abs(found - expected), expected, _DEFECT, unit=unit)

    totals = items["total_interactions"].to_numpy().astype(np.int64)
    users = items["unique_users"].to_numpy().astype(np.int64)
    averages = items["avg_rating"]
    return {
        "item_features_are_valid": check_arrow_tables(ItemFeatures.to_schema(), [items]),
        FEATURES_MATCH_THE_EVENTS: [
            equal("every item with an interaction has a row", int((totals > 0).sum()), facts.items, unit="items"),
            equal("interactions of items sum to all", int(totals.sum()), facts.total),
            equal("users of items and items of users are as many pairs", int(users.sum()), pairs, unit="pairs"),
            equal("items with a rating have an average", len(averages) - averages.null_count, facts.rated_items),
        ],
    }
