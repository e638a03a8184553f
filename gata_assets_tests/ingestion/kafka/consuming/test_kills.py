"""Consumers that are killed, frozen, added and ended while messages arrive: none is missing, and none is there twice.

Real: processes, SIGKILL, SIGSTOP, a broker that evicts dead members, a directory, the roll-up. Nothing is faked.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event as Flag
from time import sleep

import pytest

from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.rollup import RollUp
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.event_worlds import rolled_up
from gata_assets_tests.support.topics import (
    consumer_of,
    decoder_of,
    message,
    segments_of,
    until,
    users_of,
)

_CODE = "import sys\nfrom gata_assets_tests.ingestion.kafka.consuming.test_kills import work\nwork(*sys.argv[1:])"
_PARTITIONS, _TENANTS = 3, ("acme", "globex", "initech")
_PATIENCE_SECONDS = 120.0


def work(servers: str, topic: str, directory: str, group: str) -> None:
    """Consume until SIGTERM."""
    ending = Flag()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    consumer_of(
        KafkaConnection(servers), topic, LocalStore(directory), group=group, write_line=partial(print, flush=True)
    ).run(ending.is_set)


@dataclass
class _Workers:
    """Processes that consume a topic into a directory, in groups of their own where a dead member is never evicted."""

    broker: Broker
    topic: str
    directory: str
    is_one_group: bool
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    started: int = 0

    def start(self, group: str = "") -> None:
        self.started += 1
        name = group or ("group" if self.is_one_group else f"group-{self.started}")
        given = [self.broker.connection.bootstrap_servers, self.topic, self.directory, name]
        with self._log(self.started).open("wb") as log:
            self.running.append(subprocess.Popen([sys.executable, "-c", _CODE, *given], stdout=log))

    def wait_for_the_last(self) -> None:
        """Wait until the one that was started last has a partition."""
        until(lambda: "PARTITION_STARTED" in self._log(self.started).read_text(), "a partition", _PATIENCE_SECONDS)

    def _log(self, number: int) -> Path:
        return Path(f"{self.directory}-{number}.log")

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        process.kill()
        process.wait()

    def end(self, number: int) -> None:
        process = self.running.pop(number)
        process.terminate()
        assert process.wait(_PATIENCE_SECONDS) == 0


@contextmanager
def _workers(broker: Broker, topic: str, directory: str, *, is_one_group: bool) -> Iterator[_Workers]:
    workers = _Workers(broker, topic, directory, is_one_group)
    try:
        yield workers
    finally:
        while workers.running:
            workers.kill(0)


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "events", "kills"),
    [("noida", 5_000, 3), pytest.param("tansu", 200_000, 20, marks=pytest.mark.soak)],
    ids=["few", "many"],
)
def test_killed_and_frozen_consumers_lose_and_double_nothing(
    name: str, events: int, kills: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    broker: Broker = request.getfixturevalue(f"{name}_broker")
    topic, store = broker.new_topic(_PARTITIONS), LocalStore(str(tmp_path / "target"))
    numbers, random_ = count(), random.Random(7)
    share = events // (kills + 3)

    def send(messages: int) -> None:
        given = [(next(numbers), random_.choice(_TENANTS)) for _ in range(messages)]
        sent.update((tenant, f"u{number}") for number, tenant in given)
        broker.send(topic, [message(number, tenant) for number, tenant in given])

    def stored() -> int:
        return sum(Chain(store, f"kafka/{topic}/{number}").end() for number in range(_PARTITIONS))

    def progress(before: int) -> None:
        until(lambda: stored() > before, "progress", _PATIENCE_SECONDS, 0.1)

    sent: Counter[tuple[str, str]] = Counter()
    directory = str(tmp_path / "target")
    with _workers(broker, topic, directory, is_one_group=name == "tansu") as workers:
        workers.start()
        for _ in range(kills):
            before = stored()
            send(share // 2)
            progress(before)
            # The rest arrives while one dies.
            send(share - share // 2)
            sleep(random_.random() * 0.1)
            workers.kill(0)
            workers.start()
        # Two at once; one is frozen until the other has stored all, and goes on with what it had.
        before = stored()
        workers.start()
        send(share)
        progress(before)
        frozen = workers.running[0]
        frozen.send_signal(signal.SIGSTOP)
        send(share)
        until(lambda: stored() == sent.total(), "what the other stores", _PATIENCE_SECONDS, 0.1)
        send((events - sent.total()) // 2)
        frozen.send_signal(signal.SIGCONT)
        # A group of two, which becomes one of one.
        for _ in range(2):
            workers.start("last")
            workers.wait_for_the_last()
        send((events - sent.total()) // 2)
        workers.end(2)
        send(events - sent.total())
        until(lambda: stored() == events, "the end", _PATIENCE_SECONDS, 0.1)
    found = users_of(segments_of(store, topic, _PARTITIONS))
    assert sum(found.values()) == events
    assert found == sent
    list(RollUp(store, lambda: datetime.now(UTC), decode=decoder_of()).run(even_open=True))
    in_files = Counter((one.tenant, json.loads(one.payload)["user_id"]) for _, _, one in rolled_up(store))
    assert in_files == sent
