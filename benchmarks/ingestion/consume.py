"""Topics to durable events: messages per second, and the time from producing a message to reading it.

Ours, against the reference's way in the same run: a loop that decodes each message, takes the tenant of its key, writes
an object for it and commits its offset. Both read the same topic of a broker on this machine (noida) with the same
client, and write to a directory that synchronizes its files. Latency is of single messages, 20 a second, from before
`produce` until the tail's segments have them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter, sleep

from confluent_kafka import Consumer

from benchmarks.harness import Goal, Result, Table
from gata_assets.ingestion.kafka.consuming.rules import ConsumerRules
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.brokers import Broker, noida
from gata_assets_tests.support.topics import consumer_of, message, running, until

_GOAL_RATIO, _GOAL_P99_SECONDS = 10, 5.0
_RULES = ConsumerRules()
_PATIENCE_SECONDS = 300.0


def run(*, quick: bool) -> Result:
    """Measure both ways on the same messages."""
    count, of_peer, single = (5_000, 200, 20) if quick else (200_000, 2_000, 400)
    with noida() as broker, TemporaryDirectory() as directory:
        topic = broker.new_topic(2)
        for first in range(0, count, 20_000):
            broker.send(topic, [message(number) for number in range(first, min(first + 20_000, count))])
        ours = _ours(broker, topic, LocalStore(f"{directory}/ours"), count)
        peer = _peer(broker, topic, Path(directory), of_peer)
        latencies = _latencies(broker, LocalStore(f"{directory}/latency"), single)
    p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    rates = Table(
        "Messages of 150 bytes, from a topic of 2 partitions",
        ["way", "messages", "messages/s"],
        [["gata consume", count, round(ours)], ["a write and a commit for each message", of_peer, round(peer)]],
    )
    times = Table(
        "From producing a message to reading it, seconds",
        ["messages", "p50", "p99"],
        [[single, round(p50, 2), round(p99, 2)]],
    )
    what = "`gata consume` against a loop that writes and commits each message, by one broker (noida) on this machine."
    says = (
        f"`gata consume` makes {ours:,.0f} messages/s durable, {ours / peer:,.0f} times as many as a write for each "
        f"message ({peer:,.0f}/s). A message can be read {p50:.2f} s after it was produced (p99 {p99:.2f} s)."
    )
    ratio = Goal(
        f"{_GOAL_RATIO} times the messages/s of the loop", f"{ours / peer:,.1f} times", ours >= _GOAL_RATIO * peer
    )
    late = Goal(
        f"a message can be read within {_GOAL_P99_SECONDS:.0f} s (p99)", f"{p99:.2f} s", p99 <= _GOAL_P99_SECONDS
    )
    return Result(what, says, [rates, times], [ratio, late])


def _stored(store: LocalStore, topic: str) -> int:
    return sum(Chain(store, f"kafka/{topic}/{number}").end() for number in range(2))


def _ours(broker: Broker, topic: str, store: LocalStore, count: int) -> float:
    """From when its partitions have started, so without joining the group, to the last message that is stored."""
    started: list[float] = []
    with running(
        consumer_of(broker.connection, topic, store, rules=_RULES, write_line=lambda _: started.append(perf_counter()))
    ):
        until(lambda: _stored(store, topic) == count, "the last", _PATIENCE_SECONDS, 0.05)
        return count / (perf_counter() - started[0])


def _peer(broker: Broker, topic: str, directory: Path, count: int) -> float:
    store = LocalStore(str(directory / "peer"))
    settings = {"group.id": "peer", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**broker.connection.client_config(), **settings})
    consumer.subscribe([topic])
    written, started = 0, 0.0
    try:
        while written < count:
            found = consumer.poll(1.0)
            if found is None or found.error():
                continue
            started = started or perf_counter()
            row, key = json.loads(found.value() or b""), bytes(found.key() or b"")
            name = f"{key.partition(b':')[0].decode()}/raw/interactions/{found.partition()}-{found.offset()}.json"
            store.write(name, json.dumps(row).encode())
            consumer.commit(message=found, asynchronous=False)
            written += 1
        return count / (perf_counter() - started)
    finally:
        consumer.close()


def _latencies(broker: Broker, store: LocalStore, count: int) -> list[float]:
    """Ascending seconds from producing each message to reading it."""
    topic = broker.new_topic(1)
    chain, read_at, sent_at = Chain(store, f"kafka/{topic}/0"), list[float](), list[float]()

    def read(is_enough: Callable[[], bool]) -> None:
        end = 0
        while not is_enough():
            for segment in chain.follow(end):
                end = segment.end
                read_at.extend([perf_counter()] * len(segment.events))
            sleep(0.01)

    with running(consumer_of(broker.connection, topic, store, rules=_RULES)):
        broker.send(topic, [message(0)])
        reader = Thread(target=read, args=(lambda: len(read_at) > count,))
        reader.start()
        until(lambda: bool(read_at), "the first", _PATIENCE_SECONDS)
        for number in range(1, count + 1):
            sent_at.append(perf_counter())
            broker.send(topic, [message(number)])
            sleep(max(0.0, sent_at[-1] + 0.05 - perf_counter()))
        reader.join(_PATIENCE_SECONDS)
    return sorted(read - sent for sent, read in zip(sent_at, read_at[1:], strict=True))
