"""What has been produced, in the target: since when files are, how far each stream is, and marks of files and datasets.

They move only after the brokers have confirmed what is before them, so a crash repeats messages and never leaves one
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.cursor import find_streams
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

_FOLDER = "ingestion/kafka/relay/"
_SINCE_KEY = f"{_FOLDER}since.json"
FILE_MARKS, DATASET_MARKS = f"{_FOLDER}files/", f"{_FOLDER}datasets/"
# Streams of events that did not come from Kafka.
PRODUCED_STREAMS = "http/"
Found = TypeVar("Found")


class _Since(msgspec.Struct, frozen=True):
    since: datetime


class _Content(msgspec.Struct, frozen=True):
    end: int


@dataclass(frozen=True)
class RelayCursor:
    """The offset up to which a stream's events are produced, and the version of the object that says so."""

    end: int = 0
    version: Version = ABSENT


def read_since(store: ObjectStore) -> datetime | None:
    """The instant from which on files that land are produced; None if nothing was produced yet.

    Raises DamagedTableError or StoreError.
    """
    try:
        content = store.read(_SINCE_KEY)
    except ObjectNotFoundError:
        return None
    return _decode(store, _SINCE_KEY, content, _Since).since


def begin(store: ObjectStore, now: datetime, since: datetime | None = None) -> datetime:
    """Note at the first start since when files are produced, `now` or `since`, and where each stream begins.

    Later starts keep that, unless they name another `since`. Raises DamagedTableError or StoreError.
    """
    found = read_since(store)
    if found is not None and since in (None, found):
        return found
    if found is None:
        for stream in find_produced_streams(store):
            # What was rolled up and deleted before is in raw files alone.
            if firsts := Chain(store, stream).first_offsets(0):
                _write_new(store, stream, firsts[0])
    chosen = (since or now).astimezone(UTC)
    store.write(_SINCE_KEY, msgspec.json.encode(_Since(chosen)))
    return chosen


def find_produced_streams(store: ObjectStore) -> Iterator[str]:
    """The names of the streams whose events are produced; raises StoreError if they cannot all be listed."""
    return (stream for stream in find_streams(store) if stream.startswith(PRODUCED_STREAMS))


def read_relay_cursor(store: ObjectStore, stream: str) -> RelayCursor:
    """How far a stream is produced; raises DamagedTableError or StoreError."""
    try:
        content, version = store.read_versioned(_stream_key(stream))
    except ObjectNotFoundError:
        return RelayCursor()
    return RelayCursor(_decode(store, _stream_key(stream), content, _Content).end, version)


def write_relay_cursor(store: ObjectStore, stream: str, cursor: RelayCursor, end: int) -> RelayCursor:
    """Move a stream's cursor from the version that was read; raises ConflictError or StoreError."""
    content = msgspec.json.encode(_Content(end))
    return RelayCursor(end, store.write(_stream_key(stream), content, expected=cursor.version))


def kept_from(store: ObjectStore, stream: str) -> int | None:
    """The offset from which on a stream's segments are kept for producing; None if they are not.

    Raises DamagedTableError or StoreError.
    """
    if not stream.startswith(PRODUCED_STREAMS) or read_since(store) is None:
        return None
    return read_relay_cursor(store, stream).end


def _stream_key(stream: str) -> str:
    return f"{_FOLDER}streams/{stream}.json"


def _write_new(store: ObjectStore, stream: str, end: int) -> None:
    try:
        write_relay_cursor(store, stream, RelayCursor(), end)
    except ConflictError:
        # Of a start that was interrupted, or another at the same time.
        return


def _decode(store: ObjectStore, key: str, content: bytes, kind: type[Found]) -> Found:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError:
        raise DamagedTableError(
            f"{store.uri(key)} does not say what has been produced: it is damaged. Restore it from a version or a "
            "copy; if it is deleted, what it is about is produced again from its beginning.",
            key=key,
        ) from None
