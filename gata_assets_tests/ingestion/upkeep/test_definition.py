"""From `POST /v1/events` to a curated row in Dagster, as its daemon does it: by ticks of sensors and what they ask for.

Real: the service over HTTP, its log, a directory, the definitions, an instance. Given: the instant at which the service
receives. In the daemon's place, the tests evaluate ticks and run what they ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from gata_assets.definitions import build_definitions
from gata_assets.definitions.stores import build_store
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.ingestion.segments.chain import segment_key
from gata_assets.ingestion.segments.cursor import find_streams
from gata_assets.ingestion.upkeep.definition import EVENTS_IN_RAW_FILES, EVENTS_SENSOR, ROLL_UP_EVENTS
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, NEW_FILES_SENSOR
from gata_assets.settings.model import Settings, parse_settings
from gata_assets_tests.support.event_worlds import OTHER
from gata_assets_tests.support.http_service import TENANT, RunningService

pytestmark = pytest.mark.server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    first = datetime.now(UTC) - timedelta(days=1)
    return parse_settings(
        {
            "TARGET_DIR": str(tmp_path / "target"),
            "LOW_VOLUME_FALLBACK_LABEL": "9000",
            "FIRST_BATCH_ID": f"{first:%Y%m%d}00",
            "TENANTS": TENANT,
            "EARLIEST_INTERACTION": f"{first:%Y-%m-%d}",
        }
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


class Daemon:
    """What Dagster's daemon does once the sensors are switched on, tick by tick."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.definitions, self.instance = build_definitions(settings), instance
        self.store = build_store(settings)

    def tick(self, name: str) -> list[dg.RunRequest]:
        """What a sensor asks for."""
        [sensor] = [one for one in self.definitions.sensors or () if one.name == name]
        assert isinstance(sensor, dg.SensorDefinition)
        with dg.build_sensor_context(
            self.instance, definitions=self.definitions, resources={"object_store": self.store}
        ) as context:
            return list(sensor.evaluate_tick(context).run_requests or ())

    def run(self, job: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """A run that was asked for."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags=request.tags,
            asset_selection=list(request.asset_selection) if request.asset_selection else None,
            raise_on_error=False,
        )


def send(settings: Settings, at: datetime) -> None:
    """An event that the service received then."""
    store = build_store(settings)
    secret, _ = KeyStore(store, lambda: at).create(TENANT, ("ingest",))
    row = {"user_id": "u1", "item_id": "i1", "interaction_type": "view", "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    with RunningService(store, clock=lambda: at, secret=secret) as service:
        assert service.post("/v1/events?table=interactions", row).status == 202


def numbers_of(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    [made] = [event.materialization for event in result.get_asset_materialization_events()]
    return {name: value.value for name, value in made.metadata.items()}


def test_an_event_becomes_a_curated_row_without_a_command(settings: Settings, instance: dg.DagsterInstance) -> None:
    send(settings, datetime.now(UTC) - timedelta(hours=2))
    daemon = Daemon(settings, instance)
    [asked] = daemon.tick(EVENTS_SENSOR)
    done = daemon.run(ROLL_UP_EVENTS, asked)
    assert done.success
    assert numbers_of(done) | {"streams": 1, "events": 1, "files": 1, "failed": 0} == numbers_of(done)
    assert daemon.tick(EVENTS_SENSOR) == []
    curations = daemon.tick(NEW_FILES_SENSOR)
    assert all(daemon.run(CURATE_INTERACTIONS, one).success for one in curations)
    store = daemon.store
    rows = [
        row
        for key in store.list_keys(f"{TENANT}/curated/interactions/")
        if key.rpartition("/")[2].startswith("interactions-")
        for row in pl.read_parquet(store.read(key)).iter_rows(named=True)
    ]
    assert [(row["user_id"], row["item_id"]) for row in rows] == [("u1", "i1")]


def test_a_damaged_stream_fails_the_run_and_others_are_rolled_up(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    send(settings, datetime.now(UTC) - timedelta(hours=2))
    daemon = Daemon(settings, instance)
    daemon.store.write(segment_key(OTHER, 0), b"damaged")
    [asked] = daemon.tick(EVENTS_SENSOR)
    done = daemon.run(ROLL_UP_EVENTS, asked)
    assert not done.success
    [failure] = done.get_step_failure_events()
    assert segment_key(OTHER, 0) in str(failure.event_specific_data)
    assert numbers_of(done) | {"streams": 2, "events": 1, "failed": 1} == numbers_of(done)
    assert OTHER in list(find_streams(daemon.store))
    # Asked for under one key within an hour, which Dagster takes once.
    [first], [second] = daemon.tick(EVENTS_SENSOR), daemon.tick(EVENTS_SENSOR)
    assert first.run_key and first.run_key == second.run_key != asked.run_key


@pytest.mark.parametrize(("tenants", "has_them"), [("none", False), ("acme", True), (None, True)])
def test_events_have_assets_unless_there_are_to_be_no_tenants(
    tmp_path: Path, tenants: str | None, has_them: bool
) -> None:
    variables = {"TARGET_DIR": str(tmp_path), "LOW_VOLUME_FALLBACK_LABEL": "9000"}
    definitions = build_definitions(parse_settings(variables | ({"TENANTS": tenants} if tenants else {})))
    assert (EVENTS_SENSOR in {one.name for one in definitions.sensors or ()}) is has_them
    assert (EVENTS_IN_RAW_FILES in definitions.resolve_all_asset_keys()) is has_them
