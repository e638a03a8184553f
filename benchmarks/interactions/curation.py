"""A CSV file of interactions to valid and rejected rows with reasons, and on to curated days: ours and alternatives.

Measured: rows per second from the file to the written tables (wall-clock, and CPU time of all threads) without imports,
and the peak memory of processes including imports. Each contender (`curation_paths`) runs as a process with the
image's variables, interleaved, after a run over 1,000 rows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks.harness import PROJECT, Cell, Goal, Result, Table
from benchmarks.interactions.curation_paths import END, TYPES
from benchmarks.processes import IMAGE_VARIABLES, run_command

_DAYS = 90
_INVALID_SHARE = 0.01

# By the functions of `curation_paths`.
_CONTENDERS = {
    "ours": "ours: checks, parts by day, quarantine, report, then curated days with ids, keys and manifests",
    "ours_validated": "ours, validation only: parts by day, quarantine and report",
    "polars_days": "Polars: rules with reasons, deduplicated, ordered by time, a file per day and one of rejected rows",
    "polars_split": "Polars: rules with reasons, a file of valid rows and one of rejected rows",
    "pandas_split": "pandas and pandera: lazy validation, a file of valid rows and one of rejected rows",
}
_GOAL_ROWS, _GOAL_MB = 1_500_000, 300


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few rows."""
    rows, more, times = (20_000, 40_000, 1) if quick else (1_000_000, 10_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="gata-curation-") as place:
        small, large, warm = (Path(place, f"{size}.csv") for size in (rows, more, 1_000))
        for path, size in ((small, rows), (large, more), (warm, 1_000)):
            write_interactions(path, size)
        found: dict[str, list[_Figures]] = {name: [] for name in _CONTENDERS}
        for _ in range(times):
            for name in _CONTENDERS:
                found[name].append(_measure(name, small, rows, warm, Path(place)))
        large_run = _measure("ours", large, more, warm, Path(place))
    middle = {name: _Figures(*map(median, zip(*figures, strict=True))) for name, figures in found.items()}
    ours = middle["ours"]
    table: list[list[Cell]] = [[what, f"{rows:,}", *middle[name]] for name, what in _CONTENDERS.items()]
    table.append([_CONTENDERS["ours"], f"{more:,}", *large_run])
    return Result(
        what=(
            f"Interactions of 10,000 users and 5,000 items (Zipf) over {_DAYS} days as CSV, {_INVALID_SHARE:.0%} of "
            f"the rows invalid, medians of {times} interleaved processes ({more:,} rows: one). Compiled loops are "
            "cached. Only ours flushes its files to disk."
        ),
        says=(
            f"Ours processes {ours.rate:,.0f} rows/s to {_DAYS} curated days, and "
            f"{middle['ours_validated'].rate:,.0f} to valid and rejected rows; Polars "
            f"{middle['polars_days'].rate:,.0f} to a file per day and {middle['polars_split'].rate:,.0f} to valid and "
            f"rejected rows; pandas with pandera {middle['pandas_split'].rate:,.0f}."
        ),
        tables=[Table("From a CSV file:", ["path", "rows", "rows/s", "rows per CPU second", "peak MB"], table)],
        goals=[
            Goal(
                f"CSV to curated and quarantine at {_GOAL_ROWS:,} rows/s or more",
                f"{ours.rate:,.0f}",
                ours.rate >= _GOAL_ROWS,
            ),
            Goal(f"under {_GOAL_MB} MB for {rows:,} rows", f"{ours.peak:,.0f} MB", ours.peak < _GOAL_MB),
            Goal(
                f"memory flat for {more:,} rows (at most a quarter more)",
                f"{large_run.peak:,.0f} MB",
                large_run.peak < 1.25 * ours.peak,
            ),
        ],
    )


def write_interactions(path: Path, rows: int) -> None:
    """Write a CSV file of interactions in random order; one row in a hundred has a fault, of five kinds."""
    rng = np.random.default_rng(5)
    fault = np.where(rng.random(rows) < _INVALID_SHARE, rng.integers(0, 5, rows), -1)
    seconds = int(END.timestamp()) - 1 - rng.integers(0, _DAYS * 86_400, rows)
    table = pl.DataFrame(
        {
            "user": (rng.zipf(1.3, rows) - 1) % 10_000,
            "item": (rng.zipf(1.3, rows) - 1) % 5_000,
            "type": rng.integers(0, len(TYPES), rows),
            "at": seconds,
            "rating": np.where(rng.random(rows) < 0.3, rng.integers(1, 6, rows), 0),
            "fault": fault,
        }
    )

    def spoilt(kind: int, wrong: str, right: pl.Expr) -> pl.Expr:
        return pl.when(pl.col("fault") == kind).then(pl.lit(wrong)).otherwise(right)

    instant = pl.from_epoch("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    table.select(
        spoilt(0, "", pl.format("user_{}", pl.col("user").cast(pl.String).str.zfill(6))).alias("user_id"),
        pl.format("item_{}", pl.col("item").cast(pl.String).str.zfill(6)).alias("item_id"),
        spoilt(1, "look", pl.lit(pl.Series(TYPES).gather(table["type"]))).alias("interaction_type"),
        spoilt(2, "yesterday", spoilt(3, "1999-01-01T00:00:00Z", instant)).alias("timestamp"),
        spoilt(4, "9", pl.when(pl.col("rating") > 0).then(pl.col("rating").cast(pl.String))).alias("rating"),
    ).write_csv(path)


class _Figures(NamedTuple):
    rate: float
    cpu_rate: float
    peak: float


def _measure(name: str, source: Path, rows: int, warm: Path, place: Path) -> _Figures:
    """Rows per second by the contender's wall-clock and CPU time, and its process's peak memory in MB."""
    with tempfile.TemporaryDirectory(dir=place) as target:
        command = [sys.executable, "-m", "benchmarks.interactions.curation_paths", name, str(source), str(warm), target]
        done = run_command(command, directory=PROJECT, variables=IMAGE_VARIABLES)
    seconds, cpu_seconds = map(float, done.stdout.split())
    return _Figures(rows / seconds, rows / cpu_seconds, done.peak_bytes / 1e6)
