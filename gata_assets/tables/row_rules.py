"""What a table's raw rows are validated by: rules with names, derived from its spec, as columns of booleans.

In this order: is a value given, is it of its type, the checks of its column, the event window, rules over several
columns, and references. Not by pandera's validate(), which would hide values behind its casts and keep whole rows in
its errors; a test shows that the verdict is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from gata_assets.tables.conversion import convert
from gata_assets.tables.spec import DAY, ISO_8601, ColumnSpec, InvalidOptional, ReferenceMode, TableSpec

if TYPE_CHECKING:
    import pandera.polars as pandera

READABLE_RULE, FITTING_RULE = "row_is_readable", "row_fits_the_columns"


@dataclass(frozen=True)
class RowContext:
    """What a run knows when it validates rows: the event window `[start_at, end_at)`, and by column the values of the
    table that it refers to, with what becomes of others.
    """

    start_at: datetime | None = None
    end_at: datetime | None = None
    known: Mapping[str, pl.Series] = field(default_factory=dict)
    modes: Mapping[str, ReferenceMode] = field(default_factory=dict)


@dataclass(frozen=True)
class ValidatedColumns:
    """`values` of the raw columns by type, and by rule what breaks it: of `broken` the row is rejected, of `warned` it
    is counted, and of `discarded` the value was dropped.
    """

    values: pl.DataFrame
    broken: Mapping[str, pl.Series]
    warned: Mapping[str, pl.Series]
    discarded: Mapping[str, pl.Series]


def validate_columns(spec: TableSpec, texts: pl.DataFrame, context: RowContext) -> ValidatedColumns:
    """Hold the rules against raw rows.

    Args:
        spec: the table.
        texts: a column of texts for each of the table's raw columns that the file has, null where nothing is given.
        context: what only this run knows.
    """
    values: dict[str, pl.Series] = {}
    broken: dict[str, pl.Series] = {}
    warned: dict[str, pl.Series] = {}
    discarded: dict[str, pl.Series] = {}
    for column in spec.raw_columns:
        if column.name not in texts.columns:
            continue
        text = texts[column.name]
        value = convert(text, column)
        found: dict[str, pl.Series] = {}
        _note(found, _broken_in_column(spec, column, text, value, context))
        if found and column.nullable and spec.invalid_optional is InvalidOptional.DISCARD_VALUE:
            is_valid = ~pl.select(pl.any_horizontal(*found.values())).to_series()
            value = pl.select(pl.when(is_valid).then(value).alias(column.name)).to_series()
            _note(discarded, found.items())
        else:
            _note(broken, found.items())
        values[column.name] = value
    for name, known in context.known.items():
        column = spec.column(name)
        unknown = _given(texts[name]) & values[name].is_not_null() & ~values[name].is_in(known.implode())
        rejects = context.modes.get(name, spec.references[name].mode) is ReferenceMode.REJECT
        if unknown.any():
            _note(broken if rejects else warned, [(rule_name(spec, column, "reference"), unknown)])
    frame = pl.DataFrame(values)
    _note(broken, _broken_in_rows(spec, frame))
    return ValidatedColumns(frame, broken, warned, discarded)


def _note(found: dict[str, pl.Series], rules: Iterable[tuple[str, pl.Series]]) -> None:
    """Add rows by rule; several checks may share a rule's name."""
    for name, rows in rules:
        found[name] = found[name] | rows if name in found else rows


def rule_names(spec: TableSpec) -> tuple[str, ...]:
    """The names of all rules of a table's raw rows, in the order in which quarantine has them."""
    names = [READABLE_RULE, FITTING_RULE]
    for column in spec.raw_columns:
        names += column_rule_names(spec, column)
    names += [rule.name for rule in spec.frame_rules]
    names += [rule_name(spec, spec.column(name), "reference") for name in spec.references]
    return tuple(dict.fromkeys(names))


def column_rule_names(spec: TableSpec, column: ColumnSpec) -> tuple[str, ...]:
    """The names of the rules of a column of raw files, without that of a reference."""
    names = [] if column.nullable else [rule_name(spec, column, "given")]
    names += [] if column.dtype == pl.String() else [rule_name(spec, column, "type")]
    names += [rule_name(spec, column, str(check.name)) for check in column.checks]
    names += [rule_name(spec, column, "window")] if column.name == spec.event_time else []
    return tuple(dict.fromkeys(names))


def rule_name(spec: TableSpec, column: ColumnSpec, kind: str) -> str:
    """The name of a column's rule, which says what is true of a valid row; `kind` as in `ColumnSpec.rules`."""
    if kind in column.rules:
        return column.rules[kind]
    if kind == "given":
        return f"{column.name}_is_given"
    if kind == "type":
        return f"{column.name}_{_type_words(column)}"
    if kind == "window":
        return f"{column.name}_is_within_reason"
    if kind == "reference":
        return f"{column.name.removesuffix('_id')}_is_known"
    if kind == "str_length" and asks_for_something(column):
        return rule_name(spec, column, "given") if not column.nullable else f"{column.name}_is_not_empty"
    return f"{column.name}_{_check_words(column, kind)}"


def _broken_in_column(
    spec: TableSpec, column: ColumnSpec, text: pl.Series, value: pl.Series, context: RowContext
) -> Iterator[tuple[str, pl.Series]]:
    """By rule, the rows that break it; rules that all rows keep may be left out."""
    is_text = column.dtype == pl.String()
    missing = ~_given(text) if not column.nullable or value.null_count() > text.null_count() else None
    if not column.nullable and missing is not None and missing.any():
        yield rule_name(spec, column, "given"), missing
    if not is_text and missing is not None and value.null_count():
        yield rule_name(spec, column, "type"), value.is_null() & ~missing
    checks = [check for check in column.checks if not (check.name == "str_length" and asks_for_something(column))]
    if column.nullable and len(checks) < len(column.checks):
        yield rule_name(spec, column, "str_length"), value.str.len_bytes().eq(0).fill_null(value=False)
    frame = value.alias(column.name).to_frame()
    for check in checks:
        rows = ~_kept(check, frame, column.name)
        if rows.any():
            yield rule_name(spec, column, str(check.name)), rows if missing is None else rows & ~missing
    if column.name == spec.event_time:
        outside = pl.lit(value=False)
        if context.start_at:
            outside |= pl.col(column.name) < context.start_at
        if context.end_at:
            outside |= pl.col(column.name) >= context.end_at
        rows = frame.select(outside.fill_null(value=False).alias("outside")).to_series()
        if rows.any():
            yield rule_name(spec, column, "window"), rows


def _broken_in_rows(spec: TableSpec, frame: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    if not spec.frame_rules:
        return
    absent = [pl.lit(None, one.dtype).alias(one.name) for one in spec.raw_columns if one.name not in frame.columns]
    whole = frame.with_columns(absent)
    for rule in spec.frame_rules:
        rows = whole.select((~rule.expression).fill_null(value=False).alias("broken")).to_series()
        if rows.any():
            yield rule.name, rows


def _given(texts: pl.Series) -> pl.Series:
    """Which texts have something else than white space and control characters."""
    return texts.str.contains(r"[^\x00-\x20]").fill_null(value=False)


_EXPRESSIONS: dict[str, Callable[[pl.Expr, Mapping[str, Any]], pl.Expr]] = {
    "greater_than_or_equal_to": lambda value, limits: value >= limits["min_value"],
    "greater_than": lambda value, limits: value > limits["min_value"],
    "less_than_or_equal_to": lambda value, limits: value <= limits["max_value"],
    "less_than": lambda value, limits: value < limits["max_value"],
    "isin": lambda value, limits: value.is_in(list(limits["allowed_values"])),
}


def check_expression(check: pandera.Check, name: str) -> pl.Expr | None:
    """What is true of a column's values that keep a check, as pandera has it; None for a check that it alone knows."""
    expression = _EXPRESSIONS.get(str(check.name))
    return expression(pl.col(name), check.statistics or {}) if expression else None


def _kept(check: pandera.Check, frame: pl.DataFrame, name: str) -> pl.Series:
    """Where a check of a column holds; null breaks none."""
    expression = check_expression(check, name)
    # pandera's own, where there is no expression of it here.
    kept = check(frame.lazy(), name).check_output.collect() if expression is None else frame.select(expression)
    return pl.Series(kept.to_series().fill_null(value=True))


def asks_for_something(column: ColumnSpec) -> bool:
    """Whether the only length that a text must have is one, which is to say that there is one."""
    limits = next((check.statistics or {} for check in column.checks if check.name == "str_length"), {})
    return limits.get("min_value") == 1 and limits.get("max_value") is None


def _type_words(column: ColumnSpec) -> str:
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        return "is_iso_8601" if {*column.instants} <= {ISO_8601, DAY} else "is_an_instant"
    if isinstance(kind, pl.Date):
        return "is_a_day"
    if kind == pl.Boolean():
        return "is_true_or_false"
    return "is_a_whole_number" if kind.is_integer() else "is_a_number"


def _check_words(column: ColumnSpec, kind: str) -> str:
    limits = {str(check.name): check.statistics or {} for check in column.checks}
    low = _number(limits.get("greater_than_or_equal_to", limits.get("in_range", {})).get("min_value"))
    high = _number(limits.get("less_than_or_equal_to", limits.get("in_range", {})).get("max_value"))
    if kind in ("greater_than_or_equal_to", "less_than_or_equal_to", "in_range") and low and high:
        return f"is_{low}_to_{high}"
    match kind:
        case "isin":
            return "is_known"
        case "greater_than_or_equal_to":
            return "is_not_negative" if low == "0" else f"is_at_least_{low}"
        case "less_than_or_equal_to":
            return f"is_at_most_{high}"
        case "greater_than":
            least = _number(limits[kind]["min_value"])
            return "is_positive" if least == "0" else f"is_more_than_{least}"
        case "less_than":
            return f"is_less_than_{_number(limits[kind]['max_value'])}"
    return kind


def _number(value: object) -> str:
    """A limit in a name: `minus_1`, `0_5`."""
    return "" if value is None else re.sub(r"[^a-z0-9]+", "_", str(value).lower().replace("-", "minus_")).strip("_")
