"""The rules of a pandera schema held against Polars tables: how many rows break which rule, never the values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pandera.polars as pa
import polars as pl

from gata_assets.core.quality import Outcome, explain_rule


def check_polars_table(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> list[Outcome]:
    """Hold every rule of a schema against a table; one failed outcome a broken rule, or one passed for all."""
    return check_polars_tables(schema, [frame])


def check_polars_tables(schema: pa.DataFrameSchema, frames: Iterable[pl.DataFrame]) -> list[Outcome]:
    """The same for a table that comes in pieces; that values are unique is held against each piece alone.

    The frames are not lazy: of a LazyFrame pandera looks at the columns and types alone.
    """
    rows, broken = 0, Counter[tuple[str, str]]()
    for frame in frames:
        rows += len(frame)
        try:
            schema.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as error:
            kinds = error.failure_cases.group_by("column", "check").len()
            for column, check, count in kinds.iter_rows():
                broken[str(column), str(check)] += count
    if broken:
        return [explain_rule(column, check, count, rows) for (column, check), count in sorted(broken.items())]
    return [Outcome(f"every rule of {schema.name}", failed=0, checked=rows, advice="")]
