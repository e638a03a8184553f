"""Tables of the shop for analysts: one row an item, sales by day and by category, customers and stock.

A model defines columns, types and rules. Every formula is written once, in the description of its column. Money is
exact: decimal(18,2), sums over rows decimal(38,2), in the currency of its row. Instants are UTC, in microseconds, and
nothing depends on the present instant: the same curated rows are the same rows here, at any time.
"""

from __future__ import annotations

from typing import Annotated

import pandera.polars as pa
import polars as pl

PENDING, CANCELLED, REFUNDED = "pending", "cancelled", "refunded"
# What counts as a sale. A pending order is none yet; cancelled and refunded ones are counted apart.
SALES = ("paid", "shipped", "delivered")
STATUSES = (PENDING, *SALES, CANCELLED, REFUNDED)
WINDOW_DAYS = 30

Instant = Annotated[pl.Datetime, "us", "UTC"]
Money = Annotated[pl.Decimal, 18, 2]
MoneySum = Annotated[pl.Decimal, 38, 2]

_A_SALE = "a sale is an order that is paid, shipped or delivered"


class _Exact(pa.DataFrameModel):
    class Config:
        """Exactly the model's columns, in its order."""

        strict = True
        ordered = True


class OrderFacts(_Exact):
    """One row an order item, with its order, customer and product: by ordered_at, order_id, order_item_id.

    An order without items has no row. Columns of an order (`order_…`) repeat in each of its items: do not sum them.
    """

    order_item_id: str = pa.Field(
        description="The item; one that moved is in two orders while the other's last balanced version has it."
    )
    order_id: str = pa.Field(description="Its order.")
    ordered_at: Instant = pa.Field(description="When it was ordered.")
    order_day: pl.Date = pa.Field(description="The day (UTC) of ordered_at.")
    order_status: str = pa.Field(isin=STATUSES, description="The order's status.")
    is_sale: bool = pa.Field(description=f"Whether the order is a sale: {_A_SALE}.")
    order_currency: str = pa.Field(description="The currency of the order and its items.")
    order_total_amount: Money = pa.Field(ge=0, description="The order's total: the sum of net_amount of its items.")
    customer_id: str = pa.Field(description="The customer.", metadata={"personal": True})
    customer_email: str = pa.Field(nullable=True, description="The customer's e-mail address, as a token.")
    customer_phone: str = pa.Field(nullable=True, description="The customer's phone number, as a token.")
    customer_city: str = pa.Field(nullable=True, description="The customer's city.")
    customer_country: str = pa.Field(nullable=True, description="The customer's country, by ISO 3166.")
    customer_created_at: Instant = pa.Field(
        nullable=True, description="Since when the customer is one; null: the customer is no longer there."
    )
    customer_order_number: pl.Int64 = pa.Field(
        ge=1,
        description="1 for the customer's first order by (ordered_at, order_id), 2 for the second, …; orders of any "
        "status and currency count, with items or without.",
    )
    is_first_order: bool = pa.Field(description="customer_order_number = 1.")
    product_id: str = pa.Field(description="The product.")
    product_name: str = pa.Field(nullable=True, description="Its name; null: the product is no longer there.")
    product_category: str = pa.Field(nullable=True, description="Its category.")
    product_price: Money = pa.Field(nullable=True, gt=0, description="Its present price, in product_currency.")
    product_cost: Money = pa.Field(nullable=True, ge=0, description="Its present cost, in product_currency.")
    product_currency: str = pa.Field(nullable=True, description="The currency of the product's price and cost.")
    quantity: pl.Int32 = pa.Field(gt=0, description="Units of the product.")
    unit_price: Money = pa.Field(gt=0, description="The price of a unit in this order.")
    gross_amount: Money = pa.Field(gt=0, description="quantity × unit_price.")
    discount_amount: Money = pa.Field(ge=0, description="The item's discount; 0 without one.")
    net_amount: Money = pa.Field(description="gross_amount − discount_amount.")
    cost_amount: Money = pa.Field(
        nullable=True,
        ge=0,
        description="quantity × product_cost; null if the cost is unknown, or product_currency is not order_currency.",
    )
    margin: Money = pa.Field(nullable=True, description="net_amount − cost_amount; null if that is.")
    payment_method: str = pa.Field(nullable=True, description="Of the order's first captured payment.")
    first_captured_at: Instant = pa.Field(
        nullable=True, description="paid_at of the order's first captured payment by (paid_at, payment_id)."
    )
    days_to_pay: float = pa.Field(
        nullable=True, description="(first_captured_at − ordered_at) in days of 24 hours; null without such a payment."
    )

    class Config:
        name = "order_facts"


class DailySales(_Exact):
    """One row a day (UTC) and currency with an order of any status: by day, currency."""

    day: pl.Date = pa.Field(description="The day of ordered_at.")
    currency: str = pa.Field(description="The currency of the orders.")
    orders: pl.Int64 = pa.Field(ge=0, description=f"Sales: {_A_SALE}.")
    first_orders: pl.Int64 = pa.Field(ge=0, description="Sales that are their customer's first order of any status.")
    customers: pl.Int64 = pa.Field(ge=0, description="Distinct customers of sales; days do not add up.")
    items: pl.Int64 = pa.Field(ge=0, description="Items of sales.")
    units: pl.Int64 = pa.Field(ge=0, description="Sum of quantity of these items.")
    gross_amount: MoneySum = pa.Field(ge=0, description="Sum of gross_amount of these items.")
    discount_amount: MoneySum = pa.Field(ge=0, description="Sum of discount_amount of these items.")
    net_amount: MoneySum = pa.Field(description="Sum of net_amount of these items.")
    margin: MoneySum = pa.Field(nullable=True, description="Sum of margin of those that have one; null without one.")
    margin_net_amount: MoneySum = pa.Field(
        description="Sum of net_amount of the items that have a margin: margin / margin_net_amount is the rate."
    )
    pending_orders: pl.Int64 = pa.Field(ge=0, description="Orders that are pending.")
    pending_amount: MoneySum = pa.Field(ge=0, description="Sum of their totals.")
    cancelled_orders: pl.Int64 = pa.Field(ge=0, description="Orders that are cancelled.")
    cancelled_amount: MoneySum = pa.Field(ge=0, description="Sum of their totals.")
    refunded_orders: pl.Int64 = pa.Field(ge=0, description="Orders that are refunded.")
    refunded_amount: MoneySum = pa.Field(ge=0, description="Sum of their totals.")

    class Config:
        name = "daily_sales"


class DailyCategorySales(_Exact):
    """Sales by category: one row a day (UTC), currency and category with a sold item: by day, currency, category."""

    day: pl.Date = pa.Field(description="The day of ordered_at.")
    currency: str = pa.Field(description="The currency of the orders.")
    category: str = pa.Field(nullable=True, description="The products' category; null: unknown (the last of its day).")
    orders: pl.Int64 = pa.Field(ge=1, description="Sales with an item of it; categories do not add up.")
    customers: pl.Int64 = pa.Field(ge=1, description="Distinct customers of these sales; categories do not add up.")
    items: pl.Int64 = pa.Field(ge=1, description="Items of sales.")
    units: pl.Int64 = pa.Field(ge=1, description="Sum of quantity of these items.")
    gross_amount: MoneySum = pa.Field(ge=0, description="Sum of gross_amount of these items.")
    discount_amount: MoneySum = pa.Field(ge=0, description="Sum of discount_amount of these items.")
    net_amount: MoneySum = pa.Field(description="Sum of net_amount of these items.")
    margin: MoneySum = pa.Field(nullable=True, description="Sum of margin of those that have one; null without one.")
    margin_net_amount: MoneySum = pa.Field(description="Sum of net_amount of the items that have a margin.")

    class Config:
        name = "daily_category_sales"


class CustomerSummary(_Exact):
    """One row a customer and currency of their orders: by customer_id, currency.

    A customer without an order has one row, without a currency. Who is no longer there but has orders has rows too.
    """

    customer_id: str = pa.Field(description="The customer.", metadata={"personal": True})
    currency: str = pa.Field(nullable=True, description="The currency of the orders; null without an order.")
    customer_email: str = pa.Field(nullable=True, description="The customer's e-mail address, as a token.")
    customer_phone: str = pa.Field(nullable=True, description="The customer's phone number, as a token.")
    customer_city: str = pa.Field(nullable=True, description="The customer's city.")
    customer_country: str = pa.Field(nullable=True, description="The customer's country, by ISO 3166.")
    customer_created_at: Instant = pa.Field(
        nullable=True, description="Since when the customer is one; null: the customer is no longer there."
    )
    orders: pl.Int64 = pa.Field(ge=0, description="Orders of any status.")
    sales: pl.Int64 = pa.Field(ge=0, description=f"Sales among them: {_A_SALE}.")
    cancelled_orders: pl.Int64 = pa.Field(ge=0, description="Orders that are cancelled.")
    refunded_orders: pl.Int64 = pa.Field(ge=0, description="Orders that are refunded.")
    net_amount: MoneySum = pa.Field(ge=0, description="Sum of the totals of sales.")
    refunded_amount: MoneySum = pa.Field(ge=0, description="Sum of the totals of refunded orders.")
    average_order_value: MoneySum = pa.Field(
        nullable=True, ge=0, description="net_amount / sales, to the cent, half up; null without a sale."
    )
    first_order_at: Instant = pa.Field(nullable=True, description="ordered_at of the first order of any status.")
    last_order_at: Instant = pa.Field(nullable=True, description="ordered_at of the last order of any status.")
    days_since_first_order: pl.Int64 = pa.Field(
        nullable=True, ge=0, description="Days from the day (UTC) of first_order_at to as_of_day."
    )
    days_since_last_order: pl.Int64 = pa.Field(
        nullable=True, ge=0, description="Days from the day (UTC) of last_order_at to as_of_day."
    )
    as_of_day: pl.Date = pa.Field(nullable=True, description="The newest day (UTC) with an order of anybody.")

    class Config:
        name = "customer_summary"


class InventoryStatus(_Exact):
    """The stock: one row a product and warehouse: by product_id, warehouse_id."""

    product_id: str = pa.Field(description="The product.")
    warehouse_id: str = pa.Field(description="The warehouse.")
    product_name: str = pa.Field(nullable=True, description="Its name; null: the product is no longer there.")
    product_category: str = pa.Field(nullable=True, description="Its category.")
    quantity: pl.Int64 = pa.Field(ge=0, description="Units in this warehouse.")
    reserved: pl.Int64 = pa.Field(ge=0, description="Units of them that are reserved; 0 where not given.")
    available: pl.Int64 = pa.Field(description="quantity − reserved; negative if more are reserved than there are.")
    product_available: pl.Int64 = pa.Field(description="Sum of available of the product over all warehouses.")
    reorder_level: pl.Int64 = pa.Field(nullable=True, ge=0, description="Below which it is to be ordered, where given.")
    is_below_reorder_level: bool = pa.Field(
        nullable=True, description="available < reorder_level; null without a level."
    )
    units_sold_30_days: pl.Int64 = pa.Field(
        ge=0,
        description=f"Units of the product in sales of the {WINDOW_DAYS} days (UTC) up to as_of_day, with it, from all "
        "warehouses.",
    )
    updated_at: Instant = pa.Field(description="When the stock was counted or changed.")
    as_of_day: pl.Date = pa.Field(nullable=True, description="The newest day (UTC) with an order.")

    class Config:
        name = "inventory_status"
