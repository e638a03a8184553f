"""Single events by HTTP: the time from POST /v1/events until the tail shows the row.

`gata serve` with the image's variables, one process, on a directory and on an S3 server for tests (moto, a process of
its own); clients and the reader are threads of this process, on the same cores. Each client sends 20 events a second
at most, one after another. The reader reads the tail again and again: all rows that wait, each validated in each read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter, sleep

from benchmarks.harness import Cell, Goal, Result, Table, environment
from benchmarks.ingestion.services import BUCKET, Running, ours, s3
from gata_assets.curation.policy import CurationRules
from gata_assets.ingestion.segments.tail import Tail
from gata_assets.interactions.curated.curator import Curator
from gata_assets.storage.aws.s3_client import SdkSettings
from gata_assets.storage.aws.s3_store import S3Store
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore

_PATH = "/v1/events?table=interactions&tenant_id=acme"
_CLIENTS, _APART_SECONDS, _GOAL_P99_SECONDS = (1, 16), 0.05, 5.0
_PATIENCE_SECONDS = 60.0


def run(*, quick: bool) -> Result:
    """Measure; `quick` for two seconds of each kind."""
    seconds = 2.0 if quick else 5.0
    rows: list[list[Cell]] = []
    worst: list[tuple[float, float]] = []
    for place, clients in ((place, clients) for place in ("directory", "S3 (moto)") for clients in _CLIENTS):
        with _started(place) as (service, store):
            answered, readable = _measure(service, store, clients, seconds)
        percentiles = [*_percentiles(answered), *_percentiles(readable)]
        worst.append((percentiles[3], percentiles[2]))
        rows.append([place, clients, len(readable), *percentiles])
    p99, p50 = max(worst)
    return Result(
        what=(
            f"Single events by HTTP for {seconds:.0f} s from 1 and from {max(_CLIENTS)} clients, each at most "
            f"{1 / _APART_SECONDS:.0f} a second, and a reader that reads the tail again and again, on the same cores."
        ),
        says=(
            f"An event can be read {p50:.2f} s after it was sent (p99 {p99:.2f} s), where p99 is the greatest; the "
            "first 50 ms are those in which a segment waits for other events."
        ),
        tables=[
            Table(
                "Seconds from sending an event:",
                ["target", "clients", "events", "answered p50", "answered p99", "readable p50", "readable p99"],
                rows,
            )
        ],
        goals=[
            Goal(
                f"an event can be read within {_GOAL_P99_SECONDS:.0f} s (p99)",
                f"{p99:.2f} s",
                p99 <= _GOAL_P99_SECONDS,
            )
        ],
    )


@contextmanager
def _started(place: str) -> Iterator[tuple[Running, ObjectStore]]:
    with TemporaryDirectory() as directory:
        if place == "directory":
            with ours({"TARGET_BUCKET": "", "TARGET_DIR": f"{directory}/data"}, Path(directory)) as service:
                yield service, LocalStore(f"{directory}/data")
            return
        with s3() as variables, environment(variables), ours(variables, Path(directory)) as service:
            yield service, S3Store(BUCKET, SdkSettings(region_name=variables["AWS_DEFAULT_REGION"]))


def _measure(service: Running, store: ObjectStore, clients: int, seconds: float) -> tuple[list[float], list[float]]:
    """The seconds of each event until it is answered, and until it can be read."""
    rules = CurationRules(datetime(2020, 1, 1, tzinfo=UTC), timedelta(hours=24))
    curator = Curator(store, "acme", rules, datetime.now(UTC))
    tail = Tail(curator, curator.curated_parts)
    sent_at, answered, read_at = dict[str, float](), dict[str, float](), dict[str, float]()
    ended = Event()

    def read() -> None:
        until = perf_counter() + seconds + _PATIENCE_SECONDS
        while not (ended.is_set() and len(read_at) == len(sent_at)) and perf_counter() < until:
            users = tail.read("interactions").rows["user_id"].to_list()
            now = perf_counter()
            for user in users:
                read_at.setdefault(user, now)
            # Others want the cores too.
            sleep(0.005)

    def send(client: int) -> None:
        connection = service.connect()
        until, number = perf_counter() + seconds, 0
        while (started := perf_counter()) < until:
            user, number = f"{client}_{number}", number + 1
            sent_at[user] = started
            connection.request("POST", _PATH, _event(user), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            answered[user] = perf_counter() - started
            if reply.status != 202:
                raise RuntimeError(f"{_PATH} answered {reply.status}")
            sleep(max(0.0, started + _APART_SECONDS - perf_counter()))
        connection.close()

    # What is imported or compiled on the first use is no latency.
    warm_up = service.connect()
    warm_up.request("POST", _PATH, _event("warm_up"), {"Content-Type": "application/json"})
    warm_up.getresponse().read()
    tail.read("interactions")
    sent_at["warm_up"] = perf_counter()
    reader = Thread(target=read)
    reader.start()
    try:
        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(send, range(clients)))
    finally:
        ended.set()
        reader.join()
    missing = len(sent_at.keys() - read_at.keys())
    if missing:
        raise RuntimeError(f"{missing} events cannot be read")
    return list(answered.values()), [read_at[user] - sent_at[user] for user in answered]


def _event(user: str) -> bytes:
    now = datetime.now(UTC)
    row = {"user_id": user, "item_id": "i1", "interaction_type": "view", "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    return json.dumps(row).encode()


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    return median(seconds), quantiles(seconds, n=100)[98]
