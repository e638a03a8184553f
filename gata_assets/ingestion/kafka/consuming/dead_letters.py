"""Copies of rejected messages in `{topic}.dlq`: each at least once, with where it came from in its headers.

The quarantine has the messages; the copies are for those who watch topics. A copy that fails keeps no event from
coming in: it is tried again, and the offset is not committed behind it, so that another process goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from threading import Lock

from confluent_kafka import KafkaError, Message, Producer

from gata_assets.errors import ObjectNotFoundError, StoreError
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.topics import dead_letters_of
from gata_assets.ingestion.segments.quarantined import find_rejected
from gata_assets.ingestion.segments.rejected import RejectedMessage
from gata_assets.storage.objects import ObjectStore

# The headers of a copy, after those of the message: with the first three, whoever reads it drops repetitions.
TOPIC_HEADER, PARTITION_HEADER, OFFSET_HEADER = "gata-topic", "gata-partition", "gata-offset"
REASON_HEADER = "gata-reason"
# No other message would do better.
_NEVER = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG)
_LIMITS = {
    "acks": "all",
    "linger.ms": 20,
    "queue.buffering.max.messages": 10_000,
    "queue.buffering.max.kbytes": 32_768,
    "message.max.bytes": 100_000_000,
    "message.timeout.ms": 20_000,
    "log_level": 2,
}
_PAUSE_SECONDS = 10.0
_Place = tuple[str, int]


class DeadLetters:
    """Copies rejected messages; several threads may use it, and one calls `poll`."""

    def __init__(
        self,
        connection: KafkaConnection,
        store: ObjectStore,
        clock: Callable[[], float],
        count_failure: Callable[[str], object],
    ) -> None:
        """`count_failure` is called with a topic for each copy that failed."""
        self._producer = Producer({**connection.client_config(), **_LIMITS})
        self._store, self._clock, self._count_failure = store, clock, count_failure
        self._lock = Lock()
        self._pending: dict[_Place, set[int]] = {}
        # From which offset on copies have to be made again, and when.
        self._again: dict[_Place, tuple[int, float]] = {}

    def copy(self, topic: str, partition: int, messages: Iterable[RejectedMessage]) -> None:
        """Produce copies, without waiting for the broker."""
        place = topic, partition
        for message in messages:
            with self._lock:
                self._pending.setdefault(place, set()).add(message.offset)
            own = ((TOPIC_HEADER, topic), (PARTITION_HEADER, str(partition)), (OFFSET_HEADER, str(message.offset)))
            try:
                self._producer.produce(
                    dead_letters_of(topic),
                    message.payload,
                    message.key,
                    headers=[*message.headers, *own, (REASON_HEADER, message.reason)],
                    on_delivery=partial(self._delivered, place, message.offset),
                )
            except BufferError:
                self._fail(place, message.offset)
                return

    def copy_from(self, topic: str, partition: int, start: int) -> None:
        """Copy what is stored from an offset on, as `poll` finds the time."""
        with self._lock:
            known, at = self._again.get((topic, partition), (start, self._clock()))
            self._again[topic, partition] = min(known, start), at

    def copied(self, topic: str, partition: int, end: int) -> int:
        """The offset before which every copy is made, at most `end`."""
        place = topic, partition
        with self._lock:
            again = [self._again[place][0]] if place in self._again else []
            return min(end, *self._pending.get(place, ()), *again, end)

    def poll(self, seconds: float = 0.0) -> None:
        """Take delivery reports."""
        self._producer.poll(seconds)

    def try_again(self) -> None:
        """Copy what failed before and is due, from what is stored. Raises StoreError."""
        now = self._clock()
        with self._lock:
            due = {place: start for place, (start, at) in self._again.items() if at <= now}
            for place in due:
                # Whatever fails from here on is noted anew.
                self._again.pop(place)
                self._pending.pop(place, None)
        for place, start in due.items():
            try:
                self.copy(*place, find_rejected(self._store, f"kafka/{place[0]}/{place[1]}", start))
            except ObjectNotFoundError:
                self._fail(place, start)
            except StoreError:
                self._fail(place, start)
                raise

    def forget(self, topic: str, partition: int) -> None:
        """The partition is another process's, which goes on from the offset that was committed."""
        with self._lock:
            self._pending.pop((topic, partition), None)
            self._again.pop((topic, partition), None)

    def flush(self, seconds: float) -> None:
        """Wait for the broker to take the copies, at most for so long."""
        self._producer.flush(seconds)

    def _delivered(self, place: _Place, offset: int, error: KafkaError | None, _: Message) -> None:
        if error is not None and error.code() not in _NEVER:
            self._fail(place, offset)
            return
        if error is not None:
            self._count_failure(place[0])
        with self._lock:
            self._pending.get(place, set()).discard(offset)

    def _fail(self, place: _Place, offset: int) -> None:
        self._count_failure(place[0])
        with self._lock:
            self._pending.get(place, set()).discard(offset)
            start = min(offset, self._again.get(place, (offset, 0.0))[0])
            self._again[place] = start, self._clock() + _PAUSE_SECONDS
