"""Converts raw texts to values of a column's type, strictly: a text that is not written as the type becomes null.

Numbers, booleans, days and instants. `row_rules` decides what a null means.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite

import polars as pl

from gata_assets.tables.columns.column_spec import DAY, EPOCH_MS, EPOCH_S, ISO_8601, ColumnSpec
from gata_assets.tables.documents.json_texts import only_json
from gata_assets.tables.masking.formats import FORMATS

_NAIVE = pl.Datetime("us")
_TRUTHS = {"true": True, "True": True, "TRUE": True, "1": True}
_TRUTHS |= {"false": False, "False": False, "FALSE": False, "0": False}

_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
# Polars accepts the year 0.
_DATE = r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}"
# How most instants are written, here and by AWS DMS: with a format each, by which Polars parses in a tenth of the time.
_PLAIN = rf"^{_DATE}T{_TIME}:[0-5][0-9]Z$"
_WITH_MICROS = rf"^{_DATE} {_TIME}:[0-5][0-9]\.[0-9]{{6}}$"
_FORMS = {_PLAIN: "%Y-%m-%dT%H:%M:%SZ", _WITH_MICROS: "%Y-%m-%d %H:%M:%S.%6f"}
_ANY = rf"^{_DATE}[T ]{_TIME}(?::[0-5][0-9](?:\.[0-9]+)?)?(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?$"
# Numbers may be far beyond the calendar, and patterns accept any year.
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def convert(texts: pl.Series, column: ColumnSpec) -> pl.Series:
    """The values of raw texts; null for an empty text, or one that is not written as the column's type."""
    kind = column.dtype
    if column.words:
        texts = texts.replace(list(column.words), list(column.words.values()))
    if column.format:
        return FORMATS[column.format].normalize(texts)
    if column.json:
        return only_json(texts)
    if kind == pl.String():
        return texts
    if isinstance(kind, pl.Datetime | pl.Date):
        instants = _instants(texts, column.instants)
        return instants.cast(kind) if isinstance(kind, pl.Date) else instants
    if kind == pl.Boolean():
        return texts.replace_strict(list(_TRUTHS), list(_TRUTHS.values()), default=None, return_dtype=pl.Boolean)
    if isinstance(kind, pl.Decimal):
        # A cast would round values of higher precision.
        return _where(texts, rf"^[+-]?[0-9]+(?:\.[0-9]{{1,{max(kind.scale, 1)}}})?$").cast(kind, strict=False)
    values = texts.cast(kind, strict=False)
    # A sum shows whether any value is not finite, without a test of each.
    if kind.is_float() and not isfinite(values.sum()):
        return pl.select(pl.when(values.is_finite()).then(values)).to_series()
    return values


def _instants(texts: pl.Series, formats: tuple[str, ...]) -> pl.Series:
    """Instants in UTC by the first format that fits."""
    found = pl.Series(texts.name, [None], dtype=pl.Datetime("us", "UTC")).new_from_index(0, len(texts))
    for form in formats:
        # Mostly the first fits all, and some columns are empty.
        places = (texts.is_not_null() & found.is_null()).arg_true()
        if len(places) == len(texts):
            found = _read_instants(texts, form)
        elif len(places):
            found = found.scatter(places, _read_instants(texts.gather(places), form))
    return found


def _read_instants(texts: pl.Series, form: str) -> pl.Series:
    if form == ISO_8601:
        instants = _iso_8601(texts)
    elif form == DAY:
        instants = _parse(_where(texts, rf"^{_DATE}$"), "%Y-%m-%d")
    elif form in (EPOCH_S, EPOCH_MS):
        digits = 6 if form == EPOCH_S else 3
        numbers = _where(texts, rf"^-?[0-9]{{1,{18 - digits}}}(?:\.[0-9]{{1,{digits}}})?$")
        micros = (numbers.cast(pl.Decimal(38, digits), strict=False) * 10**digits).cast(pl.Int64)
        instants = micros.cast(_NAIVE)
    else:
        if "%Z" in form:
            # Polars takes any word for a time zone, and ignores it.
            texts = _where(texts, r"(?:^|[^A-Za-z])(?:UTC|GMT|Z)(?:$|[^A-Za-z0-9:+-])")
        # Elsewhere fractions are so; here %f alone would be nanoseconds.
        form = form.replace(".%f", "%.f")
        instants = texts.str.to_datetime(form, time_unit="us", strict=False)
    is_naive = instants.dtype == _NAIVE
    utc = pl.Series(instants.dt.replace_time_zone("UTC") if is_naive else instants.dt.convert_time_zone("UTC"))
    if form in (ISO_8601, DAY):
        return utc
    return pl.select(pl.when(utc.is_between(pl.lit(_FIRST), pl.lit(_LAST))).then(utc)).to_series()


def _iso_8601(texts: pl.Series) -> pl.Series:
    """A day and a time after `T` or a blank, with or without seconds and a fraction, and `Z`, an offset or nothing,
    which means UTC. Fractions are truncated to microseconds.
    """
    # Most are in the format of the first and parsed fast; only the others are parsed part by part.
    first = texts.gather([texts.is_not_null().arg_max() or 0]) if len(texts) else texts
    usual = next((pattern for pattern in _FORMS if first.str.contains(pattern).any()), _PLAIN)
    instants = _parse(texts, _FORMS[usual])
    places = (~texts.str.contains(usual)).arg_true()
    if places.is_empty():
        return instants
    others = _where(texts.gather(places), _ANY)
    if others.null_count() == len(others):
        return instants.scatter(places, None)
    text = pl.col("text")
    part = {
        name: text.str.extract(rf"^.{{16}}{pattern}").cast(pl.Int64).fill_null(0) for name, pattern in _PARTS.items()
    }
    minutes = part["hours"] * 60 + part["minutes"]
    offset = pl.when(text.str.contains(r"-[0-9:]{2,5}$")).then(-minutes).otherwise(minutes)
    fraction = text.str.extract(r"\.([0-9]{1,6})").str.pad_end(6, "0").cast(pl.Int64).fill_null(0)
    minute = (text.str.slice(0, 10) + "T" + text.str.slice(11, 5)).str.to_datetime(
        "%Y-%m-%dT%H:%M", time_unit="us", strict=False, cache=False
    )
    micros = minute.cast(pl.Int64) + (part["seconds"] - offset * 60) * 1_000_000 + fraction
    read = others.alias("text").to_frame().select(micros.cast(_NAIVE)).to_series()
    return instants.scatter(places, read)


# After the minute: seconds, and the hours and minutes of an offset.
_PARTS = {"seconds": ":([0-9]{2})", "hours": r"[0-9:.]*[+-]([0-9]{2})", "minutes": r"[0-9:.]*[+-][0-9]{2}:?([0-9]{2})"}


def _parse(texts: pl.Series, form: str) -> pl.Series:
    # A cache of texts takes longer than parsing them.
    return texts.str.to_datetime(form, time_unit="us", strict=False, cache=False)


def _where(texts: pl.Series, pattern: str) -> pl.Series:
    """The texts that fit a pattern, and null for others."""
    return pl.select(pl.when(texts.str.contains(pattern)).then(texts)).to_series()
