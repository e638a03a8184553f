"""Backlogs as metrics of Prometheus: instants rather than ages, so that what a job pushed long ago is still true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gata_assets.governance.privacy.requests.backlog import Backlog

LABELS = ("tenant_id",)


class ErasureCollector(Collector):
    """The metrics of backlogs, as of each scrape."""

    def __init__(self, read: Callable[[], Iterable[Backlog]], clock: Callable[[], datetime]) -> None:
        self._read, self._clock = read, clock

    def describe(self) -> Iterator[Metric]:
        """The metrics that a registry asks for once: without samples, so that nothing is read."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        return erasure_metrics(self._read(), self._clock())


def erasure_metrics(backlogs: Iterable[Backlog], now: datetime) -> Iterator[Metric]:
    """The metrics of tenants that have, or had, requests; what is not known has no sample."""
    found = [backlog for backlog in backlogs if backlog.known or backlog.damaged]

    def gauge(name: str, meaning: str, value_of: Callable[[Backlog], float | datetime | None]) -> Metric:
        family = GaugeMetricFamily(name, meaning, labels=LABELS)
        for backlog in found:
            value = value_of(backlog)
            if value is not None:
                family.add_metric((backlog.tenant,), value.timestamp() if isinstance(value, datetime) else value)
        return family

    yield gauge("gata_erasure_open_requests", "Requests to erase people that wait.", lambda one: len(one.open))
    yield gauge("gata_erasure_overdue_requests", "Of these, past their deadline.", lambda one: len(one.overdue(now)))
    yield gauge(
        "gata_erasure_damaged_requests", "Requests to erase people that could not be read.", lambda one: one.damaged
    )
    yield gauge(
        "gata_erasure_oldest_asked_timestamp_seconds",
        "When the oldest request that waits was asked for, in Unix time.",
        lambda one: one.oldest_asked_at,
    )
    yield gauge(
        "gata_erasure_next_deadline_timestamp_seconds",
        "The first deadline of a request that waits, in Unix time.",
        lambda one: one.next_deadline_at,
    )
    yield gauge("gata_erasure_read_timestamp_seconds", "When these were read, in Unix time.", lambda one: one.read_at)
