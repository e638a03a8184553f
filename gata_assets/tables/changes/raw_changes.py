"""Raw rows of changes: what a delete is excused from, and when a change was committed.

`row_rules` validates the rows; `declared` has what a table says of its changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import polars as pl

from gata_assets.errors import RawFileError
from gata_assets.tables.changes.declared import COMMITTED_AT, DELETE, IS_DELETE, OPERATION
from gata_assets.tables.spec import TableSpec

COMMITTED_RULE = "committed_at_is_given"


def complete_changes(
    spec: TableSpec,
    values: pl.DataFrame,
    broken: Mapping[str, pl.Series],
    committed_at: datetime | None,
    excused: Collection[str],
) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """Add to validated rows whether they delete and when they were committed.

    A delete may have its key only: its other values are null, whether the file has them or not, and rules of other
    columns do not reject it.

    Args:
        spec: The table.
        values: The rows' values by column, without columns that the file lacks.
        broken: The rows that break each rule of a column.
        committed_at: The commit time of the file's rows if they have none of their own.
        excused: The rules that a delete need not keep.

    Raises:
        RawFileError: Neither the file nor its rows have a commit time.
    """
    broken = dict(broken)
    if OPERATION in values.columns:
        is_delete = (values[OPERATION] == DELETE).fill_null(value=False)
    else:
        is_delete = pl.repeat(value=False, n=len(values), eager=True)
    if COMMITTED_AT not in values.columns:
        if committed_at is None:
            names = ", ".join(spec.names_of(spec.column(COMMITTED_AT)))
            raise RawFileError(
                f"does not say when its changes were committed: it has no column of that ({names}), and is in no "
                "folder of a day (year=2026/month=01/day=03)."
            )
        values = values.with_columns(pl.lit(committed_at, pl.Datetime("us", "UTC")).alias(COMMITTED_AT))
    elif values[COMMITTED_AT].null_count():
        broken[COMMITTED_RULE] = values[COMMITTED_AT].is_null()
    values = values.with_columns(is_delete.alias(IS_DELETE))
    if is_delete.any():
        kept = {*spec.key, OPERATION, COMMITTED_AT, IS_DELETE}
        broken = {name: rows & ~is_delete if name in excused else rows for name, rows in broken.items()}
        others = [name for name in values.columns if name not in kept]
        values = values.with_columns(pl.when(~pl.col(IS_DELETE)).then(pl.col(name)).alias(name) for name in others)
    return values, {name: rows for name, rows in broken.items() if rows.any()}
