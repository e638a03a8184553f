"""The cursor of the sensor of new tickets: small, versioned JSON, validated when it is read.

Only serialization belongs here; `decision` defines how the fields are used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gata_assets.batches import parse_batch_id
from gata_assets.errors import BatchIdError
from gata_assets.ticket_contract.census import DayCensus

VERSION = 1
# The snapshot's numbers, by their names in the stored cursor.
_NUMBERS = {"at": "taken_at", "first_day": "first_day", "askings": "request_count", "unasked": "unrequested"}


@dataclass(frozen=True)
class Snapshot:
    """The ticket table at the last successful poll (`taken_at`, epoch seconds), from the day `first_day` on.

    `days`: tickets and mark by day. `pending`: by known batch, the changes since it was last requested. `requested`: by
    batch, the digest of the content it was last requested with. `unrequested`: the changes since a newest batch was
    last requested. `request_count` increases with every request; it starts at the first poll's epoch seconds, so that
    a number is never reused when a cursor is discarded.
    """

    taken_at: int
    first_day: int
    request_count: int
    unrequested: int
    pending: Mapping[str, int]
    requested: Mapping[str, str]
    days: Mapping[int, tuple[int, str]]


@dataclass(frozen=True)
class Cursor:
    """The last poll's epoch seconds, successful or not, and the snapshot of the last successful poll.

    `fault` is the reason why a stored cursor could not be used.
    """

    polled_at: int | None = None
    snapshot: Snapshot | None = None
    fault: str = ""


def mark_of(day: DayCensus) -> str:
    """A short digest of a day's fingerprint, since the cursor has hundreds of days and is written every tick."""
    return sha256(day.fingerprint.encode()).hexdigest()[:8]


def write_cursor(cursor: Cursor) -> str:
    """Format the cursor as JSON; days are a string of `day:tickets:mark`, `day` omitted if it is the next one."""
    content: dict[str, Any] = {"version": VERSION, "looked_at": cursor.polled_at}
    if snapshot := cursor.snapshot:
        words = []
        for day, (tickets, mark) in sorted(snapshot.days.items()):
            words.append(f"{'' if day - 1 in snapshot.days else day}:{tickets}:{mark}")
        content |= {
            **{name: getattr(snapshot, number) for name, number in _NUMBERS.items()},
            "pending": dict(sorted(snapshot.pending.items())),
            "asked": dict(sorted(snapshot.requested.items())),
            "days": " ".join(words),
        }
    return json.dumps(content, separators=(",", ":"))


def read_cursor(text: str | None) -> Cursor:
    """Parse a cursor; an empty one with its fault if it is damaged or has another version."""
    if not text:
        return Cursor()
    try:
        content = json.loads(text)
        if content["version"] != VERSION:
            return Cursor(fault=f"The cursor's version is not {VERSION}")
        snapshot = _read_snapshot(content) if "days" in content else None
        polled_at = content["looked_at"]
        return Cursor(None if polled_at is None else int(polled_at), snapshot)
    except (KeyError, TypeError, ValueError, AttributeError, BatchIdError):
        return Cursor(fault="The cursor is damaged")


def _read_snapshot(content: Mapping[str, Any]) -> Snapshot:
    days: dict[int, tuple[int, str]] = {}
    last = 0
    for word in content["days"].split():
        day, tickets, mark = word.split(":")
        last = int(day) if day else last + 1
        days[last] = (int(tickets), mark)
    return Snapshot(
        **{number: int(content[name]) for name, number in _NUMBERS.items()},
        pending={parse_batch_id(batch_id).batch_id: int(count) for batch_id, count in content["pending"].items()},
        requested={str(batch_id): str(digest) for batch_id, digest in content["asked"].items()},
        days=days,
    )
