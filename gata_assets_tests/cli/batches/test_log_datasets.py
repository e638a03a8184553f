"""`gata batches log-datasets`, and what `gata prepare` and `gata backfill` log, on a real MLflow server."""

from __future__ import annotations

import json
from pathlib import Path
from secrets import token_hex

import pytest

from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.command import gata
from gata_assets_tests.support.loopback import free_port
from gata_assets_tests.support.mlflow_server import MlflowProcess
from gata_assets_tests.support.tracked_datasets import BATCHES, write_batch

SAMPLE = "--since 2025-06-01 --until 2026-01-03 --tickets-per-day 20 --interactions 0 --shop-orders 0"
AWAY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@pytest.mark.process
@pytest.mark.server
def test_a_prepared_batch_is_on_the_server_and_logged_no_second_time(
    mlflow_process: MlflowProcess, tmp_path: Path
) -> None:
    experiment = f"of-a-test-{token_hex(8)}"
    variables = {"MLFLOW_TRACKING_URI": mlflow_process.url, "MLFLOW_EXPERIMENT": experiment}
    assert gata(tmp_path, "sample-data", *SAMPLE.split()).returncode == 0
    # The first is prepared without a server, the next while it is away: neither fails for that.
    assert gata(tmp_path, "prepare", "2026010203", "--json").returncode == 0
    away = gata(
        tmp_path, "prepare", "2026010204", "--json", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}", **AWAY
    )
    assert (away.returncode, json.loads(away.stdout)["event"]) == (0, "BATCH_PREPARED")
    assert "WARNING: 2 finished datasets are not logged to MLflow: MLflow at http://127.0.0.1:" in away.stderr

    prepared = gata(tmp_path, "prepare", "2026010205", "--json", **variables)
    assert (prepared.returncode, json.loads(prepared.stdout)["event"]) == (0, "BATCH_PREPARED")
    assert "MLflow" not in prepared.stderr
    assert {run["info"]["run_name"] for run in mlflow_process.runs(experiment)} == {
        "gata-general 2026010205",
        "gata-low-vol 2026010205",
    }
    backfilled = gata(tmp_path, "backfill", "2026010206", "2026010206", "--json", **variables)
    assert backfilled.returncode == 0
    assert len(mlflow_process.runs(experiment)) == 4

    result = json.loads(gata(tmp_path, "batches", "log-datasets", "--json", **variables).stdout)
    assert result["event"] == "DATASETS_LOGGED"
    assert {logged["dataset"] for logged in result["logged"]} == {
        f"{name} {batch_id}" for name in ("gata-general", "gata-low-vol") for batch_id in ("2026010203", "2026010204")
    }
    again = gata(tmp_path, "batches", "log-datasets", "--summary", "table", **variables)
    assert again.stdout == f"0 datasets logged to {mlflow_process.url} (experiment {experiment}).\n"
    assert len(mlflow_process.runs(experiment)) == 8

    doctor = gata(tmp_path, "doctor", "--only", "tickets", "--json", **variables)
    [found] = [line for line in map(json.loads, doctor.stdout.splitlines()) if line.get("subject") == "mlflow"]
    assert found["is_well"]
    assert found["found"].startswith(f"{mlflow_process.url} is MLflow 3.")


@pytest.mark.server
def test_without_its_server_the_command_fails_and_the_doctor_only_notes_it(tmp_path: Path) -> None:
    write_batch(LocalStore(str(tmp_path / "gata-data")), BATCHES[0])
    url = f"http://127.0.0.1:{free_port()}"
    ran = gata(tmp_path, "batches", "log-datasets", "--json", MLFLOW_TRACKING_URI=url, **AWAY)
    result = json.loads(ran.stdout)
    assert (ran.returncode, result["event"], result["left"]) == (1, "DATASETS_NOT_LOGGED", 1)
    assert "Is MLFLOW_TRACKING_URI right" in result["failures"][0]
    text = gata(tmp_path, "batches", "log-datasets", "--summary", "table", MLFLOW_TRACKING_URI=url, **AWAY)
    assert (text.returncode, text.stdout) == (1, f"0 datasets logged to {url} (experiment gata).\n")
    assert "1 finished dataset is not logged to MLflow" in text.stderr.replace("\n", " ")
    assert gata(tmp_path, "sample-data", *SAMPLE.split()).returncode == 0
    doctor = gata(tmp_path, "doctor", "--only", "tickets", "--json", MLFLOW_TRACKING_URI=url, **AWAY)
    [found] = [line for line in map(json.loads, doctor.stdout.splitlines()) if line.get("subject") == "mlflow"]
    assert (doctor.returncode, found["is_well"]) == (0, None)


def test_without_a_server_there_is_nothing_to_log_to(tmp_path: Path) -> None:
    ran = gata(tmp_path, "batches", "log-datasets")
    assert (ran.returncode, "MLFLOW_TRACKING_URI is unset" in ran.stderr) == (2, True)
    wrong = gata(tmp_path, "batches", "log-datasets", MLFLOW_TRACKING_URI="http://user:secret@mlflow.example:5000")
    assert wrong.returncode == 2
    assert "MLFLOW_TRACKING_USERNAME" in wrong.stderr
