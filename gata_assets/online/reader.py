"""`OnlineReader`: what an application calls to read the newest tickets of a tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import sleep
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

from redis import Redis

from gata_assets.errors import NotPublishedError, VersionGoneError
from gata_assets.online.connection import NodeMovedError, in_words, open_client, send, text
from gata_assets.online.info import VersionInfo
from gata_assets.online.keys import OnlineKeys
from gata_assets.online.ticket import Ticket
from gata_assets.online.version import OnlineVersion

T = TypeVar("T")
R = TypeVar("R")
# A call is carried out again when its version was removed meanwhile. Even where one follows another at once, a call
# takes far less than a publish.
_MOST_TRIES = 10


class OnlineReader(Generic[T]):
    """Reads the published tickets of a tenant; safe for several threads, since the client is.

    Each call reads one version: that which is published when it begins. Where the version is removed during the call,
    the call begins again with the next one. For several calls on the same version, take `pinned()`.
    """

    @overload
    def __init__(
        self: OnlineReader[Ticket], client: Redis | str, tenant: str, *, prefix: str = ..., timeout_seconds: float = ...
    ) -> None: ...
    @overload
    def __init__(
        self,
        client: Redis | str,
        tenant: str,
        *,
        decode: Callable[[bytes], T],
        prefix: str = ...,
        timeout_seconds: float = ...,
    ) -> None: ...
    def __init__(
        self,
        client: Redis | str,
        tenant: str,
        *,
        decode: Callable[[bytes], Any] = Ticket.model_validate_json,
        prefix: str = "gata",
        timeout_seconds: float = 10,
    ) -> None:
        """Set up the reader; a URL is connected to at the first call.

        Args:
            client: A client of redis, or the URL of a server (redis://, rediss:// or unix://). In a Redis Cluster give
                a URL: the reader finds the node of the tenant.
            tenant: Whose tickets.
            decode: What a ticket becomes, from its JSON: `model_validate_json` of a model of your own, `bytes` for
                the JSON itself.
            prefix: ONLINE_PREFIX of the publisher.
            timeout_seconds: For how long the server of a URL may be silent.
        """
        self._keys, self._decode = OnlineKeys(tenant, prefix), decode
        self._url = client if isinstance(client, str) else None
        self._client = None if isinstance(client, str) else client
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that the reader has opened."""
        if self._url is not None and self._client is not None:
            self._client.close()
            self._client = None

    def pinned(self) -> OnlineVersion[T]:
        """The published version, to be read by several calls; raises NotPublishedError if there is none."""
        return self._read(lambda version: version)

    def get(self, ticket_id: int) -> T | None:
        """A ticket, or None where it is not among the newest."""
        return self._read(lambda version: version.get(ticket_id))

    def get_many(self, ticket_ids: Iterable[int]) -> dict[int, T]:
        """Tickets by id, without those that are not among the newest."""
        ids = list(ticket_ids)
        return self._read(lambda version: version.get_many(ids))

    def newest(self, n: int = 20, offset: int = 0) -> list[T]:
        """`n` tickets, newest first, after the `offset` newest.

        Pages of several calls may be of several versions: for pages that fit together take `pinned()`.
        """
        return self._read(lambda version: version.newest(n, offset))

    def count(self) -> int:
        """How many tickets are published."""
        return self._read(lambda version: version.count())

    def info(self) -> VersionInfo:
        """What the published version is."""
        return self._read(lambda version: version.info)

    def __iter__(self) -> Iterator[T]:
        """All tickets, newest first, of the version that is published when the iteration begins.

        Raises VersionGoneError where it is removed during the iteration: tickets of two versions are never mixed.
        """
        return iter(self.pinned())

    def _read(self, ask: Callable[[OnlineVersion[T]], R]) -> R:
        """Ask the published version; again where it was removed meanwhile, or the tenant moved to another node."""
        for number in range(_MOST_TRIES):
            try:
                return ask(self._published())
            except VersionGoneError:
                sleep(0.001 * number)
            except NodeMovedError:
                if self._url is None:
                    raise
                self.close()
        return ask(self._published())

    def _published(self) -> OnlineVersion[T]:
        if self._client is None:
            assert self._url is not None  # noqa: S101 (a reader has one of the two)
            self._client = open_client(self._url, self._keys.pointer, timeout_seconds=self._timeout_seconds, retries=1)
        client = self._client
        with in_words(client):
            version = send(client, "GET", self._keys.pointer)
        if version is None:
            raise NotPublishedError(
                f"No tickets of {self._keys.tenant} are published below {self._keys.prefix}: none were yet, or they "
                "expired (ONLINE_TTL_HOURS) because no publish followed."
            )
        return OnlineVersion(client, self._keys, text(version), self._decode)
