"""Runs `gata` as processes, and measures wall time, peak memory and each asset's seconds.

The assets' seconds come from the JSON lines of `gata prepare`: building (with reads and checks) and writing. They
overlap between assets only if a run has several batches.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from gata_assets.settings.model import ENV_FILE_VARIABLE, variable_names

ASSETS = ("tickets", "label_counts", "general_split", "low_volume_tickets", "low_volume_split")
# Set in the image.
IMAGE_VARIABLES = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:500,muzzy_decay_ms:0",
    "POLARS_MAX_THREADS": "1",
}
_GATA = str(Path(sys.executable).with_name("gata"))


@dataclass(frozen=True)
class Run:
    """A process that succeeded."""

    seconds: float
    ended_at: float
    peak_bytes: int
    stdout: str
    stderr: str
    processor_seconds: float

    @property
    def step_seconds(self) -> dict[str, float]:
        """Each asset's seconds: building, checking and writing."""
        written = [event for event in self._events() if event.get("event") == "ASSET_MATERIALIZATION"]
        return {event["asset"]: event["seconds_making"] + event["seconds_writing"] for event in written}

    @property
    def closing_seconds(self) -> float:
        """The seconds from the end of the step to the end of the process."""
        [ended] = [event["at"] for event in self._events() if event.get("event") == "STEP_SUCCESS"]
        return self.ended_at - datetime.fromisoformat(ended).timestamp()

    def _events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines()]


def run_gata(*arguments: str, directory: Path, variables: Mapping[str, str] | None = None) -> Run:
    """Run `gata` in a directory with only the given settings; raises RuntimeError if it fails."""
    return run_command([_GATA, *arguments], directory=directory, variables=variables)


def run_command(command: Sequence[str], *, directory: Path, variables: Mapping[str, str] | None = None) -> Run:
    """Run a command in a directory with only the given settings; raises RuntimeError if it fails."""
    ours = {*variable_names(), ENV_FILE_VARIABLE, "DAGSTER_HOME"}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    with tempfile.TemporaryDirectory() as aside:
        measured = Path(aside, "measured.json")
        wrapper = [sys.executable, "-S", str(Path(__file__).with_name("timed_command.py")), str(measured)]
        done = subprocess.run(
            [*wrapper, *command],
            cwd=directory,
            env={**clean, **(variables or {})},
            capture_output=True,
            text=True,
            check=True,
        )
        figures = json.loads(measured.read_text())
    if figures["code"]:
        raise RuntimeError(f"{' '.join(command)} ended with {figures['code']}:\n{done.stderr[-2_000:]}{done.stdout}")
    return Run(
        figures["seconds"],
        figures["ended_at"],
        figures["peak_bytes"],
        done.stdout,
        done.stderr,
        figures["processor_seconds"],
    )


def median_steps(runs: Sequence[Run]) -> dict[str, float]:
    """Each asset's median seconds."""
    steps = [run.step_seconds for run in runs]
    return {asset: median(seconds[asset] for seconds in steps) for asset in ASSETS}
