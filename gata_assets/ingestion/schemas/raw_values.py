"""Values of Avro as raw files have them, and back: what a row of JSON gives for each column of a table.

Pure. Which values are valid is decided where raw files are validated; here a value is of the column's kind, or the
message is none of the table. Instants are written as the column's raw values may be: ISO 8601 where it takes that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

import msgspec
import polars as pl

from gata_assets.tables.columns.column_spec import DAY, EPOCH_MS, EPOCH_S, ISO_8601, ColumnSpec
from gata_assets.tables.columns.conversion import convert

RawValue = str | int | float | bool | msgspec.Raw
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def raw_value_of(column: ColumnSpec) -> Callable[[Any], RawValue]:
    """How a value of Avro that is not null is written in a raw row; raises TypeError for one of another kind."""
    kind = column.dtype
    if column.json:
        return _json
    if isinstance(kind, pl.Datetime):
        return lambda value: _written(_instant(value), column.instants)
    if isinstance(kind, pl.Date):
        return lambda value: _written(_midnight(value), column.instants)
    if isinstance(kind, pl.Decimal):
        return lambda value: format(_of(Decimal, value), "f")
    if kind == pl.Boolean():
        return lambda value: _of(bool, value)
    if kind.is_integer():
        return lambda value: _of(int, value)
    return _number if kind.is_float() else _text


def avro_values_of(column: ColumnSpec, *, is_plain: bool) -> Callable[[Sequence[RawValue | None]], list[Any]]:
    """The values of Avro that raw values mean, as `convert` reads them; raises ValueError or TypeError for another.

    Instants have milliseconds: a finer fraction is cut. `is_plain` is of instants that are plain longs.
    """
    # As wide as Avro's: a raw 4.3 is that number, not the nearest of 32 bits.
    wide = replace(column, dtype=pl.Float64()) if column.dtype.is_float() else column

    def values_of(values: Sequence[RawValue | None]) -> list[Any]:
        if column.json:
            return [None if value is None else msgspec.json.encode(value).decode() for value in values]
        texts = [_as_text(value) for value in values]
        if column.dtype == pl.String():
            return texts
        series = pl.Series("value", texts, dtype=pl.String)
        found = convert(series, wide)
        if found.null_count() != series.null_count():
            raise ValueError("a value is not written as its column's type")
        return [None if one is None else (one - _EPOCH) // _MILLISECOND for one in found] if is_plain else [*found]

    return values_of


def _as_text(value: RawValue | None) -> str | None:
    """A raw value as text; an empty text is no value, as in raw files."""
    if value is not None and not isinstance(value, str | int | float):
        raise TypeError("a value is neither text nor number")
    return (value or None) if value is None or isinstance(value, str) else json.dumps(value)


def _of(kind: type, value: Any) -> Any:
    # A truth value is an int in Python alone.
    if type(value) is not kind:
        raise TypeError("a value is of another kind")
    return value


def _number(value: Any) -> RawValue:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a value is of another kind")
    # JSON has no such numbers; the row is rejected by the rule of its column.
    return value if isfinite(value) else str(value)


def _json(value: Any) -> msgspec.Raw:
    """A text that is JSON, as the value that it means."""
    text = _text(value).encode()
    msgspec.json.decode(text, type=msgspec.Raw)
    return msgspec.Raw(text)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return str(value) if isinstance(value, UUID) else str(_of(str, value))


def _instant(value: Any) -> datetime:
    """An instant of a logical type, or of a plain long: milliseconds since 1970."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    milliseconds: int = _of(int, value)
    return _EPOCH + milliseconds * _MILLISECOND


def _midnight(value: Any) -> datetime:
    day = value if type(value) is date else _EPOCH.date() + timedelta(days=_of(int, value))
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _written(at: datetime, forms: tuple[str, ...]) -> RawValue:
    form = next((one for one in _FORMS if one in forms), forms[0] if forms else ISO_8601)
    if form == EPOCH_MS:
        return _exact((at - _EPOCH) / _MILLISECOND)
    if form == EPOCH_S:
        return _exact((at - _EPOCH) / timedelta(seconds=1))
    if form == DAY and at.time() == _EPOCH.time():
        return at.date().isoformat()
    if form in (ISO_8601, DAY):
        fraction = "seconds" if not at.microsecond else "microseconds" if at.microsecond % 1000 else "milliseconds"
        return f"{at.replace(tzinfo=None).isoformat(timespec=fraction)}Z"
    # Patterns are those that raw values are read by.
    return str(pl.Series([at]).dt.strftime(form.replace(".%f", "%.f"))[0])


# Of several forms the first here that a column takes.
_FORMS = (ISO_8601, EPOCH_MS, EPOCH_S, DAY)


def _exact(number: float) -> int | float:
    return int(number) if number.is_integer() else number
