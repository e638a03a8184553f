"""`gata ui`: Dagster's UI and daemon, as processes of `dagster dev`, until it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from gata_assets.cli.terminal import text_console
from gata_assets.environment import dagster_home, variables
from gata_assets.errors import GataError
from gata_assets.orchestration.homes import HOME_OF_DIRECTORY, prepare_home
from gata_assets.settings.model import ENV_FILE_VARIABLE, load_settings

_WORKSPACE = Path(__file__).with_name("workspace.yaml")
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on is the user's choice
_POLL_SECONDS = 0.25
# `dagster dev` takes a few seconds to end what it has started.
_SECONDS_TO_END = 60.0


def run(port: int, *, host: str, env_file: Path | None, as_json: bool) -> bool:
    """Serve until an interruption, and return whether it was that which ended it.

    Raises SettingsError for a wrong setting or home, and GataError for a port that cannot be listened on.
    """
    # The code location reads the settings itself, and again whenever it is reloaded.
    environment = dict(variables())
    load_settings(env_file)
    home = dagster_home() or Path.cwd() / HOME_OF_DIRECTORY
    prepare_home(home)
    port = _require_port(host, port)
    environment["DAGSTER_HOME"] = str(home)
    if env_file:
        environment[ENV_FILE_VARIABLE] = str(env_file.absolute())
    with _interrupted_by_signals():
        dagster = _start(host, port, environment)
        try:
            if _wait_until_ready(dagster, host, port):
                _show(f"http://{_in_url(_ANY_ADDRESS.get(host, host))}:{port}", home, as_json=as_json)
                dagster.wait()
        except KeyboardInterrupt:
            return True
        finally:
            _end(dagster)
    text_console(stderr=True).print("Dagster ended by itself; its output above shows why.")
    return False


def _require_port(host: str, port: int) -> int:
    """The port, or for 0 a free one; raises GataError if it cannot be listened on."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listening:
            # As the UI does it: a port whose connections were closed a moment ago is free.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            return int(listening.getsockname()[1])
    except OSError as error:
        raise GataError(
            f"Port {port} of {host} cannot be listened on: {error.strerror}. --port takes another, 0 a free one."
        ) from None


def _start(host: str, port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `dagster dev` as the leader of a process group, so that a signal reaches all that it starts, once."""
    # Its warnings name commands of other packages, and what a first start does not find yet. Of its log, errors: runs
    # and ticks are in the UI.
    options = ["-w", str(_WORKSPACE), "-h", host, "-p", str(port), "--log-level", "error"]
    return subprocess.Popen(  # noqa: S603 - Dagster's own command
        [sys.executable, "-W", "ignore", "-m", "dagster", "dev", *options],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
    )


def _wait_until_ready(dagster: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Wait until the UI responds, which it does once the code location is loaded; False if Dagster ends before."""
    while dagster.poll() is None:
        with suppress(OSError, HTTPException), closing(HTTPConnection(_ANY_ADDRESS.get(host, host), port)) as server:
            server.request("GET", "/server_info")
            if server.getresponse().status == 200:
                return True
        time.sleep(_POLL_SECONDS)
    return False


def _show(url: str, home: Path, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"event": "UI_READY", "url": url, "dagster_home": str(home)}), flush=True)
    else:
        text_console().print(f"Dagster's UI is at {url}, its records in {home}. Ctrl-C stops it.", markup=False)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Signals that end a process raise KeyboardInterrupt, also where the process was started with SIGINT ignored."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(dagster: subprocess.Popen[bytes]) -> None:
    """End `dagster dev` with all that it started: as Ctrl-C does; after a minute or another Ctrl-C, at once."""
    try:
        _signal_group(dagster, signal.SIGINT)
        end = time.monotonic() + _SECONDS_TO_END
        while _signal_group(dagster, 0) and time.monotonic() < end:
            dagster.poll()
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        _signal_group(dagster, signal.SIGKILL)
        dagster.wait()


def _signal_group(leader: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to a process group; returns whether it has a process. 0 is no signal."""
    try:
        os.killpg(leader.pid, number)
    except (ProcessLookupError, PermissionError):
        # The latter where all are zombies, on macOS.
        return False
    return True
