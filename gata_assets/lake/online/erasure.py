"""The tickets in Redis as a place of people's data: removed there, exported, and searched.

A slice is published again once the lake has no ticket of theirs: readers see the version before or this one, and older
ones are removed. Redis being away is an error, and never an empty Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from redis import Redis

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import NotPublishedError, OutrunError
from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.governance.privacy.searching import Search, Searched
from gata_assets.lake.offline.rules import OfflineRules
from gata_assets.lake.online.publisher import publish_to
from gata_assets.lake.online.slice import with_slice
from gata_assets.lake.online.tickets import OnlineRules
from gata_assets.lake.tables import TICKETS
from gata_assets.online.connection import in_words, open_client, send, text
from gata_assets.online.keys import OnlineKeys
from gata_assets.online.reader import OnlineReader
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader

_KEYS_AT_ONCE, _VALUES_AT_ONCE = 100, 1_000
# The types of keys in Redis, with what reads them: many keys at once, a key in parts, a key at once.
_OF_TICKETS: dict[str, tuple[str, tuple[str, ...]]] = {"string": ("MGET", ()), "ReJSON-RL": ("JSON.MGET", (".",))}
_IN_PARTS = {"hash": "HSCAN", "set": "SSCAN", "zset": "ZSCAN"}
_AT_ONCE = {"list": ("LRANGE", ("0", "-1")), "stream": ("XRANGE", ("-", "+"))}


class _Named(msgspec.Struct):
    """Who asked, of a ticket."""

    requester: str | None = None


@dataclass(frozen=True)
class OnlinePlace:
    """The tickets of tenants in one Redis: a place, and a haystack.

    Attributes:
        store: the target, with the lakes.
        url: of the Redis.
        rules: of slices.
        offline: what stands for people in tickets.
        tombstones: reads who was erased.
        timeout_seconds: for how long Redis may be silent.
        clock: the present instant in UTC.
    """

    store: ObjectStore
    url: str = field(repr=False)
    rules: OnlineRules
    offline: OfflineRules
    tombstones: TombstoneReader
    timeout_seconds: float
    clock: Callable[[], datetime]
    name: ClassVar[str] = "tickets in Redis"

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator; raises OnlineError too."""
        keys = OnlineKeys(erasure.tenant, self.rules.prefix)
        with self._open(keys) as client, in_words(client):
            if not send(client, "EXISTS", keys.pointer, keys.versions, keys.removed):
                yield Cleared(self.name, 0)
                return
        # A lake may be without a day, once all of its tickets were erased; that of another target is not replaced.
        if not any(self.store.list_keys(TenantLayout(erasure.tenant).report(TICKETS))):
            remains = "there are tickets of the tenant, and the target never had any: erase where their lake is."
            yield Cleared(self.name, 0, remains=remains)
            return
        try:
            published = with_slice(
                self.store,
                erasure.tenant,
                self.rules,
                self.clock,
                lambda found: publish_to(self.url, found.given(), self.rules, timeout_seconds=self.timeout_seconds),
                tombstones=self.tombstones,
                may_be_empty=True,
            )
        except OutrunError:
            # Published by another command, which looked at the lake later.
            yield Cleared(self.name, 0)
            return
        versions = published.removed_versions
        yield Cleared(self.name, versions, {"versions": versions}, published.not_removed or "")

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator; raises OnlineError too."""
        keys = OnlineKeys(people.tenant, self.rules.prefix)
        requesters = {*people.ids, *self.offline.tokens_of(people.ids)}
        with self._open(keys) as client:
            try:
                version = OnlineReader(client, people.tenant, decode=bytes, prefix=keys.prefix).pinned()
            except NotPublishedError:
                return
            for document in version:
                if _requester(document) in requesters:
                    ticket = msgspec.json.decode(document)
                    (key,) = keys.documents(version.name, [ticket["id"]])
                    yield Exported(self.name, key, (ticket,))

    def search(self, search: Search, people: People) -> Iterator[Searched]:
        """See Haystack: all keys of the tenant's tickets, of any version and type; raises OnlineError."""
        keys = OnlineKeys(people.tenant, self.rules.prefix)
        requesters = {*people.ids, *self.offline.tokens_of(people.ids)}

        def count(value: bytes) -> int:
            return max(search.count_value(value), int(_requester(value) in requesters))

        with self._open(keys) as client, in_words(client):
            for key, values, is_read in _stored(client, keys):
                size = found = 0
                for value in values:
                    size, found = size + len(value), found + count(value)
                yield Searched(key, size, found, is_damaged=not is_read)

    def _open(self, keys: OnlineKeys) -> AbstractContextManager[Redis]:
        return open_client(self.url, keys.pointer, timeout_seconds=self.timeout_seconds, retries=1)


def _requester(document: bytes) -> str | None:
    try:
        return msgspec.json.decode(document, type=_Named).requester
    except (msgspec.DecodeError, UnicodeDecodeError):
        # No ticket: another value of the slice, or of others.
        return None


def _stored(client: Redis, keys: OnlineKeys) -> Iterator[tuple[str, Iterator[bytes], bool]]:
    """The keys of a tenant's tickets, each with its values, and whether its type is one that can be read."""
    cursor: int | None = None
    while cursor != 0:
        cursor, page = _scanned(client, "SCAN", cursor or 0, "MATCH", f"{keys.pointer}*", "COUNT", _KEYS_AT_ONCE)
        with client.pipeline(transaction=False) as pipe:
            for key in page:
                send(pipe, "TYPE", key)
            kinds = [text(kind) for kind in pipe.execute()]
        for kind, (command, path) in _OF_TICKETS.items():
            if of_kind := [key for key, found in zip(page, kinds, strict=True) if found == kind]:
                for key, value in zip(of_kind, send(client, command, *of_kind, *path), strict=True):
                    # One that is gone meanwhile has no value.
                    yield text(key), _flat(value), True
        for key, kind in zip(page, kinds, strict=True):
            if kind not in (*_OF_TICKETS, "none"):
                yield text(key), _values(client, key, kind), kind in (*_IN_PARTS, *_AT_ONCE)


def _values(client: Redis, key: bytes, kind: str) -> Iterator[bytes]:
    if kind in _AT_ONCE:
        command, bounds = _AT_ONCE[kind]
        yield from _flat(send(client, command, key, *bounds))
    if kind in _IN_PARTS:
        cursor: int | None = None
        while cursor != 0:
            cursor, part = _scanned(client, _IN_PARTS[kind], key, cursor or 0, "COUNT", _VALUES_AT_ONCE)
            yield from _flat(part)


def _scanned(client: Redis, *command: Any) -> tuple[int, Any]:
    cursor, found = send(client, *command)
    return int(cursor), found


def _flat(reply: Any) -> Iterator[bytes]:
    """All values of a reply, but for numbers, which are scores."""
    if isinstance(reply, bytes):
        yield reply
    elif isinstance(reply, dict):
        yield from _flat(list(reply.items()))
    elif isinstance(reply, list | tuple | set):
        for value in reply:
            yield from _flat(value)
