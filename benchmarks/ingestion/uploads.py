"""What arrives by HTTP, until it is durable and answered: a large CSV file, bodies of 10,000 rows, and single events.

Ours is `gata serve` with the image's variables, one process; the reference is FastAPI with UploadFile, pandas, a model
of each row, and an object for each event (`reference_service`), one process as well. The target is an S3 server for
tests in a process of its own, on the same cores. Ours validates by all rules of the table, the reference by a few.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from benchmarks.harness import Cell, Goal, Result, Table
from benchmarks.ingestion.services import Running, Upload, ours, reference, s3, send_all, upload

_ROWS_OF_A_BODY, _CLIENTS = 10_000, 64
_GOAL_MEGABYTES, _GOAL_ROWS = 150, 100_000
_ROWS, _EVENTS = "/internal/data/interactions?tenant_id=acme", "/v1/events?table=interactions&tenant_id=acme"
_UPLOAD = "/internal/data/upload-csv?data_type=interactions&tenant_id=acme"


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few rows."""
    rows, bodies, events = (100_000, 3, 200) if quick else (10_000_000, 40, 4_000)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.csv")
        _write_csv(file, rows)
        size = file.stat().st_size / 1e6
        uploads = {}
        starts = {}
        for name in ("ours", "reference"):
            with _running(name) as service:
                starts[name] = service.memory()
                uploads[name] = upload(service, _UPLOAD if name == "ours" else "/upload", file)
    seconds = {name: _small(name, bodies, events) for name in uploads}
    mine, theirs = uploads["ours"], uploads["reference"]
    per_second = {name: bodies * _ROWS_OF_A_BODY / taken[0][0] for name, taken in seconds.items()}
    return Result(
        what=(
            f"A CSV file of {rows:,} interactions ({size:,.0f} MB), {bodies} bodies of {_ROWS_OF_A_BODY:,} JSON rows "
            f"from one client, one after another, and {events:,} single events from {_CLIENTS} clients."
        ),
        says=(
            f"The file was received within {mine.sent_after:.1f} s with at most {mine.memory_sent:,.0f} MB of memory "
            f"and {mine.scratch_sent:,.0f} MB of temporary files, and answered after {mine.seconds:.1f} s with "
            f"{mine.memory:,.0f} MB, of which {mine.anonymous:,.0f} MB are not of libraries' files; by the reference "
            f"after {theirs.seconds:.1f} s with {theirs.memory:,.0f} MB and {theirs.scratch:,.0f} MB. Bodies: "
            f"{per_second['ours']:,.0f} rows/s, by the reference {per_second['reference']:,.0f}."
        ),
        tables=[
            Table(
                f"A CSV file of {rows:,} rows:",
                [
                    "service",
                    "seconds",
                    "rows/s",
                    "MB at start",
                    "MB until received",
                    "MB until answered",
                    "of these anonymous",
                    "MB of temporary files until received",
                    "until answered",
                ],
                [_row_of_upload(name, starts[name], found, rows) for name, found in uploads.items()],
            ),
            Table(
                f"Bodies of {_ROWS_OF_A_BODY:,} rows:",
                ["service", "rows/s", "p50 s", "p99 s"],
                [[name, per_second[name], *_percentiles(taken[0][1])] for name, taken in seconds.items()],
            ),
            Table(
                f"Single events of {_CLIENTS} clients:",
                ["service", "events/s", "p50 s", "p99 s"],
                [[name, events / taken[1][0], *_percentiles(taken[1][1])] for name, taken in seconds.items()],
            ),
        ],
        goals=[
            Goal(f"memory under {_GOAL_MEGABYTES} MB", f"{mine.memory:,.0f} MB", mine.memory < _GOAL_MEGABYTES),
            Goal("no temporary files while it is received", f"{mine.scratch_sent:,.1f} MB", mine.scratch_sent < 1),
            Goal(
                f"{_GOAL_ROWS:,} rows/s of bodies until they are durable",
                f"{per_second['ours']:,.0f}",
                per_second["ours"] >= _GOAL_ROWS,
            ),
        ],
    )


@contextmanager
def _running(name: str) -> Iterator[Running]:
    with s3() as variables, tempfile.TemporaryDirectory() as scratch:
        start = ours if name == "ours" else reference
        with start(variables, Path(scratch)) as service:
            yield service


Taken = tuple[float, list[float]]


def _small(name: str, bodies: int, events: int) -> tuple[Taken, Taken]:
    """What bodies take, and single events, once each was sent to before."""
    is_ours = name == "ours"
    paths = (_ROWS, _EVENTS) if is_ours else ("/interactions", "/events")
    content = [json.dumps(_json_rows(number)).encode() for number in range(bodies + 1)]
    single = [json.dumps(row).encode() for row in _json_rows(10**6, events + 1)]
    with _running(name) as service:
        send_all(service, paths[0], content[:1], 1, 200)
        of_bodies = send_all(service, paths[0], content[1:], 1, 200)
        send_all(service, paths[1], single[:1], 1, 202 if is_ours else 200)
        return of_bodies, send_all(service, paths[1], single[1:], _CLIENTS, 202 if is_ours else 200)


def _row_of_upload(name: str, at_start: float, found: Upload, rows: int) -> list[Cell]:
    return [
        name,
        found.seconds,
        rows / found.seconds,
        at_start,
        found.memory_sent,
        found.memory,
        found.anonymous,
        found.scratch_sent,
        found.scratch,
    ]


def _percentiles(seconds: list[float]) -> list[Cell]:
    return [median(seconds), quantiles(seconds, n=100)[98]]


def _json_rows(seed: int, count: int = _ROWS_OF_A_BODY) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    users, items, seconds = (rng.integers(0, most, count).tolist() for most in (200_000, 50_000, 86_400))
    return [
        {
            "user_id": f"user_{user:06}",
            "item_id": f"item_{item:06}",
            "interaction_type": "view",
            "timestamp": f"2026-01-05T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z",
        }
        for user, item, second in zip(users, items, seconds, strict=True)
    ]


def _write_csv(file: Path, rows: int) -> None:
    with file.open("w") as out:
        out.write("user_id,item_id,interaction_type,timestamp,rating\n")
        for start in range(0, rows, 100_000):
            some = _json_rows(start, min(100_000, rows - start))
            out.writelines(f"{','.join(map(str, row.values()))},\n" for row in some)
