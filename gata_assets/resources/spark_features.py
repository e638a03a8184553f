"""Features on Spark: the compiled loops of the one-machine engine on each range of users, and sums over the ranges.

Users are whole in a range, so that their rows are finished there, and even an item's distinct users add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.core import feature_kernel
from gata_assets.core.event_table import EventTable, Ids, code_events
from gata_assets.core.feature_quality import FEATURES_MATCH_THE_EVENTS, check_features
from gata_assets.core.features import FeatureTables, ItemCounts, make_item_features, make_user_tables
from gata_assets.core.id_keys import key_ids
from gata_assets.core.interaction_rules import InteractionType
from gata_assets.core.outcomes import Outcome
from gata_assets.core.table_rules import check_arrow_tables
from gata_assets.resources.interaction_engine import RECENT_INTERACTIONS, USER_FEATURES
from gata_assets.resources.polars_engine import sources_of
from gata_assets.resources.spark_parts import Part, as_batch, as_part, pack, report_of, unpack
from gata_assets.resources.spark_tables import UserFacts, frame_of, require_own_keys
from gata_assets.schemas.interactions import ItemFeatures

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What the kernel gives besides parts of tables: what was done with items, as rows of ITEM_COUNTS_COLUMNS.
ITEM_COUNTS = "item_counts"
_COUNTS = tuple(f"count_{column}" for column in range(feature_kernel.WIDTH))
_ITEM_COUNTS_DDL = f"item_id string, {', '.join(f'{name} bigint' for name in _COUNTS)}, ratings double, users bigint"
_DEFECT = "This is a defect of the counting; please report it."

_NO_CATALOGUE = pl.DataFrame(
    schema={"item_id": pl.String, "category": pl.String, "price": pl.Float64, "available_at": pl.Datetime("us", "UTC")}
)

# The columns of interactions, as they come to a kernel.
NO_EVENTS = pl.DataFrame(
    schema={
        "user_id": pl.String,
        "item_id": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "type_code": pl.Int16,
        "rating": pl.Float32,
    }
)


@dataclass(frozen=True)
class FeatureKernel:
    """Makes the users' tables of a range from its interactions, and what was done with items in it."""

    window: Window

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow, from the columns of EVENTS and `part` to PARTS."""
        held = [batch for batch in batches if batch.num_rows]
        if held:
            rows = pa.Table.from_batches(held)
            events = code_rows(rows)
            yield from map(as_batch, self.parts_of(rows["part"][0].as_py(), events))

    def parts_of(self, part: int, events: EventTable) -> Iterator[Part]:
        """Everything that is made of a range's interactions: two tables, counts of items, and what is said of them."""
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
        yield pack(ITEM_COUNTS, part, _counts_table(made.item_counts))

    def parts_of_nothing(self) -> Iterator[Part]:
        """The same where there are no interactions, and so no range."""
        return self.parts_of(0, code_rows(NO_EVENTS.to_arrow()))


def code_rows(rows: pa.Table, items: pl.DataFrame | None = None) -> EventTable:
    """Interactions (the columns of EVENTS) with codes; `items` (`item_id, item_key`) are those that get one anyway."""
    events = pl.from_arrow(rows.select(["user_id", "item_id", "timestamp", "type_code", "rating"]))
    assert isinstance(events, pl.DataFrame)
    events = events.with_columns(
        user_key=key_ids(events["user_id"]),
        item_key=key_ids(events["item_id"]),
        type_code=pl.col("type_code").cast(pl.UInt8),
    )
    known = events.select("item_id", "item_key").unique()
    return code_events(
        events, events.select("user_id", "user_key").unique(), known if items is None else pl.concat([items, known])
    )


def _counts_table(made: ItemCounts) -> pa.Table:
    columns = {name: made.counts[:, at].astype(np.int64) for at, name in enumerate(_COUNTS)}
    return pa.table(
        {
            "item_id": made.items.ids.to_arrow().cast(pa.string()),
            **columns,
            "ratings": made.ratings,
            "users": made.unique_users.astype(np.int64),
        }
    )


def sum_item_counts(held: DataFrame, catalogue: pl.DataFrame) -> ItemCounts:
    """What was done with each item by the users of all ranges; zero for an item of the catalogue without anything."""
    from pyspark.sql import functions as sf

    rows = held.mapInArrow(partial(unpack, ITEM_COUNTS), _ITEM_COUNTS_DDL)
    sums = [sf.sum(name).alias(name) for name in (*_COUNTS, "ratings", "users")]
    summed = frame_of(rows.groupBy("item_id").agg(*sums))
    whole = (
        pl.concat([summed.select("item_id"), catalogue.select("item_id")])
        .unique()
        .join(summed, on="item_id", how="left")
        .fill_null(0)
        .sort("item_id")
    )
    return ItemCounts(
        Ids(whole["item_id"], key_ids(whole["item_id"]).to_numpy()),
        np.ascontiguousarray(whole.select(_COUNTS).to_numpy().astype(np.uint32).reshape(-1, len(_COUNTS))),
        whole["ratings"].cast(pl.Float64).to_numpy(),
        whole["users"].to_numpy().astype(np.uint32),
    )


def count_items(events: DataFrame) -> tuple[int, int]:
    """The distinct items of interactions, and how many of them have a rating, as Spark counts them, apart from ranges.

    Raises DataRuleError where two items have one key.
    """
    from pyspark.sql import functions as sf

    items = frame_of(events.groupBy("item_id").agg(sf.count("rating").alias("ratings")))
    require_own_keys("item", len(items), key_ids(items["item_id"]).n_unique())
    return len(items), int((items["ratings"] > 0).sum())


def check_ranges(counted: Mapping[str, int], users: int, facts: UserFacts) -> list[Outcome]:
    """Every interaction of the window is in one range, and every user in one alone."""
    missing = sum(abs(counted[f"type_{code}"] - count) for code, count in enumerate(facts.by_type))
    return [
        Outcome("every interaction is in one range of users", missing, facts.total, _DEFECT),
        Outcome("every user has one row", abs(users - facts.users), facts.users, _DEFECT, unit="users"),
    ]


def check_items(items: pa.Table, facts: UserFacts, pairs: int, *, met: int, rated: int) -> dict[str, list[Outcome]]:
    """What is held against item features, by check: their schema, and what Spark counted (`met`, `rated`: items)."""

    def equal(rule: str, found: int, expected: int, unit: str = "rows") -> Outcome:
        return Outcome(rule, abs(found - expected), expected, _DEFECT, unit=unit)

    totals = items["total_interactions"].to_numpy().astype(np.int64)
    users = items["unique_users"].to_numpy().astype(np.int64)
    averages = items["avg_rating"]
    return {
        "item_features_are_valid": check_arrow_tables(ItemFeatures.to_schema(), [items]),
        FEATURES_MATCH_THE_EVENTS: [
            equal("every item with an interaction has a row", int((totals > 0).sum()), met, unit="items"),
            equal("interactions of items sum to all", int(totals.sum()), facts.total),
            equal("users of items and items of users are as many pairs", int(users.sum()), pairs, unit="pairs"),
            equal("items with a rating have an average", len(averages) - averages.null_count, rated),
        ],
    }
