"""A census of closed tickets: their number per day, and a fingerprint of the columns that batches use.

The fingerprint's definition in Python; `tickets.sources.sql` has the same in PostgreSQL, and the contract tests of
the ticket sources compare both. Taking a census does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import md5

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class DayCensus:
    """A day's (days since 1970, UTC) number of closed training tickets, and their fingerprint."""

    day: int
    tickets: int
    fingerprint: str


def ticket_hash(ticket_id: object, closed: object, label: object, text: object) -> int:
    """60 bits of the MD5 of `id closed label text` in UTF-8; a null value is omitted together with its space.

    A day's fingerprint is the sum over its tickets, independent of their order. MD5 because PostgreSQL has it; nothing
    here depends on its security.
    """
    given = [value for value in (ticket_id, closed, label, text) if value is not None]
    line = b" ".join(value if isinstance(value, bytes) else str(value).encode() for value in given)
    return int(md5(line, usedforsecurity=False).hexdigest()[:15], 16)
