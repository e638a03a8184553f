"""Rows of bronze of days to the offline tables of these days: every version of a ticket, and the current ones.

A day is that of a ticket's creation, so all versions of a ticket are in one: late files change their day alone, and
the same files, in whatever order they land, are the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.curation.curated.merge import Merge, MergedRows
from gata_assets.lake.check_names import EACH_VERSION_IS_THERE_ONCE, VERSIONS_ARE_IN_ORDER
from gata_assets.lake.days import CLOSED, CURRENT_FILE, RECENT, VERSIONS_FILE
from gata_assets.lake.offline.columns import OfflineRows, offline_columns
from gata_assets.lake.offline.ending import ENDED_AT
from gata_assets.lake.offline.rules import OfflineRules
from gata_assets.lake.offline.schema import OFFLINE
from gata_assets.lake.offline.versions import (
    PARTITION,
    is_current,
    is_newest,
    order_versions,
    repeated_versions,
    unordered_versions,
)
from gata_assets.lake.schema import BRONZE
from gata_assets.tables.arrow_checks import check_arrow_tables, keep_every_rule
from gata_assets.tables.outcomes import Outcome, passed_all_rules

_ADVICE = "This is a defect of the lake; please report it."


def offline_merge(rules: OfflineRules) -> Merge:
    """The merge of a tenant's tickets by its rules."""

    def merge(partitions: Mapping[date | None, Sequence[pa.Table]]) -> dict[date | None, MergedRows]:
        return _merge_days(partitions, rules)

    return merge


def bronze_rows(tables: Sequence[pa.Table]) -> pl.DataFrame:
    """Rows of bronze as one table with all its columns; nullable ones may be missing, and a closing of 0 is none."""
    # To convert a table takes as long as some hundreds of rows.
    alike = [pa.concat_tables(found) for _, found in groupby(tables, key=attrgetter("schema"))]
    parts = [pl.DataFrame(pl.from_arrow(table)) for table in alike]
    rows = pl.concat([pl.DataFrame(schema=BRONZE), *parts], how="diagonal").select(*BRONZE)
    return rows.with_columns(
        pl.when(pl.col("closed_at").dt.epoch("us") != 0).then(pl.col("closed_at")).alias("closed_at")
    )


def _merge_days(
    partitions: Mapping[date | None, Sequence[pa.Table]], rules: OfflineRules
) -> dict[date | None, MergedRows]:
    """Merge days together: what is called once per day takes as long as hundreds of rows."""
    counts = [sum(map(len, tables)) for tables in partitions.values()]
    bronze = bronze_rows([table for tables in partitions.values() for table in tables])
    place_of_day = pl.Series(PARTITION, np.repeat(np.arange(len(counts), dtype=np.uint32), counts))
    versions = order_versions(bronze.with_columns(place_of_day))
    found, places = offline_columns(versions, rules), versions[PARTITION]
    # Rows of kilobytes, which are there once more as files.
    del bronze, versions
    figures = _figures_of_days(found, places, list(partitions))
    is_kept = found.rows.select(is_current().over(places)).to_series()
    # Of these, the files of each day are slices.
    tickets, current = _as_arrow(found.rows), _as_arrow(found.rows.filter(is_kept))
    # Current rows are among them, and rules are those of single rows.
    is_valid = keep_every_rule(OFFLINE, [tickets])
    merged: dict[date | None, MergedRows] = {}
    first = first_current = 0
    for day, count, of_day in zip(partitions, counts, figures, strict=True):
        files = {
            VERSIONS_FILE: tickets.slice(first, of_day.versions),
            CURRENT_FILE: current.slice(first_current, of_day.current),
        }
        rules_kept = [outcome for table in files.values() for outcome in _check_rules(table, is_valid=is_valid)]
        merged[day] = _merged(day, files, rules_kept, count, of_day)
        first, first_current = first + of_day.versions, first_current + of_day.current
    return merged


class _Figures(NamedTuple):
    """What is counted of a day's versions."""

    versions: int
    tickets: int
    current: int
    unreadable: int
    repeated: int
    unordered: int
    broken_texts: int
    outside: int
    first_ended: int | None
    last_ended: int | None
    first_version: int | None
    last_version: int | None


def _figures_of_days(found: OfflineRows, places: pl.Series, days: Sequence[date | None]) -> list[_Figures]:
    """What is counted of each day, of tickets by the place of their day."""
    day = pl.Series("day", days, dtype=pl.Date).gather(places)
    rows = found.rows.with_columns(places, day, pl.Series("unreadable", found.unreadable))
    ended, version = (pl.col(name).filter(is_current()).dt.epoch("us") for name in (ENDED_AT, "version_at"))
    figures = [
        pl.len(),
        is_newest().sum(),
        is_current().sum(),
        pl.col("unreadable").sum(),
        repeated_versions(),
        unordered_versions(),
        # By Polars: a pattern would take pandera, which is ten times as slow as all other rules together.
        pl.col("text").str.contains("[^a-z0-9?.! ]").sum(),
        (pl.col("created_at").dt.date() != pl.col("day")).sum(),
        ended.min(),
        ended.max(),
        version.min(),
        version.max(),
    ]
    counted = [figure.alias(name) for name, figure in zip(_Figures._fields, figures, strict=True)]
    of_day = {place: _Figures(*of) for place, *of in rows.group_by(PARTITION).agg(counted).rows()}
    nothing = _Figures(*rows.clear().select(counted).row(0))
    return [of_day.get(place, nothing) for place in range(len(days))]


def _as_arrow(rows: pl.DataFrame) -> pa.Table:
    return rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())


def _check_rules(table: pa.Table, *, is_valid: bool) -> list[Outcome]:
    """The outcomes of a table's rules, which are evaluated unless it is known to be valid."""
    return [passed_all_rules(OFFLINE.name, len(table))] if is_valid else check_arrow_tables(OFFLINE, [table])


def _merged(
    day: date | None, files: Mapping[str, pa.Table], rules: Sequence[Outcome], rows: int, of_day: _Figures
) -> MergedRows:
    """A day's files with the outcomes of their rules, of so many rows of bronze."""

    def outcome(rule: str, failed: int) -> Outcome:
        return Outcome(rule, failed, of_day.versions, _ADVICE)

    outcomes = [*rules, outcome("text is of [a-z0-9?.! ]", of_day.broken_texts)]
    outcomes += [outcome("created_at is of the day", of_day.outside)] if day else []
    details = {
        "tickets": of_day.tickets,
        "deleted_tickets": of_day.tickets - of_day.current,
        "unreadable_values": of_day.unreadable,
        CLOSED: _between(of_day.first_ended, of_day.last_ended),
        RECENT: _between(of_day.first_version, of_day.last_version),
    }
    checks = {
        EACH_VERSION_IS_THERE_ONCE: [outcome("id, version_at is there once", of_day.repeated)],
        VERSIONS_ARE_IN_ORDER: [outcome("rows are by id, version_at", of_day.unordered)],
    }
    return MergedRows(files, rows - of_day.versions, outcomes, details, checks)


def _between(first: int | None, last: int | None) -> list[int] | None:
    """Instants in microseconds as seconds, the last rounded up; None without any."""
    return None if first is None or last is None else [first // 1_000_000, -(-last // 1_000_000)]
