"""Where files are in the target until they land: under keys that nobody else knows, outside tenants' folders.

A file gets its place among raw files only once all of it has arrived and its digest is known. What is left of a process
that was killed is removed after a day.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from secrets import token_hex

from gata_assets.errors import StoreError
from gata_assets.storage.objects import ObjectStore

FOLDER = "ingestion/uploads/"
_INSTANT = "%Y%m%dT%H%M%S"
_KEPT, _BETWEEN_SWEEPS = timedelta(days=1), timedelta(hours=1)


class Uploads:
    """The keys of uploads in a target."""

    def __init__(self, store: ObjectStore, clock: Callable[[], datetime]) -> None:
        """`clock` gives the present instant in UTC."""
        self._store, self._clock = store, clock
        self._swept_at: datetime | None = None

    def new_key(self) -> str:
        """A key for a file that begins to arrive."""
        return f"{FOLDER}{self._clock():{_INSTANT}}-{token_hex(16)}"

    def discard(self, key: str) -> None:
        """Remove a file that did not land, or what is left of it; what cannot be removed now is swept later."""
        with suppress(StoreError):
            self._store.delete(key)

    def sweep(self) -> None:
        """Now and then, remove what was left a day ago."""
        now = self._clock()
        if self._swept_at and now - self._swept_at < _BETWEEN_SWEEPS:
            return
        self._swept_at = now
        with suppress(StoreError):
            for key in list(self._store.list_keys(FOLDER)):
                if key < f"{FOLDER}{now - _KEPT:{_INSTANT}}":
                    self.discard(key)
