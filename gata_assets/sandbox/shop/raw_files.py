"""Raw files as AWS DMS writes them: the bytes of rows in each format, and under which key.

Parquet has decimals as `decimal(18,2)` and instants as `timestamp[us]` without a zone. In CSV and JSON Lines all values
but whole numbers are text.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.sandbox.shop.tables import AT, OP, TABLES, Kind

OP_COLUMN = "Op"
_MONEY = pa.decimal128(18, 2)
_ARROW_TYPES: Mapping[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.CENTS: _MONEY,
    Kind.MICROS: pa.timestamp("us"),
    Kind.INT64: pa.int64(),
    Kind.INT32: pa.int32(),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Format(StrEnum):
    """The formats, by the ending of a file's name."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON_LINES = "jsonl"


def encode(table: str, rows: pl.DataFrame, form: Format, timestamp_column: str | None, *, has_op: bool) -> bytes:
    """The bytes of a file with these rows; `Op` is the first column, the commit time the next."""
    first = {OP_COLUMN: rows[OP]} if has_op else {}
    if timestamp_column is not None:
        first[timestamp_column] = _timestamps(rows[AT], "%Y-%m-%d %H:%M:%S%.6f")
    buffer = io.BytesIO()
    if form is Format.PARQUET:
        columns = {name: _arrow(values, Kind.TEXT) for name, values in first.items()}
        columns |= {name: _arrow(rows[name], kind) for name, kind in TABLES[table].items()}
        pq.write_table(pa.table(columns), buffer, store_schema=False)
        return buffer.getvalue()
    instants = "%Y-%m-%d %H:%M:%S%.6f" if form is Format.CSV else "%Y-%m-%dT%H:%M:%S%.6fZ"
    columns = {name: _text(rows[name], kind, instants) for name, kind in TABLES[table].items()}
    texts = pl.DataFrame({**first, **columns})
    if form is Format.CSV:
        texts.write_csv(buffer)
    else:
        texts.write_ndjson(buffer)
    return buffer.getvalue()


def folder(source: str, table: str, day: date) -> str:
    """The folder of a table's raw files of a day, as a prefix of keys."""
    return f"shop/raw/{source}/{table}-raw/year={day:%Y}/month={day:%m}/day={day:%d}/"


def load_name(number: int) -> str:
    """The name of the `number`-th file of a full load, from 1 on."""
    return f"LOAD{number:08X}.{Format.PARQUET}"


def change_name(written: int, form: Format) -> str:
    """The name of a file of changes, by when it was written (microseconds of the epoch)."""
    at = instant(written)
    return f"{at:%Y%m%d-%H%M%S}{at.microsecond // 1_000:03d}.{form}"


def instant(micros: int) -> datetime:
    """The instant, from microseconds of the epoch."""
    return _EPOCH + timedelta(microseconds=micros)


def _timestamps(micros: pl.Series, form: str) -> pl.Series:
    return micros.cast(pl.Datetime("us")).dt.strftime(form)


def _arrow(values: pl.Series, kind: Kind) -> pa.Array:
    if kind is Kind.CENTS:
        return _decimals(values)
    return values.to_arrow().cast(_ARROW_TYPES[kind])


def _decimals(cents: pl.Series) -> pa.Array:
    """Decimals from whole cents: the 128 bits of a decimal are those of its unscaled value, lower half first."""
    low = cents.fill_null(0).to_numpy()
    halves = np.column_stack([low, low >> 63]).astype("<i8")
    validity = pa.array(cents.is_not_null().to_numpy()) if cents.null_count() else None
    bits = validity.buffers()[1] if validity is not None else None
    return pa.Array.from_buffers(_MONEY, len(cents), [bits, pa.py_buffer(halves.tobytes())])


def _text(values: pl.Series, kind: Kind, instants: str) -> pl.Series:
    """A column for CSV and JSON Lines."""
    if kind is Kind.MICROS:
        return _timestamps(values, instants)
    if kind is Kind.CENTS:
        return pl.Series(_decimals(values).cast(pa.string()), dtype=pl.String)
    return values
