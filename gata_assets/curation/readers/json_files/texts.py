"""Values of JSON as the texts that raw files of other formats have."""

from __future__ import annotations

import json
from collections.abc import Sequence

import polars as pl


def as_series(name: str, values: Sequence[object]) -> pl.Series:
    """A column of texts; null for an empty one, and numbers as they are written."""
    kinds = set(map(type, values))
    texts = _whole_numbers(name, values) if kinds == {int} or kinds == {int, _NONE} else None
    if texts is not None:
        return texts
    if not kinds <= {str, _NONE}:
        values = [_as_text(value) for value in values]
    texts = pl.Series(name, values, dtype=pl.String)
    is_empty = texts.str.len_bytes() == 0
    return texts.set(is_empty, None) if is_empty.any() else texts


def _whole_numbers(name: str, values: Sequence[object]) -> pl.Series | None:
    """The texts of numbers of 64 bits; None if some are of more."""
    try:
        return pl.Series(name, values, dtype=pl.Int64).cast(pl.String)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return None


_NONE = type(None)


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else json.dumps(value)
