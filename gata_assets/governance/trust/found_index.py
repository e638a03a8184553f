"""What a walk has found, on disk and not in memory: the listed objects, what others say of them, and damaged namers.

A target may have millions of objects, and a name may be found long before or after its object.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from gata_assets.curation.reports import Span
from gata_assets.errors import StoreError
from gata_assets.governance.trust.names import Name, Role
from gata_assets.storage.objects import ABSENT, Version

_TABLES = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    CREATE TABLE listed (key BLOB PRIMARY KEY, version TEXT) WITHOUT ROWID;
    CREATE TABLE names (key BLOB, role TEXT, sha256 TEXT, bytes INT, rows INT, spans TEXT, version TEXT, by BLOB,
        by_version TEXT);
"""
_AT_ONCE = 5_000


class Indexed(NamedTuple):
    """A key with its version, ABSENT if it was not listed, and what others say of it."""

    key: str
    version: Version
    names: tuple[Name, ...]


class FoundIndex:
    """An index in a folder of its own; used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        with _errors():
            self._database = sqlite3.connect(folder / "found.sqlite", check_same_thread=False, isolation_level=None)
            self._database.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add_listed(self, listed: Iterable[tuple[str, Version]]) -> None:
        """Add objects."""
        self._insert("INSERT OR REPLACE INTO listed VALUES (?, ?)", ((_bytes(key), at) for key, at in listed))

    def add_names(self, names: Iterable[Name]) -> None:
        """Add what objects say of others."""
        self._insert("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, names))

    def complete(self) -> None:
        """Get ready for being read: no name is added any more."""
        with _errors():
            self._database.execute("CREATE INDEX names_of ON names (key)")

    def listed_keys(self) -> Iterator[str]:
        """The keys of the objects, ascending."""
        for (key,) in self._database.execute("SELECT key FROM listed ORDER BY key"):
            yield _text(key)

    def all(self) -> Iterator[Indexed]:
        """Each key that was listed or named, ascending."""
        listed = self._database.execute("SELECT key, version FROM listed ORDER BY key")
        names = self._database.execute("SELECT * FROM names ORDER BY key")
        for key, rows in groupby(merge(listed, names, key=itemgetter(0)), key=itemgetter(0)):
            version, found = ABSENT, []
            for row in rows:
                if len(row) == 2:
                    version = Version(row[1])
                else:
                    found.append(_name(row))
            yield Indexed(_text(key), version, tuple(found))

    def _insert(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        coming = iter(rows)
        while some := list(islice(coming, _AT_ONCE)):
            with _errors():
                self._database.execute("BEGIN")
                self._database.executemany(statement, some)
                self._database.execute("COMMIT")


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"What was found cannot be kept in the directory for temporary files (TMPDIR): {error}. Look at its space."
        ) from None


def _bytes(key: str) -> bytes:
    """A key as it is sorted; names in a directory need not be UTF-8."""
    return key.encode(errors="surrogateescape")


def _text(key: bytes) -> str:
    return key.decode(errors="surrogateescape")


def _row(name: Name) -> tuple[Any, ...]:
    return (
        _bytes(name.key),
        name.role,
        name.sha256,
        name.bytes,
        name.rows,
        json.dumps(name.spans) if name.spans else None,
        name.version,
        _bytes(name.by),
        name.by_version,
    )


def _name(row: tuple[Any, ...]) -> Name:
    key, role, sha256, size, rows, spans, version, by, by_version = row
    return Name(
        _text(key),
        Role(role),
        sha256,
        size,
        rows,
        tuple(Span(*span) for span in json.loads(spans)) if spans else (),
        version,
        _text(by),
        Version(by_version),
    )
