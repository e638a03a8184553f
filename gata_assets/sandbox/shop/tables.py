"""The sample shop's raw tables: their columns, keys, and how a frame keeps them. Pure.

Money is in whole cents and instants are in microseconds of the epoch until a file is written: exact, and fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    CENTS = "cents"
    MICROS = "micros"
    INT64 = "int64"
    INT32 = "int32"


# Two columns that every frame has beside those of its table: I, U or D, and the commit time in microseconds.
OP, AT = "op", "at"
TABLES: Mapping[str, Mapping[str, Kind]] = {
    "customers": {
        **{"customer_id": Kind.TEXT, "email": Kind.TEXT, "phone": Kind.TEXT, "name": Kind.TEXT, "city": Kind.TEXT},
        **{"country": Kind.TEXT, "created_at": Kind.MICROS, "notes": Kind.TEXT},
    },
    "products": {
        **{"product_id": Kind.TEXT, "name": Kind.TEXT, "category": Kind.TEXT, "price": Kind.CENTS},
        **{"cost": Kind.CENTS, "currency": Kind.TEXT},
    },
    "inventory": {
        **{"product_id": Kind.TEXT, "warehouse_id": Kind.TEXT, "quantity": Kind.INT64, "reserved": Kind.INT64},
        **{"reorder_level": Kind.INT64, "updated_at": Kind.MICROS},
    },
    "orders": {
        **{"order_id": Kind.TEXT, "customer_id": Kind.TEXT, "ordered_at": Kind.MICROS, "status": Kind.TEXT},
        **{"currency": Kind.TEXT, "total_amount": Kind.CENTS, "note": Kind.TEXT},
    },
    "order_items": {
        **{"order_item_id": Kind.TEXT, "order_id": Kind.TEXT, "product_id": Kind.TEXT, "quantity": Kind.INT32},
        **{"unit_price": Kind.CENTS, "discount_amount": Kind.CENTS},
    },
    "payments": {
        **{"payment_id": Kind.TEXT, "order_id": Kind.TEXT, "method": Kind.TEXT, "card_number": Kind.TEXT},
        **{"amount": Kind.CENTS, "currency": Kind.TEXT, "status": Kind.TEXT, "paid_at": Kind.MICROS},
    },
}
KEYS: Mapping[str, Sequence[str]] = {
    **{"customers": ("customer_id",), "products": ("product_id",), "inventory": ("product_id", "warehouse_id")},
    **{"orders": ("order_id",), "order_items": ("order_item_id",), "payments": ("payment_id",)},
}
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
_UNIX_EPOCH = date(1970, 1, 1)


def midnight(day: date) -> int:
    """The beginning of a day, in microseconds of the epoch."""
    return (day - _UNIX_EPOCH).days * DAY


def numbered(prefix: str, numbers: Ints, digits: int = 8) -> pl.Series:
    """Ids such as `ord-00000042`."""
    return prefix + "-" + pl.Series(numbers).cast(pl.String).str.zfill(digits)


def pick(values: Sequence[str | None], chosen: Ints) -> pl.Series:
    """The values at the chosen places, as text."""
    return pl.Series(values, dtype=pl.String).gather(pl.Series(chosen))


def only(values: pl.Series, is_kept: NDArray[np.bool_]) -> pl.Series:
    """The values with null where they are not kept."""
    return pl.select(pl.when(pl.Series(is_kept)).then(values)).to_series()


def as_changes(rows: pl.DataFrame, op: str, at: Ints | int) -> pl.DataFrame:
    """The rows with their operation and commit times."""
    times = pl.lit(at, pl.Int64) if isinstance(at, int) else pl.Series(at, dtype=pl.Int64)
    return rows.with_columns(pl.lit(op).alias(OP), times.alias(AT))


def as_deletions(table: str, rows: pl.DataFrame, at: Ints) -> pl.DataFrame:
    """The deletions of rows, with the values of the key alone."""
    rows = rows.with_columns(
        pl.lit(None, rows.schema[name]).alias(name) for name in TABLES[table] if name not in KEYS[table]
    )
    return as_changes(rows, "D", at)
