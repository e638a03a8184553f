"""The segments of a stream as a chain: each begins where the one before ends, and the first with offset 0.

A segment's key is its first offset, and it is written only if there is none: of two writers one finds the key taken,
adopts the end of what is there and goes on behind it, so a chain cannot fork. Segments before the cursor are rolled up,
and deleted at some time; who wrote one that late, after a long sleep, finds out and writes its events again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.ingestion.segments.cursor import read_cursor, stream_folder
from gata_assets.ingestion.segments.event import Segment, is_stream_name
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order

ENDING = ".arrow"
_DIGITS = 20
# Segments are kept for at least so long after they were rolled up: a writer that knew the chain's end within that time
# cannot have written under the key of a deleted one.
SHORTEST_GRACE = timedelta(hours=1)
_KNOWN_SECONDS = SHORTEST_GRACE.total_seconds() / 2


@dataclass(frozen=True)
class Appended:
    """What became of a segment: the chain's end after it, and whether the segment is part of the chain. If not, another
    writer was faster, whose segment ends there.
    """

    end: int
    is_own: bool


def seconds_since_boot() -> float:
    """A clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def segment_key(stream: str, first: int) -> str:
    """The key of the segment with that first offset."""
    return f"{stream_folder(stream)}{first:0{_DIGITS}d}{ENDING}"


class SegmentCoding(Protocol):
    """What has the bytes of segments, as `coding.segments` does."""

    def encode_segment(self, segment: Segment) -> bytes:
        """See `coding.segments`."""

    def decode_segment(self, content: bytes, place: str) -> Segment:
        """See `coding.segments`."""


class Chain:
    """The chain of a stream, for one writer or reader at a time."""

    def __init__(
        self,
        store: ObjectStore,
        stream: str,
        *,
        coding: SegmentCoding | None = None,
        clock: Callable[[], float] = seconds_since_boot,
    ) -> None:
        """Describe it.

        Args:
            store: The target.
            stream: Its name, see `event.is_stream_name`.
            coding: Encodes and decodes segments; None does it here, which takes 40 MB for Arrow.
            clock: Seconds; it goes on while the process sleeps.
        """
        if not is_stream_name(stream):
            raise ValueError("A stream is http/{16 hexadecimal digits} or kafka/{topic}/{partition}.")
        self.store, self.stream = store, stream
        self._coding = coding or _own_coding()
        self._clock = clock
        self._end: int | None = None
        self._known_at = 0.0

    def end(self) -> int:
        """The offset behind the last segment: found by listing when it is first asked for, and after a long pause.

        Raises DamagedTableError or StoreError.
        """
        now = self._clock()
        if self._end is None or now - self._known_at > _KNOWN_SECONDS:
            start = read_cursor(self.store, self.stream).end
            firsts = self.first_offsets(start)
            self._learn(self.read(firsts[-1]).end if firsts else start, now)
        return self._end or 0

    def is_at(self, first: int) -> bool:
        """Whether that is the chain's end, as far as it is known without asking the store."""
        return self._end == first

    def append(self, segment: Segment) -> Appended:
        """Store a segment that begins at the known end, unless another is there.

        After a StoreError it may be stored or not: appending the same segment again finds that out.

        Raises:
            ValueError: It cannot be stored, or begins elsewhere.
            ConflictError: This process slept for so long meanwhile that the segment may have been stored, rolled up and
                deleted: it is not known whether it was.
            StoreError: The target failed.
        """
        if segment.stream != self.stream or not self.is_at(segment.first):
            raise ValueError(f"A segment of {self.stream} begins with offset {self._end}, not {segment.first}.")
        content, key = self._coding.encode_segment(segment), segment_key(self.stream, segment.first)
        now = self._clock()
        try:
            self.store.write(key, content, expected=ABSENT)
        except ConflictError:
            if self.store.read(key) != content and not self.read(segment.first).is_left_of(segment):
                return self._adopt(segment.first)
        # The segment is stored: by this call, or by an earlier one whose answer was lost.
        if self._clock() - self._known_at > _KNOWN_SECONDS:
            self._require_in_chain(segment.first)
        self._learn(segment.end, now)
        return Appended(segment.end, is_own=True)

    def segments(self, start: int, listed: Sequence[int] | None = None) -> Iterator[Segment]:
        """The segments from an offset on that is the first of one, or the chain's end; also those that are written
        meanwhile. `listed` are the first offsets from there on, if they are known.

        Raises ObjectNotFoundError if the segment was rolled up and deleted meanwhile, DamagedTableError or StoreError.
        """
        listed = self.first_offsets(start) if listed is None else listed
        for segment in map_in_order(self.read, listed, SMALL_CALLS_AT_ONCE):
            if segment.first != start:
                # A directory's listing may leave out what was written while it was listed.
                break
            yield segment
            start = segment.end
        yield from self.follow(start)
        if any(first >= start for first in listed) and not self.store.exists(segment_key(self.stream, start)):
            raise self._gap(start)

    def follow(self, start: int) -> Iterator[Segment]:
        """As `segments`, one after another and without a listing: for a reader that knows most of them."""
        while True:
            try:
                segment = self.read(start)
            except ObjectNotFoundError:
                return
            yield segment
            start = segment.end

    def read(self, first: int) -> Segment:
        """The segment with that first offset.

        Raises ObjectNotFoundError, DamagedTableError for one that is no segment or of another place, or StoreError.
        """
        return self.read_versioned(first)[0]

    def read_versioned(self, first: int) -> tuple[Segment, Version]:
        """As `read`, with the version of the object."""
        key = segment_key(self.stream, first)
        content, version = self.store.read_versioned(key)
        segment = self._coding.decode_segment(content, self.store.uri(key))
        if (segment.stream, segment.first) != (self.stream, first):
            raise DamagedTableError(f"{self.store.uri(key)} is a segment of another place: put it back there.", key=key)
        return segment, version

    def rewrite(self, left: Segment, expected: Version) -> None:
        """Store what is left of a segment that people were erased from, in its place: its key stays taken.

        Raises ConflictError if it was deleted or rewritten since that version, or StoreError.
        """
        self.store.write(segment_key(self.stream, left.first), self._coding.encode_segment(left), expected=expected)

    def first_offsets(self, start: int) -> list[int]:
        """The first offsets of the stored segments from an offset on, as listed; raises StoreError."""
        folder = stream_folder(self.stream)
        names = (key.removeprefix(folder) for key in self.store.list_keys(folder))
        found = (name.removesuffix(ENDING) for name in names if name.endswith(ENDING))
        return sorted(int(name) for name in found if name.isdecimal() and len(name) == _DIGITS and int(name) >= start)

    def _adopt(self, first: int) -> Appended:
        """Go on behind the segment of another writer."""
        self._end = None
        end = self.end()
        if end <= first:
            key = segment_key(self.stream, first)
            raise DamagedTableError(f"{self.store.uri(key)} is there, and the stream does not end behind it.", key=key)
        return Appended(end, is_own=False)

    def _require_in_chain(self, first: int) -> None:
        """Raise ConflictError if the segment may be one that came after the deletion of another in its place."""
        if read_cursor(self.store, self.stream).end > first:
            self._end = None
            raise ConflictError(
                f"{self.store.uri(segment_key(self.stream, first))} took so long to be written that the stream was "
                "rolled up meanwhile: it is not known whether its events count. Send them again, with the same key of "
                "the request."
            )

    def _learn(self, end: int, now: float) -> None:
        self._end, self._known_at = end, now

    def _gap(self, start: int) -> DamagedTableError:
        key = segment_key(self.stream, start)
        return DamagedTableError(
            f"{self.store.uri(key)} is missing, and segments behind it are there: restore it from a version or a copy.",
            key=key,
        )


def _own_coding() -> SegmentCoding:
    from gata_assets.ingestion.segments.coding import segments

    return segments
