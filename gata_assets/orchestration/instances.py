"""The Dagster instances that commands run in, and what keeps their event logs from taking longer than the work.

A batch has some thirty events. Measured on 48 batches (docs/adr/0004-ranges.md); nothing here changes what is recorded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.event_api import EventRecordsResult
from dagster._core.instance import InstanceType
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.event_log import InMemoryEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import TemporaryLocalArtifactStorage
from dagster._core.storage.runs import InMemoryRunStorage

from gata_assets.curation.requests import AskedRun, RunState
from gata_assets.environment import dagster_home_is_set

# The tag of a materialization that says which content it is of.
DATA_VERSION = "dagster/data_version"
UNDERWAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
_STATES = {
    dg.DagsterRunStatus.SUCCESS: RunState.SUCCEEDED,
    dg.DagsterRunStatus.FAILURE: RunState.FAILED,
    dg.DagsterRunStatus.CANCELED: RunState.CANCELED,
}
# More than a sensor tries one after the other, with those that Dagster has tried again by itself.
_RUNS_LOOKED_AT = 25


@contextmanager
def open_instance() -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME, where that is set; otherwise one that ends with the command.

    Nobody can look at the latter's events, so it keeps none: to keep them in memory took a third of a backfill's time.
    """
    with dg.DagsterInstance.get() if dagster_home_is_set() else _unrecorded() as instance:
        yield instance


def is_recorded(instance: dg.DagsterInstance, key: dg.AssetKey, version: str | None) -> bool:
    """Whether Dagster knows an asset that has no partitions in the version in which it stands in the store (None: it
    does not stand there); of an instance that keeps nothing, always.
    """
    if instance.is_ephemeral:
        return True
    event = instance.get_latest_materialization_event(key)
    made = event.asset_materialization if event else None
    return (made.tags or {}).get(DATA_VERSION) == version if made else version is None


def _unrecorded() -> dg.DagsterInstance:
    """`DagsterInstance.ephemeral()` but for its event log, which Dagster lets nobody choose."""
    return dg.DagsterInstance(
        instance_type=InstanceType.EPHEMERAL,
        local_artifact_storage=TemporaryLocalArtifactStorage(),  # type: ignore[no-untyped-call]
        run_storage=InMemoryRunStorage(),
        event_storage=_NoEventLog(),
        compute_log_manager=NoOpComputeLogManager(),
        run_coordinator=DefaultRunCoordinator(),
        run_launcher=SyncInMemoryRunLauncher(),
    )


class _NoEventLog(InMemoryEventLogStorage):
    """An event log that keeps nothing; events reach loggers and the result of a run all the same."""

    def store_event(self, event: object) -> None:
        """Let it go."""

    def fetch_materializations(self, *_: Any, **__: Any) -> EventRecordsResult:
        """None."""
        return EventRecordsResult([], cursor="", has_more=False)


@contextmanager
def held_open(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold the files of a SQLite event log open during a run.

    Dagster opens and closes them for each event, and SQLite works its journal off whenever the last one closes: with a
    second connection nobody is the last (48 batches took 52 s instead of 103). Of a run that is not there yet, the file
    is made: what a run over 91 days plans took 0.7 s instead of 4.5.
    """
    storage = instance.event_log_storage
    paths = []
    if isinstance(storage, SqliteEventLogStorage):
        # By Dagster itself, since the journal that is to be held is of its making.
        with storage.run_connection(run_id):
            paths = [Path(storage.path_for_shard(shard)) for shard in ("index", run_id)]
    with ExitStack() as held:
        for path in paths:
            connection = held.enter_context(closing(sqlite3.connect(path)))
            # SQLite opens a file when it is first read.
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()
        yield


def is_underway(instance: dg.DagsterInstance, tag: str, value: str) -> bool:
    """Whether a run with a tag waits or goes on."""
    return bool(instance.get_run_ids(dg.RunsFilter(statuses=UNDERWAY, tags={tag: value}), limit=1))


def asked_runs(instance: dg.DagsterInstance, tag: str, value: str) -> list[AskedRun]:
    """The runs with a tag that are over, the newest first."""
    ended = dg.RunsFilter(statuses=list(_STATES), tags={tag: value})
    return [
        AskedRun(
            one.dagster_run.run_id,
            _STATES[one.dagster_run.status],
            # A run that never started has no end.
            datetime.fromtimestamp(one.end_time, UTC) if one.end_time else one.update_timestamp.replace(tzinfo=UTC),
        )
        for one in instance.get_run_records(ended, limit=_RUNS_LOOKED_AT)
    ]
