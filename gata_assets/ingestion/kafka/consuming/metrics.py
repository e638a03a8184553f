"""The consumer's counters for Prometheus, in a registry of their own.

Labels are topics, partitions, tables and reasons, which are few and known; never tenants or what a message has.
"""

from __future__ import annotations

from collections import Counter as Count
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from gata_assets.ingestion.segments.event import Segment

_PARTITION = ("topic", "partition")


class ConsumerMetrics:
    """Counts messages and events; safe for several threads."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self._events = Counter("gata_events_accepted", "Single events that are durable.", ("table",), registry=own)
        self._waiting = Gauge(
            "gata_events_waiting_bytes", "The size of the events that are not stored yet.", registry=own
        )
        self._oldest = Gauge(
            "gata_events_oldest_waits_seconds", "How long the oldest event that is not stored waits.", registry=own
        )
        self._consumed = Counter(
            "gata_kafka_messages_consumed", "Messages that the broker gave.", ("topic",), registry=own
        )
        self._rejected = Counter(
            "gata_kafka_messages_rejected", "Messages that are in quarantine.", ("topic", "reason"), registry=own
        )
        self._skipped = Counter(
            "gata_kafka_messages_skipped", "Messages that this target had produced itself.", ("topic",), registry=own
        )
        self._segments = Counter("gata_kafka_segments_written", "Segments that were written.", ("topic",), registry=own)
        self._adopted = Counter(
            "gata_kafka_segments_adopted", "Segments of another process that was faster.", ("topic",), registry=own
        )
        self._failures = Counter(
            "gata_kafka_failures",
            "Attempts that failed and are made again, by what failed.",
            ("topic", "what"),
            registry=own,
        )
        self._answering = Gauge("gata_kafka_brokers_answer", "1 while a broker answers.", registry=own)
        self._lag = Gauge(
            "gata_kafka_lag_messages", "Messages behind the chain that the broker has.", _PARTITION, registry=own
        )
        self._rolled_up = Gauge(
            "gata_kafka_rolled_up_offset", "Up to which offset events are in raw files.", _PARTITION, registry=own
        )
        self._stored = Gauge(
            "gata_kafka_stored_offset", "Up to which offset events are durable.", _PARTITION, registry=own
        )
        self._gap = Gauge(
            "gata_kafka_gap_messages",
            "Messages that the broker deleted before they were read: the partition is not read.",
            _PARTITION,
            registry=own,
        )
        self._stopped = Gauge(
            "gata_kafka_partition_is_stopped", "1 while a partition is not read.", _PARTITION, registry=own
        )

    def count_consumed(self, topic: str, messages: int) -> None:
        """Count messages of the broker."""
        self._consumed.labels(topic).inc(messages)

    def count_segment(self, topic: str, segment: Segment | None, skipped: int) -> None:
        """Count what a segment has; None if another process was faster."""
        self._skipped.labels(topic).inc(skipped)
        if segment is None:
            return
        self._segments.labels(topic).inc()
        for table, events in Count(event.table for event in segment.events).items():
            self._events.labels(table).inc(events)
        for reason, messages in Count(message.reason for message in segment.rejected).items():
            self._rejected.labels(topic, reason).inc(messages)

    def count_adopted(self, topic: str) -> None:
        """Count a segment of another process."""
        self._adopted.labels(topic).inc()

    def count_failure(self, topic: str, what: str) -> None:
        """Count a failed attempt: `target`, `registry`, `broker` or `dead_letters`."""
        self._failures.labels(topic, what).inc()

    def set_answering(self, *, is_answering: bool) -> None:
        """Whether a broker answers."""
        self._answering.set(is_answering)

    def set_waiting(self, size: int, oldest_seconds: float) -> None:
        """What waits in memory."""
        self._waiting.set(size)
        self._oldest.set(oldest_seconds)

    def set_partition(
        self, topic: str, partition: int, *, lag: int | None, stored: int, gap: int, is_stopped: bool
    ) -> None:
        """How far a partition is."""
        if lag is not None:
            self._lag.labels(topic, partition).set(lag)
        self._stored.labels(topic, partition).set(stored)
        self._gap.labels(topic, partition).set(gap)
        self._stopped.labels(topic, partition).set(is_stopped)

    def set_rolled_up(self, topic: str, partition: int, offset: int) -> None:
        """How far a partition is rolled up."""
        self._rolled_up.labels(topic, partition).set(offset)

    def forget(self, topic: str, partition: int) -> None:
        """The partition is another process's."""
        for gauge in (self._lag, self._stored, self._gap, self._stopped, self._rolled_up):
            with suppress(KeyError):
                gauge.remove(topic, partition)

    def text(self) -> bytes:
        """All of them as Prometheus reads them."""
        return generate_latest(self.registry)
