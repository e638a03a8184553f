"""Metrics of processed events for CloudWatch, as log lines in its embedded metric format.

Pure. The specification: AWS, "Specification: Embedded metric format"; CloudWatch reads the metrics off the log, and no
call is made for them. Prometheus has the same numbers in `prometheus`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

NAMESPACE = "Gata/Shop"
_MINUTE_SECONDS = 60
_PERCENT = 100.0
# For a table, and for alarms: an alarm cannot add up a metric over tables.
_DIMENSIONS = (("source", "table", "stage"), ("stage",))
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

# Each metric with its unit; CloudWatch has no unit for counts a minute.
UNITS = {
    "Events": "Count",
    "FailedEvents": "Count",
    "Records": "Count",
    "RejectedRecords": "Count",
    "DuplicateRecords": "Count",
    "QuarantinedRecords": "Count",
    "RecordsPerMinute": "None",
    "ValidationFailureRate": "Percent",
    "DeduplicationRate": "Percent",
    "ErrorRate": "Percent",
    "ProcessingDuration": "Seconds",
}


@dataclass(frozen=True)
class Measured:
    """What is measured of one event."""

    source: str
    table: str
    stage: str
    at: datetime
    seconds: float
    has_failed: bool
    rows: int
    rejected: int
    duplicates: int
    quarantined: int

    @property
    def values(self) -> dict[str, float]:
        """The metrics by name. Those about rows are missing where no row was read, and after a failure."""
        found: dict[str, float] = {
            "Events": 1,
            "FailedEvents": int(self.has_failed),
            "ErrorRate": _PERCENT * self.has_failed,
            "ProcessingDuration": round(self.seconds, 3),
        }
        if self.has_failed:
            return found
        found |= {"Records": self.rows, "RejectedRecords": self.rejected, "DuplicateRecords": self.duplicates}
        found["QuarantinedRecords"] = self.quarantined
        if self.rows:
            found["ValidationFailureRate"] = _PERCENT * self.rejected / self.rows
            found["DeduplicationRate"] = _PERCENT * self.duplicates / self.rows
        if self.rows and self.seconds > 0:
            found["RecordsPerMinute"] = round(self.rows * _MINUTE_SECONDS / self.seconds, 1)
        return found


def embedded_metrics(measured: Measured) -> dict[str, object]:
    """The log line of an event, as an object of JSON that must be a line of its own."""
    values = measured.values
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(names) for names in _DIMENSIONS],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in UNITS.items() if name in values],
    }
    return {
        "_aws": {
            "Timestamp": (measured.at - _EPOCH) // timedelta(milliseconds=1),
            "CloudWatchMetrics": [directive],
        },
        "source": measured.source,
        "table": measured.table,
        "stage": measured.stage,
        **values,
    }
