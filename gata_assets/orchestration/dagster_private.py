"""Everything that the package uses of Dagster beyond its public interface: only this module imports `dagster._core`.

Dagster does not guarantee these names, and its version is pinned. `test_dagster_private.py` documents for each of them
what breaks if it changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.event_api import EventRecordsResult
from dagster._core.execution.api import execute_run
from dagster._core.instance import InstanceType
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.event_log import InMemoryEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import TemporaryLocalArtifactStorage
from dagster._core.storage.runs import InMemoryRunStorage
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import make_new_run_id

# The code location of workspace.yaml.
LOCATION, MODULE, ATTRIBUTE = "gata_assets", "gata_assets.definitions", "defs"
# What Dagster names the repository of a `Definitions` object.
_REPOSITORY = "__repository__"


def new_run_id() -> str:
    """The ID of a run that is about to start, so that its event log can be opened before."""
    return make_new_run_id()


def execute_job(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    *,
    run_id: str,
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
    assets: Sequence[dg.AssetKey] | None = None,
) -> dg.JobExecutionResult:
    """`JobDefinition.execute_in_process` as a run of the project's code location.

    Without that origin, the UI shows a run neither in its timeline nor with its job, and cannot execute it again.
    """
    target = LoadableTargetOrigin(module_name=MODULE, attribute=ATTRIBUTE)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, LOCATION)
    run = instance.create_run_for_job(
        job,
        run_id=run_id,
        run_config=run_config,
        tags={**job.run_tags, **tags},
        asset_selection=frozenset(assets) if assets is not None else None,
        remote_job_origin=RemoteRepositoryOrigin(location, _REPOSITORY).get_job_origin(job.name),
    )
    return execute_run(InMemoryJob(job.with_executor_def(dg.in_process_executor)), run, instance)


def target_of(record: dg.EventLogRecord) -> Target:
    """The materialization that an evaluation belongs to; without it the UI shows the check for an earlier one."""
    return Target(storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp)


def unrecorded_instance() -> dg.DagsterInstance:
    """`DagsterInstance.ephemeral()` with an event log that keeps nothing; Dagster has no option for that."""
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
    """An event log that keeps nothing; events still reach loggers and the result of a run."""

    def store_event(self, event: object) -> None:
        """Drop the event."""

    def fetch_materializations(self, *_: Any, **__: Any) -> EventRecordsResult:
        """No records."""
        return EventRecordsResult([], cursor="", has_more=False)


def sqlite_event_logs(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    """The SQLite files that the events of a run are written to, created if missing; none for an instance that keeps
    events elsewhere.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return []
    # Created by Dagster itself, since the journal to keep open must be its own.
    with storage.run_connection(run_id):
        return [Path(storage.path_for_shard(shard)) for shard in ("index", run_id)]
