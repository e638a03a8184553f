"""The versions of keys: which change of a key counts, now and as of an instant.

Frames of changes have the columns of their table, whether a change deletes, its commit time, file and line, and the
partition that it was routed to, which is judged by itself.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from gata_assets.tables.changes.declared import COMMITTED_AT, IS_DELETE, SOURCE_FILE, SOURCE_LINE
from gata_assets.tables.spec import TableSpec

PARTITION = "partition"
# Of the changes of a key the greatest counts. A full load comes before changes of the same instant: without commit
# times all changes of a day have the same one.
_IS_LOAD = pl.col(SOURCE_FILE).str.contains(r"(?:^|/)LOAD[0-9A-Fa-f]{8}\.")
ORDER = (pl.col(COMMITTED_AT), ~_IS_LOAD, pl.col(SOURCE_FILE), pl.col(SOURCE_LINE))
# What identifies a change.
PLACE = (SOURCE_FILE, SOURCE_LINE)
# Of a unit: its key, an instant of its history, and the latest one to count.
UNIT, AT, CUTOFF = "unit", "at", "cutoff"


def schema_of(spec: TableSpec) -> dict[str, pl.DataType]:
    """The columns of a frame of changes of a table."""
    own = {name: kind for name, kind in spec.staged_schema.items() if name != SOURCE_LINE}
    return {**own, SOURCE_FILE: pl.String(), SOURCE_LINE: pl.Int64(), PARTITION: pl.Int32()}


def in_order(changes: pl.DataFrame) -> pl.DataFrame:
    """Changes by partition, and there in the order in which they count."""
    # Of files there are few: their place in the order is found once for each, not for each row.
    rank = "rank"
    files = changes.select(pl.col(SOURCE_FILE).unique()).sort(~_IS_LOAD, SOURCE_FILE).with_row_index(rank)
    ranks = changes[SOURCE_FILE].replace_strict(files[SOURCE_FILE], files[rank], return_dtype=pl.UInt32)
    ordered = changes.with_columns(ranks.alias(rank)).sort(PARTITION, COMMITTED_AT, rank, SOURCE_LINE)
    return ordered.drop(rank)


def latest(changes: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """The latest change of each key in its partition, deletes included."""
    # Most keys have one change, and sorting by texts takes longer than finding those that have more.
    if len(key) == 1 and changes[key[0]].n_unique() == len(changes):
        return changes
    is_repeated = changes[key[0]].is_duplicated() if len(key) == 1 else changes.select(key).is_duplicated()
    once, repeated = changes.filter(~is_repeated), changes.filter(is_repeated)
    last = repeated.sort(*ORDER).unique([PARTITION, *key], keep="last", maintain_order=True)
    return pl.concat([once, last])


def exactly_once(changes: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """The changes without those of a file that was folded in twice."""
    is_repeated = changes[key[0]].is_duplicated()
    if not is_repeated.any():
        return changes
    repeated = changes.filter(is_repeated).unique([PARTITION, *key, *PLACE], keep="any", maintain_order=True)
    return pl.concat([changes.filter(~is_repeated), repeated])


def last_of_commits(changes: pl.DataFrame, key: str) -> pl.DataFrame:
    """The last change of each key in each transaction, by key and commit time."""
    ordered = changes.sort(PARTITION, key, *ORDER)
    return ordered.unique([PARTITION, key, COMMITTED_AT], keep="last", maintain_order=True)


def without_files(changes: pl.DataFrame, files: Collection[str]) -> pl.DataFrame:
    """The changes but for those of some files."""
    return changes.filter(~pl.col(SOURCE_FILE).is_in(list(files))) if files else changes


def live(changes: pl.DataFrame) -> pl.DataFrame:
    """The changes that delete nothing."""
    return changes.filter(~pl.col(IS_DELETE)) if changes[IS_DELETE].any() else changes
