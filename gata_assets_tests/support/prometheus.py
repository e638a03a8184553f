"""Prometheus and promtool as processes, for tests of rules and queries. Real: both, from the PATH or `.prometheus`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from gata_assets_tests.support.loopback import free_port

_UNPACKED = Path(__file__).parents[2] / ".prometheus" / "usr" / "bin"
_PATIENCE_SECONDS = 30.0


def program(name: str) -> str:
    """The path of a program; fails if there is none."""
    found = shutil.which(name, path=str(_UNPACKED)) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is needed: `make prometheus` unpacks it, `make test PROMETHEUS=no` leaves this test out.")
    return found


class Prometheus:
    """A server that scrapes one target, several times a second."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        with urlopen(f"{self._url}/api/v1/query?{urlencode({'query': query})}") as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            with urlopen(f"{self._url}/-/ready"):
                return True
        except URLError:
            return False


@contextmanager
def prometheus(directory: Path, target: str) -> Iterator[Prometheus]:
    """A Prometheus that scrapes `host:port`, with its data in a directory."""
    port, config = free_port(), directory / "prometheus.yml"
    scrape = {"job_name": "gata", "scrape_interval": "300ms", "scrape_timeout": "300ms"}
    config.write_text(json.dumps({"scrape_configs": [{**scrape, "static_configs": [{"targets": [target]}]}]}))
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with subprocess.Popen(command, cwd=directory) as process:
        try:
            server, until = Prometheus(port), monotonic() + _PATIENCE_SECONDS
            while not server.is_ready():
                assert process.poll() is None, "Prometheus ended by itself"
                assert monotonic() < until, "Prometheus does not answer"
                sleep(0.05)
            yield server
        finally:
            process.kill()
