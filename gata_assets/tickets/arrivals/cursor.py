"""What the sensor of new tickets keeps between its looks, as JSON: small, versioned, and read with suspicion.

`arrivals` says what the parts mean for a decision; here is only how they are written and read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gata_assets.batches import parse_batch_id
from gata_assets.errors import BatchIdError
from gata_assets.tickets.arrivals.census import DayCensus

VERSION = 1


@dataclass(frozen=True)
class Seen:
    """The table at the last look that succeeded (`at`, epoch seconds), from the day `first_day` on.

    `days`: tickets and mark by day. `pending`: for every batch that is known, the changes since it was asked for.
    `asked`: the digest of what a batch was last asked for with. `unasked`: the changes since a newest batch was last
    asked for. `askings`: grows by one with every asking; it starts with the instant of the first look, so that it
    does not come back when a cursor is thrown away.
    """

    at: int
    first_day: int
    askings: int
    unasked: int
    pending: Mapping[str, int]
    asked: Mapping[str, str]
    days: Mapping[int, tuple[int, str]]


@dataclass(frozen=True)
class Cursor:
    """When the table was last looked at, with or without success, and what was seen of it when it could be read.

    `fault` says of a cursor that was there and could not be used why it could not.
    """

    looked_at: int | None = None
    seen: Seen | None = None
    fault: str = ""


def mark_of(day: DayCensus) -> str:
    """A short digest of a day's fingerprint: the cursor is written with every tick, for hundreds of days."""
    return sha256(day.fingerprint.encode()).hexdigest()[:8]


def write_cursor(cursor: Cursor) -> str:
    """The cursor as JSON; days are one string, `day:tickets:mark`, where a day that follows on is left out."""
    content: dict[str, Any] = {"version": VERSION, "looked_at": cursor.looked_at}
    if seen := cursor.seen:
        words = []
        for day, (tickets, mark) in sorted(seen.days.items()):
            words.append(f"{'' if day - 1 in seen.days else day}:{tickets}:{mark}")
        content |= {"at": seen.at, "first_day": seen.first_day, "askings": seen.askings, "unasked": seen.unasked}
        content |= {"pending": dict(sorted(seen.pending.items())), "asked": dict(sorted(seen.asked.items()))}
        content["days"] = " ".join(words)
    return json.dumps(content, separators=(",", ":"))


def read_cursor(text: str | None) -> Cursor:
    """The cursor that was written; an empty one, with its fault, for what is damaged or of another version."""
    if not text:
        return Cursor()
    try:
        content = json.loads(text)
        if content["version"] != VERSION:
            return Cursor(fault=f"The cursor is of another version than {VERSION}")
        seen = _read_seen(content) if "days" in content else None
        looked_at = content["looked_at"]
        return Cursor(None if looked_at is None else int(looked_at), seen)
    except (KeyError, TypeError, ValueError, AttributeError, BatchIdError):
        return Cursor(fault="The cursor is damaged")


def _read_seen(content: Mapping[str, Any]) -> Seen:
    days: dict[int, tuple[int, str]] = {}
    last = 0
    for word in content["days"].split():
        day, tickets, mark = word.split(":")
        last = int(day) if day else last + 1
        days[last] = (int(tickets), mark)
    pending = {parse_batch_id(batch_id).batch_id: int(count) for batch_id, count in content["pending"].items()}
    at, first_day, askings, unasked = (int(content[name]) for name in ("at", "first_day", "askings", "unasked"))
    asked = {str(batch_id): str(digest) for batch_id, digest in content["asked"].items()}
    return Seen(at, first_day, askings, unasked, pending, asked, days)
