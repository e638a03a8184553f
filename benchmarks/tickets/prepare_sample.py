"""`gata prepare` of a batch of the sample data: the wait of a new user, and its breakdown.

Processes: wall time and peak memory, and the breakdown (interpreter, imports by package in their order, definitions,
each asset's step, the rest). Imports and definitions are measured in separate new processes, with a warm file cache and
compiled loops: the first run after an installation takes longer. The breakdown covers tickets only; both pipelines
together are measured as a process.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.harness import BATCH, PROJECT, Cell, Goal, Result, Table
from benchmarks.processes import Run, median_steps, run_command, run_gata
from gata_assets.interactions.warm_up import warm_up

_GOAL_SECONDS = 6.0
_GOAL_HELP_SECONDS = 0.5
_TICKETS = ("--only", "tickets")

# In the order in which `gata prepare` imports them; each is measured as the difference to those before.
_MODULES = (
    "gata_assets.cli.main",
    "gata_assets.settings.model",
    "dagster",
    "rich.progress",
    "pandas",
    "pandera.pandas",
    "dagster_pandera",
    "pyarrow.parquet",
    "gata_assets.cli.batches.prepare",
    "gata_assets.tickets.sources.sqlite",
)
_PROBE = f"""
import importlib, json, time
parts, at = {{}}, time.perf_counter()
def end(name):
    global at
    now = time.perf_counter()
    parts[name] = now - at
    at = now
for name in {_MODULES!r}:
    importlib.import_module(name)
    end("import " + name)
from gata_assets.definitions import build_definitions
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.settings.model import load_settings
settings = load_settings()
at = time.perf_counter()
build_definitions(settings).resolve_job_def(PREPARE_TICKETS)
end("definitions")
import sqlalchemy, alembic
end("import sqlalchemy, alembic (for the instance)")
from dagster import DagsterInstance
DagsterInstance.ephemeral()
end("ephemeral instance")
print(json.dumps(parts))
"""


def run(*, quick: bool) -> Result:
    """Measure; `quick` once each."""
    times = 1 if quick else 5
    warm_up()
    with TemporaryDirectory() as temporary:
        directory = Path(temporary)
        run_gata("sample-data", "--since", "2025-01-01", "--until", "2026-01-02", "--days", "367", directory=directory)
        first_of_both = _prepare(directory)
        plain, both, helps, bare, probes = [], [], [], [], []
        homes: list[tuple[Run, Run]] = []
        for turn in range(times):
            plain.append(_prepare(directory, *_TICKETS))
            both.append(_prepare(directory))
            helps.append(run_gata("--help", directory=directory))
            bare.append(run_command([sys.executable, "-c", "pass"], directory=directory))
            probes.append(json.loads(run_command([sys.executable, "-c", _PROBE], directory=directory).stdout))
            if turn < 3:
                home = Path(directory, f"home-{turn}")
                home.mkdir()
                shutil.copy(PROJECT / "dagster.yaml", home)
                homes.append((_prepare(directory, *_TICKETS, home=home), _prepare(directory, *_TICKETS, home=home)))
    seconds = median(run.seconds for run in plain)
    help_seconds = median(run.seconds for run in helps)
    first, second = [run for run, _ in homes], [run for _, run in homes]
    parts = {
        "interpreter": median(run.seconds for run in bare),
        **{name: median(probe[name] for probe in probes) for name in probes[0]},
        **{f"step {asset}": taken for asset, taken in median_steps(plain).items()},
    }
    parts["after the last step (summary, end of the process)"] = median(run.closing_seconds for run in plain)
    parts["rest (start of the run; minus the garbage collections that `gata` avoids during imports)"] = seconds - sum(
        parts.values()
    )
    imports = sum(taken for name, taken in parts.items() if name.startswith("import "))
    steps = sum(taken for name, taken in parts.items() if name.startswith("step "))
    tickets = json.loads(plain[0].stdout)["written"][0]["row_count"]
    return Result(
        what=(
            f"`gata prepare {BATCH.batch_id} {' '.join(_TICKETS)}` on the store of `gata sample-data` "
            f"({tickets:,} tickets in the training window), DAGSTER_HOME unset, in a temporary directory; medians of "
            f"{times} (of {len(homes)} with DAGSTER_HOME). An import's seconds are in addition to those above it."
        ),
        says=(
            f"A batch of sample tickets takes {seconds:.1f} s: {imports:.1f} s are imports and {steps:.1f} s the five "
            f"steps; with interactions it takes {median(run.seconds for run in both):.1f} s, and the first one, which "
            f"also curates its days, {first_of_both.seconds:.1f} s; `gata --help` takes {help_seconds:.2f} s."
        ),
        tables=[
            Table(
                "Whole processes:",
                ["command", "seconds", "slowest", "peak memory (MiB)"],
                [
                    _row("tickets", plain),
                    _row("tickets, DAGSTER_HOME set, first run in it", first),
                    _row("tickets, DAGSTER_HOME set, next run in it", second),
                    _row("tickets and interactions, including curation", [first_of_both]),
                    _row("tickets and interactions, days curated before", both),
                    _row("gata --help", helps),
                ],
            ),
            Table(
                "Breakdown:",
                ["part", "seconds", "share"],
                [[name, taken, f"{taken / seconds:.0%}"] for name, taken in parts.items()],
            ),
        ],
        goals=[
            Goal(
                f"a batch of the sample's tickets under {_GOAL_SECONDS:.0f} s",
                f"{seconds:.2f} s",
                seconds < _GOAL_SECONDS,
            ),
            Goal(f"gata --help under {_GOAL_HELP_SECONDS} s", f"{help_seconds:.2f} s", help_seconds < 0.5),
        ],
    )


def _prepare(directory: Path, *options: str, home: Path | None = None) -> Run:
    variables = {"DAGSTER_HOME": str(home)} if home else {}
    return run_gata("prepare", BATCH.batch_id, *options, directory=directory, variables=variables)


def _row(name: str, runs: list[Run]) -> list[Cell]:
    seconds = [run.seconds for run in runs]
    return [name, median(seconds), max(seconds), round(max(run.peak_bytes for run in runs) / 2**20)]
