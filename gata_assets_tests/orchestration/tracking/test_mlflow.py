"""Finished datasets on a real MLflow server, which runs as a process with a database of its own.

What the server has is read back through its REST API, without MLflow's client. Nothing is faked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from signal import SIGKILL
from threading import Thread
from typing import Any

import pytest

from gata_assets.errors import SettingsError, TrackingError
from gata_assets.orchestration.tracking.mlflow_server import MlflowServer
from gata_assets.orchestration.tracking.record import dataset_record
from gata_assets.orchestration.tracking.sweep import Logged, describe_failures
from gata_assets.storage.finished import DatasetUse
from gata_assets.storage.local import LocalStore
from gata_assets.tables.manifests import Manifest
from gata_assets_tests.support.loopback import silent_server
from gata_assets_tests.support.mlflow_server import MlflowProcess
from gata_assets_tests.support.tracked_datasets import BATCHES, at_point, log_of, run_killed, write_batch

pytestmark = [pytest.mark.process, pytest.mark.server]


@pytest.fixture
def experiment() -> str:
    return f"of-a-test-{token_hex(8)}"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The URL of a server that gives the same answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def as_map(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in entries}


def check_run(run: Any, manifest: Manifest, uri: str) -> None:
    """The run has the dataset of that manifest whole, by an oracle of its own."""
    [entered] = run["inputs"]["dataset_inputs"]
    assert as_map(entered["tags"]) == {"mlflow.data.context": "training"}
    dataset = entered["dataset"]
    assert (dataset["name"], dataset["digest"]) == ("gata-general", manifest.digest[:36])
    assert (dataset["source_type"], json.loads(dataset["source"])) == ("local", {"uri": uri})
    columns = json.loads(dataset["schema"])["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in columns] == [("text", "string"), ("label", "long")]
    profile = json.loads(dataset["profile"])
    assert profile["num_rows"] == sum(entry.rows for entry in manifest.files.values())
    assert {name: counts["rows"] for name, counts in profile["tables"].items()} == {"train": 5, "test": 2}
    assert profile["labels"] == manifest.details["labels"]
    data = run["data"]
    assert as_map(data["metrics"]) == {"rows": 7, "bytes": 6, "rows/train": 5, "rows/test": 2, "labels": 2}
    assert as_map(data["params"]) == {"SEED": "1"}
    tags = as_map(data["tags"])
    assert (tags["gata.digest"], tags["gata.manifest_uri"]) == (manifest.digest, uri)
    assert (tags["gata.batch_id"], tags["gata.code_version"]) == (manifest.details["batch_id"], "1.2")
    assert run["info"]["status"] == "FINISHED"


def check_all(server: MlflowProcess, experiment: str, store: LocalStore, manifests: list[Manifest]) -> None:
    runs = {as_map(run["data"]["tags"])["gata.batch_id"]: run for run in server.runs(experiment)}
    assert len(server.runs(experiment)) == len(runs) == len(manifests), "a run for each, and no other"
    for manifest in manifests:
        batch_id = str(manifest.details["batch_id"])
        check_run(runs[batch_id], manifest, store.uri(f"training/gata-general/{batch_id}/manifest.json"))


def test_a_dataset_is_logged_once_and_its_run_has_all_of_it(
    mlflow_process: MlflowProcess, experiment: str, tmp_path: Path
) -> None:
    store = LocalStore(str(tmp_path))
    manifests = [write_batch(store, batch_id) for batch_id in BATCHES]
    log = log_of(store, mlflow_process.url, experiment)
    assert len(log.sweep(BATCHES[:1]).logged) == 1
    assert len(log.sweep().logged) == 2
    assert log.sweep().logged == []
    # Without the marks, the runs are found by their digests.
    for key in list(store.list_keys(log.marks)):
        store.delete(key)
    assert len(log_of(store, mlflow_process.url, experiment).sweep().logged) == 3
    assert log.find_waiting() == []
    assert mlflow_process.runs(experiment, "DELETED_ONLY") == [], "none was begun for nothing"
    check_all(mlflow_process, experiment, store, manifests)

    other = log_of(store, mlflow_process.url, f"{experiment}-other")
    assert len(other.sweep().logged) == 3, "another experiment has none of them"
    rebuilt = write_batch(store, BATCHES[0], again=1)
    [again] = log.sweep().logged
    found = next(run for run in mlflow_process.runs(experiment) if run["info"]["run_id"] == again.run_id)
    assert as_map(found["data"]["tags"])["gata.digest"] == rebuilt.digest


def test_a_dataset_that_is_refused_stops_no_other(
    mlflow_process: MlflowProcess, experiment: str, tmp_path: Path
) -> None:
    store = LocalStore(str(tmp_path))
    first = write_batch(store, BATCHES[0])
    refused = Manifest("x" * 501, details={"batch_id": BATCHES[1]})
    store.write(f"training/gata-general/{BATCHES[1]}/manifest.json", refused.encode())
    last = write_batch(store, BATCHES[2])
    log = log_of(store, mlflow_process.url, experiment)
    for logged in (2, 0):
        result = log.sweep()
        assert (len(result.logged), result.left, len(result.failures)) == (logged, 1, 1)
        assert "1 finished dataset is not logged to MLflow: MLflow at" in describe_failures(result)
    finished = [run for run in mlflow_process.runs(experiment) if run["info"]["status"] == "FINISHED"]
    digests = {as_map(run["data"]["tags"])["gata.digest"] for run in finished}
    assert digests == {first.digest, last.digest}


def test_two_processes_at_once_leave_one_run(mlflow_process: MlflowProcess, experiment: str, tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    manifests = [write_batch(store, batch_id) for batch_id in BATCHES[:1]]
    logs = [log_of(store, mlflow_process.url, experiment) for _ in range(4)]
    with ThreadPoolExecutor(len(logs)) as pool:
        results = list(pool.map(lambda log: log.sweep(), logs))
    assert not [failure for result in results for failure in result.failures]
    check_all(mlflow_process, experiment, store, manifests)


def test_what_a_killed_server_did_not_take_is_logged_when_it_is_back(
    mlflow_process: MlflowProcess, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store = LocalStore(str(tmp_path))
    manifests = [write_batch(store, batch_id) for batch_id in BATCHES]
    log = log_of(store, mlflow_process.url, experiment)

    def kill(_: Logged) -> None:
        mlflow_process.kill()

    try:
        result = log.sweep(note=kill)
        assert (len(result.logged), result.left, len(result.failures)) == (1, 2, 1), "the sweep ends at once"
        assert f"MLflow at {mlflow_process.url} did not take gata-general" in result.failures[0]
        assert log.sweep().left == 2
        with pytest.raises(TrackingError, match="MLFLOW_TRACKING_URI"):
            MlflowServer(mlflow_process.url, experiment).probe()
    finally:
        mlflow_process.kill()
        mlflow_process.start()
    assert len(log.sweep().logged) == 2
    check_all(mlflow_process, experiment, store, manifests)


# What a process leaves of its first dataset that is killed before its n-th request (0: before its first mark): how many
# runs that have begun, datasets of runs, and runs that are finished.
NOTHING, BEGUN, FILLED, FINISHED = (0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 1)
LEFT = dict.fromkeys((1, 2, 3, 4), NOTHING) | {5: BEGUN, 6: BEGUN, 7: FILLED, 8: FILLED, 9: FINISHED, 0: FINISHED}


@pytest.mark.parametrize(
    "points",
    [pytest.param((5, 7, 0), id="a few"), pytest.param((*LEFT,), id="all", marks=pytest.mark.soak)],
)
def test_a_process_that_is_killed_anywhere_leaves_one_run_for_each_dataset(
    mlflow_process: MlflowProcess, experiment: str, tmp_path: Path, points: tuple[int, ...]
) -> None:
    places = {point: at_point(tmp_path, experiment, point) for point in points}
    manifests = {
        point: [write_batch(LocalStore(str(place)), batch_id) for batch_id in BATCHES[:2]]
        for point, (place, _) in places.items()
    }
    assert run_killed(tmp_path, mlflow_process.url, experiment, points) == [-SIGKILL] * len(points)
    left = {}
    for point, (place, name) in places.items():
        runs = mlflow_process.runs(name)
        statuses = [run["info"]["status"] for run in runs]
        datasets = sum(len(run["inputs"].get("dataset_inputs", [])) for run in runs)
        left[point] = (statuses.count("RUNNING"), datasets, statuses.count("FINISHED"))
        store = LocalStore(str(place))
        log = log_of(store, mlflow_process.url, name)
        assert len(log.find_waiting()) == 2, "nothing is marked"
        assert not log.sweep().failures
        check_all(mlflow_process, name, store, manifests[point])
    assert left == {point: LEFT[point] for point in points}


def test_a_server_that_never_answers_is_given_up_and_one_that_is_not_installed_is_said(
    experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    record = dataset_record(Manifest("gata-general"), "/a", DatasetUse.TRAINING, None)
    with silent_server() as port, pytest.raises(TrackingError, match="Read timed out") as raised:
        MlflowServer(f"http://127.0.0.1:{port}", experiment).log(record)
    assert not raised.value.is_of_dataset
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SettingsError, match="pip install 'gata-assets\\[mlflow\\]'"):
        MlflowServer("http://127.0.0.1:1", experiment).probe()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{}"),
        (200, b'{"experiment": 5}'),
        (200, b"<html>hello</html>"),
        (200, b'{"experiment": {"experiment_id": "1", "lifecycle_stage": "active"}}'),
        (401, b"You are not authenticated."),
        (404, b'{"detail": "Not Found"}'),
        (500, b'{"error_code": "INTERNAL_ERROR", "message": "no"}'),
    ],
)
def test_what_answers_as_no_server_should_has_taken_nothing(
    status: int, body: bytes, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    record = dataset_record(Manifest("gata-general"), "/a", DatasetUse.TRAINING, None)
    with answering(status, body) as url, pytest.raises(TrackingError, match="Is MLFLOW_TRACKING_URI right") as raised:
        MlflowServer(url, experiment).log(record)
    assert not raised.value.is_of_dataset, "no other is taken either"


TALKS = """
import sys
from pathlib import Path
found = set()
def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        found.add(str(arguments[1] if event == "socket.connect" else arguments[:2]))
sys.addaudithook(note)
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.tracked_datasets import log_of
target, url, experiment = sys.argv[1:]
assert len(log_of(LocalStore(target), url, experiment).sweep().logged) == 1
import mlflow.telemetry.client
assert mlflow.telemetry.client.get_telemetry_client() is None
print("\\n".join(sorted(found)))
"""


def test_nobody_but_the_server_is_spoken_to(mlflow_process: MlflowProcess, experiment: str, tmp_path: Path) -> None:
    write_batch(LocalStore(str(tmp_path)), BATCHES[0])
    # As where nothing says that this is a test, and with the telemetry switched on.
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "TMPDIR", "HOME") if name in os.environ}
    words = [sys.executable, "-c", TALKS, str(tmp_path), mlflow_process.url, experiment]
    ran = subprocess.run(
        words, env={**kept, "MLFLOW_DISABLE_TELEMETRY": "false"}, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    addresses = {line for line in ran.stdout.splitlines() if line}
    assert addresses, "the server was spoken to"
    assert {address for address in addresses if str(mlflow_process.port) not in address} == set()
