"""Messages of topics as producers send them, consumers in threads and processes, and what became of the messages.

Real: the consumer and its client, stores. What is stored is counted by segments alone, as they are listed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread
from time import monotonic, sleep
from typing import Any

from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.consuming.consumer import TopicConsumer
from gata_assets.ingestion.kafka.consuming.decoding import MessageDecoder
from gata_assets.ingestion.kafka.consuming.judging import Judge
from gata_assets.ingestion.kafka.consuming.rules import ConsumerRules
from gata_assets.ingestion.schemas.registry import SchemaRegistry
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.event import Segment
from gata_assets.interactions.tables import TABLES
from gata_assets.storage.objects import ObjectStore

TARGET = "00000000000000aa"
QUICK = ConsumerRules(at_most_seconds=0.05, session_seconds=6, end_seconds=5)
PATIENCE_SECONDS = 40.0
MAX_BYTES = 100_000
Sent = tuple[bytes | None, bytes | None]


def row(number: int, **values: Any) -> dict[str, Any]:
    """A valid interaction of a user of its own."""
    given = {"user_id": f"u{number}", "item_id": "i1", "interaction_type": "view", "timestamp": "2026-01-10T09:00:00Z"}
    return given | values


def message(number: int, tenant: str = "acme") -> Sent:
    """A message as ours: keyed by tenant and user."""
    return f"{tenant}:u{number}".encode(), json.dumps(row(number, tenant_id=tenant)).encode()


def judge_of(
    topics: Mapping[str, str], registry: SchemaRegistry | None = None, tenants: Sequence[str] | None = None
) -> Judge:
    """A judge of topics by their tables."""
    return Judge(topics, decoder_of(registry), TARGET, tenants=tenants, max_bytes=MAX_BYTES)


def decoder_of(registry: SchemaRegistry | None = None) -> MessageDecoder:
    """A decoder of the project's tables."""
    return MessageDecoder(TABLES, (lambda: registry) if registry else None, max_bytes=MAX_BYTES)


def consumer_of(
    connection: KafkaConnection,
    topic: str,
    store: ObjectStore,
    *,
    group: str = "group",
    rules: ConsumerRules = QUICK,
    judge: Judge | None = None,
    write_line: Callable[[str], object] = lambda _: None,
) -> TopicConsumer:
    """A consumer of a topic of interactions; `write_line` takes the lines of its log."""
    return TopicConsumer(
        connection,
        group,
        [topic],
        store,
        judge or judge_of({topic: "interactions"}),
        rules,
        write_line=write_line,
    )


@contextmanager
def running(consumer: TopicConsumer) -> Iterator[TopicConsumer]:
    """A consumer in a thread, which is ended as SIGTERM ends it."""
    ending = Flag()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            consumer.run(ending.is_set)
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=run)
    thread.start()
    try:
        yield consumer
    finally:
        ending.set()
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert not failures, failures


def segments_of(store: ObjectStore, topic: str, partitions: int = 1) -> list[Segment]:
    """All segments of a topic, each chain without a gap or a fork."""
    streams = (f"kafka/{topic}/{number}" for number in range(partitions))
    return [segment for stream in streams for segment in Chain(store, stream).segments(0)]


def users_of(segments: Sequence[Segment]) -> Counter[tuple[str, str]]:
    """How often each tenant's user is there."""
    found = [event for segment in segments for event in segment.events]
    return Counter((event.tenant, json.loads(event.payload)["user_id"]) for event in found)


def until(is_so: Any, what: str = "it", seconds: float = PATIENCE_SECONDS, every: float = 0.02) -> None:
    """Wait for a condition."""
    end = monotonic() + seconds
    while not is_so():
        assert monotonic() < end, f"{what} is not so after {seconds} s"
        sleep(every)


def stored_messages(store: ObjectStore, topic: str, partitions: int = 1) -> int:
    """How many events and rejected messages of a topic are stored."""
    found = segments_of(store, topic, partitions)
    return sum(len(segment.events) + len(segment.rejected) for segment in found)
