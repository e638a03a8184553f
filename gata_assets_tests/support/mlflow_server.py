"""A real MLflow tracking server as a process of its own: its database is a SQLite file, its port a free one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from gata_assets_tests.support.loopback import free_port

_START_SECONDS = 240


class MlflowProcess:
    """A server that can be killed and started again, on the same port with the same database."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self.port = directory, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        places = [
            f"--backend-store-uri=sqlite:///{self._directory / 'mlflow.sqlite'}",
            f"--artifacts-destination={self._directory / 'artifacts'}",
        ]
        # It has no user interface in this package, and needs no runner of jobs.
        more = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *words, *places],
                cwd=self._directory,
                env={**os.environ, **more},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = monotonic() + _START_SECONDS
        while not self._answers():
            assert self._process.poll() is None and monotonic() < until, (self._directory / "log").read_text()[-2000:]
            sleep(0.1)

    def kill(self) -> None:
        """End it and its workers at once, as a crash does."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """Ask its REST API, version 2.0, without MLflow's client."""
        request = Request(
            f"{self.url}/api/2.0/mlflow/{path}",
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=60) as response:
            return json.load(response)

    def runs(self, experiment: str, view: str = "ACTIVE_ONLY") -> list[Any]:
        """The runs of an experiment, oldest first, as a rule those that are not deleted; none without an experiment."""
        found = self.ask("POST", "experiments/search", {"filter": f"name = '{experiment}'", "max_results": 1})
        if not found.get("experiments"):
            return []
        of = [found["experiments"][0]["experiment_id"]]
        wanted = {
            "experiment_ids": of,
            "max_results": 1000,
            "run_view_type": view,
            "order_by": ["attributes.start_time ASC"],
        }
        runs: list[Any] = self.ask("POST", "runs/search", wanted).get("runs", [])
        return runs

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/health", timeout=5) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False


@pytest.fixture(scope="session")
def mlflow_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowProcess]:
    """A server for the tests of this process, which use experiments of their own."""
    server = MlflowProcess(tmp_path_factory.mktemp("mlflow"))
    try:
        server.start()
        yield server
    finally:
        server.kill()
