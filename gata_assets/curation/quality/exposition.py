"""Measures as metrics of Prometheus: in base units, and by the names and units that earlier dashboards have.

Labels are tenants and tables: of names that somebody chose for a folder, never a value of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gata_assets.curation.quality.measures import Measures, QualityRules, Tally, measure, share_without
from gata_assets.curation.quality.reader import Reading

LABELS = ("tenant_id", "data_type")
# The labels of a sample.
L = TypeVar("L", bound=tuple[str, ...])
Tallies = Mapping[tuple[str, str], Tally]
_HOUR = timedelta(hours=1)
_PERCENT = 100

_RATIOS: Mapping[str, tuple[str, Callable[[Measures], float | None]]] = {
    "completeness": ("Share of required values that rows have.", lambda found: found.completeness),
    "validity": ("Share of rows that are valid.", lambda found: found.validity),
    "uniqueness": ("Share of valid rows that repeat no other.", lambda found: found.uniqueness),
    "consistency": ("Share of rows that keep rules over columns and references.", lambda found: found.consistency),
    "quality_score": (
        "Least of freshness, completeness, validity, uniqueness, consistency.",
        lambda found: found.score,
    ),
}
_COUNTS: Mapping[str, tuple[str, Callable[[Tally], float]]] = {
    "gata_data_recent_files": ("Files that count, of the newest day.", lambda tally: tally.files),
    "gata_data_recent_refused_files": ("Of these, refused as a whole.", lambda tally: tally.refused),
    "gata_data_recent_rows": ("Rows of the files of the newest day.", lambda tally: tally.rows),
    "gata_data_recent_rejected_rows": ("Of these, rejected.", lambda tally: tally.rejected),
}


class QualityCollector(Collector):
    """The metrics of a reading, as of each scrape."""

    def __init__(self, read: Callable[[], Reading], rules: QualityRules, clock: Callable[[], datetime]) -> None:
        self._read, self._rules, self._clock = read, rules, clock

    def describe(self) -> Iterator[Metric]:
        """The metrics that a registry asks for once: without samples, so that nothing is read."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        reading = self._read()
        yield from quality_metrics(reading.tallies, self._rules, self._clock())
        yield _gauge(
            "gata_quality_read_timestamp_seconds",
            "When these were read, in Unix time.",
            {(): reading.read_at.timestamp() if reading.read_at else None},
            (),
        )
        yield _gauge("gata_quality_tenants_left_out", "Tenants without metrics.", {(): reading.left_out}, ())
        failures = CounterMetricFamily("gata_quality_read_failures", "Tables that could not be read.")
        failures.add_metric((), reading.failures)
        yield failures


class _Given(Collector):
    """Metrics that are given."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        return iter(self._metrics)


def registry_of(metrics: Iterable[Metric]) -> CollectorRegistry:
    """A registry with these metrics."""
    registry = CollectorRegistry()
    registry.register(_Given(metrics))
    return registry


def quality_metrics(tallies: Tallies, rules: QualityRules, at: datetime, *, with_ages: bool = True) -> Iterator[Metric]:
    """The metrics of tallies; `with_ages` also those that change with time alone."""
    measured = {name: measure(tally, at, rules.fresh_within) for name, tally in tallies.items()}
    if with_ages:
        ages = {name: found.age for name, found in measured.items()}
        yield _gauge(
            "gata_data_freshness_seconds",
            "Time since the newest file landed.",
            {name: age.total_seconds() if age is not None else None for name, age in ages.items()},
        )
        yield _gauge(
            "data_freshness_hours",
            "Hours since the newest file landed.",
            {name: age / _HOUR if age is not None else None for name, age in ages.items()},
        )
    yield _gauge(
        "gata_data_last_landed_timestamp_seconds",
        "When the newest file landed, in Unix time.",
        {name: tally.landed_at.timestamp() if tally.landed_at else None for name, tally in tallies.items()},
    )
    for ratio, (meaning, value_of) in _RATIOS.items():
        yield from ratio_metrics(ratio, meaning, {name: value_of(found) for name, found in measured.items()})
    filled = {name: found.filled for name, found in measured.items()}
    yield _gauge("gata_data_filled_ratio", "Share of values that rows have, of optional columns too.", filled)
    for count, (meaning, count_of) in _COUNTS.items():
        yield _gauge(count, meaning, {name: count_of(tally) for name, tally in tallies.items()})


def ratio_metrics(name: str, meaning: str, values: Mapping[L, float | None]) -> Iterator[Metric]:
    """A ratio by both of its names."""
    yield _gauge(f"gata_data_{name}_ratio", meaning, values)
    percents = {labels: None if value is None else _PERCENT * value for labels, value in values.items()}
    yield _gauge(f"data_{name}_percent", f"{meaning} In percent.", percents)


def validity_metrics(tenant: str, table: str, rows: int, rejected: int) -> Iterator[Metric]:
    """The validity of rows of which nothing else is known."""
    return ratio_metrics("validity", _RATIOS["validity"][0], {(tenant, table): share_without(rejected, rows)})


def duration_metric(name: str, meaning: str, seconds: float) -> Metric:
    """A gauge without labels."""
    return _gauge(name, meaning, {(): seconds}, ())


def _gauge(name: str, meaning: str, values: Mapping[L, float | None], labels: tuple[str, ...] = LABELS) -> Metric:
    """A gauge; what is not known has no sample."""
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for label_values, value in values.items():
        if value is not None:
            family.add_metric(label_values, value)
    return family
