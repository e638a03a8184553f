"""The service's counters for Prometheus, in a registry of their own.

Labels of counters are routes, tables, rules, sources and reasons, which are few and known; never keys or what a caller
sent. The quality of data is by tenant and table (`RowWork.measured`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gata_assets.ingestion.segments.group_commit import EventLog

METRICS_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class ServiceMetrics:
    """Counts requests, rows, events and uploads; safe for several threads."""

    def __init__(self, log: EventLog) -> None:
        self._registry = own = CollectorRegistry()
        self._requests = Counter(
            "gata_http_requests", "Requests that were answered.", ("method", "route", "status"), registry=own
        )
        self._refused = Counter(
            "gata_http_refused",
            "What was no request that could be read, and was refused before it had a route.",
            ("reason",),
            registry=own,
        )
        self._seconds = Histogram(
            "gata_http_request_seconds", "From a request to its answer.", ("route",), buckets=_SECONDS, registry=own
        )
        self._accepted = Counter("gata_rows_accepted", "Valid rows that landed.", ("table",), registry=own)
        self._rejected = Counter("gata_rows_rejected", "Rows that went to quarantine.", ("table",), registry=own)
        self._broken = Counter(
            "gata_rows_broke_rule", "Rejected rows by each rule that they broke.", ("table", "rule"), registry=own
        )
        self._events = Counter("gata_events_accepted", "Single events that are durable.", ("table",), registry=own)
        self._webhooks = Counter(
            "gata_webhook_events_accepted", "Events of webhooks that are durable.", ("source",), registry=own
        )
        self._webhooks_repeated = Counter(
            "gata_webhook_events_repeated", "Events of webhooks that came again.", ("source",), registry=own
        )
        self._webhooks_refused = Counter(
            "gata_webhook_requests_refused",
            "Requests of webhooks that took no event; the source is empty where none of that name could be read.",
            ("source", "reason"),
            registry=own,
        )
        self._uploads = Counter("gata_uploads", "Files that were landed by uploads.", ("table",), registry=own)
        self._landing = Histogram(
            "gata_landing_seconds", "Time to land and validate a file.", ("table",), buckets=_SECONDS, registry=own
        )
        self._lost = Counter(
            "gata_row_processes_lost", "Processes that worked on rows and ended before the service did.", registry=own
        )
        waiting = Gauge("gata_events_waiting_bytes", "The size of the events that are not stored yet.", registry=own)
        waiting.set_function(lambda: log.waiting_bytes)
        oldest = Gauge(
            "gata_events_oldest_waits_seconds", "How long the oldest event that is not stored waits.", registry=own
        )
        oldest.set_function(lambda: log.oldest_waits_seconds)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def count_refused(self, reason: str) -> None:
        """Count what was refused before the application saw it."""
        self._refused.labels(reason).inc()

    def count_webhook(self, source: str, *, is_repeated: bool) -> None:
        """Count an event of a registered source that is durable, now or since it came before."""
        (self._webhooks_repeated if is_repeated else self._webhooks).labels(source).inc()

    def count_webhook_refused(self, source: str, reason: str) -> None:
        """Count a request that took no event, by the last word of its problem's type."""
        self._webhooks_refused.labels(source, reason).inc()

    def time_landing(self, table: str) -> AbstractContextManager[object]:
        """Measure how long a file takes to land and to be validated."""
        return self._landing.labels(table).time()

    def count_rows(self, table: str, accepted: int, rejected: int, by_rule: Mapping[str, int]) -> None:
        """Count the rows of a file that landed."""
        self._accepted.labels(table).inc(accepted)
        self._rejected.labels(table).inc(rejected)
        for rule, rows in by_rule.items():
            self._broken.labels(table, rule).inc(rows)

    def count_events(self, table: str, events: int) -> None:
        """Count single events that are durable."""
        self._events.labels(table).inc(events)

    def count_lost(self) -> None:
        """Count a process that worked on rows and ended."""
        self._lost.inc()

    def count_upload(self, table: str) -> None:
        """Count an uploaded file that landed."""
        self._uploads.labels(table).inc()

    def text(self) -> bytes:
        """All of them as Prometheus reads them."""
        return generate_latest(self._registry)
