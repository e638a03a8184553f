"""Metrics of quality as Prometheus reads them, and pushes of them.

Real: prometheus_client, HTTP on loopback. Faked: the gateway (`support.pushgateway`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gata_assets.curation.quality.exposition import (
    LABELS,
    QualityCollector,
    quality_metrics,
    registry_of,
    validity_metrics,
)
from gata_assets.curation.quality.measures import CuratedRows, QualityRules, Tally
from gata_assets.curation.quality.pushgateway import push
from gata_assets.curation.quality.reader import Reading
from gata_assets.curation.reports import RowFigures
from gata_assets_tests.support.loopback import free_port
from gata_assets_tests.support.pushgateway import pushgateway

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
TALLY = Tally(
    files=3,
    refused=1,
    rows=100,
    rejected=10,
    figured=50,
    figures=RowFigures(missing=20, unfilled=30, inconsistent=5),
    required=4,
    optional=2,
    landed_at=NOW - timedelta(hours=48),
    curated=CuratedRows(kept=60, repeated=20),
)
EXPECTED = {
    "gata_data_freshness_seconds": 172_800,
    "data_freshness_hours": 48,
    "gata_data_last_landed_timestamp_seconds": (NOW - timedelta(hours=48)).timestamp(),
    "gata_data_completeness_ratio": 0.9,
    "data_completeness_percent": 90,
    "gata_data_validity_ratio": 0.9,
    "data_validity_percent": 90,
    "gata_data_uniqueness_ratio": 0.75,
    "data_uniqueness_percent": 75,
    "gata_data_consistency_ratio": 0.9,
    "data_consistency_percent": 90,
    "gata_data_quality_score_ratio": 0.5,
    "data_quality_score_percent": 50,
    "gata_data_filled_ratio": 250 / 300,
    "gata_data_recent_files": 3,
    "gata_data_recent_refused_files": 1,
    "gata_data_recent_rows": 100,
    "gata_data_recent_rejected_rows": 10,
}
AGES = ("gata_data_freshness_seconds", "data_freshness_hours")


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """The samples by name and the values of labels."""
    return {
        (sample.name, tuple(sample.labels[label] for label in LABELS if label in sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_each_measure_has_the_earlier_name_and_one_in_base_units() -> None:
    registry = registry_of(quality_metrics({("acme", "items"): TALLY}, QualityRules(), NOW))
    found = samples(generate_latest(registry).decode())
    assert found == pytest.approx({(name, ("acme", "items")): value for name, value in EXPECTED.items()})
    [family] = [
        family
        for family in quality_metrics({("acme", "items"): TALLY}, QualityRules(), NOW)
        if family.name == "data_freshness_hours"
    ]
    assert family.samples[0].labels == {"tenant_id": "acme", "data_type": "items"}


def test_what_is_not_known_has_no_sample() -> None:
    found = registry_of(quality_metrics({("acme", "items"): Tally(files=1, refused=1)}, QualityRules(), NOW))
    names = {name for name, _ in samples(generate_latest(found).decode())}
    assert names == {name for name in EXPECTED if "recent" in name}


def test_what_is_pushed_has_no_age_which_would_stand_still() -> None:
    found = quality_metrics({("acme", "items"): TALLY}, QualityRules(), NOW, with_ages=False)
    assert {family.name for family in found} == EXPECTED.keys() - set(AGES)


def test_a_collector_shows_the_reading_and_the_time_of_each_scrape() -> None:
    clock = [NOW]
    reading = [Reading()]
    registry = registry_of([])
    registry.register(QualityCollector(lambda: reading[0], QualityRules(), lambda: clock[0]))
    assert samples(generate_latest(registry).decode()) == {
        ("gata_quality_tenants_left_out", ()): 0,
        ("gata_quality_read_failures_total", ()): 0,
    }
    reading[0] = Reading({("acme", "items"): TALLY}, NOW, left_out=2, failures=3)
    clock[0] += timedelta(hours=1)
    found = samples(generate_latest(registry).decode())
    assert found["data_freshness_hours", ("acme", "items")] == 49
    assert found["gata_quality_read_timestamp_seconds", ()] == NOW.timestamp()
    assert (found["gata_quality_tenants_left_out", ()], found["gata_quality_read_failures_total", ()]) == (2, 3)


@pytest.mark.server
def test_a_push_replaces_the_metrics_of_its_group() -> None:
    with pushgateway() as gateway:
        for rejected in (1, 5):
            metrics = validity_metrics("acme", "items", 10, rejected)
            assert push(gateway.url, "a_job", {"tenant_id": "acme"}, metrics) is None
        assert list(gateway.pushed) == ["/metrics/job/a_job/tenant_id/acme"]
        assert gateway.samples("/metrics/job/a_job/tenant_id/acme") == {
            "gata_data_validity_ratio": 0.5,
            "data_validity_percent": 50,
        }


@pytest.mark.server
def test_a_push_that_fails_is_a_reason_without_the_url() -> None:
    with pushgateway() as gateway:
        gateway.status = 503
        assert push(gateway.url, "a_job", {}, iter(())) == (
            "Metrics were not pushed to PROMETHEUS_PUSHGATEWAY_URL: HTTPError 503. Look whether it answers."
        )
    url = f"http://127.0.0.1:{free_port()}"
    reason = push(url, "a_job", {}, iter(()))
    assert reason == "Metrics were not pushed to PROMETHEUS_PUSHGATEWAY_URL: URLError. Look whether it answers."
