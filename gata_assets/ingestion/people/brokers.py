"""What erasing asks of brokers: the messages that a topic has, who has read them, and to delete the first of them.

Raises BrokerError where brokers do not answer, and SettingsError for settings that no client takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from gata_assets.errors import BrokerError
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.faults import explain, opened, require_brokers

_ANSWER_SECONDS, _PATIENCE_SECONDS = 10.0, 30.0
_MOST_AT_ONCE, _POLL_SECONDS = 1_000, 0.1
_RETENTION = "retention.ms"
_READING = {
    "group.id": "gata-privacy",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    # What begins later than it was listed was deleted meanwhile.
    "auto.offset.reset": "earliest",
    # Also messages of transactions that were given up, which the broker has all the same.
    "isolation.level": "read_uncommitted",
    "queued.max.messages.kbytes": 16_384,
}


@dataclass(frozen=True)
class TopicRange:
    """What a partition had when it was asked for: the offsets from `first` up to `end`."""

    topic: str
    partition: int
    first: int
    end: int

    @property
    def name(self) -> str:
        """The partition, for people."""
        return f"{self.topic}/{self.partition}"


@contextmanager
def open_brokers(connection: KafkaConnection) -> Iterator[Brokers]:
    """Clients of the brokers, for one thread."""
    require_brokers(connection)
    config: dict[str, Any] = {**connection.client_config(), "log_level": 0}
    consumer = opened(connection, lambda: Consumer({**config, **_READING}))
    try:
        yield Brokers(connection, consumer, opened(connection, lambda: AdminClient(config)))
    finally:
        consumer.close()


class Brokers:
    """See `open_brokers`."""

    def __init__(self, connection: KafkaConnection, consumer: Consumer, admin: AdminClient) -> None:
        self._connection, self._consumer, self._admin = connection, consumer, admin

    def ranges(self, topics: Iterable[str]) -> list[TopicRange]:
        """What partitions of topics have now, of those that have anything."""
        with self._errors():
            known = self._consumer.list_topics(timeout=_ANSWER_SECONDS).topics
            found = []
            for topic in topics:
                for number in sorted(known[topic].partitions) if topic in known else ():
                    place = TopicPartition(topic, number)
                    first, end = self._consumer.get_watermark_offsets(place, timeout=_ANSWER_SECONDS)
                    found.append(TopicRange(topic, number, first, end))
        return [one for one in found if one.first < one.end]

    def read(self, place: TopicRange) -> Iterator[Message]:
        """The messages of a range, in order."""
        with self._errors():
            self._consumer.assign([TopicPartition(place.topic, place.partition, place.first)])
            heard_at = monotonic()
            while True:
                found = self._consumer.consume(_MOST_AT_ONCE, _POLL_SECONDS)
                for message in found:
                    error, offset = message.error(), message.offset() or 0
                    if error is None and offset < place.end:
                        yield message
                    elif error is not None and error.code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(error)
                    if error is not None or offset >= place.end - 1:
                        return
                if found:
                    heard_at = monotonic()
                elif monotonic() - heard_at > _PATIENCE_SECONDS:
                    raise BrokerError(explain(self._connection, None))

    def lagging_groups(self, place: TopicRange, end: int, own: str) -> list[str]:
        """The consumer groups besides `own` that have committed an offset of a partition, one before `end`."""
        with self._errors():
            listed = self._admin.list_consumer_groups(request_timeout=_ANSWER_SECONDS).result()
            if listed.errors:
                raise listed.errors[0]
            partition = TopicPartition(place.topic, place.partition)
            found = []
            for group in sorted({one.group_id for one in listed.valid} - {own}):
                asked = [ConsumerGroupTopicPartitions(group, [partition])]
                futures = self._admin.list_consumer_group_offsets(asked, request_timeout=_ANSWER_SECONDS)
                offsets = futures[group].result().topic_partitions
                if any(0 <= one.offset < end for one in offsets if one.topic == place.topic):
                    found.append(group)
        return found

    def delete(self, place: TopicRange, end: int) -> str | None:
        """Delete the messages of a partition before an offset; returns why the brokers did not, or None."""
        asked = [TopicPartition(place.topic, place.partition, end)]
        try:
            for future in self._admin.delete_records(asked, request_timeout=_ANSWER_SECONDS).values():
                future.result()
        except KafkaException as failure:
            error = failure.args[0]
            return error.name() if isinstance(error, KafkaError) else type(error).__name__
        return None

    def retention(self, topic: str) -> timedelta | None:
        """For how long a topic keeps messages; None if it keeps them for ever, or does not say."""
        with self._errors():
            asked = ConfigResource(ResourceType.TOPIC, topic)
            futures = self._admin.describe_configs([asked], request_timeout=_ANSWER_SECONDS)
            for future in futures.values():
                entry = future.result().get(_RETENTION)
                millis = int(entry.value) if entry is not None and entry.value is not None else -1
                return timedelta(milliseconds=millis) if millis >= 0 else None
        return None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as failure:
            error = failure.args[0]
            raise BrokerError(explain(self._connection, error if isinstance(error, KafkaError) else None)) from None
