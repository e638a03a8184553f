"""What a publisher is given: the tickets of a tenant as JSON, and the rules of the slice. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from gata_assets.online.info import DocumentFormat


class OnlineTicket(NamedTuple):
    """A ticket of the slice.

    Attributes:
        id: of the ticket.
        version_at: of its newest version, in seconds since 1970.
        document: the ticket as JSON.
    """

    id: int
    version_at: float
    document: bytes


@dataclass(frozen=True)
class OnlineTickets:
    """The newest tickets of a tenant, in any order, each once.

    Attributes:
        tenant: whose.
        data_at: when the lake was looked at: a publisher never replaces the version of a later one.
        digest: of the manifest that they are read from; the same digest with the same rules means the same tickets.
        tickets: read once, a block at a time.
    """

    tenant: str
    data_at: datetime
    digest: str
    tickets: Iterable[OnlineTicket] = field(repr=False)


@dataclass(frozen=True)
class OnlineRules:
    """How a slice is published.

    Attributes:
        prefix: of all keys.
        limit: how many tickets a version has at most.
        statuses: of its tickets, chosen by who gives them; empty for any.
        ttl_hours: after which a version that nobody renews is forgotten.
        format: how tickets are stored.
        block_tickets: in a transaction, at most.
        block_bytes: in a transaction, at most; a single larger ticket is sent by itself.
        patience_seconds: for how long a command that is not answered is tried again.
        abandoned_minutes: after which a version whose publisher writes nothing more is removed.
    """

    prefix: str = "gata"
    limit: int = 10_000
    statuses: tuple[str, ...] = ()
    ttl_hours: float = 72
    format: DocumentFormat = DocumentFormat.STRINGS
    block_tickets: int = 1_000
    block_bytes: int = 1_000_000
    patience_seconds: float = 60
    abandoned_minutes: float = 15


def newest_first(tickets: Iterable[OnlineTicket]) -> list[OnlineTicket]:
    """Tickets in the order of Redis: by instant, those of one instant by id as a text, both descending."""
    return sorted(tickets, key=lambda ticket: (ticket.version_at, str(ticket.id).encode()), reverse=True)
