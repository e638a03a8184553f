"""MLflow in Dagster: a job that logs the finished datasets, and the sensor that asks for it.

There is no asset: what is logged is what assets of batches have written. The sensor asks once an hour at most for the
same datasets: those that a run could not log are tried again then.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of op and sensor functions as objects.
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import dagster as dg

from gata_assets.errors import StoreError
from gata_assets.orchestration.jobs import RUN_CONFIG
from gata_assets.orchestration.tracking.sweep import DatasetLog, Logged, describe_failures
from gata_assets.storage.finished import FinishedDataset
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import ObjectStoreResource

LOG_DATASETS = "log_datasets"
DATASETS_SENSOR = "finished_datasets_sensor"
# A tick lists the marks and the datasets of all batches.
_TICK_SECONDS = 300
_OP = "log_finished_datasets"

OpenLog = Callable[[ObjectStore], DatasetLog]


def build_dataset_logging(
    opened: OpenLog, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dg.Definitions:
    """The job and the sensor; `opened` opens the log of a target."""

    @dg.op(name=_OP, description="Logs each finished dataset that MLflow does not have.")
    def log_all(context: dg.OpExecutionContext, object_store: ObjectStoreResource) -> None:
        def note(logged: Logged) -> None:
            context.log.info(f"{logged.name} is logged to MLflow: run {logged.run_id}")

        result = opened(object_store).sweep(note=note)
        if result.failures:
            raise dg.Failure(describe_failures(result), allow_retries=False)

    @dg.job(
        name=LOG_DATASETS,
        config=RUN_CONFIG,
        description="Log finished datasets of batches to MLflow: digest, schema, place, counts and labels.",
    )
    def log_datasets() -> None:
        log_all()

    @dg.sensor(
        name=DATASETS_SENSOR,
        job_name=LOG_DATASETS,
        minimum_interval_seconds=_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Asks for finished datasets to be logged to MLflow (MLFLOW_TRACKING_URI).",
    )
    def finished_datasets(
        context: dg.SensorEvaluationContext, object_store: ObjectStoreResource
    ) -> dg.RunRequest | dg.SkipReason:
        try:
            waiting = opened(object_store).find_waiting()
        except StoreError as error:
            context.log.error(str(error))
            return dg.SkipReason(str(error))
        if not waiting:
            return dg.SkipReason("All finished datasets are logged.")
        return dg.RunRequest(run_key=f"{clock():%Y%m%d%H}-{_digest(waiting)}")

    return dg.Definitions(jobs=[log_datasets], sensors=[finished_datasets])


def _digest(waiting: Sequence[FinishedDataset]) -> str:
    return sha256("\n".join(found.mark for found in waiting).encode()).hexdigest()[:16]
