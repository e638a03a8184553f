"""The job and the sensor that log datasets. Faked: the server, which remembers what it is told; the target is real."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from gata_assets.definitions import build_definitions
from gata_assets.definitions.finished import find_dataset_folders
from gata_assets.errors import TrackingError
from gata_assets.orchestration.tracking.definition import DATASETS_SENSOR, LOG_DATASETS, build_dataset_logging
from gata_assets.orchestration.tracking.record import DatasetRecord
from gata_assets.orchestration.tracking.sweep import DatasetLog
from gata_assets.settings.model import parse_settings
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.memory_store import MemoryStore
from gata_assets_tests.support.moved_clock import MovedClock
from gata_assets_tests.support.tracked_datasets import BATCHES, write_batch

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


class RememberingServer:
    """Takes datasets unless it is away, or refuses those of a batch."""

    def __init__(self) -> None:
        self.uri, self.experiment = "http://mlflow.example:5000", "gata"
        self.logged: list[str] = []
        self.is_away = False
        self.refused: str | None = None

    def log(self, record: DatasetRecord) -> str:
        if self.is_away:
            raise TrackingError("it is away.")
        if record.tags["gata.batch_id"] == self.refused:
            raise TrackingError("it is refused.", is_of_dataset=True)
        self.logged.append(record.run_name)
        return f"run-{len(self.logged)}"


def opened(server: RememberingServer) -> Callable[[ObjectStore], DatasetLog]:
    return lambda store: DatasetLog(store, find_dataset_folders, server)


def test_a_sweep_ends_where_the_server_is_away_and_goes_on_where_it_refuses() -> None:
    server, store = RememberingServer(), MemoryStore()
    for batch_id in BATCHES:
        write_batch(store, batch_id)
    server.refused = BATCHES[0]
    result = opened(server)(store).sweep()
    assert (server.logged, result.left) == ([f"gata-general {batch_id}" for batch_id in BATCHES[1:]], 1)
    server.is_away = True
    assert opened(server)(store).sweep().left == 1
    server.is_away, server.refused = False, None
    assert [logged.name for logged in opened(server)(store).sweep().logged] == [f"gata-general {BATCHES[0]}"]
    assert opened(server)(store).find_waiting() == []


def test_the_sensor_asks_once_an_hour_for_the_same_and_the_job_logs_them(tmp_path: Path) -> None:
    server, clock = RememberingServer(), MovedClock(NOW)
    store = LocalStoreResource(directory=str(tmp_path))
    logging = build_dataset_logging(opened(server), clock=clock)
    definitions = dg.Definitions.merge(logging, dg.Definitions(resources={"object_store": store}))
    [sensor] = logging.sensors or ()

    assert isinstance(sensor, dg.SensorDefinition)

    def tick() -> dg.RunRequest | dg.SkipReason:
        with dg.instance_for_test() as instance:
            context = dg.build_sensor_context(instance, resources={"object_store": store})
            found = sensor(context)
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found

    def key() -> str | None:
        found = tick()
        assert isinstance(found, dg.RunRequest)
        return found.run_key

    assert tick() == dg.SkipReason("All finished datasets are logged.")
    write_batch(store, BATCHES[0])
    first = key()
    assert key() == first
    clock.now += timedelta(hours=1)
    assert key() != first
    second = key()
    write_batch(store, BATCHES[1])
    assert key() != second

    server.is_away = True
    job = definitions.resolve_job_def(LOG_DATASETS)
    failed = job.execute_in_process(raise_on_error=False)
    assert not failed.success
    data = failed.failure_data_for_node("log_finished_datasets")
    assert data
    assert data.user_failure_data
    assert "2 finished datasets are not logged to MLflow: it is away." in str(data.user_failure_data.description)
    server.is_away = False
    assert job.execute_in_process().success
    assert server.logged == [f"gata-general {batch_id}" for batch_id in BATCHES[:2]]
    assert isinstance(tick(), dg.SkipReason)


def test_dagster_has_job_and_sensor_only_where_a_server_is_named(tmp_path: Path) -> None:
    def names(**variables: str) -> tuple[bool, bool]:
        settings = parse_settings({"TARGET_DIR": str(tmp_path), **variables})
        found = build_definitions(settings, tenants=())
        jobs = {job.name for job in found.resolve_all_job_defs()}
        sensors = {sensor.name for sensor in found.sensors or ()}
        return LOG_DATASETS in jobs, DATASETS_SENSOR in sensors

    assert names() == (False, False)
    assert names(MLFLOW_TRACKING_URI="http://mlflow.example:5000") == (True, True)
    # With tenants, what they share is defined twice, and merged.
    settings = parse_settings(
        {"TARGET_DIR": str(tmp_path), "TENANTS": "acme", "MLFLOW_TRACKING_URI": "http://mlflow.example:5000"}
    )
    assert build_definitions(settings).resolve_job_def(LOG_DATASETS)
