"""The Dagster instances of commands, their records, and fast event logs.

A batch has some thirty events. Measured on 48 batches (docs/adr/0004-ranges.md); nothing here changes what is recorded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime

import dagster as dg

from gata_assets.curation.requests import AskedRun, RunState
from gata_assets.environment import dagster_home
from gata_assets.orchestration.dagster_private import sqlite_event_logs, unrecorded_instance
from gata_assets.orchestration.homes import prepare_home

# The tag of a materialization that identifies its content.
DATA_VERSION = "dagster/data_version"
_Status = dg.DagsterRunStatus
UNDERWAY = [_Status.QUEUED, _Status.NOT_STARTED, _Status.STARTING, _Status.STARTED]
_STATES = {_Status.SUCCESS: RunState.SUCCEEDED, _Status.FAILURE: RunState.FAILED, _Status.CANCELED: RunState.CANCELED}
# More than the consecutive attempts of a sensor, including those that Dagster retried by itself.
_RUNS_LOOKED_AT = 25


@contextmanager
def open_instance() -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME, if set; otherwise one that ends with the command.

    An empty home gets this project's configuration. Raises SettingsError for a home that does not exist.

    Nobody can see the events of the latter, so it keeps none: keeping them in memory took a third of a backfill's time.
    """
    home = dagster_home()
    if home:
        prepare_home(home)
    with dg.DagsterInstance.get() if home else unrecorded_instance() as instance:
        yield instance


def is_recorded(instance: dg.DagsterInstance, key: dg.AssetKey, version: str | None) -> bool:
    """Whether Dagster has recorded the stored version of an unpartitioned asset (None: the asset does not exist);
    always true for an instance that keeps no events.
    """
    if instance.is_ephemeral:
        return True
    event = instance.get_latest_materialization_event(key)
    recorded = event.asset_materialization if event else None
    return (recorded.tags or {}).get(DATA_VERSION) == version if recorded else version is None


@contextmanager
def held_open(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Keep the files of a SQLite event log open during a run.

    Dagster opens and closes them for each event, and SQLite writes its journal back whenever the last connection
    closes: a second connection avoids that (48 batches took 52 s instead of 103). The file of a run that has not
    started is created: planning a run over 91 days took 0.7 s instead of 4.5.
    """
    with ExitStack() as stack:
        for path in sqlite_event_logs(instance, run_id):
            connection = stack.enter_context(closing(sqlite3.connect(path)))
            # SQLite opens a file at its first read.
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()
        yield


def is_underway(instance: dg.DagsterInstance, tag: str, value: str) -> bool:
    """Whether a run with a tag is queued or running."""
    return bool(instance.get_run_ids(dg.RunsFilter(statuses=UNDERWAY, tags={tag: value}), limit=1))


def asked_runs(instance: dg.DagsterInstance, tag: str, value: str, *, versions: str) -> list[AskedRun]:
    """The ended runs with a tag, the newest first; `versions` is the tag of the versions of their files."""
    ended = dg.RunsFilter(statuses=list(_STATES), tags={tag: value})
    return [
        AskedRun(
            record.dagster_run.run_id,
            _STATES[record.dagster_run.status],
            # A run that never started has no end time.
            datetime.fromtimestamp(record.end_time, UTC)
            if record.end_time
            else record.update_timestamp.replace(tzinfo=UTC),
            record.dagster_run.tags.get(versions, ""),
        )
        for record in instance.get_run_records(ended, limit=_RUNS_LOOKED_AT)
    ]
