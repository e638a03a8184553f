"""One version of a tenant's tickets, read to the end as it is: what a publisher writes meanwhile changes nothing of it.

Every reply is of one transaction, which also sees whether the version is still there; so a ticket that is missing is
never confused with one that was removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import ValidationError
from redis import Redis

from gata_assets.errors import OnlineError, VersionGoneError
from gata_assets.online.connection import in_words, pairs, send, text
from gata_assets.online.info import DocumentFormat, VersionInfo
from gata_assets.online.keys import OnlineKeys

T = TypeVar("T")
# In a reply: some megabytes of tickets at most.
_BLOCK = 500
_IDS_BLOCK = 10_000


class OnlineVersion(Generic[T]):
    """A version that stays the same however long it is read.

    Once another version is published, this one is removed: every method then raises VersionGoneError, as it does after
    the version expired. No method gives a part of it.
    """

    def __init__(self, client: Redis, keys: OnlineKeys, version: str, decode: Callable[[bytes], T]) -> None:
        self._client, self._keys, self._decode = client, keys, decode
        self.name = version
        (fields,) = self._ask([("HGETALL", keys.info(version))])
        self._info = VersionInfo.from_fields(version, pairs(fields))

    @property
    def info(self) -> VersionInfo:
        """What this version is."""
        return self._info

    def get(self, ticket_id: int) -> T | None:
        """A ticket, or None where the version does not have it."""
        (document,) = self._documents([ticket_id])
        return None if document is None else self._decoded(document)

    def get_many(self, ticket_ids: Iterable[int]) -> dict[int, T]:
        """Tickets by id, without those that the version does not have."""
        found: dict[int, T] = {}
        ids = list(dict.fromkeys(ticket_ids))
        for start in range(0, len(ids), _BLOCK):
            block = ids[start : start + _BLOCK]
            for ticket_id, document in zip(block, self._documents(block), strict=True):
                if document is not None:
                    found[ticket_id] = self._decoded(document)
        return found

    def newest(self, n: int = 20, offset: int = 0) -> list[T]:
        """`n` tickets, newest first, after the `offset` newest; raises ValueError for a negative number."""
        if n < 0 or offset < 0:
            raise ValueError("n and offset are not negative")
        return [ticket for block in self._blocks(offset, offset + n) for ticket in block]

    def count(self) -> int:
        """How many tickets the version has."""
        (count,) = self._ask([("ZCARD", self._keys.ids(self.name))])
        return int(count)

    def listed(self) -> list[tuple[int, float]]:
        """The ids of all tickets with their instants in seconds since 1970, newest first."""
        found: list[tuple[int, float]] = []
        for first in range(0, self.count(), _IDS_BLOCK):
            command = ("ZREVRANGE", self._keys.ids(self.name), first, first + _IDS_BLOCK - 1, "WITHSCORES")
            (block,) = self._ask([command])
            found += [(int(ticket_id), float(instant)) for ticket_id, instant in pairs(block).items()]
        return found

    def __iter__(self) -> Iterator[T]:
        """All tickets, newest first, read in blocks."""
        for block in self._blocks(0, self._info.count):
            yield from block

    def _blocks(self, start: int, end: int) -> Iterator[list[T]]:
        for first in range(start, end, _BLOCK):
            last = min(first + _BLOCK, end) - 1
            (ids,) = self._ask([("ZREVRANGE", self._keys.ids(self.name), first, last)])
            if not ids:
                return
            documents = self._documents([text(ticket_id) for ticket_id in ids])
            if missing := documents.count(None):
                raise OnlineError(
                    f"{missing:,} tickets of version {self.name} are missing in Redis though it lists them: they were "
                    "evicted or deleted. Use the policy noeviction, and publish again."
                )
            yield [self._decoded(document) for document in documents if document is not None]

    def _documents(self, ids: Sequence[int | str]) -> list[bytes | None]:
        keys = self._keys.documents(self.name, ids)
        is_module = self._info.format is DocumentFormat.MODULE
        (found,) = self._ask([("JSON.MGET", *keys, ".") if is_module else ("MGET", *keys)])
        return [_as_json(document) for document in found]

    def _ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The replies to commands, if the version was there while all were carried out."""
        with in_words(self._client), self._client.pipeline(transaction=True) as pipe:
            send(pipe, "EXISTS", self._keys.info(self.name))
            for command in commands:
                send(pipe, *command)
            exists, *replies = pipe.execute()
        if not exists:
            raise VersionGoneError(
                f"Version {self.name} of the tickets of {self._keys.tenant} is no longer in Redis: a newer one was "
                "published, or it expired. Begin again with the version that is published now."
            )
        return replies

    def _decoded(self, document: bytes) -> T:
        try:
            return self._decode(document)
        except ValueError as error:
            # What libraries say repeats values: fields and kinds of faults alone.
            found = error.errors() if isinstance(error, ValidationError) else ()
            why = ": " * bool(found) + ", ".join(f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in found)
            raise OnlineError(f"A ticket of version {self.name} is not as it is read here{why}.") from None


def _as_json(reply: Any) -> bytes | None:
    """A document as JSON, whatever a client of an application makes of replies."""
    if reply is None or isinstance(reply, bytes):
        return reply
    return reply.encode() if isinstance(reply, str) else msgspec.json.encode(reply)
