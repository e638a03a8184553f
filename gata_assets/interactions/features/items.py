"""The catalogue as a batch sees it: what is known of the items that have codes, and which were there before it."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from gata_assets.interactions.features.events import Ids


def look_up_items(items: Ids, catalogue: pl.DataFrame, *, before: datetime) -> pl.DataFrame:
    """A row for each item in the order of the codes: `item_id, category, price, is_available`.

    `catalogue` has `item_id, category, price, available_at` as in CuratedItems. An item is available when the catalogue
    has it with an `available_at` before `before`, or without one.
    """
    known = catalogue.select(
        "item_id",
        "category",
        "price",
        is_available=pl.col("available_at").is_null() | (pl.col("available_at") < before),
    )
    coded = items.ids.rename("item_id").to_frame()
    return coded.join(known, on="item_id", how="left", maintain_order="left").with_columns(
        pl.col("is_available").fill_null(value=False)
    )
