"""Raw files of a range of a stream's events, and where each of their records came from.

One file for each tenant, table and source, so that a mapping can be for one source. The same range gives the same
files: names have a digest of the range, and of the content as all that land. `rollup` decides on ranges and stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import pyarrow as pa

from gata_assets.curation.files.formats import Compression, FileFormat, RawFormat, events_stem, raw_key
from gata_assets.curation.layout import TenantLayout
from gata_assets.governance.trust.proofs import encode_proven
from gata_assets.ingestion.segments.event import Event, Segment
from gata_assets.ingestion.segments.lines import line_of

FORMAT = FileFormat(RawFormat.JSON_LINES, Compression.ZSTD)
_LEVEL = 3
# What turns the payload of an event into JSON, where it came as something else.
Decode = Callable[[Event], bytes]
ORIGIN_SCHEMA = pa.schema(
    [
        pa.field("record", pa.int64(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("received_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("form", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class EventsFile:
    """A raw file: whose it is, its key, its bytes, those of its origins, and its rows."""

    tenant: str
    table: str
    source: str
    key: str
    content: bytes
    origins: bytes
    rows: int


def as_it_came(event: Event) -> bytes:
    """The payload of an event that came as JSON."""
    return event.payload


def hour_of(segment: Segment) -> datetime | None:
    """The hour in which a segment's first event or rejected message was received; None without any."""
    instants = [event.received_at for event in segment.events[:1]]
    instants += [message.received_at for message in segment.rejected[:1]]
    return min(instants).replace(minute=0, second=0, microsecond=0) if instants else None


def origins_key(tenant: str, table: str, raw_key: str) -> str:
    """Where the origins of a raw file's records are."""
    return TenantLayout(tenant).events(table, raw_key.rpartition("/")[2])


def stem_of(stream: str, first: int, end: int, source: str, hour: datetime) -> str:
    """The name of the raw file of a source's events of a range, without the mark of its content."""
    return events_stem(source, hour, sha256(f"{stream}\n{first}\n{end}\n{source}".encode()).hexdigest())


def coming_key(stream: str, events: Sequence[Event]) -> str:
    """A key as that of the raw file which events of a source will be in, so that they are read by the same mapping."""
    first, last = events[0], events[-1]
    stem = stem_of(stream, first.offset, last.offset + 1, first.source, first.received_at)
    folder = TenantLayout(first.tenant).raw(first.table, first.received_at.date())
    return f"{folder}{stem}-{'f' * 32}.{FORMAT}"


def build_files(segments: Sequence[Segment], decode: Decode = as_it_came) -> list[EventsFile]:
    """The raw files of consecutive segments (at least one) of a stream."""
    stream, first, end = segments[0].stream, segments[0].first, segments[-1].end
    hour = next((hour for segment in segments if (hour := hour_of(segment))), None)
    groups: dict[tuple[str, str, str], list[Event]] = {}
    for segment in segments:
        for event in segment.events:
            groups.setdefault((event.tenant, event.table, event.source), []).append(event)
    found: list[EventsFile] = []
    if hour is None:
        return found
    for (tenant, table, source), events in sorted(groups.items()):
        content, forms = join_lines(events, decode)
        packed: bytes = pa.Codec("zstd", compression_level=_LEVEL).compress(content, asbytes=True)
        stem, digest = stem_of(stream, first, end, source, hour), sha256(packed).hexdigest()
        key = raw_key(TenantLayout(tenant), table, stem, FORMAT, digest, hour.date())
        found.append(EventsFile(tenant, table, source, key, packed, _encode(stream, events, forms), len(events)))
    return found


def join_lines(events: Iterable[Event], decode: Decode) -> tuple[bytes, list[str]]:
    """The lines of events, one for each, and the form of each."""
    lines = [line_of(decode(event)) for event in events]
    return b"".join(line + b"\n" for line, _ in lines), [str(form) for _, form in lines]


def _encode(stream: str, events: Sequence[Event], forms: Sequence[str]) -> bytes:
    columns = [
        range(1, len(events) + 1),
        [stream] * len(events),
        [event.offset for event in events],
        [event.request_id for event in events],
        [event.source for event in events],
        [event.received_at for event in events],
        forms,
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, ORIGIN_SCHEMA, strict=True)]
    return encode_proven(pa.Table.from_arrays(arrays, schema=ORIGIN_SCHEMA))
