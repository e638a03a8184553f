"""The three feature tables of a window: user features, item features and recent interactions.

`interactions/schema.py` documents each column's formula; `kernel` has the loops. Tables are Arrow, with ids as
dictionary codes: a row takes a few bytes however long the ids are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.interactions.features import kernel
from gata_assets.interactions.features.events import EventTable, Ids
from gata_assets.interactions.rules import RECENT_INTERACTIONS, InteractionType
from gata_assets.tables.columns.arrays import Float64s, Int32s, Int64s, UInt32s
from gata_assets.tables.columns.id_encoding import group_by

# By InteractionType: view, click, purchase, like, add_to_cart, dislike.
ENGAGEMENT_WEIGHTS = np.array([1, 2, 5, 3, 4, 0], dtype=np.uint64)

_INSTANT = pa.timestamp("us", "UTC")
_TYPES = len(InteractionType)


@dataclass(frozen=True)
class FeatureTables:
    """The tables `UserFeatures`, `ItemFeatures` and `RecentInteractions`, with one chunk per column.

    `item_counts` are the aggregates that item features were computed from, where they are of all users.
    """

    user_features: pa.Table
    item_features: pa.Table
    recent_interactions: pa.Table
    item_counts: ItemCounts | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ItemCounts:
    """Aggregates by item code over a group of users; those of disjoint groups can be added.

    `counts` has the columns of `kernel.count_by_item`, `ratings` the sums of ratings.
    """

    items: Ids
    counts: UInt32s
    ratings: Float64s
    unique_users: UInt32s


@dataclass(frozen=True)
class UserTables:
    """The tables with rows per user, and the aggregates of the same users by item."""

    user_features: pa.Table
    recent_interactions: pa.Table
    item_counts: ItemCounts


def make_features(events: EventTable, catalog: pl.DataFrame, *, before: datetime) -> FeatureTables:
    """Compute the features of a window's interactions.

    Args:
        events: The window's interactions.
        catalog: `item_id, category, price, available_at` as in CuratedItems; all its items have a code in `events`.
        before: The batch's start. Items available before it have a row even without an interaction.
    """
    user_tables = make_user_tables(events)
    return FeatureTables(
        user_features=user_tables.user_features,
        item_features=make_item_features(user_tables.item_counts, catalog, before=before),
        recent_interactions=user_tables.recent_interactions,
        item_counts=user_tables.item_counts,
    )


def make_user_tables(events: EventTable) -> UserTables:
    """Compute the user tables of a group of users, given all interactions of these users in the window."""
    # The loops release the GIL: independent ones run in parallel.
    with ThreadPoolExecutor(2) as pool:
        counted_items = pool.submit(
            kernel.count_by_item, events.item, events.type_code, events.rating, len(events.items)
        )
        by_user, user_ratings, last_at = kernel.count_by_user(
            events.user, events.timestamp, events.type_code, events.rating, len(events.users)
        )
        user_totals = by_user[:, :_TYPES].sum(axis=1, dtype=np.uint32)
        offsets, rows = group_by(events.user, np.arange(len(events), dtype=np.uint32), len(events.users))
        distinct = pool.submit(kernel.count_distinct, offsets, rows, events.item, len(events.items))
        ends, recent = kernel.choose_recent(
            offsets, rows, events.timestamp, events.item, events.type_code, events.rating, RECENT_INTERACTIONS
        )
        unique_items, unique_users = distinct.result()
        by_item, item_ratings = counted_items.result()
    del rows, distinct
    recent_items = encoded(events.item[recent], events.items)
    days = by_user[:, kernel.DAYS]
    user_features = {
        "user_id": events.users.ids.to_arrow(),
        "total_interactions": user_totals,
        "unique_items": unique_items,
        "avg_rating": ratio(user_ratings, by_user[:, kernel.RATED]),
        "last_interaction": pa.array(last_at, pa.int64()).cast(_INSTANT),
        # Arrow requires contiguous columns.
        "days_active": np.ascontiguousarray(days),
        "interactions_per_day": ratio(user_totals, days),
        **{f"num_{kind}s": np.ascontiguousarray(by_user[:, kind.code]) for kind in InteractionType},
        "conversion_rate": ratio(by_user[:, InteractionType.PURCHASE.code], user_totals),
        "recent_items": pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), recent_items),
    }
    return UserTables(
        user_features=pa.table(user_features),
        recent_interactions=_recent_interactions(events, ends, recent, recent_items),
        item_counts=ItemCounts(events.items, by_item, item_ratings, unique_users),
    )


def make_item_features(item_counts: ItemCounts, catalog: pl.DataFrame, *, before: datetime) -> pa.Table:
    """Compute item features from all users' aggregates; `catalog` and `before` as in `make_features`."""
    counts, ratings, unique_users = item_counts.counts, item_counts.ratings, item_counts.unique_users
    totals = counts[:, :_TYPES].sum(axis=1, dtype=np.uint32)
    known = look_up_items(item_counts.items, catalog, before=before)
    # Catalog items that are neither available yet nor have an interaction get no row.
    kept = np.flatnonzero((totals > 0) | known["is_available"].to_numpy())
    known, counts, totals = known[kept], counts[kept], totals[kept]
    weights = counts[:, :_TYPES].astype(np.uint64) @ ENGAGEMENT_WEIGHTS
    largest = np.full(len(totals), totals.max(initial=0))
    return pa.table(
        {
            "item_id": known["item_id"].to_arrow(),
            "total_interactions": totals,
            "unique_users": unique_users[kept],
            "avg_rating": ratio(ratings[kept], counts[:, kernel.RATED]),
            "popularity_score": ratio(totals, largest),
            "engagement_score": ratio(weights, totals),
            "purchase_rate": ratio(counts[:, InteractionType.PURCHASE.code], totals),
            "click_through_rate": ratio(counts[:, InteractionType.CLICK.code], counts[:, InteractionType.VIEW.code]),
            "category": known["category"].to_arrow(),
            "price": known["price"].to_arrow(),
        }
    )


def look_up_items(items: Ids, catalog: pl.DataFrame, *, before: datetime) -> pl.DataFrame:
    """Join encoded items to the catalog.

    Args:
        items: The items with codes.
        catalog: `item_id, category, price, available_at` as in CuratedItems.
        before: The batch's start. An item is available if the catalog has it with an `available_at` before this
            instant, or without one.

    Returns:
        One row per item in the order of the codes: `item_id, category, price, is_available`.
    """
    known = catalog.select(
        "item_id",
        "category",
        "price",
        is_available=pl.col("available_at").is_null() | (pl.col("available_at") < before),
    )
    encoded = items.ids.rename("item_id").to_frame()
    return encoded.join(known, on="item_id", how="left", maintain_order="left").with_columns(
        pl.col("is_available").fill_null(value=False)
    )


def _recent_interactions(events: EventTable, ends: Int64s, recent: UInt32s, items: pa.DictionaryArray) -> pa.Table:
    lengths = np.diff(ends)
    types = pa.array([kind.value for kind in InteractionType], pa.large_string())
    rating = events.rating[recent]
    return pa.table(
        {
            "user_id": encoded(np.repeat(np.arange(len(lengths), dtype=np.int32), lengths), events.users),
            "position": (np.arange(len(recent)) - np.repeat(ends[:-1], lengths) + 1).astype(np.uint8),
            "item_id": items,
            "interaction_type": pa.DictionaryArray.from_arrays(events.type_code[recent].astype(np.int8), types),
            "timestamp": pa.array(events.timestamp[recent], pa.int64()).cast(_INSTANT),
            "rating": pa.array(rating, mask=np.isnan(rating)),
        }
    )


def ratio(numerators: NDArray[np.generic], denominators: NDArray[np.generic]) -> pa.Array:
    """Divide as Float64; null where the denominator is zero."""
    is_zero = denominators == 0
    return pa.array(numerators.astype(np.float64) / np.where(is_zero, 1, denominators), mask=is_zero)


def encoded(codes: Int32s, ids: Ids) -> pa.DictionaryArray:
    """A dictionary column of ids, given their codes."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), ids.ids.to_arrow())
