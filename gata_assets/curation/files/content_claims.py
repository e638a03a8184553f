"""One key for the same content, whichever processes land it, under whichever names, at once or later.

The key of a raw file has its name and day, so the same content could land under two. The first to claim it gives the
key. Its claim stays: whoever brings the content later finds by it what has landed, without a listing of raw files. A
claim of a process that died before its file was stored is void after some minutes, which no landing takes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import ConflictError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

VOID_AFTER = timedelta(minutes=15)


class _Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    key: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    # Of content with rows of erased people: the SHA-256 of what took its place.
    successor: str | None = None


class FoundClaim(NamedTuple):
    """What another has claimed: the key of the content's raw file, None for a damaged claim; and the claim's version.

    It `is_alive` while a process may be storing the file. Content that `was_erased` must not land again.
    """

    key: str | None
    version: Version
    is_alive: bool = False
    was_erased: bool = False


class ContentClaims:
    """The claims of one tenant."""

    def __init__(self, store: ObjectStore, places: TenantLayout) -> None:
        self._store = store
        self._places = places

    def claim(
        self, table: str, digest: str, key: str, now: datetime, *, instead_of: Version = ABSENT
    ) -> FoundClaim | None:
        """Claim content for a raw key, in place of a claim of that version; None, or the claim that is there.

        Raises StoreError.
        """
        place = self._places.content(table, digest)
        content = msgspec.json.encode(_Claim(key, now))
        while True:
            try:
                self._store.write(place, content, expected=instead_of)
            except ConflictError:
                try:
                    return self._read(place, now)
                except ObjectNotFoundError:
                    # Removed by hand: nothing else deletes claims.
                    instead_of = ABSENT
                    continue
            return None

    def _read(self, place: str, now: datetime) -> FoundClaim:
        content, version = self._store.read_versioned(place)
        try:
            found = msgspec.json.decode(content, type=_Claim)
        except ValueError:
            return FoundClaim(None, version)
        return FoundClaim(found.key, version, abs(now - found.at) < VOID_AFTER, found.successor is not None)

    def refuse(self, table: str, digest: str, successor: str, now: datetime) -> None:
        """Let content with rows of erased people never land again; raises StoreError."""
        claim = _Claim("", now, successor)
        self._store.write(self._places.content(table, digest), msgspec.json.encode(claim))

    def continues(self, table: str, digest: str | None, before: str | None) -> bool:
        """Whether content is what was there before, also without rows of people who were erased since.

        Raises StoreError.
        """
        if before in (None, digest):
            return True
        try:
            found = msgspec.json.decode(self._store.read(self._places.content(table, str(before))), type=_Claim)
        except (ObjectNotFoundError, ValueError):
            return False
        return found.successor == digest
