"""What arrives by HTTP, until it is durable and answered: a large CSV file, bodies of 10,000 rows, and single events.

Ours is `gata serve` with the image's variables: a process that receives and one that works on rows. The reference is
FastAPI with UploadFile, pandas, a model of each row, and an object for each event (`reference_service`), in one
process. The target is an S3 server for tests in a process of its own, on the same cores. Ours validates by all rules of
the table, the reference by a few.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from benchmarks.harness import Cell, Goal, Result, Table
from benchmarks.ingestion.services import (
    Running,
    Sent,
    Upload,
    ours,
    processor_seconds,
    reference,
    s3,
    s3_process,
    send_all,
    upload,
)

_ROWS_OF_A_BODY, _CLIENTS = 10_000, 64
_CLIENTS_OF_BODIES = 1, 4
_S3, _DIRECTORY = "S3 (moto)", "directory"
_GOAL_MEGABYTES, _GOAL_ROWS = 150, 100_000
_ROWS, _EVENTS = "/internal/data/interactions?tenant_id=acme", "/v1/events?table=interactions&tenant_id=acme"
_UPLOAD = "/internal/data/upload-csv?data_type=interactions&tenant_id=acme"


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few rows."""
    rows, bodies, events = (100_000, 3, 200) if quick else (10_000_000, 40, 4_000)
    with tempfile.TemporaryDirectory() as folder:
        file, small = Path(folder, "rows.csv"), Path(folder, "small.csv")
        _write_csv(file, rows)
        _write_csv(small, 1_000)
        size = file.stat().st_size / 1e6
        uploads = {name: _upload(name, small, file) for name in ("ours", "reference")}
    of_bodies = [
        found
        for name, place in (("ours", _S3), ("reference", _S3), ("ours", _DIRECTORY))
        for found in _bodies(name, place, bodies)
    ]
    of_events = {name: _events(name, events) for name in uploads}
    (mine, at_start), theirs = uploads["ours"], uploads["reference"][0]
    per_second = bodies * _ROWS_OF_A_BODY / of_bodies[0].sent.seconds
    return Result(
        what=(
            f"A CSV file of {rows:,} interactions ({size:,.0f} MB), after one of 1,000; {bodies} bodies of "
            f"{_ROWS_OF_A_BODY:,} JSON rows from one client, one after another, and as many from four; and {events:,} "
            f"single events from {_CLIENTS} clients. S3 and the clients are on the same cores: seconds of the "
            "processor are of the service alone, if S3 is not named. Anonymous memory is what the system cannot take "
            "back, unlike pages of libraries' files."
        ),
        says=(
            f"The large file was received within {mine.sent_after:.1f} s with {mine.scratch_sent:,.1f} MB of temporary "
            f"files, and answered after {mine.seconds:.1f} s with {mine.scratch:,.1f} MB of them, and by the reference "
            f"after {theirs.seconds:.1f} s. The process that receives had {at_start.memory:,.0f} MB of "
            f"memory when it started ({at_start.anonymous:,.0f} MB anonymous), and at most {mine.memory:,.0f} MB "
            f"({mine.anonymous:,.0f} MB) until the large file was answered; the one that validates had at most "
            f"{mine.memory_of_others:,.0f} MB ({mine.anonymous_of_others:,.0f} MB), with the small one of Python that "
            f"watches it; the reference {theirs.memory:,.0f} MB."
        ),
        tables=[
            Table(
                f"A CSV file of {rows:,} rows:",
                [
                    "service",
                    "seconds",
                    "rows/s",
                    "of the processor",
                    "MB of temporary files until received",
                    "answered",
                ],
                [_row_of_upload(name, found, rows) for name, (found, _) in uploads.items()],
            ),
            Table(
                "Megabytes of memory, in brackets the anonymous ones:",
                ["process", "at start", "after a small file", "at most until received", "until answered"],
                [
                    *(_row_of_memory(name, *found) for name, found in uploads.items()),
                    ["ours, what validates", *_memory_of_others(*uploads["ours"])],
                ],
            ),
            Table(
                f"Bodies of {_ROWS_OF_A_BODY:,} rows:",
                [
                    "service",
                    "target",
                    "clients",
                    "rows/s",
                    "rows per second of the processor",
                    "p50 s",
                    "p99 s",
                    "processor ms of a body",
                    "of S3",
                ],
                list(map(_row_of_bodies, of_bodies)),
            ),
            Table(
                f"Single events of {_CLIENTS} clients:",
                ["service", "events/s", "events per second of the processor", "p50 s", "p99 s"],
                [_row_of_requests(name, found, 1) for name, found in of_events.items()],
            ),
        ],
        goals=[
            Goal(
                f"memory of what receives under {_GOAL_MEGABYTES} MB",
                f"{mine.memory:,.0f} MB",
                mine.memory < _GOAL_MEGABYTES,
            ),
            Goal("no temporary files of the upload", f"{mine.scratch:,.1f} MB", mine.scratch < 1),
            Goal(
                f"{_GOAL_ROWS:,} rows/s of bodies from one client until they are durable in S3",
                f"{per_second:,.0f}",
                per_second >= _GOAL_ROWS,
            ),
        ],
    )


@dataclass(frozen=True)
class _AtStart:
    """Megabytes of a process, and of those that it started, when it has started and once it was used."""

    memory: float
    anonymous: float
    others: float
    memory_used: float
    anonymous_used: float
    others_used: float


def _upload(name: str, small: Path, file: Path) -> tuple[Upload, _AtStart]:
    path = _UPLOAD if name == "ours" else "/upload"
    with _running(name) as service:
        at_start = service.memory("VmRSS"), service.memory("RssAnon"), service.memory_of_others("VmRSS")
        upload(service, path, small)
        used = service.memory("VmRSS"), service.memory("RssAnon"), service.memory_of_others("VmRSS")
        return upload(service, path, file), _AtStart(*at_start, *used)


@contextmanager
def _running(name: str) -> Iterator[Running]:
    with s3() as variables, tempfile.TemporaryDirectory() as scratch:
        start = ours if name == "ours" else reference
        with start(variables, Path(scratch)) as service:
            yield service


@dataclass(frozen=True)
class _Bodies:
    """What bodies of so many clients took; seconds of S3's processor are None without it."""

    service: str
    target: str
    clients: int
    sent: Sent
    seconds_of_s3: float | None


def _bodies(name: str, target: str, bodies: int) -> list[_Bodies]:
    """What bodies take of a service that took one before, by the number of clients."""
    path = _ROWS if name == "ours" else "/interactions"
    found = []
    with ExitStack() as started:
        scratch = Path(started.enter_context(tempfile.TemporaryDirectory()))
        s3_pid = None
        if target == _S3:
            variables, s3_pid = started.enter_context(s3_process())
        else:
            variables = {"TARGET_BUCKET": "", "TARGET_DIR": str(scratch / "data")}
        service = started.enter_context((ours if name == "ours" else reference)(variables, scratch))
        send_all(service, path, [json.dumps(_json_rows(0)).encode()], 1, 200)
        for turn, clients in enumerate(_CLIENTS_OF_BODIES):
            content = [json.dumps(_json_rows(1 + turn * bodies + number)).encode() for number in range(bodies)]
            before = processor_seconds(s3_pid) if s3_pid else 0.0
            sent = send_all(service, path, content, clients, 200)
            found.append(_Bodies(name, target, clients, sent, processor_seconds(s3_pid) - before if s3_pid else None))
    return found


def _events(name: str, events: int) -> Sent:
    """What single events take, once one was sent before."""
    path, status = (_EVENTS, 202) if name == "ours" else ("/events", 200)
    single = [json.dumps(row).encode() for row in _json_rows(10**6, events + 1)]
    with _running(name) as service:
        send_all(service, path, single[:1], 1, status)
        return send_all(service, path, single[1:], _CLIENTS, status)


def _row_of_bodies(found: _Bodies) -> list[Cell]:
    name, *rest = _row_of_requests(found.service, found.sent, _ROWS_OF_A_BODY)
    bodies = len(found.sent.of_each)
    of_s3 = "none" if found.seconds_of_s3 is None else found.seconds_of_s3 / bodies * 1e3
    return [name, found.target, found.clients, *rest, found.sent.processor_seconds / bodies * 1e3, of_s3]


def _row_of_upload(name: str, found: Upload, rows: int) -> list[Cell]:
    speeds = found.seconds, rows / found.seconds, found.processor_seconds
    # The reference's file has no name, so it is not seen.
    scratch = (found.scratch_sent, found.scratch) if name == "ours" else ("not seen", "not seen")
    return [name, *speeds, *scratch]


def _row_of_memory(name: str, found: Upload, at_start: _AtStart) -> list[Cell]:
    return [
        name,
        f"{at_start.memory:,.0f} ({at_start.anonymous:,.0f})",
        f"{at_start.memory_used:,.0f} ({at_start.anonymous_used:,.0f})",
        f"{found.memory_sent:,.0f}",
        f"{found.memory:,.0f} ({found.anonymous:,.0f})",
    ]


def _memory_of_others(found: Upload, at_start: _AtStart) -> list[Cell]:
    most = f"{found.memory_of_others:,.0f} ({found.anonymous_of_others:,.0f})"
    return [f"{at_start.others:,.0f}", f"{at_start.others_used:,.0f}", "not seen", most]


def _row_of_requests(name: str, sent: Sent, rows: int) -> list[Cell]:
    count = rows * len(sent.of_each)
    per_processor_second = count / sent.processor_seconds if sent.processor_seconds else "unknown"
    percentiles = median(sent.of_each), quantiles(sent.of_each, n=100)[98]
    return [name, count / sent.seconds, per_processor_second, *percentiles]


def _json_rows(seed: int, count: int = _ROWS_OF_A_BODY) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    users, items, seconds = (rng.integers(0, most, count).tolist() for most in (200_000, 50_000, 86_400))
    return [
        {
            "user_id": f"user_{user:08}",
            "item_id": f"item_{item:07}",
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
