"""Judges rejected messages in quarantine again; those that are events now become raw files, each once.

What was taken of a range is written down beside it before the raw files are: which offsets, and under which keys. So
a replay that was killed is finished by the next, and of two at once one takes a message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.ingestion.kafka.consuming.judging import Judge
from gata_assets.ingestion.kafka.consuming.message import message_of
from gata_assets.ingestion.segments.event import Event, Segment
from gata_assets.ingestion.segments.quarantined import read_rejected, rolled_up_ranges
from gata_assets.ingestion.segments.raw_files import Decode, EventsFile, build_files, origins_key
from gata_assets.ingestion.segments.rejected import QUARANTINE, RejectedMessage, rejected_key
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

_VERSION = 1
_MOST_ATTEMPTS = 20


class Taken(msgspec.Struct, frozen=True):
    """Messages of one tenant, table and source that became a raw file, and whether that is stored."""

    tenant: str
    table: str
    source: str
    key: str
    offsets: tuple[int, ...]
    is_stored: bool = False


class _Record(msgspec.Struct, frozen=True):
    record_version: int
    taken: tuple[Taken, ...] = ()


@dataclass(frozen=True)
class Replayed:
    """What became of the rejected messages of a range: the raw files of those that are events now, and how many are
    rejected still, by reason.
    """

    stream: str
    first: int
    files: tuple[Taken, ...]
    rejected: Counter[str]


def quarantined_streams(store: ObjectStore) -> Iterator[str]:
    """The streams with rejected messages in quarantine, ascending; raises StoreError."""
    kafka = f"{QUARANTINE}kafka/"
    if "ingestion" not in store.list_folders("") or "quarantine" not in store.list_folders("ingestion/"):
        return
    for topic in store.list_folders(kafka):
        yield from (f"kafka/{topic}/{partition}" for partition in store.list_folders(f"{kafka}{topic}/"))


def waiting_in_quarantine(store: ObjectStore, stream: str) -> Iterator[RejectedMessage]:
    """The messages of a stream in quarantine that no replay has taken; raises DamagedTableError or StoreError."""
    for first in rolled_up_ranges(store, stream):
        taken = _offsets(_read(store, stream, first)[0])
        yield from (one for one in read_rejected(store, stream, first) if one.offset not in taken)


class Replay:
    """Replays ranges of streams; `judge` has today's tables, tenants and schemas."""

    def __init__(self, store: ObjectStore, judge: Judge, decode: Decode) -> None:
        self._store, self._judge, self._decode = store, judge, decode

    def run(self, stream: str) -> Iterator[Replayed]:
        """Replay all ranges of a stream.

        Raises:
            DamagedTableError: An object in quarantine is damaged.
            ConflictError: Other replays kept changing what is taken.
            RegistryError: The registry is away.
            StoreError: The target failed; the next replay goes on.
        """
        for first in rolled_up_ranges(self._store, stream):
            for attempt in range(1, _MOST_ATTEMPTS + 1):
                try:
                    yield self._replay(stream, first)
                    break
                except ConflictError:
                    if attempt == _MOST_ATTEMPTS:
                        raise

    def _replay(self, stream: str, first: int) -> Replayed:
        record, version = _read(self._store, stream, first)
        messages = read_rejected(self._store, stream, first)
        taken = _offsets(record)
        found: list[Event] = []
        rejected: Counter[str] = Counter()
        for message in messages:
            if message.offset not in taken:
                judged = self._judged(stream, message)
                if isinstance(judged, Event):
                    found.append(judged)
                elif judged is not None:
                    rejected[judged.reason] += 1
        new = [self._planned(stream, events) for events in _groups(found)]
        record = _with(record, (*record.taken, *new))
        if new:
            version = _write(self._store, stream, first, record, version)
        unstored = [one for one in record.taken if not one.is_stored]
        by_offset = {message.offset: message for message in messages}
        for one in unstored:
            # Of people who were erased since it was taken, a message is there no more.
            events = [self._event(stream, one, by_offset[offset]) for offset in one.offsets if offset in by_offset]
            if events:
                self._store_file(one, self._file(stream, events))
        if unstored:
            done = tuple(msgspec.structs.replace(one, is_stored=True) for one in record.taken)
            _write(self._store, stream, first, _with(record, done), version)
        return Replayed(stream, first, tuple(unstored), rejected)

    def _judged(self, stream: str, message: RejectedMessage) -> Event | RejectedMessage | None:
        _, topic, partition = stream.split("/")
        return self._judge.judge(topic, int(partition), message_of(message))

    def _event(self, stream: str, taken: Taken, message: RejectedMessage) -> Event:
        """A message as it was taken, whatever is judged of it now."""
        came = message_of(message)
        payload = message.payload or b""
        return Event(taken.tenant, taken.table, payload, came.received_at, stream, came.request_id, message.offset)

    def _planned(self, stream: str, events: Sequence[Event]) -> Taken:
        file = self._file(stream, events)
        return Taken(file.tenant, file.table, file.source, file.key, tuple(event.offset for event in events))

    def _file(self, stream: str, events: Sequence[Event]) -> EventsFile:
        segment = Segment(stream, events[0].offset, events[-1].offset + 1, tuple(events))
        (file,) = build_files([segment], self._decode)
        return file

    def _store_file(self, taken: Taken, file: EventsFile) -> None:
        """Store a raw file under its key, after its origins, unless they are there."""
        origins = origins_key(taken.tenant, taken.table, taken.key)
        for key, content in ((origins, file.origins), (taken.key, file.content)):
            with suppress(ConflictError):
                self._store.write(key, content, expected=ABSENT)


def _groups(events: Sequence[Event]) -> list[list[Event]]:
    """Events by tenant and table."""
    found: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        found.setdefault((event.tenant, event.table), []).append(event)
    return [found[name] for name in sorted(found)]


def _with(record: _Record, taken: tuple[Taken, ...]) -> _Record:
    """The record with other messages that were taken."""
    return msgspec.structs.replace(record, taken=taken)


def _offsets(record: _Record) -> set[int]:
    return {offset for one in record.taken for offset in one.offsets}


def _record_key(stream: str, first: int) -> str:
    return f"{rejected_key(stream, first)}.taken.json"


def _read(store: ObjectStore, stream: str, first: int) -> tuple[_Record, Version]:
    key = _record_key(stream, first)
    try:
        content, version = store.read_versioned(key)
    except ObjectNotFoundError:
        return _Record(_VERSION), ABSENT
    try:
        record = msgspec.json.decode(content, type=_Record)
        if record.record_version != _VERSION:
            raise ValueError("another release")
    except ValueError:
        raise DamagedTableError(
            f"{store.uri(key)} does not say which messages were taken back: it is damaged or of another release. "
            "Restore it from a version or a copy; without it messages would come in twice.",
            key=key,
        ) from None
    return record, version


def _write(store: ObjectStore, stream: str, first: int, record: _Record, version: Version) -> Version:
    return store.write(_record_key(stream, first), msgspec.json.encode(record), expected=version)
