"""Pushes metrics of jobs to a Prometheus Pushgateway: of what ends before anybody scrapes it.

A push that fails is a text to log, never an error: what the job did is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.client import HTTPException

from prometheus_client.core import Metric
from prometheus_client.exposition import push_to_gateway

from gata_assets.curation.quality.exposition import registry_of

_PATIENCE_SECONDS = 5.0


def push(url: str, job: str, group: Mapping[str, str], metrics: Iterator[Metric]) -> str | None:
    """Replace the metrics of a group of a job; the reason if that failed, None if it did not."""
    try:
        push_to_gateway(url, job, registry_of(metrics), grouping_key=dict(group), timeout=_PATIENCE_SECONDS)
    except (OSError, HTTPException, ValueError) as error:
        code = getattr(error, "code", None)
        shown = f"{type(error).__name__}{f' {code}' if code else ''}"
        return f"Metrics were not pushed to PROMETHEUS_PUSHGATEWAY_URL: {shown}. Look whether it answers."
    return None
