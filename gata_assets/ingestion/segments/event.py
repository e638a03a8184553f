"""An event, and a segment: the events of a range of a stream's offsets, and its rejected messages.

`coding` has the bytes of segments, `chain` stores them, and `lines` has the lines of raw files. Nothing here needs
Arrow: what receives events has another process encode them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from gata_assets.curation.layout import is_tenant_name
from gata_assets.ingestion.segments.rejected import RejectedMessage

# As text in base64 it is still shorter than the longest line of a raw file.
MAX_PAYLOAD_BYTES = 8_000_000
MAX_SEGMENT_BYTES, MAX_SEGMENT_EVENTS = 64_000_000, 1_000_000
_TABLE = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
_STREAM = re.compile(r"http/[0-9a-f]{16}|kafka/[A-Za-z0-9._-]{1,249}/(0|[1-9][0-9]{0,9})")
_LONGEST_WORD = 400


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that has no place in a stream yet.

    Attributes:
        tenant: whose it is.
        table: the table that its payload is a row of.
        payload: as it came.
        received_at: UTC, in microseconds.
        source: `http`, `webhook/{name}` or `kafka/{topic}/{partition}`.
        request_id: of the request, empty for Kafka.
    """

    tenant: str
    table: str
    payload: bytes
    received_at: datetime
    source: str
    request_id: str

    def at(self, offset: int) -> Event:
        """The event at its place in a stream."""
        return Event(
            self.tenant, self.table, self.payload, self.received_at, self.source, self.request_id, offset=offset
        )


@dataclass(frozen=True, slots=True)
class Event(NewEvent):
    """An event and its place in the stream."""

    offset: int


class StoredEvents(NamedTuple):
    """Where events are: a stream, and their offsets in it."""

    stream: str
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """The events and rejected messages of the offsets from `first` up to `end`, which is the next segment's first; some
    offsets may have neither.
    """

    stream: str
    first: int
    end: int
    events: tuple[Event, ...]
    rejected: tuple[RejectedMessage, ...] = ()

    @property
    def payload_bytes(self) -> int:
        """The bytes of all payloads, and of rejected messages."""
        return sum(len(event.payload) for event in self.events) + sum(message.size for message in self.rejected)

    def is_left_of(self, other: Segment) -> bool:
        """Whether it is what is left of another, if people were erased from that; or that itself."""
        is_place = (self.stream, self.first, self.end) == (other.stream, other.first, other.end)
        return is_place and set(self.events) <= set(other.events) and set(self.rejected) <= set(other.rejected)


def is_stream_name(name: str) -> bool:
    """Whether a stream can have this name: `http/{16 hexadecimal digits}` or `kafka/{topic}/{partition}`."""
    return _STREAM.fullmatch(name) is not None


def require_event(event: NewEvent) -> None:
    """Check that an event can be stored; raises ValueError, which names no value but the tenant's and the table's."""
    if not is_tenant_name(event.tenant):
        raise ValueError("An event's tenant is 1 to 63 of a-z 0-9 _, and none of the reserved names.")
    if not _TABLE.fullmatch(event.table):
        raise ValueError("An event's table is 1 to 63 of a-z 0-9 _.")
    if len(event.payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"An event of {len(event.payload):,} bytes is too large: at most {MAX_PAYLOAD_BYTES:,}.")
    if event.received_at.utcoffset() != timedelta():
        raise ValueError("An event's received_at is an instant in UTC.")
    for name, word in (("source", event.source), ("request_id", event.request_id)):
        if len(word) > _LONGEST_WORD or not (word.isprintable() and word.isascii()):
            raise ValueError(f"An event's {name} is of at most {_LONGEST_WORD} printable ASCII characters.")
    if not event.source:
        raise ValueError("An event has a source.")


def find_fault(stream: str, first: int, end: int, offsets: Sequence[int], rejected: Sequence[int] = ()) -> str | None:
    """What is wrong with a segment's stream, range or offsets, to continue a sentence; None if nothing is."""
    if not is_stream_name(stream):
        return "is of no stream: http/{16 hexadecimal digits} or kafka/{topic}/{partition}"
    if not 0 <= first < end:
        return "has no offsets"
    for found in (offsets, rejected, sorted([*offsets, *rejected]) if rejected else ()):
        if any(after <= before for before, after in pairwise([first - 1, *found, end])):
            return "has offsets that are not ascending, or outside of its range"
    return None
