"""What a process knows of the tables that rows refer to: read once, and again when anything of them has changed.

`curator` writes these tables; a process that validates file after file need not read them for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

import polars as pl

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError

# Of all tenants: keys of 16 characters are 20 bytes each.
_MOST_BYTES = 32_000_000
Map = Callable[[Callable[[str], bytes], Iterable[str]], Iterable[bytes]]


class _Known(NamedTuple):
    """The values of referenced columns, and what was listed before they were read."""

    listed: tuple[bytes, ...]
    keys: dict[tuple[str, str], pl.Series]

    @property
    def size(self) -> int:
        """Its bytes in memory."""
        return sum(int(keys.estimated_size()) for keys in self.keys.values())


class ReferencedKeys:
    """Referenced columns by tenant and table, for as long as neither reports nor curated files have changed."""

    def __init__(self, map_in_threads: Map = map) -> None:
        """`map_in_threads` makes several calls of the store at once, in order."""
        self._map = map_in_threads
        self._known: dict[tuple[str, str], _Known] = {}
        self._lock = Lock()

    def refresh(self, curator: TableCurator, table: str) -> None:
        """Let the tables that a table refers to contain the rows that landed before, and the curator know their keys.

        Raises StoreError. Another process may be at it: then they are used as they are.
        """
        names = curator.referenced(table)
        if not names:
            return
        place = curator.places.tenant, table
        # Listed before anything is read: what changes meanwhile is read by the next file.
        folders = [folder for name in names for folder in (curator.places.report(name), curator.places.curated(name))]
        listed = tuple(self._map(lambda folder: _digest_of(curator, folder), folders))
        with self._lock:
            known = self._known.get(place)
        if known and known.listed == listed:
            curator.keep_keys(known.keys)
            return
        keys = _read(curator, table)
        if keys is not None:
            self._keep(place, _Known(listed, keys))

    def _keep(self, place: tuple[str, str], known: _Known) -> None:
        """Keep what was read, and forget what was read first while it is too much."""
        with self._lock:
            self._known.pop(place, None)
            self._known[place] = known
            while sum(kept.size for kept in self._known.values()) > _MOST_BYTES:
                del self._known[next(iter(self._known))]


def _read(curator: TableCurator, table: str) -> dict[tuple[str, str], pl.Series] | None:
    """The referenced columns of tables that are up to date; None if another process is at it.

    What validation needs of them is kept by the curator, and a damaged table is rebuilt.
    """
    keys = {}
    with suppress(ConflictError):
        curator.refresh_referenced([name for name in curator.referenced(table) if curator.stale(name)])
        for reference in curator.tables[table].references.values():
            if reference.mode.is_of_changes:
                continue
            try:
                curator.known_keys(reference.table, reference.column)
            except (DamagedTableError, ObjectNotFoundError):
                curator.refresh_referenced([reference.table])
            keys[reference.table, reference.column] = curator.known_keys(reference.table, reference.column)
        return keys
    return None


def _digest_of(curator: TableCurator, folder: str) -> bytes:
    """Differs if an object of a folder was written, replaced or removed."""
    digest = sha256()
    for key, version in curator.store.list_versions(folder):
        digest.update(f"{key}\n{version}\n".encode("utf-8", "surrogateescape"))
    return digest.digest()
