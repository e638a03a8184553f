"""Values of JSON as the texts that raw files of other formats have."""

from __future__ import annotations

import json
from collections.abc import Sequence

import polars as pl


def as_series(name: str, values: Sequence[object]) -> pl.Series:
    """A column of texts; null for an empty one, and numbers as they are written."""
    kinds = {*map(type, values)} - {_NONE}
    texts = _whole_numbers(name, values) if kinds == {int} else None
    if texts is not None:
        return texts
    if not kinds <= {str}:
        values = list(map(_as_text, values))
    if "" in values:
        values = [value or None for value in values]
    return pl.Series(name, values, dtype=pl.String)


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
