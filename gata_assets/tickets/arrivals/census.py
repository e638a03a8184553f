"""A census of closed tickets: how many a day, and a fingerprint of all that is prepared from them.

The one definition of the fingerprint in Python; `resources.ticket_source` has the same in PostgreSQL's words, and the
contract of the ticket sources holds them against each other. Taking a census does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import md5

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class DayCensus:
    """One day (days since 1970, UTC) on which tickets that train were closed: how many, and their fingerprint."""

    day: int
    tickets: int
    fingerprint: str


def ticket_hash(ticket_id: object, closed: object, label: object, text: object) -> int:
    """60 bits of the MD5 of `id closed label text`, in UTF-8; what is missing is left out, with its space.

    The sum over a day's tickets is its fingerprint, whatever their order. MD5 is no secret's guard here: it is what
    PostgreSQL has.
    """
    given = [value for value in (ticket_id, closed, label, text) if value is not None]
    line = b" ".join(value if isinstance(value, bytes) else str(value).encode() for value in given)
    return int(md5(line, usedforsecurity=False).hexdigest()[:15], 16)
