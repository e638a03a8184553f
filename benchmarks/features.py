"""Features of interactions, Parquet to Parquet: ours from the curated days, pandas and Polars from one plain file.

Every maker is a process of its own that makes all three tables. Ours also checks them and writes checksums; the others
do not. Measured, of all in the same way: seconds of the process, those of them that are not imports (goals compare
these; numba's own loading, 0.25 s once a process, counts among ours), processor seconds of the process, and the peak
memory with all that was imported. All have the variables of the image.
Not measured: curating the days, which is done once and not for each batch, and numba's compiling, once a machine.
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
# No turn begins later than this after the first of its size: pandas takes a minute for ten million.
_MOST_SECONDS = 300


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
        seconds[count] = {name: median(_making(one) for one in done) for name, done in runs.items()}
        peaks[count] = {name: median(one.peak_bytes / 1e9 for one in done) for name, done in runs.items()}
        rows += [
            [
                f"{count:,}",
                _NAMES[name],
                len(done),
                median(one.seconds for one in done),
                median(one.processor_seconds for one in done),
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
            f"Interactions over 90 days, a user for every fifty, {_ITEMS:,} items, both chosen by Zipf's law, a fifth "
            "with a rating; all three tables of features. Seconds and peaks are medians of runs in turns. Ours "
            f"reads 91 curated days with keys, the others one file with strings. {libraries:.2f} GB of our peak are "
            "libraries that each process of the project has loaded before it reads a row."
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
                    "how",
                    "runs",
                    "seconds of the process",
                    "seconds of the processor",
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
    """How many times as fast as pandas, and as the better of the two of Polars, ours is."""
    best = min(seconds[_POLARS], seconds[_STREAMING])
    return seconds[_PANDAS] / seconds[_OURS], best / seconds[_OURS]


def _run_in_turns(folder: Path, makers: tuple[str, ...], times: int) -> dict[str, list[Run]]:
    """Run the makers in turns, as often as is asked for or until the time for a size is over."""
    runs: dict[str, list[Run]] = {name: [] for name in makers}
    started = perf_counter()
    for _ in range(times):
        if perf_counter() - started > _MOST_SECONDS:
            break
        for name, done in runs.items():
            command = [sys.executable, "-m", "benchmarks.feature_makers", name, str(folder)]
            done.append(run_command(command, directory=PROJECT, variables=IMAGE_VARIABLES))
    return runs


def _making(run: Run) -> float:
    return float(json.loads(run.stdout.splitlines()[-1])["seconds"])


def _library_gigabytes() -> float:
    """What a process has in memory before it reads a row. The first such process compiles, as no maker then has to."""
    load = "import gata_assets.interactions.engines.polars; import gata_assets.interactions.warm_up as c; c.warm_up()"
    run_command([sys.executable, "-c", load], directory=PROJECT)
    load = (
        "import gata_assets.interactions.engines.polars; import gata_assets.tables.columns.jit as c; c.load_compiler()"
    )
    return run_command([sys.executable, "-c", load], directory=PROJECT, variables=IMAGE_VARIABLES).peak_bytes / 1e9
