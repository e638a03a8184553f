"""Dagster's servers as processes of a test: started on loopback, asked as the UI asks, ended with all they started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from gata_assets.settings.model import variable_names

ROOT = Path(__file__).parents[2]
WORKSPACE = ("-w", str(ROOT / "workspace.yaml"))
# Of a machine that is busy with other things: what does not come within minutes does not come.
PATIENCE_SECONDS = 300.0


def home_in(place: Path) -> dict[str, str]:
    """An environment with a Dagster home of its own (the project's instance), and none of this process's settings."""
    home = place / "home"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    unset = {*variable_names(), "GATA_ENV_FILE"}
    return {**{name: value for name, value in os.environ.items() if name not in unset}, "DAGSTER_HOME": str(home)}


@contextmanager
def running(command: list[str], place: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A Python module that runs as a server; what it says goes to a file that is named after it."""
    with (place / f"{command[0]}.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=place,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        end_group(server)


def ask(url: str, query: str, **variables: Any) -> Any:
    """What GraphQL answers, as it answers the UI."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    with urlopen(Request(f"{url}/graphql", body, {"Content-Type": "application/json"}), timeout=120) as answer:
        told = json.load(answer)
    assert "errors" not in told, told["errors"]
    return told["data"]


def answers(port: int) -> bool:
    """Whether the UI answers, and has loaded the project."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    query = json.dumps({"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"})
    try:
        connection.request("POST", "/graphql", query, {"Content-Type": "application/json"})
        return b'"nodes":[{"name"' in connection.getresponse().read().replace(b" ", b"")
    except OSError:
        return False
    finally:
        connection.close()


def wait_until(is_so: Callable[[], bool], what: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + patience_seconds
    while not is_so():
        assert time.monotonic() < end, f"waited {patience_seconds:.0f} s in vain for {what}"
        time.sleep(0.2)


def end_group(leader: subprocess.Popen[bytes]) -> None:
    """Ask a process and all that it started to end, and end them when they do not."""
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGINT)
    try:
        leader.wait(15)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(leader.pid, signal.SIGKILL)
        leader.wait(15)
