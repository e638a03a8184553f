"""Cleans Dagster's history: runs of long ago with their events and logs, a bounded number at a time.

With a run, Dagster forgets the materializations of its events, so that partitions that were filled would be missing.
So before a run is deleted, the newest materialization of each of its partitions is recorded again, as an event without
a run: metadata, tags and data version are the same, `materialized_at` says when that was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from gata_assets.orchestration.dagster_private import remove_run_file

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
MATERIALIZED_AT, OF_RUN = "materialized_at", "materialized_by_run"
# Partitions in a query, and records of an answer.
_AT_ONCE = 500
# The tags of a materialization with the ids of those that it was built from, by their assets.
_INPUT_POINTER = "dagster/input_event_pointer/"


@dataclass(frozen=True)
class CleanedRun:
    """A run that was deleted, and how many materializations were recorded again; or one that was `kept`."""

    run_id: str
    recorded_again: int = 0
    is_kept: bool = False


def clean_runs(instance: dg.DagsterInstance, before: datetime, *, most: int) -> Iterator[CleanedRun]:
    """Delete at most so many ended runs that were created before an instant, the oldest first.

    A run that has the newest materialization of an asset stays: the asset's page shows that run.
    """
    deleted, cursor = 0, None
    shown, moved = _Shown(instance), dict[int, int]()
    while deleted < most:
        filters = dg.RunsFilter(statuses=_ENDED, created_before=before)
        runs = instance.get_run_records(filters, limit=min(most, _AT_ONCE), ascending=True, cursor=cursor)
        if not runs:
            return
        for record in runs:
            # The cursor of ascending runs is the last that was seen; one that is deleted is none.
            run_id = record.dagster_run.run_id
            cleaned = _clean(instance, run_id, shown, moved)
            yield cleaned
            if cleaned.is_kept:
                cursor = run_id
            deleted += not cleaned.is_kept
            if deleted == most:
                return


def _clean(instance: dg.DagsterInstance, run_id: str, shown: _Shown, moved: dict[int, int]) -> CleanedRun:
    partitions = _materialized_in(instance, run_id)
    if any(shown.run_of(asset) == run_id for asset in partitions):
        return CleanedRun(run_id, is_kept=True)
    records = [
        record for asset, names in partitions.items() for record in _newest_in(instance, run_id, asset, sorted(names))
    ]
    # In their order: what something was built from is before it.
    for record in sorted(records, key=lambda found: found.storage_id):
        _record_again(instance, record, moved)
    # Logs first: a run that is no more is not found again.
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.delete_run(run_id)
    remove_run_file(instance, run_id)
    return CleanedRun(run_id, len(records))


def _materialized_in(instance: dg.DagsterInstance, run_id: str) -> dict[dg.AssetKey, set[str]]:
    """The assets that a run materialized, each with its partitions."""
    found: dict[dg.AssetKey, set[str]] = {}
    cursor, has_more = None, True
    while has_more:
        # Their storage ids are of the run alone where each run has a database of its own (SQLite).
        page = instance.get_records_for_run(
            run_id, cursor, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION, limit=_AT_ONCE
        )
        for record in page.records:
            if record.asset_key:
                found.setdefault(record.asset_key, set()).update([record.partition_key] if record.partition_key else [])
        cursor, has_more = page.cursor, page.has_more
    return found


class _Shown:
    """The runs that assets' pages show: those of their newest materializations, without those recorded again."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._runs: dict[dg.AssetKey, str | None] = {}

    def run_of(self, asset: dg.AssetKey) -> str | None:
        """The run of an asset, looked for once: what a cleaning records again comes before it."""
        if asset not in self._runs:
            self._runs[asset] = next(
                (found.run_id for found in self._newest_first(asset) if not _is_again(found)), None
            )
        return self._runs[asset]

    def _newest_first(self, asset: dg.AssetKey) -> Iterator[dg.EventLogRecord]:
        cursor, has_more = None, True
        while has_more:
            page = self._instance.fetch_materializations(asset, limit=_AT_ONCE, cursor=cursor)
            yield from page.records
            cursor, has_more = page.cursor, page.has_more


def _newest_in(
    instance: dg.DagsterInstance, run_id: str, asset: dg.AssetKey, partitions: Sequence[str]
) -> Iterator[dg.EventLogRecord]:
    """The materializations of a run that are the newest of their partitions."""
    for start in range(0, len(partitions), _AT_ONCE):
        filters = dg.AssetRecordsFilter(asset, asset_partitions=partitions[start : start + _AT_ONCE])
        newest: dict[str | None, dg.EventLogRecord] = {}
        cursor, has_more = None, True
        while has_more:
            page = instance.fetch_materializations(filters, limit=_AT_ONCE, cursor=cursor)
            for record in page.records:
                newest.setdefault(record.partition_key, record)
            cursor, has_more = page.cursor, page.has_more
        yield from (record for record in newest.values() if record.run_id == run_id)


def _is_again(record: dg.EventLogRecord) -> bool:
    return record.asset_materialization is not None and OF_RUN in record.asset_materialization.metadata


def _record_again(instance: dg.DagsterInstance, record: dg.EventLogRecord, moved: dict[int, int]) -> None:
    """Record a materialization without a run; `moved` are the ids of those that were, and of their new records."""
    found = record.asset_materialization
    if found is None:
        return
    more: dict[str, Any] = {
        MATERIALIZED_AT: dg.MetadataValue.timestamp(record.timestamp),
        OF_RUN: dg.MetadataValue.text(record.run_id),
    }
    # What it was built from is found by these: else the UI shows it as stale.
    pointers = {name: value for name, value in (found.tags or {}).items() if name.startswith(_INPUT_POINTER)}
    again = {
        # One that was not there has another word in place of an id.
        name: str(moved[int(value)])
        for name, value in pointers.items()
        if value.isdecimal() and int(value) in moved
    }
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            found.asset_key,
            description=found.description,
            metadata={**more, **found.metadata},
            partition=found.partition,
            tags={**(found.tags or {}), **again},
        )
    )
    filters = dg.AssetRecordsFilter(found.asset_key, asset_partitions=[str(found.partition)])
    moved[record.storage_id] = instance.fetch_materializations(filters, limit=1).records[0].storage_id
