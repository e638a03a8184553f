"""The client of the brokers that consumes: its settings, its errors, and where a partition begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Thread

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from gata_assets.errors import BrokerError, PartitionStoppedError
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.kafka.consuming.partition import AssignedPartition, Start
from gata_assets.ingestion.kafka.consuming.rules import ConsumerRules
from gata_assets.ingestion.kafka.faults import opened, require_brokers

_ANSWER_SECONDS = 5.0
# For the last commit, and for leaving the group: with what waits to be stored less than is left before SIGKILL.
_END_SECONDS = 10.0
_LEAST_SHARE_BYTES = 1_000_000
_LIMITS = {
    # Where to go on is what the chain says; of an offset that the broker does not have, nothing must be guessed.
    "auto.offset.reset": "error",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # The one strategy that all brokers complete.
    "partition.assignment.strategy": "range",
    "isolation.level": "read_committed",
    "queued.max.messages.kbytes": 16_384,
    "fetch.wait.max.ms": 100,
    "reconnect.backoff.max.ms": 2_000,
    "log_level": 2,
}


def open_consumer(
    connection: KafkaConnection, group: str, rules: ConsumerRules, on_error: Callable[[KafkaError], object]
) -> Consumer:
    """A consumer of a group; `on_error` gets what the client recovers from by itself.

    Raises SettingsError for settings that no client takes.
    """
    session = round(rules.session_seconds * 1000)
    times = {"session.timeout.ms": session, "heartbeat.interval.ms": max(session // 5, 100)}
    config = {**connection.client_config(), **_LIMITS, **times, "group.id": group, "error_cb": on_error}
    return opened(connection, lambda: Consumer(config))


def find_start(consumer: Consumer, topic: str, partition: int, chain_end: int) -> Start:
    """Where to begin with a partition whose chain ends there.

    Raises:
        PartitionStoppedError: The broker has deleted messages behind the chain.
        BrokerError: It cannot be asked.
    """
    place = TopicPartition(topic, partition)
    with broker_errors(f"{topic}/{partition}"):
        earliest, _ = consumer.get_watermark_offsets(place, timeout=_ANSWER_SECONDS)
        committed = consumer.committed([place], timeout=_ANSWER_SECONDS)[0].offset
    if chain_end == 0:
        # Nothing was ever read: what is not there any more was not promised.
        return Start(max(earliest, 0), committed)
    if earliest > chain_end:
        raise gap(topic, partition, chain_end, earliest)
    return Start(chain_end, committed)


def earliest_offset(connection: KafkaConnection, topic: str, partition: int) -> int:
    """The first offset that the broker has of a partition; raises BrokerError or SettingsError."""
    require_brokers(connection)
    config = {**connection.client_config(), "group.id": "gata", "log_level": 2}
    consumer = opened(connection, lambda: Consumer(config))
    try:
        with broker_errors(f"{topic}/{partition}"):
            return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_SECONDS)[0]
    finally:
        consumer.close()


def find_fault(consumer: Consumer, topic: str, partition: int, chain_end: int) -> PartitionStoppedError:
    """Why the broker does not have the offset where a chain ends; raises BrokerError if it cannot be asked."""
    with broker_errors(f"{topic}/{partition}"):
        earliest, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_SECONDS)
    is_gap = earliest > chain_end
    return gap(topic, partition, chain_end, earliest) if is_gap else is_ahead(topic, partition, chain_end)


def gap(topic: str, partition: int, chain_end: int, earliest: int) -> PartitionStoppedError:
    """The error of a partition whose broker has deleted what was not read."""
    lost = earliest - chain_end
    return PartitionStoppedError(
        f"The broker has deleted {lost:,} offsets of {topic}/{partition} that were not read: they are stored up to "
        f"{chain_end}, and the broker begins with {earliest}. The partition is not read. Bring them from where they "
        f"came from, if you can; then `gata consume --accept-gap {topic}/{partition}` writes down that they are lost, "
        "and the partition is read on.",
        lost,
    )


def is_ahead(topic: str, partition: int, chain_end: int) -> PartitionStoppedError:
    """The error of a partition whose broker does not know the offsets that are stored."""
    return PartitionStoppedError(
        f"{topic}/{partition} is stored up to {chain_end}, and the broker does not have that offset: it lost messages, "
        "or the topic was deleted and created again. The partition is not read. Give the topic another name, which is "
        "read from its beginning.",
        0,
    )


@contextmanager
def broker_errors(what: str) -> Iterator[None]:
    """Turn the client's errors into BrokerError."""
    try:
        yield
    except KafkaException as error:
        found = error.args[0]
        name = found.name() if isinstance(found, KafkaError) else type(found).__name__
        raise BrokerError(f"The broker cannot be asked about {what}: {name}. It is asked again.") from None


def hold_back(consumer: Consumer, partitions: Sequence[AssignedPartition], at_most_bytes: int) -> None:
    """Pause partitions with more than their share of messages that wait, until half of that is stored."""
    share = max(at_most_bytes // max(len(partitions), 1), _LEAST_SHARE_BYTES)
    for partition in partitions:
        bound = share // 2 if partition.is_paused else share
        is_paused = partition.position is not None and partition.waiting_bytes > bound
        if is_paused != partition.is_paused:
            change = consumer.pause if is_paused else consumer.resume
            with suppress(KafkaException):
                change([TopicPartition(*partition.place)])
                partition.is_paused = is_paused


def commit(consumer: Consumer, offsets: list[TopicPartition], *, waits: bool) -> None:
    """Commit offsets, if the broker takes them: the chain says where to go on."""
    if not offsets:
        return
    with suppress(KafkaException):
        if waits:
            _within_seconds(lambda: consumer.commit(offsets=offsets, asynchronous=False))
        else:
            consumer.commit(offsets=offsets, asynchronous=True)


def leave(consumer: Consumer) -> bool:
    """Leave the group, so that others need not wait until this one counts as dead; returns whether that is done."""
    return _within_seconds(consumer.close)


def _within_seconds(call: Callable[[], object]) -> bool:
    """Call the client, and return whether it was done in time: of a broker that is frozen it waits for ever."""

    def run() -> None:
        with suppress(KafkaException):
            call()

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(_END_SECONDS)
    return not thread.is_alive()


def as_value(message: Message, received_at: datetime) -> KafkaMessage:
    """A message as a value."""
    given = message.headers() or ()
    pairs = given.items() if isinstance(given, dict) else given
    headers = tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)
    return KafkaMessage(message.offset() or 0, _bytes(message.key()), _bytes(message.value()), headers, received_at)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
