"""deploy/compose.yaml as its tests read it, and its commands as processes of this machine.

Not real: containers and their images; names of hosts and ports are replaced by free ports on loopback.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def variables_of(name: str) -> dict[str, str]:
    """The variables of a file of deploy/compose."""
    lines = (DEPLOY / "compose" / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"\w", line))


ENVIRONMENT = variables_of("local.env")


def wait_for(what: str, is_so: Callable[[], Any], tries: int = 3_000) -> Any:
    """What `is_so` gives as soon as it gives something; errors of what does not listen yet count as nothing."""
    for _ in range(tries):
        with suppress(OSError):
            if found := is_so():
                return found
        sleep(0.1)
    raise AssertionError(f"{what}: not so after {tries} tries")


def localized(word: str, ports: dict[str, int], home: Path | None = None) -> str:
    """A word of the file with loopback in the place of its hosts, and free ports in the place of its ports."""
    for place, port in ports.items():
        number = place.split(":")[1]
        word = str(port) if word == number else word.replace(place, f"127.0.0.1:{port}")
        word = re.sub(rf"\b127\.0\.0\.1:{number}\b", f"127.0.0.1:{port}", word)
    word = word.replace(ENVIRONMENT["DAGSTER_HOME"], str(home)) if home else word
    return "127.0.0.1" if word == "0.0.0.0" else word  # noqa: S104 - it is taken out


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a service with all that it has started."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
