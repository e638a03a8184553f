"""What the texts of a column may be by their shape: instants of which format, a scale of ratings, ids as decimals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from gata_assets.tables.columns.column_spec import DAY, EPOCH_MS, EPOCH_S, ISO_8601, ColumnSpec
from gata_assets.tables.columns.conversion import convert

_NEARLY_ALL = 0.99
_INSTANT = pl.Datetime("us", "UTC")
# Numbers of other years are ids, prices or counts.
_FIRST, _LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_NUMBER = r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?"
# A name never begins so: numbers, and days with digits.
_VALUE = re.compile(rf"{_NUMBER}|[0-9]{{1,4}}[-./][0-9]{{1,2}}[-./][0-9]{{1,4}}.*")
_DECIMAL = r"^[+-]?[0-9]+\.0+$"
_ZONE = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
# Microseconds and nanoseconds since 1970.
_TOO_FINE = r"^1[0-9]{15}([0-9]{3})?$"


def is_value(text: str) -> bool:
    """Whether a text in a first line is a value and no name: a number or a day."""
    return _VALUE.fullmatch(text.strip()) is not None


def read_as(texts: pl.Series, form: str) -> pl.Series:
    """Texts as instants of one format; null for those that are written otherwise, or as no instant of our time."""
    found = convert(texts, ColumnSpec("at", _INSTANT, instants=(form,)))
    return pl.select(pl.when(found.is_between(pl.lit(_FIRST), pl.lit(_LAST), closed="left")).then(found)).to_series()


def instant_formats(texts: pl.Series, formats: Sequence[str]) -> tuple[list[str], list[str], float]:
    """How instants are written: the formats that together read most of the given texts, best first; those that would
    read as many as the first, as other instants; and the share of texts that are read.
    """
    given = texts.drop_nulls()
    if given.is_empty():
        return [], [], 0.0
    read = {form: values for form in formats if (values := read_as(given, form)).null_count() < len(given)}
    chosen: list[str] = []
    unread = pl.repeat(value=True, n=len(given), eager=True)
    while read:
        gains = {form: int((values.is_not_null() & unread).sum()) for form, values in read.items()}
        best = max(gains, key=lambda form: gains[form])
        # A format for fewer than one in a hundred is an accident.
        if gains[best] * 100 < len(given):
            break
        chosen.append(best)
        unread &= read[best].is_null()
    if not chosen:
        return [], [], 0.0
    first = read[chosen[0]]
    others = [
        form
        for form, values in read.items()
        if form not in chosen and values.null_count() <= first.null_count() and not values.equals(first)
    ]
    return chosen, others, 1 - int(unread.sum()) / len(given)


def is_too_fine(texts: pl.Series) -> bool:
    """Whether texts are microseconds or nanoseconds since 1970, which are not read."""
    given = texts.drop_nulls()
    return not given.is_empty() and bool(given.str.contains(_TOO_FINE).all())


def are_decimal_ids(texts: pl.Series) -> bool:
    """Whether all given texts are whole numbers that are written as decimals: `17.0`."""
    given = texts.drop_nulls()
    return not given.is_empty() and bool(given.str.contains(_DECIMAL).all())


def numbers(texts: pl.Series) -> pl.Series:
    """The texts that are finite numbers, as such."""
    found = texts.drop_nulls().cast(pl.Float64, strict=False).drop_nulls()
    return found.filter(found.is_finite())


def numeric_share(texts: pl.Series) -> float:
    """The share of the given texts that are numbers; 0 without any."""
    given = len(texts) - texts.null_count()
    return len(numbers(texts)) / given if given else 0.0


def scale_of(
    texts: pl.Series, bounds: tuple[float, float], scales: Sequence[tuple[float, float]]
) -> tuple[float, float] | None:
    """The first scale that contains nearly all numbers; None if the bounds do, or no scale does."""
    found = numbers(texts)
    if found.is_empty():
        return None

    def contains(scale: tuple[float, float]) -> bool:
        # One wrong value does not make another scale.
        return int(found.is_between(*scale).sum()) >= _NEARLY_ALL * len(found)

    return None if contains(bounds) else next(filter(contains, scales), None)


def is_naive(texts: pl.Series, form: str) -> bool:
    """Whether instants of a format name no time zone, so that they are taken for UTC; numbers and days have none."""
    if form in (EPOCH_S, EPOCH_MS, DAY):
        return False
    if form == ISO_8601:
        given = texts.drop_nulls()
        return not given.is_empty() and not bool(given.str.contains(_ZONE).any())
    return not any(zone in form for zone in ("%z", "%Z", "UTC", "GMT"))
