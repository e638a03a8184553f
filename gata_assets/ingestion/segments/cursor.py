"""How far a stream is rolled up: an object of its own, written under the version that was read.

`end` is the offset up to which events are in raw files. `plan` is what a roll-up has begun: the next range, and the key
of every raw file of it. Whoever finds a plan carries it out, so two roll-ups never cut a range in two ways. `past` are
the ends before, each with when it was reached: segments are deleted some time after that. The cursor outlives them, for
a writer that wakes up late; it is not in their folder, so a stream that ended is not found once its segments are gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.ingestion.segments.event import is_stream_name
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

SEGMENTS = "ingestion/segments/"
CURSORS = "ingestion/rolled_up/"
_VERSION = 1
# Folders below that of a kind of stream: a writer of HTTP, a topic and its partition.
_DEPTHS = {"http": 1, "kafka": 2}


class PlannedFile(msgspec.Struct, frozen=True):
    """A raw file of a plan: its tenant, table and source, its key and rows."""

    tenant: str
    table: str
    source: str
    key: str
    rows: int


class Plan(msgspec.Struct, frozen=True):
    """The range that is being rolled up, from the cursor's `end` to `end`, and its raw files."""

    end: int
    files: tuple[PlannedFile, ...]


class Reached(msgspec.Struct, frozen=True):
    """An offset, and when everything before it was in raw files."""

    end: int
    at: datetime


class _Content(msgspec.Struct, frozen=True):
    cursor_version: int
    end: int
    plan: Plan | None
    past: tuple[Reached, ...]


@dataclass(frozen=True)
class Cursor:
    """See the module; `version` is that of the object."""

    end: int = 0
    plan: Plan | None = None
    past: tuple[Reached, ...] = ()
    version: Version = ABSENT


def stream_folder(stream: str) -> str:
    """The folder of a stream's segments."""
    return f"{SEGMENTS}{stream}/"


def cursor_key(stream: str) -> str:
    """Where a stream's cursor is."""
    return f"{CURSORS}{stream}.json"


def read_cursor(store: ObjectStore, stream: str) -> Cursor:
    """How far a stream is rolled up; raises DamagedTableError or StoreError."""
    key = cursor_key(stream)
    try:
        content, version = store.read_versioned(key)
    except ObjectNotFoundError:
        return Cursor()
    try:
        found = msgspec.json.decode(content, type=_Content)
        if found.cursor_version != _VERSION:
            raise ValueError("another release")
    except ValueError:
        raise DamagedTableError(
            f"{store.uri(key)} does not say how far the stream is rolled up: it is damaged or of another release. "
            "Restore it from a version or a copy; without it events would be rolled up twice.",
            key=key,
        ) from None
    return Cursor(found.end, found.plan, found.past, version)


def write_cursor(store: ObjectStore, stream: str, cursor: Cursor) -> Cursor:
    """Replace the version that the cursor was read under; raises ConflictError or StoreError."""
    content = msgspec.json.encode(_Content(_VERSION, cursor.end, cursor.plan, cursor.past))
    version = store.write(cursor_key(stream), content, expected=cursor.version)
    return Cursor(cursor.end, cursor.plan, cursor.past, version)


def find_streams(store: ObjectStore) -> Iterator[str]:
    """The names of all streams with a segment, ascending; raises StoreError if they cannot all be listed."""
    # Before the first write, a store may have no folder.
    for kind in store.list_folders(SEGMENTS):
        names = [kind]
        for _ in range(_DEPTHS.get(kind, 0)):
            names = [f"{name}/{below}" for name in names for below in store.list_folders(f"{SEGMENTS}{name}/")]
        yield from (name for name in names if is_stream_name(name))
