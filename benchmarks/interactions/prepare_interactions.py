"""`gata prepare` of interactions only, as processes: features, negative samples and joined rows.

`gata ingest` lands raw CSV files first. The first batch also curates its days; the batches of the next hours find them
curated, as most batches do. Measured: wall time, CPU time and peak memory, with all imports and checks. Not measured:
S3 (files go to a local directory), and compilation of loops, once per machine or image.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.harness import Cell, Goal, Result, Table
from benchmarks.interactions.curation import write_interactions
from benchmarks.interactions.curation_paths import END
from benchmarks.processes import IMAGE_VARIABLES, Run, run_gata
from gata_assets.batches import Batch
from gata_assets.interactions.warm_up import warm_up

_GOAL_SECONDS = 10.0
_VARIABLES = {"TENANTS": "bench", "FIRST_BATCH_ID": "2025010100", "TARGET_DIR": "data", **IMAGE_VARIABLES}


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few rows, and one batch of each kind."""
    sizes = {20_000: 1, 40_000: 1} if quick else {1_000_000: 5, 10_000_000: 2}
    # As in the image's build.
    warm_up()
    rows: list[list[Cell]] = []
    seconds: dict[int, float] = {}
    for size, times in sizes.items():
        with TemporaryDirectory(prefix="gata-interactions-") as temporary:
            directory = Path(temporary)
            write_interactions(directory / "interactions.csv", size)
            items = "".join(f"item_{number:06d},An item\n" for number in range(5_000))
            (directory / "items.csv").write_text(f"item_id,title\n{items}")
            _ingest(directory, "items")
            ingested = _ingest(directory, "interactions")
            first = _prepare(directory, hour=0)
            later = [_prepare(directory, hour=hour) for hour in range(1, times + 1)]
        seconds[size] = median(run.seconds for run in later)
        commands = [
            ("gata ingest", [ingested]),
            ("gata prepare, including curation", [first]),
            ("gata prepare, days curated before", later),
        ]
        rows += [[f"{size:,}", what, *_cells(runs)] for what, runs in commands]
    small = min(sizes)
    return Result(
        what=(
            "Interactions of 10,000 users and 5,000 items (Zipf) over 90 days from one CSV file, one row in a hundred "
            "invalid; default settings, the image's variables, DAGSTER_HOME unset. Medians of the runs; peak memory is "
            "their maximum."
        ),
        says=" ".join(
            f"A batch of {size:,} interactions takes {taken:.1f} s as a process." for size, taken in seconds.items()
        ),
        tables=[
            Table(
                "Whole processes:",
                ["interactions", "command", "runs", "seconds", "CPU seconds", "peak memory (MiB)"],
                rows,
            )
        ],
        goals=[
            Goal(
                f"features and samples of {small:,} interactions under {_GOAL_SECONDS:.0f} s",
                f"{seconds[small]:.1f} s",
                seconds[small] < _GOAL_SECONDS,
            )
        ],
    )


def _ingest(directory: Path, data: str) -> Run:
    return run_gata("ingest", data, f"{data}.csv", "--tenant", "bench", directory=directory, variables=_VARIABLES)


def _prepare(directory: Path, *, hour: int) -> Run:
    """Prepare the batch `hour` hours after the last interaction; raises RuntimeError if a table is missing."""
    batch = Batch(END + timedelta(hours=hour)).batch_id
    done = run_gata("prepare", batch, "--only", "interactions", directory=directory, variables=_VARIABLES)
    written = {entry["asset"] for entry in json.loads(done.stdout)["written"]}
    if not written >= {"bench/user_features", "bench/negative_samples", "bench/with_features"}:
        raise RuntimeError(f"Batch {batch} wrote only {', '.join(sorted(written))}.")
    return done


def _cells(runs: list[Run]) -> list[Cell]:
    return [
        len(runs),
        median(run.seconds for run in runs),
        median(run.processor_seconds for run in runs),
        round(max(run.peak_bytes for run in runs) / 2**20),
    ]
