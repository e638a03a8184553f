"""`gata ui`: Dagster's UI and daemon on the settings of a directory, until a signal ends all of it.

Real: the command and Dagster as processes, their GraphQL, ports of loopback. Nothing is faked.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from gata_assets_tests.support.command import PROGRAM, ROOT, environment, gata
from gata_assets_tests.support.dagster_servers import PATIENCE_SECONDS, ask, wait_until

# With SIGINT ignored, as a shell starts what it puts in the background.
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"


@pytest.mark.process
@pytest.mark.server
def test_the_ui_opens_with_the_code_location_and_a_signal_ends_all_of_it(tmp_path: Path) -> None:
    started: set[int] = set()
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [*IN_BACKGROUND, *PROGRAM, "ui", "--port", "0", "--json"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=log,
        ) as command,
    ):
        try:
            assert command.stdout is not None
            ready = json.loads(command.stdout.readline() or "{}")
            assert ready.get("event") == "UI_READY", (tmp_path / "log").read_text()
            assert ready["dagster_home"] == str(tmp_path / ".dagster")
            [location] = ask(ready["url"], LOCATIONS)["workspaceOrError"]["locationEntries"]
            assert location == {"name": "gata_assets", "locationOrLoadError": {"__typename": "RepositoryLocation"}}
            started = descendants(command.pid)
            assert len(started) >= 3, "dagster dev, its webserver and its daemon"
            command.send_signal(signal.SIGINT)
            assert command.wait(PATIENCE_SECONDS) == 0
            assert command.stdout.read() == b""
            wait_until(lambda: not any(map(is_running, started)), f"{started} to end")
        finally:
            command.kill()
            for process in filter(is_running, started):
                os.kill(process, signal.SIGKILL)
    assert (tmp_path / ".dagster" / "dagster.yaml").read_text() == (ROOT / "dagster.yaml").read_text()


@pytest.mark.server
def test_a_port_that_is_taken_exits_with_1_and_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        ran = gata(tmp_path, "ui", "--port", str(port))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"Port {port} of 127.0.0.1 cannot be listened on: Address already in use." in ran.stderr
    assert "--port takes another, 0 a free one." in ran.stderr


def test_a_home_that_cannot_be_created_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / ".dagster").write_text("")
    ran = gata(tmp_path, "ui", "--port", "0")
    assert ran.returncode == 2
    assert f"{tmp_path / '.dagster'} cannot be the home of a Dagster instance: " in ran.stderr
    ran = gata(tmp_path, "ui", "--port", "0", DAGSTER_HOME="/nowhere/at/all")
    assert (ran.returncode, "DAGSTER_HOME: '/nowhere/at/all' is not" in ran.stderr) == (2, True)


def descendants(process: int) -> set[int]:
    """The processes that a process started, and those that they started."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True, timeout=60)
    parents = {int(own): int(parent) for own, parent in map(str.split, listed.stdout.splitlines())}
    found = {process}
    while more := {own for own, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
