"""The keys of a tenant's online tickets in Redis, and the names of versions; no other module puts a key together.

All keys of a tenant have its name in braces: in a Redis Cluster they are in one slot, so that transactions and scripts
over them work there too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

_INSTANT = "%Y%m%dT%H%M%S.%fZ"
# Versions are ordered by these characters of their names: the instant at which the lake was looked at.
ORDER_LENGTH = len("20260102T030405.000000Z")


def version_name(data_at: datetime, token: str) -> str:
    """The name of a version; names are ordered as the instants at which the lake was looked at."""
    return f"{data_at.astimezone(UTC):{_INSTANT}}-{token}"


def data_at_of(version: str) -> datetime:
    """When the lake was looked at for a version; raises ValueError for a name that is none."""
    return datetime.strptime(version[:ORDER_LENGTH], _INSTANT).replace(tzinfo=UTC)


@dataclass(frozen=True)
class OnlineKeys:
    """The keys of one tenant below a prefix."""

    tenant: str
    prefix: str = "gata"

    @property
    def pointer(self) -> str:
        """The name of the published version."""
        return f"{self.prefix}:{{{self.tenant}}}:tickets"

    @property
    def versions(self) -> str:
        """The versions that are written or published, each with when its publisher last wrote."""
        return f"{self.pointer}:versions"

    @property
    def removed(self) -> str:
        """The versions that are being removed: none of them is ever published."""
        return f"{self.pointer}:removed"

    def ids(self, version: str) -> str:
        """The ids of a version's tickets by recency."""
        return f"{self.pointer}:{version}"

    def info(self, version: str) -> str:
        """What a version is; it is there from the publish on, and goes before anything else of the version."""
        return f"{self.pointer}:{version}:info"

    def documents(self, version: str, ids: Iterable[int | str]) -> list[str]:
        """The tickets of a version, as JSON."""
        start = f"{self.pointer}:{version}:"
        return [f"{start}{number}" for number in ids]
