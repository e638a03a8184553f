"""Turns topics into segments until it is ended: polls on one thread, judges and stores partitions on others.

Between two polls nothing waits for the target or the registry, so that the group does not take a slow process for a
dead one. What is not stored when a partition goes to another process is dropped: the other reads it again from where
the chain ends.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from gata_assets.errors import BrokerError, GataError, PartitionStoppedError, RegistryError, StoreError
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.consuming.client import (
    as_value,
    commit,
    find_fault,
    find_start,
    hold_back,
    leave,
    open_consumer,
)
from gata_assets.ingestion.kafka.consuming.dead_letters import DeadLetters
from gata_assets.ingestion.kafka.consuming.judging import Judge
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.kafka.consuming.metrics import ConsumerMetrics
from gata_assets.ingestion.kafka.consuming.partition import AssignedPartition, Start
from gata_assets.ingestion.kafka.consuming.rules import ConsumerRules
from gata_assets.ingestion.kafka.consuming.watching import BrokerWatch, ConsumerLog, show_partitions
from gata_assets.ingestion.kafka.consuming.writing import PartitionWriter
from gata_assets.ingestion.segments.cursor import read_cursor
from gata_assets.storage.objects import ObjectStore

_THREADS, _MOST_AT_ONCE, _POLL_SECONDS = 8, 2_000, 0.05
_START_SECONDS = 10.0
_LOOK_SECONDS, _LOOK_AT_CURSORS_SECONDS = 1.0, 60.0


class TopicConsumer:
    """Consumes topics in a group; `run` does it."""

    def __init__(
        self,
        connection: KafkaConnection,
        group: str,
        topics: Sequence[str],
        store: ObjectStore,
        judge: Judge,
        rules: ConsumerRules | None = None,
        *,
        metrics: ConsumerMetrics | None = None,
        write_line: Callable[[str], object] = lambda line: print(line, flush=True),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up the consumer; `write_line` takes the lines of the log, `clock` has seconds."""
        self._topics, self._store, self._judge = [*topics], store, judge
        self._rules, self._clock, self._log = rules or ConsumerRules(), clock, ConsumerLog(write_line)
        self.metrics = metrics or ConsumerMetrics()
        self._connection, self._group = connection, group
        self._brokers = BrokerWatch(connection, self._log, self.metrics, clock)
        self._partitions: dict[tuple[str, int], AssignedPartition] = {}
        self._is_assignment_due = False
        # Partitions of which the broker does not have what is wanted next.
        self._cut: set[tuple[str, int]] = set()
        self._look_at = self._look_at_cursors_at = 0.0
        self._again: Future[None] | None = None

    def run(self, is_ending: Callable[[], bool]) -> None:
        """Consume until `is_ending`; then store and commit what waits, and leave the group.

        Raises SettingsError for settings that no client takes.
        """
        self._consumer = open_consumer(self._connection, self._group, self._rules, self._brokers.note)
        # Asks while the group is rebalanced too, when the client above does not answer.
        self._asker = open_consumer(self._connection, self._group, self._rules, self._brokers.note)
        count_failure = partial(self.metrics.count_failure, what="dead_letters")
        self._letters = DeadLetters(self._connection, self._store, self._clock, count_failure)
        self._pool = ThreadPoolExecutor(_THREADS, "partition")
        try:
            self._consumer.subscribe(
                self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
            while not is_ending():
                self._take(self._consumer.consume(_MOST_AT_ONCE, _POLL_SECONDS))
                self._advance()
            self._give_up(list(self._partitions.values()))
        finally:
            if not leave(self._consumer):
                self._log.say(None, "GROUP_NOT_LEFT", reason="The brokers did not answer; others wait for the session.")
            # Threads may still be asking.
            self._pool.shutdown(cancel_futures=True)
            self._asker.close()

    def _take(self, messages: Iterable[Message]) -> None:
        received_at = datetime.now(UTC)
        found: dict[tuple[str, int], list[KafkaMessage]] = defaultdict(list)
        for message in messages:
            place = message.topic() or "", message.partition() or 0
            if error := message.error():
                self._note_error(place, error)
            else:
                found[place].append(as_value(message, received_at))
        for place, values in found.items():
            self.metrics.count_consumed(place[0], len(values))
            if place in self._partitions:
                self._partitions[place].take(values)

    def _advance(self) -> None:
        """Note what was done, begin what is due, and tell the broker."""
        for place, partition in self._partitions.items():
            self._note_start(partition)
            self._write_due(partition, even_new=place in self._cut)
            if place in self._cut and partition.is_empty:
                self._find_fault(partition)
            if partition.may_start:
                self._begin(partition)
        if self._is_assignment_due:
            self._assign()
        hold_back(self._consumer, [*self._partitions.values()], self._rules.at_most_waiting_bytes)
        self._letters.poll()
        self._commit()
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + _LOOK_SECONDS
            self._look()

    def _begin(self, partition: AssignedPartition) -> None:
        """Find out where to go on, by the store and not by what was known of it."""
        partition.writer = PartitionWriter(self._store, *partition.place, self._judge)
        partition.starting = self._pool.submit(self._start, partition.writer)

    def _start(self, writer: PartitionWriter) -> Start:
        return find_start(self._asker, writer.topic, writer.partition, writer.end())

    def _note_start(self, partition: AssignedPartition) -> None:
        """Go on with a partition once it is known where."""
        if partition.starting is None or not partition.starting.done():
            return
        future, partition.starting = partition.starting, None
        try:
            start = future.result()
        except PartitionStoppedError as error:
            self._stop(partition, error)
        except GataError as error:
            self._fail(partition, error)
        else:
            partition.begin(start)
            self._is_assignment_due = True
            if 0 <= start.committed < start.position:
                # Whoever wrote the segments behind it may have ended before their copies were made.
                self._letters.copy_from(*partition.place, start.committed)
            self._log.say(partition.place, "PARTITION_STARTED", offset=start.position)

    def _write_due(self, partition: AssignedPartition, *, even_new: bool) -> None:
        """Note what was stored, and store what is due."""
        self._note_stored(partition)
        if due := partition.due(even_new=even_new):
            partition.storing = self._pool.submit(partition.writer.store, due)

    def _note_stored(self, partition: AssignedPartition) -> None:
        if partition.storing is None or not partition.storing.done():
            return
        try:
            stored = partition.storing.result()
        except ValueError as error:
            self._stop(
                partition, PartitionStoppedError(f"{'/'.join(map(str, partition.place))} cannot be stored: {error}", 0)
            )
            return
        except GataError as error:
            self._fail(partition, error)
            return
        topic, number = partition.place
        before = partition.stored_end
        if partition.stored(stored):
            self._is_assignment_due = True
        self.metrics.count_segment(topic, stored.segment, stored.skipped)
        if stored.segment is None and stored.end > before and not stored.skipped:
            self.metrics.count_adopted(topic)
            # The other process may have ended before it made the copies.
            self._letters.copy_from(topic, number, before)
        if stored.segment and stored.segment.rejected:
            self._letters.copy(topic, number, stored.segment.rejected)
        if stored.blocked:
            self.metrics.count_failure(topic, "registry")
            self._log.say(partition.place, "REGISTRY_AWAY", reason=str(stored.blocked))

    def _assign(self) -> None:
        """Have the broker send each partition from where it is wanted; those that cannot be read are left out."""
        self._is_assignment_due = False
        ready = {place: one.position for place, one in self._partitions.items() if one.position is not None}
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in ready.items()])
        for partition in self._partitions.values():
            partition.is_paused = False

    def _commit(self, *, waits: bool = False) -> None:
        """Commit what is stored and copied; nothing depends on it but what others see, and copies after a crash."""
        offsets = []
        for place, partition in self._partitions.items():
            end = self._letters.copied(*place, partition.stored_end)
            if partition.position is not None and end > max(partition.committed, 0):
                offsets.append(TopicPartition(*place, end))
                partition.committed = end
        commit(self._consumer, offsets, waits=waits)

    def _look(self) -> None:
        """Set what metrics show, ask whether a broker answers, and try copies that failed again."""
        self._brokers.look(self._asker, self._topics[0], self._pool)
        show_partitions(self._consumer, [*self._partitions.values()], self.metrics)
        if self._again is None or (self._again.done() and self._again.result() is None):
            self._again = self._pool.submit(self._look_at_store, list(self._partitions))

    def _look_at_store(self, places: Sequence[tuple[str, int]]) -> None:
        with suppress(StoreError):
            self._letters.try_again()
            if self._clock() >= self._look_at_cursors_at:
                self._look_at_cursors_at = self._clock() + _LOOK_AT_CURSORS_SECONDS
                for topic, number in places:
                    self.metrics.set_rolled_up(topic, number, read_cursor(self._store, f"kafka/{topic}/{number}").end)

    def _assigned(self, _: Consumer, places: Sequence[TopicPartition]) -> None:
        """Find out where the chains end, and go on there; what cannot be found out now follows later."""
        for place in places:
            writer = PartitionWriter(self._store, place.topic, place.partition, self._judge)
            partition = AssignedPartition(writer, self._rules, self._clock)
            self._partitions[partition.place] = partition
            self._begin(partition)
        wait([one.starting for one in self._partitions.values() if one.starting], _START_SECONDS)
        for partition in self._partitions.values():
            self._note_start(partition)
        self._assign()

    def _revoked(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        given = {(place.topic, place.partition) for place in places}
        self._give_up([partition for place, partition in self._partitions.items() if place in given])
        consumer.unassign()

    def _lost(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        """Another process has them already: what is not stored is dropped."""
        for place in places:
            self._forget(place.topic, place.partition)
        consumer.unassign()

    def _give_up(self, partitions: Sequence[AssignedPartition]) -> None:
        """Store, copy and commit what waits, as far as time allows, and forget the partitions."""
        until = self._clock() + self._rules.end_seconds
        while not all(one.is_empty or one.failure for one in partitions) and self._clock() < until:
            for partition in partitions:
                self._write_due(partition, even_new=True)
            wait([one.storing for one in partitions if one.storing], _POLL_SECONDS)
        self._letters.flush(max(until - self._clock(), 0.5))
        self._commit(waits=True)
        for partition in partitions:
            self._log.say(partition.place, "PARTITION_LEFT", offset=partition.stored_end)
            self._forget(*partition.place)

    def _forget(self, topic: str, number: int) -> None:
        self._partitions.pop((topic, number), None)
        self._cut.discard((topic, number))
        self._letters.forget(topic, number)
        self.metrics.forget(topic, number)

    def _note_error(self, place: tuple[str, int], error: KafkaError) -> None:
        """What the broker says of a partition in place of a message."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET and place in self._partitions:
            # What came before is stored first.
            self._cut.add(place)
        else:
            self._brokers.note(error)

    def _find_fault(self, partition: AssignedPartition) -> None:
        """Stop a partition whose broker does not have the offset behind what is stored."""
        self._cut.discard(partition.place)
        try:
            self._stop(partition, find_fault(self._asker, *partition.place, partition.stored_end))
        except BrokerError as failure:
            partition.stop(failure)
            self._is_assignment_due = True

    def _fail(self, partition: AssignedPartition, error: GataError) -> None:
        partition.fail(error)
        what = {RegistryError: "registry", BrokerError: "broker"}.get(type(error), "target")
        self.metrics.count_failure(partition.place[0], what)
        self._log.say(partition.place, f"{what.upper()}_AWAY", reason=str(error))

    def _stop(self, partition: AssignedPartition, error: PartitionStoppedError) -> None:
        partition.stop(error)
        self._is_assignment_due = True
        self._log.say(partition.place, "PARTITION_STOPPED", reason=str(error), lost=error.lost)
