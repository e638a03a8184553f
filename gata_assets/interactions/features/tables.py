"""What users did and what was done with items in a window: the three tables of features.

Every formula stands in the column's description in `schemas/interactions.py`, and the loops in `feature_kernel`.
Tables are Arrow's, with ids as dictionaries of codes: a row takes a few bytes however long the ids are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.interactions.features import kernel as kernel
from gata_assets.interactions.features.events import EventTable, Ids
from gata_assets.interactions.features.items import look_up_items
from gata_assets.interactions.rules import RECENT_INTERACTIONS, InteractionType

# By InteractionType: view, click, purchase, like, add_to_cart, dislike.
ENGAGEMENT_WEIGHTS = np.array([1, 2, 5, 3, 4, 0], dtype=np.uint64)

_INSTANT = pa.timestamp("us", "UTC")
_TYPES = len(InteractionType)


@dataclass(frozen=True)
class FeatureTables:
    """The tables of `UserFeatures`, `ItemFeatures` and `RecentInteractions`, each in one piece."""

    user_features: pa.Table
    item_features: pa.Table
    recent_interactions: pa.Table


@dataclass(frozen=True)
class ItemCounts:
    """What was done with items, by any group of users; what groups without a common user did adds up.

    `counts` has the columns of `feature_kernel` (without days), `ratings` is the sum of the ratings; by item code.
    """

    items: Ids
    counts: NDArray[np.uint32]
    ratings: NDArray[np.float64]
    unique_users: NDArray[np.uint32]


@dataclass(frozen=True)
class UserTables:
    """The tables that have a user's rows, and what the users did with items."""

    user_features: pa.Table
    recent_interactions: pa.Table
    item_counts: ItemCounts


def make_features(events: EventTable, catalogue: pl.DataFrame, *, before: datetime) -> FeatureTables:
    """Work out the features of a window's interactions.

    `catalogue` has `item_id, category, price, available_at` as in CuratedItems, of items that all have a code;
    those available before `before` have a row among the items even without an interaction.
    """
    made = make_user_tables(events)
    return FeatureTables(
        user_features=made.user_features,
        item_features=make_item_features(made.item_counts, catalogue, before=before),
        recent_interactions=made.recent_interactions,
    )


def make_user_tables(events: EventTable) -> UserTables:
    """Work out the features of the users of some interactions, which are all that these users have in the window."""
    # The loops hold no lock of Python's: what does not wait for another runs beside it.
    with ThreadPoolExecutor(2) as pool:
        of_items = pool.submit(kernel.count_by_item, events.item, events.type_code, events.rating, len(events.items))
        by_user, user_ratings, last_at = kernel.count_by_user(
            events.user, events.timestamp, events.type_code, events.rating, len(events.users)
        )
        user_totals = by_user[:, :_TYPES].sum(axis=1, dtype=np.uint32)
        offsets, rows = kernel.group_by_user(events.user, user_totals)
        distinct = pool.submit(kernel.count_distinct, offsets, rows, events.item, len(events.items))
        ends, recent = kernel.choose_recent(
            offsets, rows, events.timestamp, events.item, events.type_code, events.rating, RECENT_INTERACTIONS
        )
        unique_items, unique_users = distinct.result()
        by_item, item_ratings = of_items.result()
    del rows, distinct
    recent_items = coded(events.item[recent], events.items)
    return UserTables(
        user_features=_user_features(
            events.users, by_user, user_totals, unique_items, user_ratings, last_at, list_of(ends, recent_items)
        ),
        recent_interactions=_recent_interactions(events, ends, recent, recent_items),
        item_counts=ItemCounts(events.items, by_item, item_ratings, unique_users),
    )


def _user_features(
    users: Ids,
    counts: NDArray[np.uint32],
    totals: NDArray[np.uint32],
    unique_items: NDArray[np.uint32],
    ratings: NDArray[np.float64],
    last_at: NDArray[np.int64],
    recent_items: pa.Array,
) -> pa.Table:
    days = counts[:, kernel.DAYS]
    return pa.table(
        {
            "user_id": users.ids.to_arrow(),
            "total_interactions": totals,
            "unique_items": unique_items,
            "avg_rating": ratio(ratings, counts[:, kernel.RATED]),
            "last_interaction": pa.array(last_at, pa.int64()).cast(_INSTANT),
            "days_active": _copy(days),
            "interactions_per_day": ratio(totals, days),
            "num_views": _copy(counts[:, InteractionType.VIEW.code]),
            "num_clicks": _copy(counts[:, InteractionType.CLICK.code]),
            "num_purchases": _copy(counts[:, InteractionType.PURCHASE.code]),
            "num_likes": _copy(counts[:, InteractionType.LIKE.code]),
            "num_add_to_carts": _copy(counts[:, InteractionType.ADD_TO_CART.code]),
            "num_dislikes": _copy(counts[:, InteractionType.DISLIKE.code]),
            "conversion_rate": ratio(counts[:, InteractionType.PURCHASE.code], totals),
            "recent_items": recent_items,
        }
    )


def make_item_features(made: ItemCounts, catalogue: pl.DataFrame, *, before: datetime) -> pa.Table:
    """Work out the features of items from all that was done with them; catalogue and `before` as in `make_features`."""
    counts, ratings, unique_users = made.counts, made.ratings, made.unique_users
    totals = counts[:, :_TYPES].sum(axis=1, dtype=np.uint32)
    known = look_up_items(made.items, catalogue, before=before)
    # Items that are in no row: of the catalogue, not yet to be seen, and without an interaction.
    kept = np.flatnonzero((totals > 0) | known["is_available"].to_numpy())
    known, counts, totals = known[kept], counts[kept], totals[kept]
    weights = counts[:, :_TYPES].astype(np.uint64) @ ENGAGEMENT_WEIGHTS
    most = np.full(len(totals), totals.max(initial=0))
    return pa.table(
        {
            "item_id": known["item_id"].to_arrow(),
            "total_interactions": totals,
            "unique_users": unique_users[kept],
            "avg_rating": ratio(ratings[kept], counts[:, kernel.RATED]),
            "popularity_score": ratio(totals, most),
            "engagement_score": ratio(weights, totals),
            "purchase_rate": ratio(counts[:, InteractionType.PURCHASE.code], totals),
            "click_through_rate": ratio(counts[:, InteractionType.CLICK.code], counts[:, InteractionType.VIEW.code]),
            "category": known["category"].to_arrow(),
            "price": known["price"].to_arrow(),
        }
    )


def _recent_interactions(
    events: EventTable, ends: NDArray[np.int64], recent: NDArray[np.uint32], items: pa.DictionaryArray
) -> pa.Table:
    lengths = np.diff(ends)
    types = pa.array([kind.value for kind in InteractionType], pa.large_string())
    rating = events.rating[recent]
    return pa.table(
        {
            "user_id": coded(np.repeat(np.arange(len(lengths), dtype=np.int32), lengths), events.users),
            "position": (np.arange(len(recent)) - np.repeat(ends[:-1], lengths) + 1).astype(np.uint8),
            "item_id": items,
            "interaction_type": pa.DictionaryArray.from_arrays(events.type_code[recent].astype(np.int8), types),
            "timestamp": pa.array(events.timestamp[recent], pa.int64()).cast(_INSTANT),
            "rating": pa.array(rating, mask=np.isnan(rating)),
        }
    )


def ratio(numerators: NDArray[np.generic], denominators: NDArray[np.generic]) -> pa.Array:
    """The quotients as Float64; null where the denominator is zero."""
    is_zero = denominators == 0
    return pa.array(numerators.astype(np.float64) / np.where(is_zero, 1, denominators), mask=is_zero)


def coded(codes: NDArray[np.int32], ids: Ids) -> pa.DictionaryArray:
    """Ids by their codes."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), ids.ids.to_arrow())


def list_of(offsets: NDArray[np.int64], values: pa.Array) -> pa.ListArray:
    """Lists that stand one after another in `values`; an offset more than there are lists."""
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def _copy(column: NDArray[np.uint32]) -> NDArray[np.uint32]:
    # Arrow takes columns that lie in one piece.
    return np.ascontiguousarray(column)
