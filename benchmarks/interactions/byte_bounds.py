"""Memory of files that are small on disk and large in memory: `gata ingest`, each in a process of its own.

A Parquet file whose dictionary has a text of 8 MB for each of 131,072 rows, and a compressed CSV of six million invalid
rows; each has a valid row too. The peak memory is that of the process, its imports included; the peer reads the same
file with Polars into a frame, where that ends below the machine's memory.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness import Cell, Goal, Result, Table
from benchmarks.processes import run_command, run_gata

_HEADER = "user_id,item_id,interaction_type,timestamp,rating\n"
_VALID = "u1,i1,view,2026-01-01T10:00:00Z,4\n"
_INVALID = ",i1,view,yesterday,4\n"
_GOAL_MEGABYTES = 500


def run(*, quick: bool) -> Result:
    """Measure; `quick` with smaller files."""
    text_bytes, rows, invalid = (100_000, 10_000, 60_000) if quick else (8_000_000, 131_072, 6_000_000)
    files: dict[str, tuple[str, Callable[[Path], None], bool]] = {
        f"Parquet, {rows:,} rows of a text of {text_bytes:,} bytes": (
            "long.parquet",
            lambda path: _write_long_texts(path, text_bytes, rows),
            False,
        ),
        f"CSV, gzip, {invalid:,} invalid rows": (
            "invalid.csv.gz",
            lambda path: _write_invalid_rows(path, invalid),
            True,
        ),
    }
    table: list[list[Cell]] = []
    peaks: dict[str, float] = {}
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        for what, (name, write, has_peer) in files.items():
            write(folder / name)
            done = run_gata("ingest", "interactions", name, "--tenant", "acme", directory=folder)
            peaks[what] = done.peak_bytes / 1e6
            peer: Cell = ""
            if has_peer:
                code = f"import polars; polars.read_csv({name!r}, infer_schema=False)"
                peer = run_command([sys.executable, "-c", code], directory=folder).peak_bytes / 1e6
            table.append([what, f"{(folder / name).stat().st_size:,}", done.processor_seconds, peaks[what], peer])
    return Result(
        what="Small files that decode to much, landed by `gata ingest` into a directory, one process each.",
        says=f"No file takes more than {max(peaks.values()):.0f} MB.",
        tables=[
            Table(
                "Files:",
                ["file", "bytes on disk", "processor seconds", "peak MB", "peer: Polars reads it: peak MB"],
                table,
            )
        ],
        goals=[
            Goal(f"{what}: under {_GOAL_MEGABYTES} MB", f"{peak:.0f} MB", peak < _GOAL_MEGABYTES)
            for what, peak in peaks.items()
        ],
    )


def _write_long_texts(path: Path, text_bytes: int, rows: int) -> None:
    texts = pa.array(["x" * text_bytes, "u1"], pa.large_string())
    users = pa.DictionaryArray.from_arrays(pa.array([0] * rows + [1], pa.int32()), texts)
    others = {"item_id": "i1", "interaction_type": "view", "timestamp": "2026-01-01T10:00:00Z"}
    columns = {"user_id": users, **{name: pa.array([value] * (rows + 1)) for name, value in others.items()}}
    pq.write_table(pa.table(columns), path, compression="zstd", dictionary_pagesize_limit=2 * text_bytes)


def _write_invalid_rows(path: Path, rows: int) -> None:
    with gzip.open(path, "wt", compresslevel=6) as file:
        file.write(_HEADER + _VALID)
        for _ in range(rows // 10_000):
            file.write(_INVALID * 10_000)
