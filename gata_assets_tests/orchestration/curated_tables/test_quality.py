"""What runs say of the quality of curated partitions: metadata, the check, its alert, and metrics that are pushed.

Real: definitions, runs and their events, a Dagster instance, the curator, a directory, HTTP on loopback. Faked: the
gateway (`support.pushgateway`), and the channel of alerts, which keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gata_assets.definitions import build_definitions
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.orchestration.alerting.channels import AlertChannel
from gata_assets.orchestration.alerting.message import Alert
from gata_assets.orchestration.alerting.sensors import build_low_quality_sensor
from gata_assets.settings.model import parse_settings
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.loopback import free_port
from gata_assets_tests.support.pushgateway import pushgateway
from gata_assets_tests.support.raw_worlds import encode, interaction, item

DAY, CHECK = date(2026, 1, 2), "quality_is_high_enough"
SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_FALLBACK_LABEL": "9000",
    "TENANTS": "acme",
    "EARLIEST_INTERACTION": "2026-01-01",
}
USER = canary("a user")


class KeptAlerts(AlertChannel):
    """Keeps what is sent, in a file."""

    path: str

    def send(self, alert: Alert) -> None:
        """Add it."""
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write(json.dumps([alert.subject, json.loads(alert.body)]) + "\n")

    @property
    def sent(self) -> list[Any]:
        """All of them."""
        path = Path(self.path)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@dataclass
class Desk:
    """Definitions over a directory and an instance, and the sensor of low scores with its cursor."""

    store: LocalStoreResource
    instance: dg.DagsterInstance
    alerts: KeptAlerts
    cursor: str | None = None

    def put(self, name: str, rows: list[dict[str, str | None]], table: str = INTERACTIONS) -> None:
        self.store.write(f"acme/raw/{table}/{name}", encode(rows, "csv"))

    def curate(self, table: str = INTERACTIONS, **settings: str) -> dg.ExecuteInProcessResult:
        definitions = build_definitions(parse_settings(SETTINGS | settings), object_store=self.store)
        result = definitions.resolve_job_def(CURATE_INTERACTIONS).execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(["acme", f"curated_{table}"])],
            partition_key=str(DAY) if table == INTERACTIONS else None,
            raise_on_error=False,
        )
        assert result.success
        return result

    def tick(self) -> str:
        definitions = build_definitions(parse_settings(SETTINGS), object_store=self.store)
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=definitions, resources={"alerts": self.alerts}
        ) as context:
            ticked: Any = build_low_quality_sensor().evaluate_tick(context)
        self.cursor = ticked.cursor
        return str(ticked.skip_message)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An empty store and an instance that is gone afterwards."""
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Desk(store, instance, KeptAlerts(path=str(tmp_path / "alerts")))


def users(valid: int, wrong: int = 0, repeated: int = 0) -> list[dict[str, str | None]]:
    """Rows of so many kinds."""
    rows = [interaction(user_id=f"{USER}{n}", rating="9" if n < wrong else None) for n in range(valid + wrong)]
    return rows + rows[-1:] * repeated


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    """The check of the table that the run is of: the last, since referenced tables come before."""
    return [one for one in result.get_asset_check_evaluations() if one.check_name == CHECK][-1]


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    event = result.get_asset_materialization_events()[-1]
    found = event.step_materialization_data.materialization.metadata
    return {name: entry.value for name, entry in found.items()}


def test_a_partition_has_its_score_and_a_low_one_warns(desk: Desk) -> None:
    desk.put("a.csv", users(valid=96, wrong=4))
    result = desk.curate()
    found = metadata_of(result)
    assert found["quality_score"] == 0.96
    assert found["quality"] == {
        "freshness": 1,
        "completeness": 1,
        "validity": 0.96,
        "uniqueness": 1,
        "consistency": 1,
    }
    assert check_of(result).passed
    assert check_of(desk.curate(QUALITY_SCORE_MIN="0.96")).passed
    low = check_of(desk.curate(QUALITY_SCORE_MIN="0.97"))
    assert (low.passed, low.severity, low.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert (low.partition, "validity is at least 0.97, and is 0.9600" in str(low.description)) == (str(DAY), True)
    desk.put("b.csv", users(valid=100, repeated=9))
    low = check_of(desk.curate())
    assert "uniqueness is at least 0.95" in str(low.description)
    assert "validity" not in str(low.description)
    assert USER not in str(low)


def test_a_table_without_days_is_measured_by_its_recent_files(desk: Desk) -> None:
    desk.put("a.csv", [item(), item(item_id=None)], ITEMS)
    result = desk.curate(ITEMS)
    assert metadata_of(result)["quality"] == {
        "freshness": 1,
        "completeness": 0.75,
        "validity": 0.5,
        "consistency": 1,
    }
    assert (check_of(result).passed, check_of(result).partition) == (False, None)


def test_a_day_is_as_fresh_as_it_was_at_its_end(desk: Desk) -> None:
    # It counts as landed when the day of its folder ended: a day before the end of that of its rows.
    desk.put("2026-01-01/a.csv", users(valid=1))
    assert metadata_of(desk.curate())["quality"]["freshness"] == 1
    assert metadata_of(desk.curate(QUALITY_FRESH_HOURS="12"))["quality"]["freshness"] == 0.5


def test_a_day_without_rows_has_no_score(desk: Desk) -> None:
    result = desk.curate()
    assert "quality_score" not in metadata_of(result)
    assert check_of(result).passed


def test_low_scores_are_reported_once_a_run_without_values(desk: Desk) -> None:
    desk.put("a.csv", users(valid=1, wrong=1))
    desk.curate()
    assert desk.tick() == "Reporting starts with the next run."
    assert desk.tick() == "No score is too low."
    low = desk.curate()
    desk.put("items.csv", [item()], ITEMS)
    desk.curate(ITEMS)
    assert desk.tick() == f"Reported {low.run_id}."
    assert desk.tick() == "No score is too low."
    [(subject, body)] = desk.alerts.sent
    assert subject == "Low quality: 1 partition of acme/curated_interactions"
    assert (body["event"], body["run_id"], body["not_listed"]) == ("QUALITY_LOW", low.run_id, 0)
    [partition] = body["partitions"]
    assert (partition["asset"], partition["partition"]) == ("acme/curated_interactions", str(DAY))
    assert "validity is at least 0.95, and is 0.5000" in partition["reason"]
    assert USER not in json.dumps(body)


@pytest.mark.server
def test_a_run_pushes_its_table_and_a_push_that_fails_only_warns(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    desk.put("a.csv", users(valid=3, wrong=1, repeated=3))
    with pushgateway() as gateway:
        desk.curate(PROMETHEUS_PUSHGATEWAY_URL=gateway.url)
        [path] = gateway.pushed
        found = gateway.samples(path)
        assert path.startswith("/metrics/job/gata_curation/")
        assert ("tenant_id/acme" in path, "data_type/interactions" in path) == (True, True)
        assert found["gata_data_validity_ratio"] == 6 / 7
        assert found["gata_data_uniqueness_ratio"] == 0.5
        assert found["data_quality_score_percent"] == 50
        assert found["gata_curation_duration_seconds"] > 0
        assert USER not in gateway.pushed[path]
        assert "not pushed" not in capfd.readouterr().err
    desk.curate(PROMETHEUS_PUSHGATEWAY_URL=f"http://127.0.0.1:{free_port()}")
    assert "Metrics were not pushed to PROMETHEUS_PUSHGATEWAY_URL: URLError" in capfd.readouterr().err
