"""The report of a failed run, for people and machines: JSON, within the size limit of a topic.

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
    listed = [{**failure, "reason": _cut(str(failure["reason"]), _MOST_REASON_CHARACTERS)} for failure in failures]
    content = {"event": "RUN_FAILED", "run_id": run_id, "job": job, "failed_at": failed_at, "batches": len(batches)}
    size, most = 1_000, 0
    for failure in listed:
        size += len(json.dumps(failure, indent=2).encode()) + 100
        if size > MOST_BODY_BYTES:
            break
        most += 1
    content |= {"failures": listed[:most], "not_listed": len(listed) - most}
    return Alert(_cut(subject, MOST_SUBJECT_CHARACTERS), json.dumps(content, indent=2))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
