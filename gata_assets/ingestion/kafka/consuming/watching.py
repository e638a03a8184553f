"""What is shown of a process: gauges of its partitions and of whether brokers answer, and the lines of the log.

Lines are JSON, with topics, offsets and reasons; never what a message has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from gata_assets.errors import PartitionStoppedError
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.consuming.metrics import ConsumerMetrics
from gata_assets.ingestion.kafka.consuming.partition import AssignedPartition
from gata_assets.ingestion.kafka.faults import ClientErrors, explain

_ASKED_SECONDS, _PATIENCE_SECONDS = 2.0, 3.0
# What the client reports again within this time is of the same failure.
_QUIET_SECONDS = 10.0


class ConsumerLog:
    """Writes lines by `write_line`; of the same failure again and again, one."""

    def __init__(self, write_line: Callable[[str], object]) -> None:
        self._write_line = write_line
        self._failing: dict[tuple[str, int] | None, str] = {}

    def say(self, place: tuple[str, int] | None, event: str, *, reason: str = "", **facts: object) -> None:
        """Write what happened to a partition, or to no partition; `reason` is of a failure."""
        where = {"topic": place[0], "partition": place[1]} if place else {}
        line = json.dumps({"event": event, **where, **({"reason": reason} if reason else {}), **facts})
        if not reason:
            self._failing.pop(place, None)
        elif self._failing.get(place) == line:
            return
        else:
            self._failing[place] = line
        self._write_line(line)


class BrokerWatch:
    """Says when no broker answers any more, and when one does again; on the thread that polls.

    A broker that is frozen keeps its connections, and the client reports nothing: so it is asked.
    """

    def __init__(
        self, connection: KafkaConnection, log: ConsumerLog, metrics: ConsumerMetrics, clock: Callable[[], float]
    ) -> None:
        """`clock` has seconds."""
        self._connection, self._log, self._metrics, self._clock = connection, log, metrics, clock
        self._errors = ClientErrors()
        self._said: set[int] = set()
        self._failed_at = self._ask_at = float("-inf")
        self._away_at: float | None = None
        self._asked: Future[bool] | None = None

    def note(self, error: KafkaError) -> None:
        """Take what a client reports and recovers from by itself; of each kind, one line."""
        self._metrics.count_failure("", "broker")
        self._errors.note(error)
        self._failed_at = self._clock()
        # That all are down is said by the one line that says that none answers.
        if error.code() not in self._said and error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._said.add(error.code())
            self._log.say(None, "BROKER_FAILED", reason=explain(self._connection, error))

    def look(self, asker: Consumer, topic: str, pool: Executor) -> None:
        """Note whether a broker answered, and ask again when it is time."""
        # Takes what it reports, which would add up.
        asker.poll(0)
        if self._asked is None:
            if self._clock() >= self._ask_at:
                self._asked = pool.submit(_answers, asker, topic)
        elif self._asked.done():
            is_answering, self._asked = self._asked.result(), None
            self._ask_at = self._clock() + _ASKED_SECONDS
            self._note_answer(is_answering=is_answering)

    def _note_answer(self, *, is_answering: bool) -> None:
        now = self._clock()
        self._metrics.set_answering(is_answering=is_answering)
        if not is_answering and self._away_at is None:
            self._away_at = now
            self._log.say(None, "BROKERS_AWAY", reason=explain(self._connection, self._errors.last))
        elif is_answering and self._away_at is not None:
            self._log.say(None, "BROKERS_BACK", seconds=round(now - self._away_at))
            self._away_at = None
        if is_answering and now - self._failed_at > _QUIET_SECONDS:
            self._said.clear()
            self._errors = ClientErrors()


def _answers(asker: Consumer, topic: str) -> bool:
    try:
        asker.list_topics(topic, timeout=_PATIENCE_SECONDS)
    except KafkaException:
        return False
    return True


def show_partitions(consumer: Consumer, partitions: Sequence[AssignedPartition], metrics: ConsumerMetrics) -> None:
    """Set the gauges, without asking a broker."""
    oldest = max((partition.oldest_waits_seconds for partition in partitions), default=0.0)
    metrics.set_waiting(sum(partition.waiting_bytes for partition in partitions), oldest)
    for partition in partitions:
        failure = partition.failure
        is_stopped = isinstance(failure, PartitionStoppedError)
        lost = failure.lost if isinstance(failure, PartitionStoppedError) else 0
        metrics.set_partition(
            *partition.place,
            lag=_lag(consumer, partition),
            stored=partition.stored_end,
            gap=lost,
            is_stopped=is_stopped,
        )


def _lag(consumer: Consumer, partition: AssignedPartition) -> int | None:
    """How many offsets the broker has behind the chain, as it said last; None if that is not known."""
    if partition.position is None:
        return None
    try:
        high = consumer.get_watermark_offsets(TopicPartition(*partition.place), cached=True)[1]
    except KafkaException:
        return None
    return max(high - partition.stored_end, 0) if high >= 0 else None
