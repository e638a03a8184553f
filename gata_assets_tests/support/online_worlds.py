"""Slices of tickets for Redis, each known by its generation, and what a reader may see of them, in plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from redis import Redis

from gata_assets.lake.online.tickets import OnlineRules, OnlineTicket, OnlineTickets
from gata_assets.online import OnlineReader

TENANT = "acme"
START = datetime(2026, 1, 2, 3, tzinfo=UTC)
# Small blocks, so that few tickets take several; faults are tried again for long, within a moment.
SMALL = {"block_tickets": 10, "patience_seconds": 20.0}


def ticket(ticket_id: int, generation: int = 0, *, text: str = "") -> OnlineTicket:
    """A ticket, in a text of which is its generation; three of them each have the same instant."""
    at = START + timedelta(seconds=ticket_id // 3 % 10**6)
    document = {
        "id": ticket_id,
        "version_at": at.isoformat(),
        "created_at": START.isoformat(),
        "status": "open",
        "text": text or f"generation {generation}",
        "tags": ["ü", "b"],
    }
    return OnlineTicket(ticket_id, at.timestamp(), json.dumps(document, separators=(",", ":")).encode())


def slice_of(ids: Iterable[int], generation: int = 0, *, data_at: datetime | None = None) -> OnlineTickets:
    """The tickets of some ids, looked at a minute later with each generation."""
    tickets = [ticket(ticket_id, generation) for ticket_id in ids]
    at = data_at or START + timedelta(minutes=generation)
    return OnlineTickets(TENANT, at, f"digest {generation}", tickets)


def ids_of(generation: int) -> range:
    """The ids of a generation: other ones, and another number of them, than of the one before."""
    return range(generation * 3, generation * 3 + 23 + generation % 5)


def generation(number: int) -> OnlineTickets:
    """The slice of a generation."""
    return slice_of(ids_of(number), number)


def in_order(ids: Iterable[int]) -> list[int]:
    """The order of readers, put together without the package: by instant, then by id as a text, both descending."""
    return sorted(ids, key=lambda number: (number // 3, str(number)), reverse=True)


def generation_seen(documents: Sequence[bytes]) -> int:
    """The generation that all documents are of, if they are exactly its tickets in their order; fails otherwise."""
    rows = [json.loads(document) for document in documents]
    (text,) = {row["text"] for row in rows}
    number = int(text.removeprefix("generation "))
    assert [row["id"] for row in rows] == in_order(ids_of(number))
    return number


def read_generation(client: Redis | str) -> int:
    """The generation that a reader sees, all of which it reads."""
    reader = OnlineReader(client, TENANT, decode=bytes)
    version = reader.pinned()
    seen = generation_seen(list(version))
    ids = list(ids_of(seen))
    assert set(version.get_many(ids)) == set(ids)
    assert (version.count(), version.info.count, version.info.digest) == (len(ids), len(ids), f"digest {seen}")
    return seen


def keys_in(client: Redis) -> set[str]:
    """All keys."""
    return {key.decode() for key in client.execute_command("KEYS", "*")}


def keys_of(version: str, ids: Iterable[int]) -> set[str]:
    """The keys that there are when a version is published and nothing else is left, put together by hand."""
    start = "gata:{acme}:tickets"
    documents = {f"{start}:{version}:{number}" for number in ids}
    return {start, f"{start}:versions", f"{start}:{version}", f"{start}:{version}:info", *documents}


def rules(**chosen: object) -> OnlineRules:
    """Rules with small blocks."""
    return OnlineRules(**{**SMALL, **chosen})  # type: ignore[arg-type]
