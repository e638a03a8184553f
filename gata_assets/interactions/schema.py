"""The tables of the interaction pipeline: curated interactions and items, features and training rows.

A model defines columns, types and rules. Every formula is written once, in the description of its column; a ratio with
a zero denominator is null. Instants are UTC, in microseconds.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Annotated

import pandera.polars as pa
import polars as pl

from gata_assets.interactions.rules import InteractionType

INTERACTION_TYPES = tuple(kind.value for kind in InteractionType)

Instant = Annotated[pl.Datetime, "us", "UTC"]


class _Exact(pa.DataFrameModel):
    class Config:
        """Exactly the model's columns, in its order."""

        strict = True
        ordered = True


class CuratedInteractions(_Exact):
    """What users did with items on one day (UTC): one row an interaction, by time, then user, item and type."""

    user_id: str = pa.Field(
        str_length={"min_value": 1},
        description="The user, as the tenant names them.",
        metadata={"personal": True, "subject": True},
    )
    item_id: str = pa.Field(
        str_length={"min_value": 1},
        description="The item, as the tenant names it.",
        metadata={"references": "items.item_id"},
    )
    interaction_type: str = pa.Field(
        isin=INTERACTION_TYPES,
        description="What the user did.",
        metadata={"rules": {"given": "interaction_type_is_known"}},
    )
    timestamp: Instant = pa.Field(description="When, in UTC.", metadata={"rules": {"given": "timestamp_is_iso_8601"}})
    rating: pl.Float32 = pa.Field(
        nullable=True,
        ge=1,
        le=5,
        description="The user's rating, 1 to 5, where given.",
        metadata={"rules": {"type": "rating_is_1_to_5"}},
    )
    device_type: str = pa.Field(
        nullable=True, description="On what device, where given.", metadata={"within": "context"}
    )
    location: str = pa.Field(nullable=True, description="Where, where given.", metadata={"within": "context"})
    session_id: str = pa.Field(
        nullable=True, description="In which session, where given.", metadata={"within": "context"}
    )
    type_code: pl.UInt8 = pa.Field(
        lt=len(INTERACTION_TYPES),
        description="The type as a number, in the order above.",
        metadata={"code_of": "interaction_type"},
    )
    user_key: pl.UInt64 = pa.Field(
        description="XXH64 of user_id in UTF-8, seed 42.", metadata={"key_of": "user_id", "personal": True}
    )
    item_key: pl.UInt64 = pa.Field(description="XXH64 of item_id in UTF-8, seed 42.", metadata={"key_of": "item_id"})

    class Config:
        name = "curated_interactions"
        metadata = {  # noqa: RUF012
            "table": "interactions",
            "event_time": "timestamp",
            "partition_by": "day",
            "unknown_columns": "reject_row",
            "avro": {"name": "Interaction", "namespace": "com.embeddings.saas", "plain_instants": ["timestamp"]},
        }


class CuratedItems(_Exact):
    """The catalog: the latest row of each item, by item_id."""

    item_id: str = pa.Field(unique=True, str_length={"min_value": 1}, description="The item, as the tenant names it.")
    title: str = pa.Field(str_length={"min_value": 1}, description="Its title.")
    category: str = pa.Field(nullable=True, description="Its category, where given.")
    price: float = pa.Field(nullable=True, ge=0, description="Its price, where given.")
    brand: str = pa.Field(nullable=True, description="Its brand, where given.")
    description: str = pa.Field(nullable=True, description="What is said of it, where given.")
    available_at: Instant = pa.Field(
        nullable=True,
        description="From when it could be seen; null: always.",
        metadata={"instants": ["iso8601", "day"]},
    )
    item_key: pl.UInt64 = pa.Field(description="XXH64 of item_id in UTF-8, seed 42.", metadata={"key_of": "item_id"})

    class Config:
        name = "curated_items"
        metadata = {  # noqa: RUF012
            "table": "items",
            "key": ["item_id"],
            "repetitions": "latest",
            "unknown_columns": "reject_row",
            "avro": {"name": "Item", "namespace": "com.embeddings.saas"},
        }


class UserFeatures(_Exact):
    """What users did in the window: one row a user with an interaction, by user_id."""

    user_id: str = pa.Field(unique=True, description="The user.")
    total_interactions: pl.UInt32 = pa.Field(ge=1, description="Interactions in the window.")
    unique_items: pl.UInt32 = pa.Field(ge=1, description="Distinct items among them.")
    avg_rating: float = pa.Field(nullable=True, ge=1, le=5, description="Mean of the ratings; null without one.")
    last_interaction: Instant = pa.Field(description="When the last one was.")
    days_active: pl.UInt32 = pa.Field(ge=1, description="Distinct days (UTC) with an interaction.")
    interactions_per_day: float = pa.Field(ge=1, description="total_interactions / days_active.")
    num_views: pl.UInt32 = pa.Field(description="Interactions of type view.")
    num_clicks: pl.UInt32 = pa.Field(description="Interactions of type click.")
    num_purchases: pl.UInt32 = pa.Field(description="Interactions of type purchase.")
    num_likes: pl.UInt32 = pa.Field(description="Interactions of type like.")
    num_add_to_carts: pl.UInt32 = pa.Field(description="Interactions of type add_to_cart.")
    num_dislikes: pl.UInt32 = pa.Field(description="Interactions of type dislike.")
    conversion_rate: float = pa.Field(ge=0, le=1, description="num_purchases / total_interactions.")
    recent_items: pl.List = pa.Field(
        dtype_kwargs={"inner": pl.String()},
        description="Items of the last 50 interactions, newest first (ties: by item_id), repeated as they occur.",
    )

    class Config:
        name = "user_features"


class ItemFeatures(_Exact):
    """What was done with items in the window: one row an item of it or of the catalog before B, by item_id."""

    item_id: str = pa.Field(unique=True, description="The item.")
    total_interactions: pl.UInt32 = pa.Field(description="Interactions in the window; 0 for an item without one.")
    unique_users: pl.UInt32 = pa.Field(description="Distinct users among them.")
    avg_rating: float = pa.Field(nullable=True, ge=1, le=5, description="Mean of the ratings; null without one.")
    popularity_score: float = pa.Field(
        nullable=True, ge=0, le=1, description="total_interactions / that of the item with most; null if all have 0."
    )
    engagement_score: float = pa.Field(
        nullable=True,
        ge=0,
        le=5,
        description="Mean weight of its interactions: view 1, click 2, like 3, add_to_cart 4, purchase 5, dislike 0; "
        "null without one.",
    )
    purchase_rate: float = pa.Field(
        nullable=True, ge=0, le=1, description="Purchases / total_interactions; null without an interaction."
    )
    click_through_rate: float = pa.Field(nullable=True, ge=0, description="Clicks / views; null without a view.")
    category: str = pa.Field(nullable=True, description="From the catalog.")
    price: float = pa.Field(nullable=True, description="From the catalog.")

    class Config:
        name = "item_features"


class RecentInteractions(_Exact):
    """Every user's last 50 interactions: by user_id, then newest first (ties: item_id, type, higher rating first)."""

    user_id: str = pa.Field(description="The user.")
    position: pl.UInt8 = pa.Field(ge=1, le=50, description="1 for the user's newest, 2 for the one before, …")
    item_id: str = pa.Field(description="The item.")
    interaction_type: str = pa.Field(isin=INTERACTION_TYPES, description="What the user did.")
    timestamp: Instant = pa.Field(description="When, in UTC.")
    rating: pl.Float32 = pa.Field(nullable=True, ge=1, le=5, description="The user's rating, where given.")

    class Config:
        name = "recent_interactions"


class NegativeSamples(_Exact):
    """Training rows: by user_id, a user's positives (newest first, ties: item_id) and then negatives as drawn."""

    user_id: str = pa.Field(description="The user.")
    item_id: str = pa.Field(description="The item.")
    label: pl.Float32 = pa.Field(isin=(0.0, 1.0), description="1.0: a positive; 0.0: what the user has not seen.")
    sampling_probability: float = pa.Field(
        nullable=True,
        gt=0,
        le=1,
        description="Of a negative: the chance of the item in one draw from all that the user has not seen; null of a "
        "positive.",
    )

    class Config:
        name = "negative_samples"


class WithFeatures(NegativeSamples):
    """The rows of negative_samples in their order, each with the features of its user and of its item."""

    @classmethod
    def to_schema(cls) -> pa.DataFrameSchema:
        """The columns of negative_samples, and those of both feature tables but ids and `recent_items`."""
        added = {}
        for prefix, features in (("user_", UserFeatures.to_schema()), ("item_", ItemFeatures.to_schema())):
            for name, declared in features.columns.items():
                if name not in ("user_id", "item_id", "recent_items"):
                    added[prefix + name] = column = deepcopy(declared)
                    column.description = f"As in {features.name}: {column.description}"
        return super().to_schema().add_columns(added)

    class Config:
        name = "with_features"
