"""Tables as particular raw files have them: a mapping applied to a table, and to raw texts and values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

import polars as pl

from gata_assets.errors import MappingError, TableSpecError
from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.columns.conversion import convert
from gata_assets.tables.consistency import require_consistent
from gata_assets.tables.raw_mapping import RawMapping, decode_mapping, encode_mapping
from gata_assets.tables.spec import InvalidOptional, TableSpec, UnknownColumns

_FORMATS = ("csv", "jsonl", "parquet")


def mapped(spec: TableSpec, mapping: RawMapping) -> TableSpec:
    """The table as files have it that this mapping is for; raises MappingError for a mapping that does not fit it."""
    # By its JSON, since mappings cannot be hashed: what is derived from a table is kept by the table's identity.
    return _mapped(spec, encode_mapping(mapping))


@lru_cache(maxsize=256)
def _mapped(spec: TableSpec, content: bytes) -> TableSpec:
    mapping = decode_mapping(content)
    _require_known_columns(spec, mapping)
    _require_readable(spec, mapping)

    def change(column: ColumnSpec) -> ColumnSpec:
        words = {**column.words, **mapping.words.get(column.name, {})}
        return replace(column, words=words, instants=mapping.instants.get(column.name, column.instants))

    try:
        return require_consistent(
            replace(
                spec,
                columns=tuple(map(change, spec.columns)),
                separator=mapping.separator or spec.separator,
                unknown_columns=UnknownColumns.IGNORE if mapping.ignores_unknown else spec.unknown_columns,
                invalid_optional=InvalidOptional.DISCARD_VALUE if mapping.discards_invalid else spec.invalid_optional,
                mapping=mapping,
            )
        )
    except TableSpecError as error:
        raise MappingError(f"this mapping does not fit the table. {error}") from None


def _require_known_columns(spec: TableSpec, mapping: RawMapping) -> None:
    known = [column.name for column in spec.raw_columns]
    named = [*mapping.columns, *mapping.constants, *mapping.words, *mapping.instants, *mapping.scales]
    others = [*mapping.whole_numbers, *mapping.substitutes, *mapping.substitutes.values()]
    if unknown := sorted({*named, *others} - {*known}):
        raise MappingError(f"{spec.table} has no column {', '.join(unknown)}. Its columns are {', '.join(known)}.")


def _require_readable(spec: TableSpec, mapping: RawMapping) -> None:
    if twice := sorted({*mapping.columns} & {*mapping.constants}):
        raise MappingError(f"{', '.join(twice)} is mapped to a column of the file and to a constant: choose one.")
    if empty := sorted(name for name, value in mapping.constants.items() if not value):
        raise MappingError(f"the constant of {', '.join(empty)} is empty.")
    if nameless := sorted(name for name, names in mapping.columns.items() if not all(names)):
        raise MappingError(f"{', '.join(nameless)} is mapped to a column without a name.")
    if needed := sorted(name for name in spec.required if mapping.columns.get(name) == ()):
        raise MappingError(f"{', '.join(needed)} cannot be left out: a row needs it.")
    if spec.more in {*mapping.columns, *mapping.constants, *mapping.substitutes, *mapping.substitutes.values()}:
        raise MappingError(f"{spec.more} takes what the table has no column for, and cannot be mapped.")
    for name, other in mapping.substitutes.items():
        if spec.column(name).dtype != spec.column(other).dtype or name == other:
            raise MappingError(f"{other} cannot be the substitute of {name}: it is no other column of its type.")
    if others := sorted({*mapping.endings.values()} - {*_FORMATS}):
        raise MappingError(f"endings imply {', '.join(_FORMATS)}, not {', '.join(others)}.")
    if bare := sorted(name for name, forms in mapping.instants.items() if not forms):
        raise MappingError(f"{', '.join(bare)} has no format of instants.")
    unreadable = {name for names in mapping.columns.values() for name in names if not name.isprintable()}
    if unreadable or any(mark in name for names in mapping.columns.values() for name in names for mark in '"\\'):
        raise MappingError("a column's name in files has no quotes, backslashes or control characters.")
    for form in {form for forms in mapping.instants.values() for form in forms if "%" in form}:
        if not _is_pattern(form):
            raise MappingError(f"{form} is no pattern of strptime with a day, such as %Y-%m-%d %H:%M:%S.")
    for name in mapping.whole_numbers:
        if spec.column(name).dtype != pl.String():
            raise MappingError(f"whole numbers are written as such in columns of texts, and {name} is none.")
    for name, (low, high) in mapping.scales.items():
        if not low < high:
            raise MappingError(f"the scale of {name} is from the least to the greatest value, such as 0.5:5.")
        if None in bounds_of(spec.column(name)) or not spec.column(name).dtype.is_float():
            raise MappingError(f"{name} has no decimals between two bounds, which a scale could mean.")


def _is_pattern(form: str) -> bool:
    """Whether a pattern reads what it writes: to the day at least, and fractions exactly."""
    if "%f" in form.replace(".%f", ""):
        # It would mean nanoseconds here, and microseconds elsewhere.
        return False
    at = datetime(2001, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)
    written = pl.Series([at.strftime(form.replace("%.f", ".%f"))])
    column = ColumnSpec("at", pl.Datetime("us", "UTC"), instants=(form,))
    try:
        [found] = convert(written, column)
    except (pl.exceptions.PolarsError, ValueError):
        return False
    has_fraction = ".%f" in form or "%.f" in form
    return found is not None and (found == at if has_fraction else found.date() == at.date())


def bounds_of(column: ColumnSpec) -> tuple[float | None, float | None]:
    """The least and the greatest value of a column; None without such a bound."""
    limits = {check.name: check.limits for check in column.checks}
    within = limits.get("in_range", {})
    low = limits.get("greater_than_or_equal_to", within).get("min_value")
    high = limits.get("less_than_or_equal_to", within).get("max_value")
    return low, high


def map_texts(texts: pl.DataFrame, mapping: RawMapping) -> pl.DataFrame:
    """Raw texts, a column for each of the table's that the file has, with those that the mapping gives or rewrites."""
    given = [_as_whole_numbers(name) for name in mapping.whole_numbers if name in texts.columns]
    texts = texts.with_columns(given)
    copies = [pl.col(other).alias(name) for name, other in mapping.copies.items() if other in texts.columns]
    constants = [pl.lit(value, pl.String).alias(name) for name, value in mapping.constants.items()]
    texts = texts.with_columns(copies + constants)
    substitutes = [(name, other) for name, other in mapping.substitutes.items() if other in texts.columns]
    return texts.with_columns(_substituted(texts, name, other) for name, other in substitutes)


def _substituted(texts: pl.DataFrame, name: str, other: str) -> pl.Expr:
    return pl.coalesce(pl.col(found) for found in (name, other) if found in texts.columns).alias(name)


def _as_whole_numbers(name: str) -> pl.Expr:
    return pl.col(name).str.replace(r"^([+-]?[0-9]+)\.0*$", "$1")


def read_values(texts: pl.Series, column: ColumnSpec, mapping: RawMapping) -> pl.Series:
    """The values of raw texts, as `convert`; those of another scale at the same place on the column's own.

    Linear: `low + (x - least) / (greatest - least) * (high - low)`. What is outside of the one scale stays outside.
    """
    if column.name not in mapping.scales:
        return convert(texts, column)
    least, greatest = mapping.scales[column.name]
    low, high = bounds_of(column)
    assert low is not None and high is not None  # noqa: S101, PT018 - a mapping of it is refused otherwise
    values = convert(texts, replace(column, dtype=pl.Float64()))
    return (low + (values - least) / (greatest - least) * (high - low)).cast(column.dtype)
