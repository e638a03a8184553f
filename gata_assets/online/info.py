"""What a version says of itself: how many tickets, of which data, in which form, and until when it is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct

from gata_assets.errors import OnlineError

# Of the keys and documents. A reader refuses a version of a layout that it does not know.
LAYOUT = 1


class DocumentFormat(StrEnum):
    """How tickets are stored: as strings, or as documents of the JSON module, which take three times the memory."""

    STRINGS = "strings"
    MODULE = "module"


class VersionInfo(Struct, frozen=True, kw_only=True):
    """What a version is.

    Attributes:
        version: its name.
        count: of its tickets.
        digest: of the manifest of the lake's tickets that it was written from.
        data_at: when the lake was looked at.
        published_at: when all of it was written.
        expires_at: when Redis forgets it, unless it is renewed.
        limit: how many tickets a version has at most.
        statuses: of its tickets; empty for any.
        format: how its tickets are stored.
    """

    version: str
    count: int
    digest: str
    data_at: datetime
    published_at: datetime
    expires_at: datetime
    limit: int
    statuses: tuple[str, ...]
    format: DocumentFormat

    def to_fields(self) -> dict[str, str]:
        """The fields of the hash in Redis; instants in seconds since 1970."""
        return {
            "layout": str(LAYOUT),
            "count": str(self.count),
            "digest": self.digest,
            "data_at": repr(self.data_at.timestamp()),
            "published_at": repr(self.published_at.timestamp()),
            "expires_at": repr(self.expires_at.timestamp()),
            "limit": str(self.limit),
            "statuses": ",".join(self.statuses),
            "format": self.format.value,
        }

    @classmethod
    def from_fields(cls, version: str, fields: Mapping[str, str]) -> Self:
        """Read the fields of the hash; raises OnlineError for those of another layout."""
        if fields.get("layout") != str(LAYOUT):
            raise OnlineError(
                f"Version {version} has a layout that this release cannot read. Install the release that wrote it."
            )
        try:
            return cls(
                version=version,
                count=int(fields["count"]),
                digest=fields["digest"],
                data_at=_instant(fields["data_at"]),
                published_at=_instant(fields["published_at"]),
                expires_at=_instant(fields["expires_at"]),
                limit=int(fields["limit"]),
                statuses=tuple(filter(None, fields["statuses"].split(","))),
                format=DocumentFormat(fields["format"]),
            )
        except (KeyError, ValueError):
            raise OnlineError(f"The description of version {version} was changed by others. Publish again.") from None


def _instant(seconds: Any) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
