"""Checks of Arrow tables against pandera schemas: how many rows break which rule, never the failing values.

A batch's tables are rarely invalid, and far larger as strings. Columns whose extremes and dictionaries prove that they
are valid are not checked row by row; only the others are decoded to strings for pandera, which counts the failures.
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

# By pandera's check name: the statistic with the limit, and how a valid value compares to it.
_LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "greater_than": ("min_value", gt),
    "greater_than_or_equal_to": ("min_value", ge),
    "less_than": ("max_value", lt),
    "less_than_or_equal_to": ("max_value", le),
}


def check_arrow_tables(
    schema: pandera.DataFrameSchema, tables: Iterable[pa.Table], advice: Advice = GENERAL_ADVICE
) -> list[Outcome]:
    """Check a table, given in pieces, against a schema.

    Args:
        schema: The rules. Uniqueness is checked within each piece only.
        tables: The table's pieces; ids are dictionaries or strings.
        advice: What to do about a broken rule, by pandera's check name.

    Returns:
        One failed outcome per broken rule, or one passed outcome for all of them.
    """
    rows, broken = 0, Counter[tuple[str, str]]()
    for table in tables:
        rows += table.num_rows
        if not is_provably_valid(schema, table):
            broken += _broken(schema, _frames(schema, table))
    if broken:
        return [explain_rule(column, check, count, rows, advice) for (column, check), count in sorted(broken.items())]
    return [passed_all_rules(str(schema.name), rows)]


def is_provably_valid(schema: pandera.DataFrameSchema, table: pa.Table) -> bool:
    """Whether extremes and dictionaries prove that a table is valid; False also if only pandera can decide."""
    if table.column_names != list(schema.columns) or schema.checks or schema.unique:
        return False
    return all(_is_valid_column(rules, table[name]) for name, rules in schema.columns.items())


def _is_valid_column(rules: pandera.Column, column: pa.ChunkedArray) -> bool:
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
    return all(_passes(check, piece) for check in rules.checks for piece in values)


@cache
def _polars_type(kind: pa.DataType) -> pl.DataType:
    series = pl.from_arrow(pa.array([], plain_type(kind)))
    assert isinstance(series, pl.Series)  # noqa: S101 - Polars' type is wider
    return series.dtype


def _is_ascending(column: pa.ChunkedArray) -> bool:
    """Whether each value is greater than the one before, as sorted ids are, which proves uniqueness."""
    if column.num_chunks > 1 or pa.types.is_dictionary(column.type) or column.null_count:
        return False
    values = column.combine_chunks()
    return bool(pc.all(pc.less(values[:-1], values[1:]), min_count=0).as_py())


def _passes(check: pandera.Check, values: pa.Array) -> bool:
    """Whether all non-null values pass a check. A dictionary may have values that no row has."""
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
    """Count the rows that break each rule, by column and check."""
    broken = Counter[tuple[str, str]]()
    for frame in frames:
        try:
            schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as error:
            kinds = error.failure_cases.group_by("column", "check").len()
            for column, check, count in kinds.iter_rows():
                broken[str(column), str(check)] += count
    return broken
