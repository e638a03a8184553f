"""A target with a relay that produces from it to a broker, and what the broker then has.

Real: the store and the broker that are given. Nothing is faked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from prometheus_client import generate_latest

from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.origin import Origin, origin_of, target_id
from gata_assets.ingestion.kafka.relay.cursors import begin
from gata_assets.ingestion.kafka.relay.metrics import RelayMetrics
from gata_assets.ingestion.kafka.relay.outbox import Outbox
from gata_assets.ingestion.kafka.relay.producing import Producing
from gata_assets.ingestion.kafka.relay.relay import Relay
from gata_assets.ingestion.kafka.topics import KafkaTopics
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.event import NewEvent
from gata_assets.interactions.tables import TABLES
from gata_assets.storage.datasets import DatasetWrite
from gata_assets.storage.finished import DatasetFolder
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import Manifest
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.event_worlds import STREAM, segment_of
from gata_assets_tests.support.raw_worlds import NOW, RULES, curator_of


class Produced(NamedTuple):
    """A message of a topic."""

    key: str
    value: dict[str, Any]
    origin: Origin | None
    headers: Mapping[str, Any]


def new_topics() -> KafkaTopics:
    """Topics that no other test has."""
    own = uuid4().hex
    tables = {f"{own}-interactions": "interactions", f"{own}-clicks": "interactions", f"{own}-items": "items"}
    return KafkaTopics(tables, f"{own}-features", f"{own}-training")


@dataclass
class RelayWorld:
    """A target, a broker and topics; `said` is what relays logged."""

    store: ObjectStore
    broker: Broker
    topics: KafkaTopics = field(default_factory=new_topics)
    datasets: tuple[DatasetFolder, ...] = ()
    said: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    metrics: RelayMetrics = field(default_factory=RelayMetrics)

    def create_topics(self) -> None:
        """Create the topics, each with a partition."""
        for name in (*self.topics.tables, self.topics.features, self.topics.training):
            self.broker.create_topic(name)

    def relay(
        self, *, since: datetime | None = NOW, patience: float = 10.0, connection: KafkaConnection | None = None
    ) -> Relay:
        """A relay that knows what the target says, as that of a new process does."""
        producing = Producing(
            connection or self.broker.connection,
            patience_seconds=patience,
            on_delivered=self.metrics.count_delivered,
            on_too_large=lambda message: self.said.append(("TOO_LARGE", {"origin": message.headers[0][1]})),
        )
        outbox = Outbox(
            self.store,
            target_id(self.store),
            self.topics,
            RULES.applied_to(TABLES),
            producing.deliver,
            lambda: False,
            lambda event, fields: self.said.append((event, fields)),
        )
        first = begin(self.store, NOW, since)
        return Relay(
            outbox,
            lambda tenant: curator_of(self.store, tenant),
            lambda: self.datasets,
            self.metrics,
            first,
            lambda: NOW,
        )

    def append(self, events: Iterable[NewEvent], stream: str = STREAM) -> None:
        """Store events as a segment of their own, at the end of a stream."""
        chain = Chain(self.store, stream)
        chain.append(segment_of(events, first=chain.end(), stream=stream))

    def read(self, topic: str, count: int) -> list[Produced]:
        """The messages of a topic, once there are so many; more are returned too."""
        found = self.broker.read(topic, lambda messages: len(messages) >= count)
        return [
            Produced(
                (message.key() or b"").decode(),
                json.loads(message.value() or b""),
                origin_of(message.headers()),
                dict(message.headers() or ()),
            )
            for message in found
        ]

    def metric(self, name: str) -> float:
        """The value of a metric by its name with its labels."""
        lines = generate_latest(self.metrics.registry).decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


def write_dataset(store: ObjectStore, folder: str, details: Mapping[str, object]) -> Manifest:
    """A finished dataset of one file, with its manifest."""
    with DatasetWrite(store, folder) as write:
        name, entry = write.write("users.parquet", b"rows", 7)
        return write.publish(Manifest("features", {name: entry}, details=dict(details))).manifest


def topic_of(topics: KafkaTopics, table: str) -> str:
    """The topic of a table, which has one."""
    found = topics.topic_of(table)
    assert found
    return found


def numbers_of(found: Sequence[Produced]) -> list[int]:
    """The numbers of the origins of messages."""
    return [message.origin.number for message in found if message.origin]
