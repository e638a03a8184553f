"""A table's reference page in Markdown, derived from its spec: curated columns and accepted raw columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from gata_assets.tables.columns.column_spec import DAY, EPOCH_MS, EPOCH_S, ISO_8601, Check, ColumnSpec, ReferenceMode
from gata_assets.tables.masking.rows import identifier_rule_names
from gata_assets.tables.row_rules import FITTING_RULE, READABLE_RULE, column_rule_names, rule_name
from gata_assets.tables.spec import InvalidOptional, Repetitions, TableSpec, UnknownColumns

_INSTANTS = {
    ISO_8601: "ISO 8601 (without an offset: UTC)",
    DAY: "a day, `YYYY-MM-DD`",
    EPOCH_S: "seconds since 1970",
    EPOCH_MS: "milliseconds since 1970",
}
_UNKNOWN_COLUMNS = {
    UnknownColumns.IGNORE: "ignored",
    UnknownColumns.REJECT_ROW: "a row that has a value there is rejected",
    UnknownColumns.REFUSE_FILE: "the file is refused",
}
_INVALID_OPTIONAL = {
    InvalidOptional.REJECT_ROW: "its row is rejected",
    InvalidOptional.DISCARD_VALUE: "the value is discarded and counted, and the row counts without it",
}
_OF_REFERENCES = {
    ReferenceMode.WARN: " (counted)",
    ReferenceMode.REJECT: "",
    ReferenceMode.PARK: " (parked)",
    ReferenceMode.PART: " (judged together)",
}
# Of a list of codes, the first few show what they are.
_MOST_VALUES = 20
_FORMATS = {"email": "an e-mail address", "phone": "a phone number"}
_MASKS = {"token": "stored as a token", "hidden": "stored as `***`", "last_four": "stored as its last four digits"}
_LIMITS = {
    "greater_than_or_equal_to": "≥ {min_value}",
    "greater_than": "> {min_value}",
    "less_than_or_equal_to": "≤ {max_value}",
    "less_than": "< {max_value}",
    "in_range": "{min_value} to {max_value}",
}


def describe_table(spec: TableSpec, *, level: int = 1) -> str:
    """The page of a table: its columns, how raw files may write them, and the rules by their names in quarantine.

    Its title is a heading of that `level`.
    """
    heading = "#" * level
    parts = [
        f"{heading} {spec.table}",
        re.sub(r"(?<!\n)\n(?!\n)", " ", spec.description),
        _how_rows_count(spec),
        f"{heading}# Columns",
        _table(("column", "type", "null", "values", "description"), map(_curated_row, spec.columns)),
        f"{heading}# Raw files",
        _how_files_are_read(spec),
        _table(
            ("column", "required", "also named", "written as", "rules in quarantine"),
            (_raw_row(spec, column) for column in spec.raw_columns),
        ),
        "Rules of whole rows: " + ", ".join(f"`{name}`" for name in _row_rules(spec)) + ".",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def describe_type(kind: pl.DataType) -> str:
    """A column's type in a word or two."""
    if isinstance(kind, pl.Datetime):
        return "instant (UTC)"
    return {pl.String(): "text", pl.Date(): "day", pl.Boolean(): "boolean"}.get(kind, str(kind))


def describe_values(column: ColumnSpec) -> str:
    """The values that a column allows, besides its type."""
    found = describe_checks(column.checks, unique=column.unique)
    if column.code_of:
        found.append(f"the place among the values of `{column.code_of}`, from 0 on")
    if column.key_of:
        found.append(f"the 64-bit key of `{column.key_of}`")
    if column.personal in _MASKS:
        found.append(_MASKS[str(column.personal)])
    if column.references:
        found.append(f"refers to `{column.references.table}.{column.references.column}`")
    return "; ".join(found)


def describe_checks(checks: Iterable[Check], *, unique: bool) -> list[str]:
    """What a column's checks allow, a text each; a check without a text of its own by its name."""
    found = ["unique"] if unique else []
    for check in checks:
        limits = check.limits
        if check.name in _LIMITS:
            found.append(_LIMITS[check.name].format(**limits))
        elif check.name == "isin":
            found.append(_values(limits["allowed_values"]))
        elif check.name == "str_matches":
            found.append(f"`{getattr(limits['pattern'], 'pattern', limits['pattern'])}`")
        elif check.name == "str_length":
            found.append(_length(limits.get("min_value"), limits.get("max_value")))
        else:
            found.append(check.name)
    return found


def _values(allowed: Sequence[object]) -> str:
    shown = [f"`{value}`" for value in allowed[:_MOST_VALUES]]
    return ", ".join(shown) + (f" … ({len(allowed)} in all)" if len(allowed) > len(shown) else "")


def _length(least: int | None, most: int | None) -> str:
    if most is None:
        return f"at least {least} character{'s' if least != 1 else ''}"
    return f"at most {most} characters" if least is None else f"{least} to {most} characters"


def _how_rows_count(spec: TableSpec) -> str:
    if spec.changes:
        count = (
            f"Of the changes of one {_names(spec.key)} the latest counts: by commit time, then by file, then by row."
        )
    elif spec.repetitions is Repetitions.LATEST:
        count = f"Of the rows of one {_names(spec.key)} the latest counts: by when its file landed, then by its line."
    else:
        count = "Exact repetitions of a row are dropped."
    by_day = f" Each day (UTC) of `{spec.event_time}` is curated by itself." if spec.partition_by else ""
    personal = [column.name for column in spec.columns if column.personal]
    return count + by_day + (f" Personal: {_names(personal)}." if personal else "")


def _how_files_are_read(spec: TableSpec) -> str:
    more = f"all are kept in `{spec.more}`, as a JSON object" if spec.more else _UNKNOWN_COLUMNS[spec.unknown_columns]
    separator = "" if spec.separator == "," else f"CSV is separated by `{spec.separator}`. "
    unknown = f"A column that the table does not have: {more}. "
    invalid = f"An invalid value of a column that may be null: {_INVALID_OPTIONAL[spec.invalid_optional]}."
    return separator + unknown + invalid + _pages(spec)


def _pages(spec: TableSpec) -> str:
    if spec.pages is None:
        return ""
    beside = "".join(
        f" `{one.column}` is {'all' if one.many else 'that'} of the list `{one.list}` whose `{one.key}` is the row's "
        f"`{one.of}`."
        for one in spec.pages.beside
    )
    rows = f"JSON is rows, arrays of rows, or pages: objects whose list `{spec.pages.rows}` has rows."
    return f"\n\n{rows}{beside}"


def _curated_row(column: ColumnSpec) -> Sequence[str]:
    null = "yes" if column.nullable else "no"
    return f"`{column.name}`", describe_type(column.dtype), null, describe_values(column), column.description


def _raw_row(spec: TableSpec, column: ColumnSpec) -> Sequence[str]:
    rules = [*column_rule_names(spec, column)]
    if column.references:
        rules.append(rule_name(spec, column, "reference") + _OF_REFERENCES[column.references.mode])
    required = "no" if column.nullable else "yes"
    also = [*column.aliases, *([f"{column.within}.{column.name}"] if column.within else [])]
    written = "fields of other names" if column.name == spec.more else "; ".join(_written_as(column))
    return f"`{column.name}`", required, _names(also), written, ", ".join(rules)


def _written_as(column: ColumnSpec) -> Iterator[str]:
    if column.json:
        yield "JSON of any kind"
    for form in column.instants:
        yield _INSTANTS.get(form, f"`{form}`")
    if column.format:
        yield _FORMATS[column.format]
    for word, value in column.words.items():
        yield f"`{word}` for `{value}`"


def _row_rules(spec: TableSpec) -> Iterator[str]:
    yield from (READABLE_RULE, FITTING_RULE)
    yield from (rule.name for rule in spec.frame_rules)
    yield from identifier_rule_names(spec)
    yield from (rule.name for rule in spec.totals)
    yield from (rule.name for rule in spec.parent_rules)


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(titles: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
