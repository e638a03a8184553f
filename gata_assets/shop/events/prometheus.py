"""Metrics of processed events for Prometheus, as the text of a textfile collector.

Pure. Base units, `_total` for what only grows, and one name for a meaning, as promtool checks. A process processes one
event and ends: so what was counted before is read from the text that it left, and added to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gata_assets.shop.events.metrics import Measured

Labels = tuple[tuple[str, str], ...]
Series = dict[tuple[str, Labels], float]


@dataclass(frozen=True)
class Metric:
    """A metric's name, type (`counter` adds, `gauge` replaces) and meaning."""

    name: str
    kind: str
    meaning: str


EVENTS = Metric("gata_shop_events_total", "counter", "Events that were processed, or failed for good.")
FAILED = Metric("gata_shop_failed_events_total", "counter", "Events that failed for good.")
RECORDS = Metric("gata_shop_records_total", "counter", "Rows that were read.")
REJECTED = Metric("gata_shop_rejected_records_total", "counter", "Rows that broke a rule.")
DUPLICATES = Metric("gata_shop_duplicate_records_total", "counter", "Rows that another row supersedes.")
QUARANTINED = Metric("gata_shop_quarantined_records_total", "counter", "Curated rows that were quarantined.")
SECONDS = Metric("gata_shop_processing_seconds_total", "counter", "Time that processing took.")
LAST_SECONDS = Metric("gata_shop_last_processing_duration_seconds", "gauge", "Time that the last event took.")
LAST_AT = Metric("gata_shop_last_event_timestamp_seconds", "gauge", "When the last event ended, in Unix time.")
QUEUED = Metric("gata_shop_dead_letters_total", "counter", "Events that were put into the dead-letter queue.")
REPLAYED = Metric("gata_shop_replayed_dead_letters_total", "counter", "Dead letters that a replay processed.")
METRICS = (EVENTS, FAILED, RECORDS, REJECTED, DUPLICATES, QUARANTINED, SECONDS, LAST_SECONDS, LAST_AT, QUEUED, REPLAYED)

_BY_NAME = {metric.name: metric for metric in METRICS}
_LINE = re.compile(r"(?P<name>[a-z_:][a-z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>[0-9.e+\-]+)")
_LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\.)*)"')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
_UNESCAPES = {escape: char for char, escape in _ESCAPES.items()}


def series_of(measured: Measured) -> Series:
    """The samples of one event."""
    labels: Labels = (("source", measured.source), ("stage", measured.stage), ("table", measured.table))
    values = {
        EVENTS: 1,
        FAILED: int(measured.has_failed),
        RECORDS: measured.rows,
        REJECTED: measured.rejected,
        DUPLICATES: measured.duplicates,
        QUARANTINED: measured.quarantined,
        SECONDS: measured.seconds,
        LAST_SECONDS: measured.seconds,
        LAST_AT: measured.at.timestamp(),
    }
    return {(metric.name, labels): value for metric, value in values.items()}


def series_of_letters(*, queued: int = 0, replayed: int = 0) -> Series:
    """The samples of the dead-letter queue; both from the beginning on, so that their difference is known."""
    return {(QUEUED.name, ()): queued, (REPLAYED.name, ()): replayed}


def add_series(text: str, series: Sequence[Series]) -> str:
    """The text of a file after more samples: counters are added, gauges replaced. Lines that are not ours are lost."""
    found = read_series(text)
    for samples in series:
        for key, value in samples.items():
            is_counter = _BY_NAME[key[0]].kind == "counter"
            found[key] = found.get(key, 0.0) + value if is_counter else value
    return write_series(found)


def read_series(text: str) -> Series:
    """The samples in a text that `write_series` wrote; other lines are left out."""
    found: Series = {}
    for line in text.split("\n"):
        match = _LINE.fullmatch(line)
        if match and match["name"] in _BY_NAME:
            labels = tuple((name, _unescape(value)) for name, value in _LABEL.findall(match["labels"] or ""))
            found[match["name"], labels] = float(match["value"])
    return found


def write_series(series: Mapping[tuple[str, Labels], float]) -> str:
    """Samples in Prometheus's text format, sorted, each metric with its meaning and type."""
    lines: list[str] = []
    for metric in METRICS:
        samples = sorted((labels, value) for (name, labels), value in series.items() if name == metric.name)
        if samples:
            lines += [f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{metric.name}{_written(labels)} {value:.17g}" for labels, value in samples]
    return "".join(f"{line}\n" for line in lines)


def _written(labels: Labels) -> str:
    if not labels:
        return ""
    texts = (f'{name}="{"".join(_ESCAPES.get(char, char) for char in value)}"' for name, value in labels)
    return f"{{{','.join(texts)}}}"


def _unescape(value: str) -> str:
    return re.sub(r"\\.", lambda found: _UNESCAPES.get(found[0], found[0]), value)
