"""The rules of a pandera schema held against tables of Arrow: how many rows break which, never the values.

The tables of a batch are seldom wrong, and far larger as strings. What their extremes and dictionaries show to be
right is not looked at row by row; only the rest becomes strings, for pandera, which alone counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from operator import ge, gt, le, lt
from typing import Any

import pandera.polars as pandera
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from gata_assets.tables.columns.dictionaries import decoded, plain_type
from gata_assets.tables.outcomes import Outcome
from gata_assets.tables.schema_checks import GENERAL_ADVICE, Advice, explain_rule, passed_all_rules

_ROWS_AT_ONCE = 1 << 18

# By pandera's names of the rules: where the limit stands, and how a value that keeps it compares.
_LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "greater_than": ("min_value", gt),
    "greater_than_or_equal_to": ("min_value", ge),
    "less_than": ("max_value", lt),
    "less_than_or_equal_to": ("max_value", le),
}


def check_arrow_tables(
    schema: pandera.DataFrameSchema, tables: Iterable[pa.Table], advice: Advice = GENERAL_ADVICE
) -> list[Outcome]:
    """Hold every rule of a schema against a table in pieces, with ids as dictionaries or strings.

    Gives one failed outcome a broken rule, or one passed for all. That values are unique is held against each piece
    alone.
    """
    rows, broken = 0, Counter[tuple[str, str]]()
    for table in tables:
        rows += table.num_rows
        if not keeps_every_rule(schema, table):
            broken += _broken(schema, _frames(schema, table))
    if broken:
        return [explain_rule(column, check, count, rows, advice) for (column, check), count in sorted(broken.items())]
    return [passed_all_rules(str(schema.name), rows)]


def keeps_every_rule(schema: pandera.DataFrameSchema, table: pa.Table) -> bool:
    """Whether a table is seen to keep every rule at a glance; False too where only pandera can tell."""
    if table.column_names != list(schema.columns) or schema.checks or schema.unique:
        return False
    return all(_keeps_rules(rules, table[name]) for name, rules in schema.columns.items())


def _keeps_rules(rules: pandera.Column, column: pa.ChunkedArray) -> bool:
    if rules.dtype is None or rules.dtype.type != _polars_type(column.type):
        return False
    values = [chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else chunk for chunk in column.chunks]
    nulls = column.null_count + sum(
        chunk.dictionary.null_count for chunk in column.chunks if isinstance(chunk, pa.DictionaryArray)
    )
    if nulls and not rules.nullable:
        return False
    if rules.unique and not _is_ascending(column):
        return False
    return all(_keeps(check, piece) for check in rules.checks for piece in values)


@cache
def _polars_type(kind: pa.DataType) -> pl.DataType:
    series = pl.from_arrow(pa.array([], plain_type(kind)))
    assert isinstance(series, pl.Series)  # noqa: S101 - Polars' type is wider
    return series.dtype


def _is_ascending(column: pa.ChunkedArray) -> bool:
    """Each value greater than the one before, as ids are in their order: none is there twice."""
    if column.num_chunks > 1 or pa.types.is_dictionary(column.type) or column.null_count:
        return False
    values = column.combine_chunks()
    return bool(pc.all(pc.less(values[:-1], values[1:]), min_count=0).as_py())


def _keeps(check: pandera.Check, values: pa.Array) -> bool:
    """Whether all values that are not null keep a rule. A dictionary may have more of them than its rows."""
    if pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py():
        return False
    limits = check.statistics or {}
    if check.name == "isin":
        allowed = pa.array(limits["allowed_values"]).cast(values.type)
        return bool(pc.all(pc.is_in(values.drop_null(), value_set=allowed), min_count=0).as_py())
    if check.name not in _LIMITS or not pa.types.is_primitive(values.type):
        return False
    limit, compare = _LIMITS[check.name]
    if values.null_count == len(values):
        return True
    bounds = pc.min_max(values)
    return all(compare(bounds[end].as_py(), limits[limit]) for end in ("min", "max"))


def _frames(schema: pandera.DataFrameSchema, table: pa.Table) -> Iterable[pl.DataFrame]:
    has_unique = any(rules.unique for rules in schema.columns.values())
    return decoded(table, table.num_rows if has_unique else _ROWS_AT_ONCE)


def _broken(schema: pandera.DataFrameSchema, frames: Iterable[pl.DataFrame]) -> Counter[tuple[str, str]]:
    """How many rows break which rule, by column and rule."""
    broken = Counter[tuple[str, str]]()
    for frame in frames:
        try:
            schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as error:
            kinds = error.failure_cases.group_by("column", "check").len()
            for column, check, count in kinds.iter_rows():
                broken[str(column), str(check)] += count
    return broken
