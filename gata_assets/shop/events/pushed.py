"""Metrics of a processed event for a Pushgateway: gauges only, since a gateway adds nothing up.

What counts events is in the file of `--metrics-file`, which is added to; the names are those of `prometheus`.
"""

from __future__ import annotations

from prometheus_client.core import GaugeMetricFamily, Metric

from gata_assets.curation.quality.exposition import validity_metrics
from gata_assets.curation.quality.pushgateway import push
from gata_assets.shop.events.metrics import Measured
from gata_assets.shop.events.prometheus import METRICS, series_of

JOB = "gata_shop"


def push_measured(url: str, measured: Measured) -> str | None:
    """Push how the last event of a source, table and stage went; the reason if that failed."""
    found: list[Metric] = []
    values = series_of(measured)
    for metric in METRICS:
        for (name, labels), value in values.items():
            if name == metric.name and metric.kind == "gauge":
                family = GaugeMetricFamily(name, metric.meaning, labels=[label for label, _ in labels])
                family.add_metric([text for _, text in labels], value)
                found.append(family)
    if not measured.has_failed:
        found += validity_metrics(measured.source, measured.table, measured.rows, measured.rejected)
    group = {"tenant_id": measured.source, "data_type": measured.table, "stage": measured.stage}
    return push(url, JOB, group, iter(found))
