"""Rows of bronze of days to the offline tables of these days: every version of a ticket, and the current ones.

A day is that of a ticket's creation, so all versions of a ticket are in one: late files change their day alone, and
the same files, in whatever order they land, are the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl
import pyarrow as pa

from gata_assets.curation.curated.merge import Merge, MergedRows
from gata_assets.lake.check_names import EACH_VERSION_IS_THERE_ONCE, VERSIONS_ARE_IN_ORDER
from gata_assets.lake.days import CLOSED, CURRENT_FILE, RECENT, VERSIONS_FILE
from gata_assets.lake.offline.columns import offline_columns
from gata_assets.lake.offline.ending import ENDED_AT
from gata_assets.lake.offline.rules import OfflineRules
from gata_assets.lake.offline.schema import OFFLINE
from gata_assets.lake.offline.versions import PARTITION, is_current, is_newest, order_versions
from gata_assets.lake.schema import BRONZE
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.outcomes import Outcome

_ADVICE = "This is a defect of the lake; please report it."


def offline_merge(rules: OfflineRules) -> Merge:
    """The merge of a tenant's tickets by its rules."""

    def merge(partitions: Mapping[date | None, Sequence[pa.Table]]) -> dict[date | None, MergedRows]:
        return _merge_days(partitions, rules)

    return merge


def bronze_rows(tables: Sequence[pa.Table]) -> pl.DataFrame:
    """Rows of bronze as one table with all its columns; nullable ones may be missing, and a closing of 0 is none."""
    parts = [pl.DataFrame(pl.from_arrow(table)) for table in tables]
    rows = pl.concat([pl.DataFrame(schema=BRONZE), *parts], how="diagonal").select(*BRONZE)
    return rows.with_columns(
        pl.when(pl.col("closed_at").dt.epoch("us") != 0).then(pl.col("closed_at")).alias("closed_at")
    )


def _merge_days(
    partitions: Mapping[date | None, Sequence[pa.Table]], rules: OfflineRules
) -> dict[date | None, MergedRows]:
    """Merge days together, since a call of what cleans texts takes as long as 300 rows."""
    bronze = [bronze_rows(tables) for tables in partitions.values()]
    numbered = [rows.with_columns(pl.lit(place, pl.UInt32).alias(PARTITION)) for place, rows in enumerate(bronze)]
    versions = order_versions(pl.concat(numbered)) if numbered else None
    merged: dict[date | None, MergedRows] = {}
    if versions is None:
        return merged
    found = offline_columns(versions, rules)
    start = 0
    for place, (day, rows) in enumerate(zip(partitions, bronze, strict=True)):
        count = int((versions[PARTITION] == place).sum())
        part = slice(start, start + count)
        merged[day] = _as_files(found.rows[part], day, len(rows) - count, int(found.unreadable[part].sum()))
        start += count
    return merged


def _as_files(tickets: pl.DataFrame, day: date | None, repeated: int, unreadable: int) -> MergedRows:
    current = tickets.filter(is_current())
    newest = int(tickets.select(is_newest().sum()).item())
    files = {VERSIONS_FILE: tickets, CURRENT_FILE: current}
    arrow = {name: rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()) for name, rows in files.items()}
    outcomes = [
        *(outcome for table in arrow.values() for outcome in check_arrow_tables(OFFLINE, [table])),
        _check_texts(tickets),
        *_check_day(tickets, day),
    ]
    details = {
        "tickets": newest,
        "deleted_tickets": newest - len(current),
        "unreadable_values": unreadable,
        CLOSED: _between(current[ENDED_AT]),
        RECENT: _between(current["version_at"]),
    }
    unique, ordered = check_versions(tickets)
    checks = {EACH_VERSION_IS_THERE_ONCE: [unique], VERSIONS_ARE_IN_ORDER: [ordered]}
    return MergedRows(arrow, repeated, outcomes, details, checks)


def _between(instants: pl.Series) -> list[int] | None:
    """The first and last of instants in epoch seconds, the last rounded up; None without any."""
    given = instants.drop_nulls().dt.epoch("us").to_list()
    return [min(given) // 1_000_000, -(-max(given) // 1_000_000)] if given else None


def check_versions(tickets: pl.DataFrame) -> list[Outcome]:
    """Check that each version is there once, and that versions are in order."""
    less = (pl.col("id") < pl.col("id").shift(1)) | (
        (pl.col("id") == pl.col("id").shift(1)) & (pl.col("version_at") < pl.col("version_at").shift(1))
    )
    repeated = len(tickets) - tickets.n_unique(["id", "version_at"]) if len(tickets) else 0
    unordered = int(tickets.select(less.sum()).item())
    return [
        Outcome("id, version_at is there once", repeated, len(tickets), _ADVICE),
        Outcome("rows are by id, version_at", unordered, len(tickets), _ADVICE),
    ]


def _check_texts(tickets: pl.DataFrame) -> Outcome:
    # By Polars: a pattern would take pandera, which is ten times as slow as all other rules together.
    broken = int(tickets["text"].str.contains("[^a-z0-9?.! ]").sum())
    return Outcome("text is of [a-z0-9?.! ]", broken, len(tickets), _ADVICE)


def _check_day(tickets: pl.DataFrame, day: date | None) -> list[Outcome]:
    outside = 0 if day is None else int((tickets["created_at"].dt.date() != day).sum())
    return [Outcome("created_at is of the day", outside, len(tickets), _ADVICE)]
