"""The bytes of a segment.

A segment is an Arrow IPC stream (zstd) of one batch; its schema's metadata have the format's version, the stream, the
first offset and the end, and the SHA-256 of the rest. A second stream follows if messages were rejected (version 2).
The same events always give the same bytes.
Source: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pyarrow as pa

from gata_assets.errors import DamagedTableError
from gata_assets.ingestion.segments.coding.rejected_messages import REJECTED_SCHEMA, from_batch, to_batch
from gata_assets.ingestion.segments.event import (
    MAX_SEGMENT_BYTES,
    MAX_SEGMENT_EVENTS,
    Event,
    Segment,
    find_fault,
    require_event,
)
from gata_assets.ingestion.segments.rejected import RejectedMessage
from gata_assets.tables.columns.arrow_buffers import integers_as_arrow, texts_as_arrow

_FORMAT, _VERSION, _VERSION_WITH_REJECTED = b"gata segment", b"1", b"2"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SCHEMA = pa.schema(
    [
        pa.field("tenant", pa.string(), nullable=False),
        pa.field("table", pa.string(), nullable=False),
        pa.field("payload", pa.binary(), nullable=False),
        pa.field("received_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
_READ_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)


def encode_segment(segment: Segment) -> bytes:
    """A segment's bytes; the same for the same segment.

    Raises ValueError for an event that cannot be stored, offsets that are not ascending in the segment's range, or
    more than `MAX_SEGMENT_BYTES` or `MAX_SEGMENT_EVENTS`.
    """
    events, count = segment.events, len(segment.events) + len(segment.rejected)
    offsets = ([event.offset for event in events], [message.offset for message in segment.rejected])
    if fault := find_fault(segment.stream, segment.first, segment.end, *offsets):
        raise ValueError(f"A segment {fault}.")
    if count > MAX_SEGMENT_EVENTS or segment.payload_bytes > MAX_SEGMENT_BYTES:
        raise ValueError(
            f"{count:,} events of {segment.payload_bytes:,} bytes are too many for a segment: at most "
            f"{MAX_SEGMENT_EVENTS:,} of {MAX_SEGMENT_BYTES:,} bytes."
        )
    for event in events:
        require_event(event)
    arrays = [
        texts_as_arrow([event.tenant.encode() for event in events], pa.string()),
        texts_as_arrow([event.table.encode() for event in events], pa.string()),
        texts_as_arrow([event.payload for event in events], pa.binary()),
        integers_as_arrow(
            [(event.received_at - _EPOCH) // _MICROSECOND for event in events], pa.timestamp("us", "UTC")
        ),
        texts_as_arrow([event.source.encode() for event in events], pa.string()),
        texts_as_arrow([event.request_id.encode() for event in events], pa.string()),
        integers_as_arrow([event.offset for event in events], pa.int64()),
    ]
    # A stream begins with its schema, which is replaced by one with the digest of what follows.
    rest = _written(pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA))[_SCHEMA.serialize().size :]
    rest += _written(to_batch(segment.rejected)) if segment.rejected else b""
    version = _VERSION_WITH_REJECTED if segment.rejected else _VERSION
    schema = _SCHEMA.with_metadata(_metadata(version, segment.stream, segment.first, segment.end, rest))
    return bytes(schema.serialize()) + rest


def _written(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_OPTIONS) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def decode_segment(content: bytes, place: str) -> Segment:
    """A segment from its bytes; `place` is where they are. Raises DamagedTableError for any other bytes."""
    try:
        stream, first, end, batch, rejected = _read(content)
        columns: list[list[Any]] = [
            column.cast(pa.int64()).to_pylist() if pa.types.is_timestamp(column.type) else column.to_pylist()
            for column in batch.columns
        ]
        if fault := find_fault(stream, first, end, columns[-1], [message.offset for message in rejected]):
            raise ValueError(fault)
        events = tuple(
            Event(tenant, table, payload, _EPOCH + micros * _MICROSECOND, source, request_id, offset=offset)
            for tenant, table, payload, micros, source, request_id, offset in zip(*columns, strict=True)
        )
        return Segment(stream, first, end, events, rejected)
    except (ValueError, KeyError, TypeError, OverflowError, OSError, EOFError, StopIteration, pa.ArrowException):
        raise DamagedTableError(
            f"{place} is no complete segment of events: {len(content):,} bytes that differ from what was written. "
            "Restore it from a version or a copy; events behind it are not read until then.",
            key=place,
        ) from None


def _read(content: bytes) -> tuple[str, int, int, pa.RecordBatch, tuple[RejectedMessage, ...]]:
    source = pa.BufferReader(content)
    with pa.ipc.open_stream(source, options=_READ_OPTIONS) as reader:
        found = reader.schema.metadata or {}
        version, stream, first, end = (
            found[b"version"],
            found[b"stream"].decode(),
            int(found[b"first"]),
            int(found[b"end"]),
        )
        # Compared before anything of the batch is decoded: Arrow trusts the bytes that it decodes.
        if found != _metadata(version, stream, first, end, content[source.tell() :]):
            raise ValueError("other bytes than were written")
        batch = _only_batch(reader, _SCHEMA)
    if version == _VERSION:
        return stream, first, end, batch, ()
    if version != _VERSION_WITH_REJECTED:
        raise ValueError("another release")
    with pa.ipc.open_stream(source, options=_READ_OPTIONS) as reader:
        return stream, first, end, batch, from_batch(_only_batch(reader, REJECTED_SCHEMA))


def _only_batch(reader: pa.RecordBatchReader, schema: pa.Schema) -> pa.RecordBatch:
    """The batch of a stream, which is read to its end."""
    if not reader.schema.equals(schema, check_metadata=False):
        raise ValueError("other columns")
    batches: list[pa.RecordBatch] = list(reader)
    (batch,) = batches
    batch.validate(full=True)
    if any(column.null_count for column, field in zip(batch.columns, schema, strict=True) if not field.nullable):
        raise ValueError("a value is missing")
    return batch


def _metadata(version: bytes, stream: str, first: int, end: int, rest: bytes) -> dict[bytes, bytes]:
    own = {b"format": _FORMAT, b"version": version, b"stream": stream.encode()}
    own |= {b"first": b"%d" % first, b"end": b"%d" % end}
    digest = sha256(b"\n".join([*own.values(), rest])).hexdigest()
    return own | {b"sha256": digest.encode()}
