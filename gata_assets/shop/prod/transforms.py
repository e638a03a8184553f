"""Curated rows of orders, items and payments to facts, sales by day, and what a month passes on. Pure functions.

The order of input rows makes no difference. Amounts are decimals from beginning to end; an amount with more digits
than its type is refused, not rounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from gata_assets.errors import DataRuleError
from gata_assets.shop.prod.schema import CANCELLED, PENDING, REFUNDED, SALES, DailyCategorySales, DailySales, OrderFacts
from gata_assets.tables.declaration import read_model

# The columns that are read of each curated table.
CURATED_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "orders": ("order_id", "customer_id", "ordered_at", "status", "currency", "total_amount"),
    "order_items": ("order_item_id", "order_id", "product_id", "quantity", "unit_price", "discount_amount"),
    "payments": ("payment_id", "order_id", "method", "status", "paid_at"),
    "customers": ("customer_id", "email", "phone", "city", "country", "created_at"),
    "products": ("product_id", "name", "category", "price", "cost", "currency"),
    "inventory": ("product_id", "warehouse_id", "quantity", "reserved", "reorder_level", "updated_at"),
}

_MONEY, _SUM = pl.Decimal(18, 2), pl.Decimal(38, 2)
_DAY_US = 86_400_000_000
_CAPTURED = "captured"
# What customer_state says of orders, summed over months.
STATE_COUNTS = ("orders", "sales", "cancelled_orders", "refunded_orders")
STATE_AMOUNTS = ("net_amount", "refunded_amount")

FACTS = read_model(OrderFacts).curated_schema
_DAILY = read_model(DailySales).curated_schema
_BY_CATEGORY = read_model(DailyCategorySales).curated_schema

# The frames that `customer_state` and `product_days` return, without rows.
_INSTANT = pl.Datetime("us", "UTC")
NO_STATE = pl.DataFrame(
    schema={
        "customer_id": pl.String(),
        "currency": pl.String(),
        **dict.fromkeys(STATE_COUNTS, pl.Int64()),
        **dict.fromkeys(STATE_AMOUNTS, _SUM),
        "first_order_at": _INSTANT,
        "last_order_at": _INSTANT,
    }
)
NO_PRODUCT_DAYS = pl.DataFrame(schema={"product_id": pl.String(), "day": pl.Date(), "units": pl.Int64()})

_status, _is_sale = pl.col("status"), pl.col("is_sale")


def number_orders(orders: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """Number a month's orders within each customer.

    Args:
        orders: The curated orders of one month.
        earlier: customer_id and the number of `orders` before that month, for those who have any.

    Returns:
        The orders by ordered_at and order_id, with their day, is_sale and customer_order_number.
    """
    ordered = orders.select(CURATED_COLUMNS["orders"]).sort("ordered_at", "order_id")
    numbered = ordered.join(
        earlier.select("customer_id", before=pl.col("orders")), on="customer_id", how="left", maintain_order="left"
    )
    return numbered.with_columns(
        day=pl.col("ordered_at").dt.date(),
        is_sale=_status.is_in(SALES),
        customer_order_number=pl.col("before").fill_null(0)
        + pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("customer_id"),
    ).drop("before")


def order_facts(
    orders: pl.DataFrame, items: pl.DataFrame, payments: pl.DataFrame, customers: pl.DataFrame, products: pl.DataFrame
) -> pl.DataFrame:
    """Join a row an item.

    Args:
        orders: Orders of whole days from `number_orders`.
        items: The curated items of these orders.
        payments: The curated payments of these orders.
        customers: All customers.
        products: All products.

    Returns:
        The rows of `schema.OrderFacts`.

    Raises:
        DataRuleError: Items have no order, or an amount has too many digits.
    """
    captured = payments.filter(_status == _CAPTURED).sort("paid_at", "payment_id")
    first = captured.unique("order_id", keep="first").select(
        "order_id", payment_method="method", first_captured_at="paid_at"
    )
    of_orders = (
        orders.join(first, on="order_id", how="left", maintain_order="left")
        .join(_prefixed(customers, "customer"), on="customer_id", how="left", maintain_order="left")
        .with_columns(
            days_to_pay=(pl.col("first_captured_at") - pl.col("ordered_at")).dt.total_microseconds() / _DAY_US
        )
        .with_columns(is_first_order=pl.col("customer_order_number") == 1)
        .rename(
            {"day": "order_day", "status": "order_status", "currency": "order_currency"}
            | {"total_amount": "order_total_amount"}
        )
        .with_row_index("place")
    )
    # Narrow rows are ordered first: gathering what an order has in that order is faster than sorting it.
    places = of_orders.select("order_id", "place")
    ordered = items.select(CURATED_COLUMNS["order_items"]).join(places, on="order_id").sort("place", "order_item_id")
    found = ordered.drop("order_id").hstack(of_orders.drop("place")[ordered["place"]])
    found = found.join(_prefixed(products, "product"), on="product_id", how="left", maintain_order="left")
    if len(found) != len(items):
        raise DataRuleError(
            f"{abs(len(items) - len(found)):,} curated items have no order among the curated orders of their days, or "
            "more than one: the curated tables contradict themselves. Curate these days again."
        )
    quantity = pl.col("quantity")
    is_cost_known = pl.col("product_currency") == pl.col("order_currency")
    found = found.with_columns(
        pl.col("discount_amount").fill_null(pl.lit(0, dtype=_MONEY)),
        gross_amount=quantity * pl.col("unit_price"),
        cost_amount=pl.when(is_cost_known).then(quantity * pl.col("product_cost")),
    ).with_columns(net_amount=pl.col("gross_amount") - pl.col("discount_amount"))
    found = found.with_columns(margin=pl.col("net_amount") - pl.col("cost_amount"))
    return _as_declared(found, FACTS)


def daily_sales(orders: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Sum whole days: orders from `number_orders`, and their facts, to the rows of `schema.DailySales`."""
    total = pl.col("total_amount")
    apart: dict[str, pl.Expr] = {}
    for status in (PENDING, CANCELLED, REFUNDED):
        apart[f"{status}_orders"] = (_status == status).sum()
        apart[f"{status}_amount"] = total.filter(_status == status).sum()
    of_orders = orders.group_by("day", "currency").agg(
        orders=_is_sale.sum(),
        first_orders=(_is_sale & (pl.col("customer_order_number") == 1)).sum(),
        customers=pl.col("customer_id").filter(_is_sale).n_unique(),
        **apart,
    )
    of_items = _sold(facts).group_by("day", "currency").agg(**_SUMS)
    joined = of_orders.join(of_items, on=["day", "currency"], how="left").with_columns(
        pl.col(*(name for name in _SUMS if name != "margin")).fill_null(0)
    )
    return _as_declared(joined.sort("day", "currency"), _DAILY)


def daily_category_sales(facts: pl.DataFrame) -> pl.DataFrame:
    """Sum the facts of whole days to the rows of `schema.DailyCategorySales`."""
    keys = ["day", "currency", "category"]
    distinct = {"orders": pl.col("order_id").n_unique(), "customers": pl.col("customer_id").n_unique()}
    return _as_declared(_sold(facts).group_by(keys).agg(**distinct, **_SUMS).sort(keys, nulls_last=True), _BY_CATEGORY)


def product_days(facts: pl.DataFrame) -> pl.DataFrame:
    """The products of whole days, and how many units of each are sold: product_id, day, units, in this order."""
    units = pl.col("quantity").filter(_is_sale).cast(pl.Int64).sum()
    return facts.group_by("product_id", day="order_day").agg(units=units).sort("product_id", "day")


def customer_state(orders: pl.DataFrame) -> pl.DataFrame:
    """What later months and `customer_summary` need of a month's orders: a row a customer and currency, ordered."""
    total = pl.col("total_amount")
    is_sale = _status.is_in(SALES)
    state = orders.group_by("customer_id", "currency").agg(
        orders=pl.len(),
        sales=is_sale.sum(),
        cancelled_orders=(_status == CANCELLED).sum(),
        refunded_orders=(_status == REFUNDED).sum(),
        net_amount=total.filter(is_sale).sum(),
        refunded_amount=total.filter(_status == REFUNDED).sum(),
        first_order_at=pl.col("ordered_at").min(),
        last_order_at=pl.col("ordered_at").max(),
    )
    return _as_state(state).sort("customer_id", "currency")


def merge_states(states: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The state of several months together, in any order."""
    merged = (
        pl.concat(states)
        .group_by("customer_id", "currency")
        .agg(
            pl.col(*STATE_COUNTS, *STATE_AMOUNTS).sum(),
            pl.col("first_order_at").min(),
            pl.col("last_order_at").max(),
        )
    )
    return _as_state(merged)


def _as_state(state: pl.DataFrame) -> pl.DataFrame:
    return state.select(NO_STATE.columns).cast(NO_STATE.schema)


_has_margin = pl.col("margin").is_not_null()
_SUMS: dict[str, pl.Expr] = {
    "items": pl.len(),
    "units": pl.col("quantity").cast(pl.Int64).sum(),
    "gross_amount": pl.col("gross_amount").sum(),
    "discount_amount": pl.col("discount_amount").sum(),
    "net_amount": pl.col("net_amount").sum(),
    "margin": pl.when(_has_margin.any()).then(pl.col("margin").sum()),
    "margin_net_amount": pl.col("net_amount").filter(_has_margin).sum(),
}


def _sold(facts: pl.DataFrame) -> pl.DataFrame:
    return facts.filter(_is_sale).rename(
        {"order_day": "day", "order_currency": "currency", "product_category": "category"}
    )


def _prefixed(table: pl.DataFrame, prefix: str) -> pl.DataFrame:
    """The columns that are read of customers or products, with a prefix before all but the key."""
    key, *others = CURATED_COLUMNS[f"{prefix}s"]
    return table.select(key, *(pl.col(name).alias(f"{prefix}_{name}") for name in others))


def _as_declared(found: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The columns of a table in its types; raises DataRuleError if an amount does not fit its own."""
    declared = found.select(list(schema)).cast(pl.Schema(schema), strict=False)
    for name, dtype in schema.items():
        too_long = declared[name].null_count() - found[name].null_count()
        if too_long:
            raise DataRuleError(
                f"{name} of {too_long:,} rows does not fit {dtype}: quantities or prices are far too large. Correct "
                "them at their source; nothing was written."
            )
    return declared
