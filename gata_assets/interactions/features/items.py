"""The item catalog as of a batch: each encoded item's attributes, and whether it was available before the batch."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from gata_assets.interactions.features.events import Ids


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
