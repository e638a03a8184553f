"""The reports of runs that failed, or whose data has a low score, for people and machines: JSON of at most the size
that a topic takes.

Failures are plain values; how a report is sent, and to whom, does not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# SNS takes 100 characters of ASCII, and 256 KiB in all; subject and attributes need a little room.
MOST_SUBJECT_CHARACTERS = 100
MOST_BODY_BYTES = 250_000
_MOST_REASON_CHARACTERS = 2_000


@dataclass(frozen=True)
class Alert:
    """A message: a subject of at most 100 ASCII characters, and JSON."""

    subject: str
    body: str


def compose_alert(*, run_id: str, job: str, failed_at: str, failures: Sequence[Mapping[str, object]]) -> Alert:
    """One alert for one failed run.

    `failures` have the fields of `failures.BatchFailure`. Long texts are visibly truncated: reasons at 2,000
    characters, the list where the body would exceed 250,000 bytes (`not_listed` counts the rest).
    """
    batches = sorted({str(failure["batch_id"]) for failure in failures})
    which = f"batch {batches[0]}" if len(batches) == 1 else f"{len(batches)} batches"
    assets = sorted({str(failure["asset"]) for failure in failures})
    subject = f"Failed: {which}, {', '.join(assets)}".encode("ascii", "replace").decode()
    content = {"event": "RUN_FAILED", "run_id": run_id, "job": job, "failed_at": failed_at, "batches": len(batches)}
    return _alert(subject, content, "failures", failures)


def compose_quality_alert(*, run_id: str, job: str, ended_at: str, partitions: Sequence[Mapping[str, object]]) -> Alert:
    """One alert for the curated partitions of one run whose score is too low, each with its asset and a reason; within
    the same limits.
    """
    assets = ", ".join(sorted({str(partition["asset"]) for partition in partitions}))
    which = f"{len(partitions)} partitions" if len(partitions) > 1 else "1 partition"
    subject = f"Low quality: {which} of {assets}".encode("ascii", "replace").decode()
    content: dict[str, object] = {"event": "QUALITY_LOW", "run_id": run_id, "job": job, "ended_at": ended_at}
    return _alert(subject, content, "partitions", partitions)


def _alert(subject: str, content: Mapping[str, object], name: str, entries: Sequence[Mapping[str, object]]) -> Alert:
    """An alert with as many of the entries as there is room for."""
    listed = [{**entry, "reason": _cut(str(entry["reason"]), _MOST_REASON_CHARACTERS)} for entry in entries]
    size, most = 1_000, 0
    for entry in listed:
        size += len(json.dumps(entry, indent=2).encode()) + 100
        if size > MOST_BODY_BYTES:
            break
        most += 1
    body = {**content, name: listed[:most], "not_listed": len(listed) - most}
    return Alert(_cut(subject, MOST_SUBJECT_CHARACTERS), json.dumps(body, indent=2))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
