"""Everything that the package uses of Dagster beyond its public interface: only this module imports `dagster._core`.

Dagster does not guarantee these names, and its version is pinned. `test_dagster_private.py` documents for each of them
what breaks if it changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from threading import local
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
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
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import make_new_run_id
from dagster._serdes import ConfigurableClassData

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
    with kept_open(instance, run_id):
        # Of each asset and batch Dagster stores that it is planned: 3,600 events for 720 batches.
        with in_one_transaction(instance):
            run = instance.create_run_for_job(
                job,
                run_id=run_id,
                run_config=run_config,
                tags={**job.run_tags, **tags},
                asset_selection=frozenset(assets) if assets is not None else None,
                remote_job_origin=RemoteRepositoryOrigin(location, _REPOSITORY).get_job_origin(job.name),
            )
        return execute_run(InMemoryJob(job.with_executor_def(dg.in_process_executor)), run, instance)


def unrecorded_result(key: dg.AssetKey) -> dg.MaterializeResult[None]:
    """A result that Dagster records for no partition, for a run over a range whose partitions are recorded as events.

    Without a result, Dagster skips what reads the asset in the same run; with any other, it records every partition of
    the range again, without its numbers.
    """
    return dg.MaterializeResult(asset_key=key, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


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


def attempted_partitions(instance: dg.DagsterInstance, key: dg.AssetKey) -> set[str]:
    """The partitions of an asset that the last run that was to materialize them did not record."""
    log = instance.event_log_storage
    return set(log.get_latest_asset_partition_materialization_attempts_without_materializations(key))


def recorded_tags(instance: dg.DagsterInstance, key: dg.AssetKey, tag: str) -> dict[str, str]:
    """A tag of the latest materialization of each partition of an asset, in one query."""
    log = instance.event_log_storage
    found = log.get_latest_tags_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION, [tag])
    return {partition: tags[tag] for partition, tags in found.items()}


class SqliteStorage(DagsterSqliteStorage):
    """Dagster's default storage, whose event log can be kept open; `dagster.yaml` names it. Same files, same schema."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        folder = Path(self._event_log_storage.path_for_shard(_INDEX)).parent
        self._event_log_storage = _SqliteEventLog(str(folder))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> SqliteStorage:
        """The storage of a configuration; Dagster's own method makes one of Dagster's class."""
        return cls.from_local(config_value["base_dir"], inst_data)


_INDEX = "index"


class _KeptConnections(local):
    """The connections that a thread keeps open, by the name of their file; other threads have none."""

    def __init__(self) -> None:
        self.by_shard: dict[str, Any] = {}


class _SqliteEventLog(SqliteEventLogStorage):
    """Dagster's event log in SQLite files: one for each run, and an index of all runs, which the UI reads.

    Dagster opens up to three connections for each event, which takes most of the time of recording it. A thread that
    records a run keeps its two open, and commits what belongs together at once. Whatever else reads or writes (other
    threads, other runs, the UI, the daemon) does it as Dagster does, with connections of its own.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._kept = _KeptConnections()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def kept_open(self, run_id: str) -> Iterator[None]:
        """Keep this thread's connections to a run's file and to the index open."""
        kept = self._kept.by_shard
        if run_id in kept:
            yield
            return
        # Dagster creates the file of a run at its first connection.
        with super().run_connection(run_id):
            pass
        with ExitStack() as stack:
            opened = {}
            for shard in {_INDEX, run_id} - kept.keys():
                engine = create_engine(
                    self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
                )
                stack.callback(engine.dispose)
                opened[shard] = stack.enter_context(engine.connect())
            self._kept.by_shard = {**kept, **opened}
            stack.callback(setattr, self._kept, "by_shard", kept)
            yield

    @contextmanager
    def in_one_transaction(self) -> Iterator[None]:
        """Commit together what this thread stores; nothing of it if this raises or the process is killed.

        The run's file is committed before the index: killed between the two, the run's page shows events that count
        for nothing. SQLite's locks are taken by the first event, and others wait for them until the end.
        """
        with ExitStack() as stack:
            # Left in reverse: the index is the last.
            for shard in sorted(self._kept.by_shard, key=lambda shard: shard != _INDEX):
                stack.enter_context(self._transaction(shard))
            yield

    def run_connection(self, run_id: str | None = None) -> Any:
        return self._transaction(run_id) if run_id in self._kept.by_shard else super().run_connection(run_id)

    def index_connection(self) -> Any:
        return self._transaction(_INDEX) if _INDEX in self._kept.by_shard else super().index_connection()

    def has_table(self, table_name: str) -> bool:
        # Asked for each materialization, by a further connection.
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @contextmanager
    def _transaction(self, shard: str) -> Iterator[Any]:
        """A kept connection, in the transaction that it is in, or in one for this block."""
        connection = self._kept.by_shard[shard]
        if connection.in_transaction():
            yield connection
            return
        with connection.begin():
            yield connection
        if shard != _INDEX:
            # The UI watches this file to show a run's events, which are in SQLite's journal while it is kept open.
            Path(self.path_for_shard(shard)).touch()


@contextmanager
def kept_open(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Keep the event log of a run open, if it is kept by the storage of `dagster.yaml`; any other works as it does."""
    log = instance.event_log_storage
    with log.kept_open(run_id) if isinstance(log, _SqliteEventLog) else nullcontext():
        yield


@contextmanager
def in_one_transaction(instance: dg.DagsterInstance) -> Iterator[None]:
    """Commit together the events that this thread stores for a run that it keeps open; any other storage commits each
    by itself.
    """
    log = instance.event_log_storage
    with log.in_one_transaction() if isinstance(log, _SqliteEventLog) else nullcontext():
        yield


def remove_run_file(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove the database of a deleted run's events: SQLite has one for each run, and keeps its size when it is empty.

    Where all runs are in one database, such as PostgreSQL, there is none. Another process that has read the file, and
    asks for the events of the run that is no more, gets an error in place of none until it is started again.
    """
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        # Of files in this set, Dagster believes that they have tables.
        storage._initialized_dbs.discard(run_id)
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(storage.path_for_shard(run_id) + ending).unlink(missing_ok=True)
