"""Gives messages to the brokers and waits until they have confirmed all of them.

Messages never expire in the client, so none is overtaken by a later one; what is not confirmed in time is given up as a
whole, and produced again from the cursor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from time import monotonic

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from gata_assets.errors import BrokerError
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.faults import ClientErrors, explain, is_refusal, opened
from gata_assets.ingestion.kafka.relay.messages import OutMessage

# What brokers take by default, with some room for headers; larger ones would fail with others in their batch.
MAX_MESSAGE_BYTES = 1_000_000
_POLL_SECONDS = 0.1
# Confirmations that are on their way are waited for when the process is to end.
_ENDING_SECONDS = 5.0
# A login or an encryption that is refused now will be so later.
_REFUSED_SECONDS = 5.0
_CONFIG: dict[str, str | int | float | bool] = {
    "acks": "all",
    "enable.idempotence": True,
    # 0 is never.
    "message.timeout.ms": 0,
    "message.max.bytes": MAX_MESSAGE_BYTES,
    "compression.type": "lz4",
    "linger.ms": 5,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 65_536,
    # Reasons are in the errors that are raised.
    "log_level": 0,
}
# Errors that are about a topic: other topics may work.
_OF_TOPICS = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
    }
)


class Producing:
    """Produces to the brokers of a connection, for one thread."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        patience_seconds: float = 30.0,
        is_ending: Callable[[], bool] = lambda: False,
        on_delivered: Callable[[str, int], object] = lambda _topic, _messages: None,
        on_too_large: Callable[[OutMessage], object] = lambda _: None,
    ) -> None:
        """Set up the producer, which connects when it is first used.

        Args:
            connection: The brokers.
            patience_seconds: How long no message may be confirmed before they are given up.
            is_ending: Whether to give up after 5 seconds at most.
            on_delivered: Takes the topic and the number of messages that were confirmed.
            on_too_large: Takes a message that is left out, as no broker takes it.
        """
        self._connection, self._patience = connection, patience_seconds
        self._is_ending, self._on_delivered, self._on_too_large = is_ending, on_delivered, on_too_large
        self._producer: Producer | None = None
        self._errors = ClientErrors()

    def deliver(self, messages: Iterable[OutMessage]) -> None:
        """Return once all messages are confirmed, in the order of each partition.

        Raises BrokerError if some were not: they may be there or not; or SettingsError for settings that no client
        takes.
        """
        reports = _Reports()
        producer = self._producer = self._producer or self._connect()
        try:
            for message in messages:
                self._produce(producer, message, reports)
            while reports.waiting:
                self._wait(producer, reports)
        except BaseException:
            # Nothing of it is sent any more, and a new producer has a new epoch.
            self._producer = None
            producer.purge()
            producer.poll(0)
            raise
        for topic, count in reports.delivered.items():
            self._on_delivered(topic, count)

    def _connect(self) -> Producer:
        self._errors = ClientErrors()
        config = {**self._connection.client_config(), **_CONFIG, "error_cb": self._errors.note}
        return opened(self._connection, lambda: Producer(config))

    def _produce(self, producer: Producer, message: OutMessage, reports: _Reports) -> None:
        while True:
            try:
                producer.produce(
                    message.topic, message.value, message.key, headers=list(message.headers), on_delivery=reports.take
                )
            except BufferError:
                self._wait(producer, reports)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise self._failure(reports, error.args[0], message.topic) from None
                self._on_too_large(message)
                return
            else:
                reports.waiting += 1
                producer.poll(0)
                return

    def _wait(self, producer: Producer, reports: _Reports) -> None:
        """Take reports for a moment; raises BrokerError if a message failed, or too long none was confirmed."""
        producer.poll(_POLL_SECONDS)
        if reports.failed is not None:
            raise self._failure(reports, *reports.failed)
        patience = min(self._patience, _ENDING_SECONDS) if self._is_ending() else self._patience
        if is_refusal(self._errors.last):
            patience = min(patience, _REFUSED_SECONDS)
        if monotonic() - reports.last_at > patience:
            raise BrokerError(
                f"The brokers did not confirm {reports.waiting:,} messages, which are produced again. "
                f"{explain(self._connection, self._errors.last)}"
            )

    def _failure(self, reports: _Reports, error: KafkaError, topic: str) -> BrokerError:
        of_topic = topic if error.code() in _OF_TOPICS else None
        advice = " Create the topic, or give this login access to it." if of_topic else ""
        return BrokerError(
            f"{self._connection.bootstrap_servers} refused messages of the topic {topic}: {error.name()}. "
            f"{reports.waiting:,} are produced again.{advice}",
            topic=of_topic,
        )


class _Reports:
    """The brokers' reports on the messages of one call."""

    def __init__(self) -> None:
        self.waiting = 0
        self.delivered = Counter[str]()
        self.failed: tuple[KafkaError, str] | None = None
        self.last_at = monotonic()

    def take(self, error: KafkaError | None, message: Message) -> None:
        self.waiting -= 1
        topic = message.topic() or ""
        if error is not None:
            self.failed = self.failed or (error, topic)
            self.waiting += 1
            return
        self.delivered[topic] += 1
        self.last_at = monotonic()
