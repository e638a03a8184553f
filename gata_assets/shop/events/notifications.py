"""What people are notified of: invalid data, to the data engineers; events that failed for good, to operations.

Only the texts, as alerts for the channels of `orchestration/alerting`: counts, rules and classes of errors, no rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from gata_assets.orchestration.alerting.channels import LoggedAlerts, SnsAlerts
from gata_assets.orchestration.alerting.message import MOST_SUBJECT_CHARACTERS, Alert
from gata_assets.shop.events.shown import Subject
from gata_assets.shop.events.stages import StageOutcome

DATA_TOPIC, OPERATIONS_TOPIC = "SHOP_DATA_TOPIC_ARN", "SHOP_OPERATIONS_TOPIC_ARN"


class Channel(Protocol):
    """Somewhere that alerts are sent to."""

    def send(self, alert: Alert) -> None:
        """Send one alert; raises AlertError when it was not accepted."""


def open_channel(topic_arn: str | None, setting: str) -> Channel:
    """The topic that a setting names, or the log while it is unset."""
    if topic_arn:
        return SnsAlerts(topic_arn=topic_arn, setting=setting)
    return LoggedAlerts(level="WARNING" if setting == DATA_TOPIC else "ERROR")


def invalid_data(subject: Subject, source: str, table: str, outcome: StageOutcome) -> Alert:
    """Rows of an object were rejected, or all of it was refused, or rows were quarantined."""
    found = ["refused"] if outcome.is_refused else []
    found += [f"{outcome.rejected:,} of {outcome.rows:,} rows rejected"] if outcome.rejected else []
    found += [f"{quarantined:,} rows quarantined"] if (quarantined := sum(outcome.quarantined.values())) else []
    return _alert(
        f"Invalid data: {source} {table}, {', '.join(found)}",
        {
            "event": "DATA_INVALID",
            **subject.as_fields(),
            "source": source,
            "table": table,
            "rows": outcome.rows,
            "rejected": outcome.rejected,
            "rejected_by_rule": outcome.counts_by_rule,
            "quarantined": dict(outcome.quarantined),
            "is_refused": outcome.is_refused,
        },
    )


def failed_event(subject: Subject, *, tries: int, error: str, reason: str, is_queued: bool) -> Alert:
    """An event failed for good; `is_queued` if it is in the dead-letter queue."""
    where = "in the dead-letter queue" if is_queued else "NOT in the dead-letter queue"
    return _alert(
        f"Failed: {subject.stage}, {error}, {where}",
        {
            "event": "EVENT_FAILED",
            **subject.as_fields(),
            "tries": tries,
            "error": error,
            "reason": reason,
            "is_queued": is_queued,
        },
    )


def _alert(subject: str, content: Mapping[str, object]) -> Alert:
    ascii_only = subject.encode("ascii", "replace").decode()
    return Alert(ascii_only[:MOST_SUBJECT_CHARACTERS], json.dumps(content, indent=2))
