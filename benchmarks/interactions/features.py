"""Features of interactions, Parquet to Parquet: ours from curated days, pandas and Polars from a plain file.

Each contender is a process that builds all three tables; only ours also checks them and writes checksums. Measured for
all alike: seconds of the process, seconds without imports (compared by the goals; numba's loading, 0.25 s per process,
counts for ours), CPU seconds, and peak memory including imports. All use the image's variables.
Not measured: curating the days, done once and not per batch, and numba's compilation, once per machine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.harness import PROJECT, Cell, Goal, Result, Table
from benchmarks.interactions import Size, make_interactions
from benchmarks.processes import IMAGE_VARIABLES, Run, run_command

_OURS, _PANDAS, _POLARS, _STREAMING = "engine", "pandas", "polars", "polars-streaming"
_NAMES = {
    _OURS: "ours (PolarsEngine, with its checks)",
    _PANDAS: "pandas, groupby",
    _POLARS: "Polars, collect_all",
    _STREAMING: "Polars, streaming sinks",
}
_ITEMS = 50_000
# No round starts later than this after the first of its size: pandas takes a minute for ten million.
_MAX_SECONDS = 300


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few interactions."""
    all_makers = (_OURS, _PANDAS, _POLARS, _STREAMING)
    sizes: dict[int, tuple[tuple[str, ...], int]]
    if quick:
        sizes = {20_000: (all_makers, 1), 40_000: (all_makers, 1), 60_000: ((_OURS,), 1)}
    else:
        sizes = {1_000_000: (all_makers, 5), 10_000_000: (all_makers, 3), 50_000_000: ((_OURS, _STREAMING), 1)}
    libraries = _library_gigabytes()
    rows: list[list[Cell]] = []
    seconds: dict[int, dict[str, float]] = {}
    peaks: dict[int, dict[str, float]] = {}
    for count, (makers, times) in sizes.items():
        with TemporaryDirectory() as folder:
            make_interactions(Path(folder), Size(count, max(count // 50, 1), _ITEMS), seed=1)
            runs = _run_in_turns(Path(folder), makers, times)
        seconds[count] = {name: median(_seconds_without_imports(run) for run in done) for name, done in runs.items()}
        peaks[count] = {name: median(run.peak_bytes / 1e9 for run in done) for name, done in runs.items()}
        rows += [
            [
                f"{count:,}",
                _NAMES[name],
                len(done),
                median(run.seconds for run in done),
                median(run.processor_seconds for run in done),
                seconds[count][name],
                f"{count / seconds[count][name]:,.0f}",
                peaks[count][name],
            ]
            for name, done in runs.items()
        ]
    small, large, largest = sizes
    ratios = {count: _ratios(seconds[count]) for count in (small, large)}
    best_large = min(seconds[large][_POLARS], seconds[large][_STREAMING]) / seconds[large][_OURS]
    return Result(
        what=(
            f"Interactions over 90 days, one user per fifty interactions, {_ITEMS:,} items, both Zipf-distributed, a "
            "fifth with a rating; all three feature tables. Seconds and peaks are medians of interleaved runs. Ours "
            f"reads 91 curated days with hashes, the others one file with strings. {libraries:.2f} GB of our peak are "
            "libraries that every process of the project loads before it reads a row."
        ),
        says=(
            f"Ours takes {seconds[small][_OURS]:.2f} s for {small:,} interactions, {seconds[large][_OURS]:.1f} s for "
            f"{large:,} and {seconds[largest][_OURS]:.0f} s for {largest:,}, with at most "
            f"{peaks[largest][_OURS]:.1f} GB; at {large:,} that is {best_large:.1f} times the "
            "speed of the best plain Polars."
        ),
        tables=[
            Table(
                "Features:",
                [
                    "interactions",
                    "contender",
                    "runs",
                    "seconds of the process",
                    "CPU seconds",
                    "seconds without imports",
                    "rows/s without imports",
                    "peak GB",
                ],
                rows,
            )
        ],
        goals=[
            *(
                Goal(f"6 times pandas at {count:,}", f"{ratios[count][0]:.1f}", ratios[count][0] >= 6)
                for count in (small, large)
            ),
            *(
                Goal(f"level with the best Polars at {count:,}", f"{ratios[count][1]:.2f}", ratios[count][1] >= 1)
                for count in (small, large)
            ),
            Goal(f"stretch: twice the best Polars at {large:,}", f"{best_large:.2f}", best_large >= 2),
            Goal(f"under 0.3 GB at {small:,}", f"{peaks[small][_OURS]:.2f} GB", peaks[small][_OURS] < 0.3),
            Goal(f"under 2.5 GB at {large:,}", f"{peaks[large][_OURS]:.2f} GB", peaks[large][_OURS] < 2.5),
            Goal(f"{largest:,} without swapping", f"{peaks[largest][_OURS]:.2f} GB", peaks[largest][_OURS] < 20),
        ],
    )


def _ratios(seconds: dict[str, float]) -> tuple[float, float]:
    """How many times faster ours is than pandas, and than the faster Polars variant."""
    best = min(seconds[_POLARS], seconds[_STREAMING])
    return seconds[_PANDAS] / seconds[_OURS], best / seconds[_OURS]


def _run_in_turns(folder: Path, makers: tuple[str, ...], times: int) -> dict[str, list[Run]]:
    """Run the contenders in interleaved rounds, up to `times` or until the time limit of a size."""
    runs: dict[str, list[Run]] = {name: [] for name in makers}
    started = perf_counter()
    for _ in range(times):
        if perf_counter() - started > _MAX_SECONDS:
            break
        for name, done in runs.items():
            command = [sys.executable, "-m", "benchmarks.interactions.feature_makers", name, str(folder)]
            done.append(run_command(command, directory=PROJECT, variables=IMAGE_VARIABLES))
    return runs


def _seconds_without_imports(run: Run) -> float:
    return float(json.loads(run.stdout.splitlines()[-1])["seconds"])


def _library_gigabytes() -> float:
    """A process's memory before it reads a row. The first process also compiles, so that no contender has to."""
    load = "import gata_assets.interactions.engines.polars; import gata_assets.interactions.warm_up as c; c.warm_up()"
    run_command([sys.executable, "-c", load], directory=PROJECT)
    load = (
        "import gata_assets.interactions.engines.polars; import gata_assets.tables.columns.jit as c; c.load_compiler()"
    )
    return run_command([sys.executable, "-c", load], directory=PROJECT, variables=IMAGE_VARIABLES).peak_bytes / 1e9
