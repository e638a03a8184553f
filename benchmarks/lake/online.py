"""Publishing tickets into a local Redis: tickets per second, how long the flip takes, against other ways to write them.

Ours writes a new version beside the old one, counts it, sets one pointer, and removes the old version; all of that is
in its time. The others overwrite keys in place, as one writes them by hand:
through one pipeline, and one by one, by `redis-py` as strings and as documents of the JSON module. Wall-clock, over a
Unix socket, medians of rounds that alternate, and the processor time of both processes, which share the cores.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter, process_time

import numpy as np
from redis import Redis

from benchmarks.harness import Cell, Goal, Result, Table, timed
from gata_assets.lake.online.publisher import Published, publish
from gata_assets.lake.online.tickets import OnlineRules, OnlineTicket, OnlineTickets
from gata_assets.online import DocumentFormat, OnlineReader
from gata_assets_tests.support.redis_servers import RedisServer, running

_TENANT = "bench"
_TEXT_BYTES = 850
_GOAL_PER_SECOND, _GOAL_FLIP_MS = 20_000, 50
_ORDINARY = 10_000
_OURS, _OURS_JSON = "ours, strings", "ours, JSON module"
_PIPELINE, _PIPELINE_JSON = "one pipeline, SET", "one pipeline, json().set"
_SINGLE, _SINGLE_JSON = "one by one, SET", "one by one, json().set"


@dataclass
class _Ours:
    """Publishes a new version each time, and keeps what each publish said."""

    client: Redis
    rules: OnlineRules
    tickets: list[OnlineTicket]
    done: list[Published] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> None:
        at = self._started + timedelta(seconds=len(self.done))
        given = OnlineTickets(_TENANT, at, f"digest {len(self.done)}", self.tickets)
        seconds, done = timed(lambda: publish(self.client, given, self.rules))
        self.done.append(done)
        self.seconds.append(seconds)


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few tickets."""
    sizes, times = ((1_000, 2_000), 2) if quick else ((_ORDINARY, 100_000), 3)
    rows: list[list[Cell]] = []
    publish_rows: list[list[Cell]] = []
    per_second: dict[tuple[str, int], float] = {}
    flips: dict[int, float] = {}
    with running("redis-json") as server:
        for size in sizes:
            tickets = _tickets(size)
            measured, processor, ours = _measure(server, tickets, times)
            for name, seconds in measured.items():
                per_second[name, size] = size / seconds
                rows.append([name, size, seconds, size / seconds, seconds / measured[_OURS], processor[name]])
            for name, one in ours.items():
                flip = max(done.flip_seconds for done in one.done) * 1000
                flips[size] = max(flip, flips.get(size, 0))
                publish_rows.append([name, size, median(done.flip_seconds for done in one.done) * 1000, flip])
        read_rows = _read_rows(server, sizes[-1])
    largest, smallest = sizes[-1], sizes[0]
    slowest = min(per_second[_OURS, size] for size in sizes)
    flip = flips[largest]
    return Result(
        what=(
            f"{smallest:,} and {largest:,} tickets of about {2 * _TEXT_BYTES + 300:,} bytes of JSON, into Debian's "
            f"Redis with the JSON module, over a Unix socket; {times} rounds. Ours with all it does, the removal of "
            "the version before included."
        ),
        says=(
            f"{per_second[_OURS, smallest]:,.0f} tickets a second are published as strings, "
            f"{per_second[_OURS, largest]:,.0f} where there are {largest:,}; one pipeline of SET, which readers see "
            f"half done, writes {per_second[_PIPELINE, smallest]:,.0f}, and one by one "
            f"{per_second[_SINGLE, smallest]:,.0f}. "
            f"As documents of the JSON module it is {per_second[_OURS_JSON, smallest]:,.0f}, against "
            f"{per_second[_PIPELINE_JSON, smallest]:,.0f} by one pipeline of json().set and "
            f"{per_second[_SINGLE_JSON, smallest]:,.0f} one by one. The flip takes {flip:.1f} ms at most."
        ),
        tables=[
            Table("Publishing", ["way", "tickets", "seconds", "tickets/s", "times ours", "processor seconds"], rows),
            Table("The flip", ["way", "tickets", "median ms", "longest ms"], publish_rows),
            Table("Reading, strings", ["call", "calls/s", "tickets/s"], read_rows),
        ],
        goals=[
            Goal(f"at least {_GOAL_PER_SECOND:,} tickets/s", f"{slowest:,.0f}", slowest >= _GOAL_PER_SECOND),
            Goal(f"a flip under {_GOAL_FLIP_MS} ms at {largest:,} tickets", f"{flip:.1f} ms", flip < _GOAL_FLIP_MS),
        ],
    )


_Seconds = dict[str, float]


def _measure(
    server: RedisServer, tickets: list[OnlineTicket], times: int
) -> tuple[_Seconds, _Seconds, dict[str, _Ours]]:
    """The median seconds of each way, in rounds that alternate; and of processor time, of both processes."""
    few = tickets[: max(len(tickets) // 10, 1)]
    objects = [(ticket.id, json.loads(ticket.document)) for ticket in tickets]
    with server.client() as client:
        client.execute_command("FLUSHALL")
        limit = len(tickets)
        ours = {
            _OURS: _Ours(client, OnlineRules(limit=limit), tickets),
            _OURS_JSON: _Ours(client, OnlineRules(limit=limit, format=DocumentFormat.MODULE, prefix="json"), tickets),
        }
        ways: Mapping[str, tuple[Callable[[], None], int]] = {
            **{name: (one, limit) for name, one in ours.items()},
            _PIPELINE: (lambda: _pipeline(client, tickets), limit),
            _PIPELINE_JSON: (lambda: _json_pipeline(client, objects), limit),
            _SINGLE: (lambda: _single(client, few), len(few)),
            _SINGLE_JSON: (lambda: _json_single(client, objects[: len(few)]), len(few)),
        }
        # The first publish removes nothing.
        for one in ours.values():
            one()
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        processor: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(times):
            for name, (way, count) in ways.items():
                used, started = process_time() + _server_seconds(client), perf_counter()
                way()
                seconds[name].append((perf_counter() - started) * limit / count)
                processor[name].append((process_time() + _server_seconds(client) - used) * limit / count)
    medians = [{name: median(found) for name, found in of.items()} for of in (seconds, processor)]
    return medians[0], medians[1], ours


def _server_seconds(client: Redis) -> float:
    """The processor time that the server has used, in all of its threads."""
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _pipeline(client: Redis, tickets: list[OnlineTicket]) -> None:
    with client.pipeline(transaction=False) as pipe:
        for ticket in tickets:
            pipe.set(f"set:{ticket.id}", ticket.document)
        pipe.execute()


def _json_pipeline(client: Redis, objects: list[tuple[int, dict[str, object]]]) -> None:
    with client.pipeline(transaction=False) as pipe:
        for ticket_id, ticket in objects:
            pipe.json().set(f"doc:{ticket_id}", "$", ticket)  # type: ignore[arg-type]
        pipe.execute()


def _single(client: Redis, tickets: list[OnlineTicket]) -> None:
    for ticket in tickets:
        client.set(f"set:{ticket.id}", ticket.document)


def _json_single(client: Redis, objects: list[tuple[int, dict[str, object]]]) -> None:
    for ticket_id, ticket in objects:
        client.json().set(f"doc:{ticket_id}", "$", ticket)  # type: ignore[arg-type]


def _read_rows(server: RedisServer, size: int) -> list[list[Cell]]:
    """Calls of a reader, with types."""
    calls = 300
    with server.client() as client:
        reader = OnlineReader(client, _TENANT)
        ids = list(range(0, size, size // 50))[:50]
        ways: dict[str, tuple[Callable[[], object], int]] = {
            "get": (lambda: reader.get(ids[0]), 1),
            "get_many, 50": (lambda: reader.get_many(ids), 50),
            "newest(20)": (lambda: reader.newest(20), 20),
        }
        rows: list[list[Cell]] = []
        for name, (way, count) in ways.items():
            seconds, _ = timed(lambda way=way: [way() for _ in range(calls)])  # type: ignore[misc]
            rows.append([name, calls / seconds, calls * count / seconds])
    return rows


def _tickets(count: int) -> list[OnlineTicket]:
    """Tickets whose texts are all different."""
    chosen = np.random.default_rng(7)
    letters = "".join(chosen.choice(list(string.ascii_lowercase + " "), 100_000))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    tickets = []
    for ticket_id in range(count):
        start = int(chosen.integers(len(letters) - _TEXT_BYTES))
        text = f"{ticket_id} {letters[start : start + _TEXT_BYTES]}"
        instant = at + timedelta(seconds=ticket_id)
        document = {
            "id": ticket_id,
            "version_at": instant.isoformat(),
            "created_at": at.isoformat(),
            "status": "open",
            "priority": "normal",
            "channel": "email",
            "group": "billing",
            "requester": f"token-{int(chosen.integers(10**9)):016d}",
            "tags": ["a", "b", "c"],
            "subject": text[:60],
            "body": text,
            "text": text,
        }
        tickets.append(OnlineTicket(ticket_id, instant.timestamp(), json.dumps(document).encode()))
    return tickets
