"""The tables without a date: customers with the sums of their orders, and the stock. Pure functions."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from gata_assets.shop.prod.schema import WINDOW_DAYS, CustomerSummary, InventoryStatus
from gata_assets.shop.prod.transforms import CURATED_COLUMNS, STATE_AMOUNTS, STATE_COUNTS
from gata_assets.tables.declaration import read_model

_CUSTOMERS = read_model(CustomerSummary).curated_schema
_INVENTORY = read_model(InventoryStatus).curated_schema
_CENTS = pl.Decimal(38, 2)


def window_start(newest: date) -> date:
    """The first of the days whose sold units `inventory_status` counts."""
    return newest - timedelta(days=WINDOW_DAYS - 1)


def customer_summary(state: pl.DataFrame, customers: pl.DataFrame, newest: date | None) -> pl.DataFrame:
    """Join customers with the sums of their orders.

    Args:
        state: The state of all months (`transforms.merge_states`).
        customers: All curated customers.
        newest: The newest day with an order, if there is any.

    Returns:
        The rows of `schema.CustomerSummary`.
    """
    key, *others = CURATED_COLUMNS["customers"]
    attributes = customers.select(key, *(pl.col(name).alias(f"customer_{name}") for name in others))
    joined = attributes.join(state, on=key, how="full", coalesce=True).with_columns(
        pl.col(*STATE_COUNTS, *STATE_AMOUNTS).fill_null(0), as_of_day=pl.lit(newest, dtype=pl.Date)
    )

    def days_since(column: str) -> pl.Expr:
        return (pl.col("as_of_day") - pl.col(column).dt.date()).dt.total_days()

    cents, sales = pl.col("net_amount").to_physical(), pl.col("sales").cast(pl.Int128)
    # Half up, in whole cents: a decimal division would round to even or cut off.
    average = pl.when(pl.col("sales") > 0).then((2 * cents + sales) // (2 * sales.replace(0, 1)))
    summed = joined.with_columns(
        average_order_value=average.cast(pl.Decimal(38, 0)).cast(_CENTS) / 100,
        days_since_first_order=days_since("first_order_at"),
        days_since_last_order=days_since("last_order_at"),
    )
    return summed.select(list(_CUSTOMERS)).cast(pl.Schema(_CUSTOMERS)).sort("customer_id", "currency")


def inventory_status(
    inventory: pl.DataFrame, products: pl.DataFrame, sold: pl.DataFrame, newest: date | None
) -> pl.DataFrame:
    """Join the stock with its products and the units that were sold of late.

    Args:
        inventory: The curated inventory.
        products: All curated products.
        sold: product_id, day and units of the days from `window_start` on (`transforms.product_days`).
        newest: The newest day with an order, if there is any.

    Returns:
        The rows of `schema.InventoryStatus`.
    """
    units = sold.group_by("product_id").agg(units_sold_30_days=pl.col("units").sum())
    named = products.select("product_id", product_name="name", product_category="category")
    stock = (
        inventory.select(CURATED_COLUMNS["inventory"])
        .join(named, on="product_id", how="left")
        .join(units, on="product_id", how="left")
        .with_columns(pl.col("reserved", "units_sold_30_days").fill_null(0), as_of_day=pl.lit(newest, dtype=pl.Date))
        .with_columns(available=pl.col("quantity") - pl.col("reserved"))
        .with_columns(
            product_available=pl.col("available").sum().over("product_id"),
            is_below_reorder_level=pl.col("available") < pl.col("reorder_level"),
        )
    )
    return stock.select(list(_INVENTORY)).cast(pl.Schema(_INVENTORY)).sort("product_id", "warehouse_id")
