"""Validates a table's raw rows by named rules, derived from its spec, as columns of booleans.

In this order: is a value given, does it have its type, the checks of its column, the event window, rules over several
columns, and references. Not by pandera's validate(), which would hide values behind its casts and keep entire rows in
its errors; a test shows that the results agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any

import polars as pl

from gata_assets.tables.changes.declared import IS_DELETE
from gata_assets.tables.changes.raw_changes import COMMITTED_RULE, complete_changes
from gata_assets.tables.columns.column_spec import DAY, ISO_8601, Check, ColumnSpec, ReferenceMode
from gata_assets.tables.mapped_table import map_texts, read_values
from gata_assets.tables.masking.formats import FORMATS
from gata_assets.tables.masking.rows import as_stored, identifier_rule_names, identifier_rules
from gata_assets.tables.masking.tokens import NO_TOKENS, Tokens
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.raw_mapping import NO_MAPPING
from gata_assets.tables.spec import InvalidOptional, TableSpec

READABLE_RULE, FITTING_RULE = "row_is_readable", "row_fits_the_columns"


@dataclass(frozen=True)
class RowContext:
    """The context of a run that validates rows: the event window `[start_at, end_at)`, and by column the values of the
    referenced table and what happens to rows with other values; `committed_at` is the commit time of a file's changes
    if its rows have none, `tokens` the masks of its values, `loaded_at` when it landed; rows of `erased` do not count.
    """

    start_at: datetime | None = None
    end_at: datetime | None = None
    known: Mapping[str, pl.Series] = field(default_factory=dict)
    modes: Mapping[str, ReferenceMode] = field(default_factory=dict)
    committed_at: datetime | None = None
    tokens: Tokens = NO_TOKENS
    loaded_at: datetime | None = None
    erased: ErasedPeople | None = None


_NONE: Mapping[str, tuple[pl.Series, pl.Series]] = MappingProxyType({})


@dataclass(frozen=True)
class ValidatedColumns:
    """`values` of the raw columns by type, and by rule the rows that break it: `broken` rows are rejected, `warned`
    rows are counted, and `discarded` rows lost the value. Rows lack `missing` values of required columns, and have no
    `unfilled` values of optional ones (none that can be read).
    """

    values: pl.DataFrame
    broken: Mapping[str, pl.Series]
    warned: Mapping[str, pl.Series]
    discarded: Mapping[str, pl.Series]
    missing: int
    unfilled: int


def validate_columns(
    spec: TableSpec, texts: pl.DataFrame, context: RowContext, known: Mapping[str, tuple[pl.Series, pl.Series]] = _NONE
) -> ValidatedColumns:
    """Validate raw rows by the rules. `texts` has a column for each of the table's raw columns that the file has, null
    where nothing is given; columns whose texts need not be read are `known`: their values, and whether one is given.
    """
    mapping = spec.mapping
    texts = texts if mapping is NO_MAPPING else map_texts(texts, mapping)
    present = [column for column in spec.raw_columns if column.name in texts.columns or column.name in known]
    values, given = {}, {}
    for column in present:
        name = column.name
        read = known[name][0] if name in known else read_values(texts[name], column, mapping)
        values[name] = read.alias(name)
        if _asks_whether_given(column) or name in context.known:
            given[_given(column)] = known[name][1] if name in known else are_given(texts[name])
    frame = pl.DataFrame({**values, **given})
    missing = len(spec.required) * len(frame)
    missing -= sum(int(given[_given(column)].sum()) for column in present if not column.nullable)
    unfilled = sum(values[name].null_count() if name in values else len(frame) for name in spec.optional)
    rules = _column_rules(spec, tuple(values)) | _window_rule(spec, context)
    broken, discarded = _evaluate(frame, rules), dict[str, pl.Series]()
    if spec.changes:
        frame, broken = complete_changes(spec, frame, broken, context.committed_at, _rules_of_others(spec))
        # A deletion gives its key, and lacks nothing else.
        others = [column for column in present if not column.nullable and column.name not in spec.key]
        missing -= sum(int((frame[IS_DELETE] & ~given[_given(column)]).sum()) for column in others)
    if spec.invalid_optional is InvalidOptional.DISCARD_VALUE:
        for column in present:
            names = {name for name in _column_rules(spec, (column.name,)) if name in broken} if column.nullable else ()
            for name in names:
                discarded[name] = rows = broken.pop(name)
                kept = pl.when(~pl.lit(rows)).then(pl.col(column.name)).alias(column.name)
                frame = frame.with_columns(kept)
    broken |= identifier_rules(spec, frame, context.tokens)
    if spec.frame_rules:
        absent = [pl.lit(None, raw.dtype).alias(raw.name) for raw in spec.raw_columns if raw.name not in values]
        several = {rule.name: ~rule.expression for rule in spec.frame_rules}
        broken |= _evaluate(frame.with_columns(absent), several)
    warned: dict[str, pl.Series] = {}
    for name, known_values in context.known.items():
        rejects = context.modes.get(name, spec.references[name].mode) is ReferenceMode.REJECT
        stored = as_stored(spec, frame[name], context.tokens)
        unknown = ~stored.is_in(known_values.implode()) & given[_given(spec.column(name))]
        (broken if rejects else warned).update(
            _evaluate(unknown.alias(name).to_frame(), {rule_name(spec, spec.column(name), "reference"): pl.col(name)})
        )
    return ValidatedColumns(frame.drop(*given), broken, warned, discarded, missing, unfilled)


def _evaluate(frame: pl.DataFrame, rules: Mapping[str, pl.Expr]) -> dict[str, pl.Series]:
    """The rows that break each rule, for broken rules only. All at once: each call takes as long as a rule."""
    found = frame.select(rows.fill_null(value=False).alias(name) for name, rows in rules.items())
    return {rows.name: rows for rows in found if rows.any()}


def rule_names(spec: TableSpec) -> tuple[str, ...]:
    """The names of all rules of a table's raw rows, in the order in which quarantine has them."""
    names = [READABLE_RULE, FITTING_RULE]
    names += [name for column in spec.raw_columns for name in column_rule_names(spec, column)]
    names += [COMMITTED_RULE] if spec.changes else []
    names += identifier_rule_names(spec)
    return tuple(dict.fromkeys([*names, *consistency_rule_names(spec)]))


def consistency_rule_names(spec: TableSpec) -> tuple[str, ...]:
    """The names of the rules over several columns, and of those that references are known."""
    references = (rule_name(spec, spec.column(name), "reference") for name in spec.references)
    return (*(rule.name for rule in spec.frame_rules), *references)


def column_rule_names(spec: TableSpec, column: ColumnSpec) -> tuple[str, ...]:
    """The names of the rules of a column of raw files, without that of a reference."""
    names = [] if column.nullable else [rule_name(spec, column, "given")]
    names += [] if column.is_plain_text else [rule_name(spec, column, "type")]
    names += [rule_name(spec, column, check.name) for check in column.checks]
    names += [rule_name(spec, column, "window")] if column.name == spec.event_time else []
    return tuple(dict.fromkeys(names))


def rule_name(spec: TableSpec, column: ColumnSpec, kind: str) -> str:
    """The name of a column's rule, which states what is true of a valid row; `kind` as in `ColumnSpec.rules`."""
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


@cache
def _rules_of_others(spec: TableSpec) -> frozenset[str]:
    """The rules of columns that are neither part of the key nor of a change."""
    others = [column for column in spec.raw_columns if column.name not in spec.key and column in spec.columns]
    return frozenset(name for column in others for name in column_rule_names(spec, column))


@cache
def _column_rules(spec: TableSpec, present: tuple[str, ...]) -> dict[str, pl.Expr]:
    """By rule of the present columns, an expression that is true for a row that breaks it."""
    found: dict[str, pl.Expr] = {}
    for column in map(spec.column, present):
        for kind, broken in _broken(column):
            name = rule_name(spec, column, kind)
            found[name] = found[name] | broken if name in found else broken
    return found


def _broken(column: ColumnSpec) -> Iterator[tuple[str, pl.Expr]]:
    value, given = pl.col(column.name), pl.col(_given(column))
    if not column.nullable:
        yield "given", ~given
    if not column.is_plain_text:
        yield "type", value.is_null() & given
    for check in column.checks:
        if check.name == "str_length" and asks_for_something(column):
            if column.nullable:
                yield "str_length", value.str.len_bytes() == 0
        elif column.nullable or not column.is_plain_text:
            yield check.name, ~_kept(check, column.name)
        else:
            yield check.name, ~_kept(check, column.name) & given


def _window_rule(spec: TableSpec, context: RowContext) -> dict[str, pl.Expr]:
    if not spec.event_time or not (context.start_at or context.end_at):
        return {}
    at, outside = pl.col(spec.event_time), []
    outside += [at < context.start_at] if context.start_at else []
    outside += [at >= context.end_at] if context.end_at else []
    return {rule_name(spec, spec.column(spec.event_time), "window"): pl.any_horizontal(outside)}


def _given(column: ColumnSpec) -> str:
    return f"{column.name} is given"


def _asks_whether_given(column: ColumnSpec) -> bool:
    return not column.nullable or not column.is_plain_text


# A character that can be seen: none of white space, controls and formats (such as zero-width ones), nor a filler.
_VISIBLE = r"[^\s\p{Z}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u{2800}]"


def are_given(texts: pl.Series) -> pl.Series:
    """Which texts contain more than white space and characters that cannot be seen, of Unicode."""
    # The first byte, if it is of visible ASCII, shows it for nearly all texts.
    given = (texts >= "!") & (texts < "\x7f")
    given = given.fill_null(value=False) if given.null_count() else given
    if given.sum() == len(texts) - texts.null_count():
        return given
    others = (~given & texts.is_not_null()).arg_true()
    return given.scatter(others, texts.gather(others).str.contains(_VISIBLE))


_EXPRESSIONS: dict[str, Callable[[pl.Expr, Mapping[str, Any]], pl.Expr]] = {
    "greater_than_or_equal_to": lambda value, limits: value >= limits["min_value"],
    "greater_than": lambda value, limits: value > limits["min_value"],
    "less_than_or_equal_to": lambda value, limits: value <= limits["max_value"],
    "less_than": lambda value, limits: value < limits["max_value"],
    "isin": lambda value, limits: value.is_in(list(limits["allowed_values"])),
}


def check_expression(check: Check, name: str) -> pl.Expr | None:
    """An expression that is true for values that keep a check; None for a check that only pandera can evaluate."""
    expression = _EXPRESSIONS.get(check.name)
    return expression(pl.col(name), check.limits) if expression else None


def _kept(check: Check, name: str) -> pl.Expr:
    """An expression that is true for values that keep a check; pandera evaluates it if there is no own expression."""

    def ask(values: pl.Series) -> pl.Series:
        assert check.evaluate is not None  # noqa: S101 - only a check with an expression may come without pandera
        return pl.Series(check.evaluate(values.alias(name).to_frame().lazy(), name).collect().to_series())

    expression = check_expression(check, name)
    kept = pl.col(name).map_batches(ask, return_dtype=pl.Boolean) if expression is None else expression
    # Null breaks no check.
    return kept | pl.col(name).is_null()


def asks_for_something(column: ColumnSpec) -> bool:
    """Whether the only required length of a text is at least 1, which means that it must not be empty."""
    limits = next((check.limits for check in column.checks if check.name == "str_length"), {})
    return limits.get("min_value") == 1 and limits.get("max_value") is None


def _type_words(column: ColumnSpec) -> str:
    kind = column.dtype
    if column.format or column.json:
        return FORMATS[column.format].words if column.format else "is_json"
    if isinstance(kind, pl.Datetime):
        return "is_iso_8601" if {*column.instants} <= {ISO_8601, DAY} else "is_an_instant"
    if kind in (pl.Date(), pl.Boolean()):
        return "is_a_day" if kind == pl.Date() else "is_true_or_false"
    return "is_a_whole_number" if kind.is_integer() else "is_a_number"


def _check_words(column: ColumnSpec, kind: str) -> str:
    limits = {check.name: check.limits for check in column.checks}
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
