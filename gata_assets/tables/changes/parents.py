"""The tables that rows of others refer to: which of their keys are there, and which have ever been."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from gata_assets.tables.changes.declared import COMMITTED_AT, IS_DELETE
from gata_assets.tables.changes.graph import Member

KEY, IS_PRESENT, HAS_EXISTED, DELETED_AT = "key", "is_present", "has_existed", "deleted_at"
PARENT_SCHEMA = {
    KEY: pl.String(),
    IS_PRESENT: pl.Boolean(),
    HAS_EXISTED: pl.Boolean(),
    DELETED_AT: pl.Datetime("us", "UTC"),
}


def parents_of(latest_changes: pl.DataFrame, column: str) -> pl.DataFrame:
    """The keys of a whole table (PARENT_SCHEMA), from the latest change of each, with whether it ever existed."""
    is_present = ~pl.col(IS_DELETE)
    return latest_changes.select(
        pl.col(column).alias(KEY),
        is_present.alias(IS_PRESENT),
        (is_present | pl.col(HAS_EXISTED)).alias(HAS_EXISTED),
        pl.when(~is_present).then(COMMITTED_AT).alias(DELETED_AT),
    )


def look_up(rows: pl.DataFrame, member: Member, parents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Rows with what is known of the row that each refers to; a key that is unknown was never there."""
    found = rows.join(parents[member.parent], left_on=member.column, right_on=KEY, how="left", maintain_order="left")
    return found.with_columns(pl.col(name).fill_null(value=False) for name in (IS_PRESENT, HAS_EXISTED))
