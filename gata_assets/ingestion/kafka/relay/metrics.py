"""The relay's counters and its lag for Prometheus, in a registry of their own.

Labels are topics; never tenants, keys of messages or what is in them.
"""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge


class RelayMetrics:
    """Counts what is produced, and has what waits."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self._delivered = Counter(
            "gata_relay_messages", "Messages that the brokers confirmed.", ("topic",), registry=own
        )
        self._left_out = Counter(
            "gata_relay_left_out", "Events and rows that were not produced; the log says why.", registry=own
        )
        self._failures = Counter("gata_relay_failures", "Rounds that could not produce all.", registry=own)
        self._waiting = Gauge(
            "gata_relay_waiting", "Events, files and datasets that are not produced yet.", ("kind",), registry=own
        )
        self._oldest = Gauge(
            "gata_relay_oldest_waits_seconds", "How long the oldest event that is not produced waits.", registry=own
        )
        for kind in ("events", "files", "datasets"):
            self._waiting.labels(kind)

    def count_delivered(self, topic: str, messages: int) -> None:
        """Count messages that were confirmed."""
        self._delivered.labels(topic).inc(messages)

    def count_left_out(self, events: int = 1) -> None:
        """Count events or rows that were not produced."""
        self._left_out.inc(events)

    def count_failure(self) -> None:
        """Count a round that could not produce all."""
        self._failures.inc()

    def set_waiting(self, kind: str, count: int) -> None:
        """Note how many events, files or datasets wait."""
        self._waiting.labels(kind).set(count)

    def set_oldest(self, oldest: datetime | None, now: datetime) -> None:
        """Note when the oldest event that waits was received; None without one."""
        self._oldest.set((now - oldest).total_seconds() if oldest else 0)
