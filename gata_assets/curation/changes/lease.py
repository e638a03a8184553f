"""Who curates a tenant's tables of changes: one command at a time, which renews its lease while it works.

Others wait until what they wait for is done, or the lease is free or has run out, as it does after a crash. A lease
saves work that ends in a conflict; what is right does not depend on it, since manifests are swapped conditionally.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from threading import Event, Thread

from gata_assets.errors import ConflictError, ObjectNotFoundError, StoreError
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

_LASTS = timedelta(seconds=60)
_RENEWED_EVERY = _LASTS / 4
_LOOKED_AT_EVERY = 2.0
# So long another command may take before whoever waits gives up, and its caller tries again.
_LONGEST_WAIT = timedelta(minutes=30)
_FREE = datetime(1970, 1, 1, tzinfo=UTC)


class Lease:
    """A lease in the store; `key` is its object."""

    def __init__(
        self,
        store: ObjectStore,
        key: str,
        *,
        clock: Callable[[], datetime],
        pause: Callable[[float], object],
    ) -> None:
        """`clock` gives the present instant, `pause` waits for seconds."""
        self._store, self._key, self._clock, self._pause = store, key, clock, pause
        self._version: Version = ABSENT

    @contextmanager
    def held(self, is_done: Callable[[], bool]) -> Iterator[bool]:
        """Wait for the lease and keep it during the context; False if meanwhile `is_done` by another command.

        Raises StoreError if another command keeps it for too long.
        """
        began = self._clock()
        while not self._take():
            if is_done():
                yield False
                return
            if self._clock() - began > _LONGEST_WAIT:
                raise StoreError(
                    f"Another command has curated for {_LONGEST_WAIT}: {self._store.uri(self._key)} names it. "
                    "This is tried again later."
                )
            self._pause(_LOOKED_AT_EVERY)
        ended = Event()
        renewing = Thread(target=self._renew_until, args=(ended,), daemon=True)
        renewing.start()
        try:
            yield True
        finally:
            ended.set()
            renewing.join()
            self._give_back()

    def _take(self) -> bool:
        try:
            content, version = self._store.read_versioned(self._key)
            until = _until(content)
        except ObjectNotFoundError:
            version, until = ABSENT, _FREE
        return until <= self._clock() and self._write(version, self._clock() + _LASTS)

    def _write(self, expected: Version, until: datetime) -> bool:
        content = json.dumps({"until": until.isoformat(), "by": token_hex(8)}).encode()
        try:
            self._version = self._store.write(self._key, content, expected=expected)
        except ConflictError:
            return False
        return True

    def _renew_until(self, ended: Event) -> None:
        while not ended.wait(_RENEWED_EVERY.total_seconds()):
            try:
                if not self._write(self._version, self._clock() + _LASTS):
                    return
            except StoreError:
                # The work itself meets the same fault, and says so.
                continue

    def _give_back(self) -> None:
        try:
            self._write(self._version, _FREE)
        except StoreError:
            # It runs out.
            return


def _until(content: bytes) -> datetime:
    """Until when a lease is held; a damaged one is free."""
    try:
        return datetime.fromisoformat(json.loads(content)["until"])
    except (ValueError, KeyError, TypeError):
        return _FREE
