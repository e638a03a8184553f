"""Everything that tests alone use of Dagster beyond its public interface; `test_dagster_private.py` says what for."""

from __future__ import annotations

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.events import JobFailureData, RunFailureReason, StepMaterializationData
from dagster._core.launcher import LaunchRunContext
from dagster._core.loader import LoadingContextForTest
from dagster._core.origin import DEFAULT_DAGSTER_ENTRY_POINT, JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.scheduler.instigation import InstigatorType, TickStatus

__all__ = [
    "NO_COMPUTE_LOGS",
    "InstigatorType",
    "JobFailureData",
    "LaunchRunContext",
    "RunFailureReason",
    "SensorExecutionData",
    "StepMaterializationData",
    "TickStatus",
    "job_origin",
    "stale_status",
]

# What an instance has that keeps runs in files but not what their steps print, which Dagster copies by four processes
# a step.
NO_COMPUTE_LOGS = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


def stale_status(
    instance: dg.DagsterInstance, definitions: dg.Definitions, key: dg.AssetKey, partition: str | None
) -> str:
    """What the UI shows of an asset's partition: FRESH, STALE or MISSING."""
    graph = definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return resolver.get_status(key, partition).value


def job_origin(job: str, *, executable: str, module: str, attribute: str, image: str) -> JobPythonOrigin:
    """Where a run's worker finds the code of a job."""
    pointer = ModuleCodePointer(module, attribute)
    repository = RepositoryPythonOrigin(executable, pointer, image, entry_point=DEFAULT_DAGSTER_ENTRY_POINT)
    return JobPythonOrigin(job, repository)
