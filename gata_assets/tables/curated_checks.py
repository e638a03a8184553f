"""Checks curated tables against their models: by a fast expression first, and by pandera only if that fails.

pandera takes 10 ms per table, however small. So all rules of a column are one expression, over the values of its
dictionary if it has one, and over many tables at once; for tables that fail it, pandera counts the rows by rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
import pyarrow as pa

from gata_assets.tables.columns.dictionaries import plain_type
from gata_assets.tables.outcomes import Outcome
from gata_assets.tables.row_rules import asks_for_something, check_expression
from gata_assets.tables.spec import ColumnSpec, TableSpec

_ADVICE = "Staged rows were changed by hand, or it is a defect of the curation; please report it."


def check_curated(spec: TableSpec, table: pl.DataFrame) -> list[Outcome]:
    """Check a table: one outcome if it is valid, else a failed one per broken rule; counts, never values."""
    if keep_every_rule(spec, [table.to_arrow(compat_level=pl.CompatLevel.oldest())]):
        return [all_kept(spec, len(table))]
    import pandera.polars as pandera

    try:
        # A DataFrame: pandera checks only the schema of a LazyFrame.
        spec.model.to_schema().validate(table, lazy=True)
    except pandera.errors.SchemaErrors as error:
        broken = error.failure_cases.group_by("column", "check").len().sort("column", "check")
        return [
            Outcome(f"{column} {str(check).partition('(')[0]}", count, len(table), _ADVICE)
            for column, check, count in broken.iter_rows()
        ]
    return [all_kept(spec, len(table))]


def all_kept(spec: TableSpec, rows: int) -> Outcome:
    """The outcome of a valid table."""
    return Outcome(f"every rule of {spec.model.to_schema().name}", 0, rows, advice="")


def keep_every_rule(spec: TableSpec, tables: Sequence[pa.Table]) -> bool:
    """Whether tables, each by itself, provably keep every rule; False also if only pandera can decide."""
    if spec.frame_rules or spec.model.to_schema().unique:
        return False
    kinds = pl.DataFrame(schema=spec.curated_schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    expected = [(field.name, field.type) for field in kinds]
    if any([(field.name, plain_type(field.type)) for field in table.schema] != expected for table in tables):
        return False
    return all(_keeps_rules(column, [table[column.name] for table in tables]) for column in spec.columns)


def _keeps_rules(column: ColumnSpec, parts: Sequence[pa.ChunkedArray]) -> bool:
    truths = [truth for truth in _truths(column) if truth is not None]
    if len(truths) < len(list(_truths(column))) or (column.unique and len(parts) > 1):
        return False
    chunks = [chunk for part in parts for chunk in part.chunks]
    coded = [chunk for chunk in chunks if isinstance(chunk, pa.DictionaryArray)]
    if any(chunk.null_count for chunk in coded) or (coded and column.unique):
        return False
    values = [chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else chunk for chunk in chunks]
    if not truths or not values:
        return True
    frame = pl.DataFrame({column.name: pl.from_arrow(pa.chunked_array(values))})
    return bool(frame.select(pl.all_horizontal(truths)).item())


def _truths(column: ColumnSpec) -> Iterator[pl.Expr | None]:
    """What is true of all values of a column that keeps its rules; None for a rule without an expression."""
    values = pl.col(column.name)
    if not column.nullable:
        yield values.null_count() == 0
    if column.unique:
        yield values.n_unique() == pl.len()
    for check in column.checks:
        if check.name == "str_length" and asks_for_something(column):
            yield (values.str.len_bytes() > 0).all(ignore_nulls=True)
        else:
            expression = check_expression(check, column.name)
            yield None if expression is None else expression.all(ignore_nulls=True)
