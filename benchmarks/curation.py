"""A CSV file of interactions to good and bad rows with reasons, and on to curated days: ours and what others do.

Measured: rows a second from the file to what is written, imports left out, and the peak memory of whole processes.
Each contender runs as a process of its own, in turns. The peers write one table of good rows and one of bad ones
with the rules that they break; ours writes parts by day, a quarantine table and a report, and curated days.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import polars as pl

from benchmarks.harness import PROJECT, Cell, Goal, Result, Table
from benchmarks.processes import run_command

_DAYS = 90
_END = datetime(2026, 1, 2, tzinfo=UTC)
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_TYPES = ("view", "click", "purchase", "like", "add_to_cart", "dislike")
_BAD_SHARE = 0.01

_OURS = "to curated days (ours)"
_SORTED = "to good and bad rows, parts by day (ours)"
_PANDAS = "pandas read, pandera lazy, split by failure_cases"
_POLARS = "Polars expressions with reasons"
_GOAL_ROWS, _GOAL_MB = 1_500_000, 300


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few rows."""
    rows, more, times = (20_000, 40_000, 1) if quick else (1_000_000, 10_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="gata-curation-") as place:
        small, large, warm = (Path(place, f"{size}.csv") for size in (rows, more, 1_000))
        for path, size in ((small, rows), (large, more), (warm, 1_000)):
            write_interactions(path, size)
        rates: dict[str, list[float]] = {name: [] for name in _CONTENDERS}
        peaks: dict[str, list[float]] = {name: [] for name in _CONTENDERS}
        for _ in range(times):
            for name in _CONTENDERS:
                seconds, peak = _measure(name, small, warm, Path(place))
                rates[name].append(rows / seconds)
                peaks[name].append(peak)
        large_seconds, large_peak = _measure(_OURS, large, warm, Path(place))
    rate, peak = ({name: median(found) for name, found in measured.items()} for measured in (rates, peaks))
    table: list[list[Cell]] = [[name, f"{rows:,}", rate[name], peak[name]] for name in _CONTENDERS]
    table.append([_OURS, f"{more:,}", more / large_seconds, large_peak])
    return Result(
        what=(
            f"Interactions of 10,000 users and 5,000 items (Zipf) over {_DAYS} days as CSV, {_BAD_SHARE:.0%} of the "
            f"rows bad, medians of {times} processes in turns ({more:,} rows: one). Compiled loops come from the cache."
        ),
        says=(
            f"Ours sorts {rate[_SORTED]:,.0f} rows/s into good parts by day and bad rows with reasons, and "
            f"{rate[_OURS]:,.0f} rows/s all the way to {_DAYS} curated days, where pandas with pandera splits "
            f"{rate[_PANDAS]:,.0f} rows/s and plain Polars {rate[_POLARS]:,.0f} into two files."
        ),
        tables=[Table("From a CSV file:", ["path", "rows", "rows/s", "peak MB"], table)],
        goals=[
            Goal(
                f"CSV to curated and quarantine at {_GOAL_ROWS:,} rows/s or more",
                f"{rate[_OURS]:,.0f}",
                rate[_OURS] >= _GOAL_ROWS,
            ),
            Goal(f"under {_GOAL_MB} MB for {rows:,} rows", f"{peak[_OURS]:,.0f} MB", peak[_OURS] < _GOAL_MB),
            Goal(
                f"memory flat for {more:,} rows (at most a quarter more)",
                f"{large_peak:,.0f} MB",
                large_peak < 1.25 * peak[_OURS],
            ),
        ],
    )


def write_interactions(path: Path, rows: int) -> None:
    """A CSV file of interactions in no order, one in a hundred with one fault of five kinds."""
    rng = np.random.default_rng(5)
    fault = np.where(rng.random(rows) < _BAD_SHARE, rng.integers(0, 5, rows), -1)
    seconds = int(_END.timestamp()) - 1 - rng.integers(0, _DAYS * 86_400, rows)
    table = pl.DataFrame(
        {
            "user": (rng.zipf(1.3, rows) - 1) % 10_000,
            "item": (rng.zipf(1.3, rows) - 1) % 5_000,
            "type": rng.integers(0, len(_TYPES), rows),
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
        spoilt(1, "look", pl.Series(_TYPES).gather(table["type"])).alias("interaction_type"),
        spoilt(2, "yesterday", spoilt(3, "1999-01-01T00:00:00Z", instant)).alias("timestamp"),
        spoilt(4, "9", pl.when(pl.col("rating") > 0).then(pl.col("rating").cast(pl.String))).alias("rating"),
    ).write_csv(path)


def _measure(name: str, source: Path, warm: Path, place: Path) -> tuple[float, float]:
    """The seconds that the work took by the contender's own clock, and the peak of its process in MB."""
    with tempfile.TemporaryDirectory(dir=place) as target:
        number = str(list(_CONTENDERS).index(name))
        command = [sys.executable, "-m", "benchmarks.curation", number, str(source), str(warm), target]
        done = run_command(command, directory=PROJECT)
    return float(done.stdout), done.peak_bytes / 1e6


def _ours(source: Path, target: Path, *, is_curated: bool = True) -> None:
    from gata_assets.core.interaction_places import DataType
    from gata_assets.core.interaction_rules import CurationRules, UnknownItems
    from gata_assets.resources.curation import Curator
    from gata_assets.resources.objects import LocalObjects

    rules = CurationRules(_EARLIEST, timedelta(hours=24), UnknownItems.WARN)
    curator = Curator(LocalObjects(str(target)), "acme", rules, _END)
    key = curator.places.raw(DataType.INTERACTIONS, _END.date()) + source.name
    (target / key).parent.mkdir(parents=True)
    (target / key).hardlink_to(source)
    report = curator.sort(key)
    assert report.good + report.bad == report.rows
    if is_curated:
        assert all(made.is_written for made in curator.curate_days(curator.stale_days()))


def _ours_sorted(source: Path, target: Path) -> None:
    _ours(source, target, is_curated=False)


def _pandas(source: Path, target: Path) -> None:
    import pandas as pd
    import pandera.pandas as pa

    schema = pa.DataFrameSchema(
        {
            "user_id": pa.Column(str),
            "item_id": pa.Column(str),
            "interaction_type": pa.Column(str, pa.Check.isin(_TYPES)),
            "timestamp": pa.Column("datetime64[us, UTC]", pa.Check.in_range(_EARLIEST, _END + timedelta(days=1))),
            "rating": pa.Column(float, pa.Check.in_range(1, 5), nullable=True),
        }
    )
    table = pd.read_csv(source)
    instants = pd.to_datetime(table["timestamp"], format="ISO8601", utc=True, errors="coerce")
    table["timestamp"] = instants.astype("datetime64[us, UTC]")
    bad = pd.DataFrame({"index": [], "rules": []})
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        bad = error.failure_cases.groupby("index")["check"].agg(list).rename("rules").reset_index()
    table.drop(index=bad["index"]).to_parquet(target / "good.parquet", compression="zstd")
    table.loc[bad["index"]].assign(rules=bad["rules"].to_numpy()).to_parquet(target / "bad.parquet", compression="zstd")


def _polars(source: Path, target: Path) -> None:
    table = pl.read_csv(source, infer_schema=False, row_index_name="line")
    instant = pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%#z", time_unit="us", strict=False)
    rating = pl.col("rating").cast(pl.Float32, strict=False)
    wrong = {
        "user_id_is_given": pl.col("user_id").is_null(),
        "item_id_is_given": pl.col("item_id").is_null(),
        "interaction_type_is_known": ~pl.col("interaction_type").is_in(_TYPES),
        "timestamp_is_iso_8601": instant.is_null(),
        "timestamp_is_within_reason": ~instant.is_between(_EARLIEST, _END + timedelta(days=1), closed="left"),
        "rating_is_1_to_5": pl.col("rating").is_not_null() & ~rating.is_between(1, 5).fill_null(value=False),
    }
    rules = [pl.when(rule.fill_null(value=False)).then(pl.lit(name)) for name, rule in wrong.items()]
    judged = table.with_columns(pl.concat_list(rules).list.drop_nulls().alias("rules"))
    is_good = judged["rules"].list.len() == 0
    good = judged.filter(is_good).select("user_id", "item_id", "interaction_type", instant, rating)
    good.write_parquet(target / "good.parquet")
    judged.filter(~is_good).write_parquet(target / "bad.parquet")


_CONTENDERS: dict[str, Callable[[Path, Path], None]] = {
    _OURS: _ours,
    _SORTED: _ours_sorted,
    _PANDAS: _pandas,
    _POLARS: _polars,
}

if __name__ == "__main__":
    _contender = list(_CONTENDERS.values())[int(sys.argv[1])]
    _source, _warm, _target = map(Path, sys.argv[2:])
    for _path, _folder in ((_warm, _target / "warm"), (_source, _target / "measured")):
        _folder.mkdir()
        _started = perf_counter()
        _contender(_path, _folder)
        _seconds = perf_counter() - _started
    print(_seconds)
