"""The shop's curated tables: columns, types, rules of rows, of several rows and of several tables.

A raw row is a change of a key. Money has two decimals and is never rounded; instants are UTC, in microseconds.
"""

from __future__ import annotations

from typing import Annotated

import pandera.polars as pa
import polars as pl

from gata_assets.shop.codes import COUNTRIES, CURRENCIES

Instant = Annotated[pl.Datetime, "us", "UTC"]
Money = Annotated[pl.Decimal, 18, 2]
_NOT_EMPTY = {"min_value": 1}
# No amount or quantity has as many digits as a card number.
_MOST = 999_999_999

# The commit time's column has the name that the DMS task gives it (TimestampColumnName).
CHANGES = {"operation": ["Op"], "committed_at": ["dms_timestamp", "dms_ts", "transact_ts", "commit_timestamp"]}
_DECLARED = {"changes": CHANGES, "repetitions": "latest", "unknown_columns": "ignore", "card_numbers": "truncate"}
ORDER_STATES = ("pending", "paid", "shipped", "delivered", "cancelled", "refunded")
PAYMENT_STATES = ("authorized", "captured", "refunded", "failed")
PAYMENT_METHODS = ("card", "paypal", "bank_transfer", "cash", "voucher")


class _Exact(pa.DataFrameModel):
    class Config:
        """Exactly the model's columns, in its order."""

        strict = True
        ordered = True


class Customers(_Exact):
    """The customers: the latest row of each; e-mail addresses and phone numbers are tokens."""

    customer_id: str = pa.Field(
        unique=True,
        str_length=_NOT_EMPTY,
        description="The customer.",
        metadata={"personal": True, "subject": True},
    )
    email: str = pa.Field(
        nullable=True, description="A token of the e-mail address.", metadata={"format": "email", "personal": "token"}
    )
    phone: str = pa.Field(
        nullable=True, description="A token of the phone number.", metadata={"format": "phone", "personal": "token"}
    )
    name: str = pa.Field(nullable=True, description="Hidden.", metadata={"personal": "hidden"})
    city: str = pa.Field(nullable=True, description="Where the customer lives.")
    country: str = pa.Field(nullable=True, isin=COUNTRIES, description="The country, ISO 3166-1 alpha-2.")
    created_at: Instant = pa.Field(description="Since when the customer is known.", metadata={"aliases": ["created"]})
    notes: str = pa.Field(nullable=True, description="Free text.")

    class Config:
        metadata = {**_DECLARED, "table": "customers", "key": ["customer_id"], "event_time": "created_at"}


class Products(_Exact):
    """The products: the latest row of each."""

    product_id: str = pa.Field(unique=True, str_length=_NOT_EMPTY, description="The product.")
    name: str = pa.Field(str_length=_NOT_EMPTY, description="Its name.")
    category: str = pa.Field(nullable=True, description="Its category.")
    price: Money = pa.Field(gt=0, le=_MOST, description="Its list price.")
    cost: Money = pa.Field(nullable=True, ge=0, le=_MOST, description="What it costs the shop.")
    currency: str = pa.Field(isin=CURRENCIES, description="The currency of price and cost, ISO 4217.")

    class Config:
        metadata = {**_DECLARED, "table": "products", "key": ["product_id"]}


class Orders(_Exact):
    """The orders, by the day on which they were placed: the last version of each that equals the sum of its items."""

    order_id: str = pa.Field(unique=True, str_length=_NOT_EMPTY, description="The order.")
    customer_id: str = pa.Field(
        str_length=_NOT_EMPTY,
        description="Who ordered.",
        metadata={"references": {"table": "customers", "column": "customer_id", "mode": "park"}},
    )
    ordered_at: Instant = pa.Field(description="When.", metadata={"aliases": ["order_date"]})
    status: str = pa.Field(isin=ORDER_STATES, description="Its state.")
    currency: str = pa.Field(isin=CURRENCIES, description="The currency of all its amounts, ISO 4217.")
    total_amount: Money = pa.Field(
        ge=0, le=_MOST, description="What all its items cost.", metadata={"aliases": ["total"]}
    )
    note: str = pa.Field(nullable=True, description="Free text.")

    class Config:
        metadata = {
            **_DECLARED,
            "table": "orders",
            "key": ["order_id"],
            "event_time": "ordered_at",
            "partition_by": "day",
            "totals": {
                "order_total_is_sum_of_items": {
                    "column": "total_amount",
                    "parts": "order_items",
                    "amount": pl.col("unit_price") * pl.col("quantity") - pl.col("discount_amount").fill_null(0),
                }
            },
        }


class OrderItems(_Exact):
    """The items of orders, under their order's day."""

    order_item_id: str = pa.Field(str_length=_NOT_EMPTY, description="The item of an order.")
    order_id: str = pa.Field(
        str_length=_NOT_EMPTY,
        description="Its order.",
        metadata={"references": {"table": "orders", "column": "order_id", "mode": "part"}},
    )
    product_id: str = pa.Field(
        str_length=_NOT_EMPTY,
        description="What was ordered.",
        metadata={"references": {"table": "products", "column": "product_id", "mode": "park"}},
    )
    quantity: pl.Int32 = pa.Field(gt=0, le=_MOST, description="How many.")
    unit_price: Money = pa.Field(gt=0, le=_MOST, description="What one costs.")
    discount_amount: Money = pa.Field(
        nullable=True, ge=0, le=_MOST, description="What all of them cost less.", metadata={"aliases": ["discount"]}
    )

    class Config:
        # An item that moved is one of two orders while the other's last balanced version has it too.
        unique = ("order_id", "order_item_id")
        metadata = {**_DECLARED, "table": "order_items", "key": ["order_item_id"]}


class Inventory(_Exact):
    """What is in stock: the latest row of each product and warehouse."""

    product_id: str = pa.Field(
        str_length=_NOT_EMPTY,
        description="The product.",
        metadata={"references": {"table": "products", "column": "product_id", "mode": "park"}},
    )
    warehouse_id: str = pa.Field(str_length=_NOT_EMPTY, description="The warehouse.")
    quantity: pl.Int64 = pa.Field(
        ge=0, le=_MOST, description="How many there are.", metadata={"aliases": ["quantity_on_hand"]}
    )
    reserved: pl.Int64 = pa.Field(nullable=True, ge=0, le=_MOST, description="How many of them are sold already.")
    reorder_level: pl.Int64 = pa.Field(
        nullable=True, ge=0, le=_MOST, description="Below how many more are to be ordered."
    )
    updated_at: Instant = pa.Field(description="When they were counted.")

    class Config:
        metadata = {
            **_DECLARED,
            "table": "inventory",
            "key": ["product_id", "warehouse_id"],
            "event_time": "updated_at",
        }


class Payments(_Exact):
    """The payments of orders, under their order's day."""

    payment_id: str = pa.Field(unique=True, str_length=_NOT_EMPTY, description="The payment.")
    order_id: str = pa.Field(
        str_length=_NOT_EMPTY,
        description="What was paid.",
        metadata={"references": {"table": "orders", "column": "order_id", "mode": "park"}},
    )
    method: str = pa.Field(isin=PAYMENT_METHODS, description="How.", metadata={"aliases": ["payment_method"]})
    card_number: str = pa.Field(
        nullable=True, description="The card's last four digits.", metadata={"personal": "last_four"}
    )
    amount: Money = pa.Field(gt=0, le=_MOST, description="How much.")
    currency: str = pa.Field(isin=CURRENCIES, description="Of which currency, ISO 4217.")
    status: str = pa.Field(isin=PAYMENT_STATES, description="Its state.")
    paid_at: Instant = pa.Field(description="When.", metadata={"aliases": ["payment_date"]})

    class Config:
        metadata = {
            **_DECLARED,
            "table": "payments",
            "key": ["payment_id"],
            "event_time": "paid_at",
            "parent_rules": {"payment_currency_is_that_of_order": pl.col("currency") == pl.col("orders.currency")},
        }


MODELS = (Customers, Products, Orders, OrderItems, Inventory, Payments)
