"""`gata` as whole processes: their wall time, peak memory, and the seconds that each asset took.

These are read from the JSON lines that `gata prepare` writes: what an asset says of its making (with its reads and
checks) and of its writing. The two overlap between assets only where a run has several batches.
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
# What the image sets besides.
IMAGE_VARIABLES = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
_GATA = str(Path(sys.executable).with_name("gata"))


@dataclass(frozen=True)
class Run:
    """One process that ended well."""

    seconds: float
    ended_at: float
    peak_bytes: int
    stdout: str
    stderr: str
    processor_seconds: float

    @property
    def step_seconds(self) -> dict[str, float]:
        """The seconds of each asset: made, checked and written."""
        written = [event for event in self._events() if event.get("event") == "ASSET_MATERIALIZATION"]
        return {event["asset"]: event["seconds_making"] + event["seconds_writing"] for event in written}

    @property
    def closing_seconds(self) -> float:
        """The seconds from the end of the step to that of the process."""
        [ended] = [event["at"] for event in self._events() if event.get("event") == "STEP_SUCCESS"]
        return self.ended_at - datetime.fromisoformat(ended).timestamp()

    def _events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines()]


def run_gata(*arguments: str, directory: Path, variables: Mapping[str, str] | None = None) -> Run:
    """Run `gata` with no setting but these in a directory; raises RuntimeError when it fails."""
    return run_command([_GATA, *arguments], directory=directory, variables=variables)


def run_command(command: Sequence[str], *, directory: Path, variables: Mapping[str, str] | None = None) -> Run:
    """Run a command with no setting but these in a directory; raises RuntimeError when it fails."""
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
    """The median seconds of each asset's step."""
    steps = [run.step_seconds for run in runs]
    return {asset: median(seconds[asset] for seconds in steps) for asset in ASSETS}
