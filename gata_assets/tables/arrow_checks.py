"""Checks of Arrow tables against their specs: how many rows break which rule, never the failing values.

Tables are rarely invalid, and far larger as texts; pandera takes 10 ms per table, however small. So all rules of a
column are one expression over its values, or over those of its dictionary, and over many tables at once. Only what that
does not prove valid is decoded for pandera, which counts the rows by rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import polars as pl
import pyarrow as pa

from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.columns.dictionaries import decoded, plain_type
from gata_assets.tables.outcomes import GENERAL_ADVICE, Advice, Outcome, explain_rule, passed_all_rules
from gata_assets.tables.row_rules import asks_for_something, check_expression
from gata_assets.tables.spec import TableSpec

_ROWS_AT_ONCE = 1 << 18


def check_arrow_tables(spec: TableSpec, tables: Iterable[pa.Table], advice: Advice = GENERAL_ADVICE) -> list[Outcome]:
    """Check a table, given in pieces, against its spec.

    Args:
        spec: The rules. Uniqueness is checked within each piece only.
        tables: The table's pieces; texts may be dictionaries.
        advice: What to do about a broken rule, by pandera's check name.

    Returns:
        One failed outcome per broken rule, or one passed outcome for all of them.
    """
    rows, broken = 0, Counter[tuple[str, str]]()
    for table in tables:
        rows += table.num_rows
        if not keep_every_rule(spec, [table]):
            broken += _broken(spec, table)
    if broken:
        return [explain_rule(column, check, count, rows, advice) for (column, check), count in sorted(broken.items())]
    return [passed_all_rules(spec.name, rows)]


def keep_every_rule(spec: TableSpec, tables: Sequence[pa.Table]) -> bool:
    """Whether tables, each by itself, provably keep every rule; False also if only pandera can decide."""
    if spec.frame_rules:
        return False
    expected = list(spec.curated_schema.items())
    if any([(field.name, _polars_type(field.type)) for field in table.schema] != expected for table in tables):
        return False
    if spec.unique_together and not all(_is_unique(table, _unique_together(spec)) for table in tables):
        return False
    return all(_keeps_rules(column, [table[column.name] for table in tables]) for column in spec.columns)


@cache
def _unique_together(spec: TableSpec) -> tuple[str, ...]:
    return tuple(spec.model.to_schema().unique or ())


def _is_unique(table: pa.Table, columns: Sequence[str]) -> bool:
    """Whether one of the columns alone proves that they are unique together."""
    values = (pl.Series(pl.from_arrow(table[name])) for name in columns)
    return any(of_column.n_unique() == len(of_column) for of_column in values)


def _keeps_rules(column: ColumnSpec, parts: Sequence[pa.ChunkedArray]) -> bool:
    chunks = [chunk for part in parts for chunk in part.chunks]
    coded = [chunk for chunk in chunks if isinstance(chunk, pa.DictionaryArray)]
    nulls = sum(array.null_count for array in [*chunks, *(chunk.dictionary for chunk in coded)])
    if (nulls and not column.nullable) or (column.unique and (coded or len(parts) > 1)):
        return False
    values = [chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else chunk for chunk in chunks]
    truths = list(_truths(column))
    if not truths or not values:
        return True
    frame = pl.DataFrame({column.name: pl.from_arrow(pa.chunked_array(values))})
    known = [truth for truth in truths if truth is not None]
    return len(known) == len(truths) and bool(frame.select(pl.all_horizontal(known)).item())


def _truths(column: ColumnSpec) -> Iterator[pl.Expr | None]:
    """What is true of all values of a column that keeps its rules; None for a rule without an expression."""
    values = pl.col(column.name)
    if column.unique:
        yield values.n_unique() == pl.len()
    for check in column.checks:
        if check.name == "str_length" and asks_for_something(column):
            yield (values.str.len_bytes() > 0).all(ignore_nulls=True)
        else:
            expression = check_expression(check, column.name)
            yield None if expression is None else expression.all(ignore_nulls=True)


@cache
def _polars_type(kind: pa.DataType) -> pl.DataType:
    return pl.Series(pl.from_arrow(pa.nulls(0, plain_type(kind)))).dtype


def _broken(spec: TableSpec, table: pa.Table) -> Counter[tuple[str, str]]:
    """Count the rows that break each rule, by column and check."""
    import pandera.polars as pandera

    schema = spec.model.to_schema().select_columns(list(spec.curated_schema))
    is_split = not any(column.unique for column in spec.columns)
    broken = Counter[tuple[str, str]]()
    for frame in decoded(table, _ROWS_AT_ONCE if is_split else table.num_rows):
        try:
            # A DataFrame: pandera checks only the schema of a LazyFrame.
            schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as error:
            kinds = error.failure_cases.group_by("column", "check").len()
            broken.update({(str(column), str(check)): count for column, check, count in kinds.iter_rows()})
    return broken
