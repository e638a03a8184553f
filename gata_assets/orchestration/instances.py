"""The Dagster instances of commands, and their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg

from gata_assets.curation.requests import AskedRun, RunState
from gata_assets.environment import dagster_home
from gata_assets.orchestration.dagster_private import attempted_partitions, recorded_tags, unrecorded_instance
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


def find_unrecorded(instance: dg.DagsterInstance, key: dg.AssetKey, stored: Mapping[str, str]) -> set[str]:
    """The partitions whose run was killed after writing and before recording them: a run has begun them and recorded
    nothing, and the stored version, in `stored`, is not the recorded one. Two queries for any number of partitions.

    What no run of this instance has begun is not in it: another instance may have recorded it, or none was to.
    """
    if instance.is_ephemeral or not stored:
        return set()
    attempted = attempted_partitions(instance, key).intersection(stored)
    recorded = recorded_tags(instance, key, DATA_VERSION) if attempted else {}
    return {partition for partition in attempted if recorded.get(partition) != stored[partition]}


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
