"""The bytes of rejected messages: an Arrow batch in a segment, a Parquet file in quarantine.

Source: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DamagedTableError
from gata_assets.governance.trust.proofs import encode_proven
from gata_assets.ingestion.segments.rejected import RejectedMessage

_HEADER = pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.binary())])
REJECTED_SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("payload", pa.binary()),
        pa.field("headers", pa.list_(pa.field("item", _HEADER, nullable=False)), nullable=False),
        pa.field("received_at", pa.timestamp("us", "UTC"), nullable=False),
    ]
)


def to_batch(messages: Sequence[RejectedMessage]) -> pa.RecordBatch:
    """Messages in Arrow."""
    columns: list[list[Any]] = [
        [message.offset for message in messages],
        [message.reason for message in messages],
        [message.key for message in messages],
        [message.payload for message in messages],
        [[{"name": name, "value": value} for name, value in message.headers] for message in messages],
        [message.received_at for message in messages],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, REJECTED_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=REJECTED_SCHEMA)


def from_batch(batch: pa.RecordBatch | pa.Table) -> tuple[RejectedMessage, ...]:
    """Messages from Arrow; raises ValueError for other columns."""
    if not batch.schema.equals(REJECTED_SCHEMA, check_metadata=False):
        raise ValueError("other columns")
    return tuple(
        RejectedMessage(
            row["offset"],
            row["reason"],
            row["key"],
            row["payload"],
            tuple((header["name"], header["value"]) for header in row["headers"]),
            row["received_at"],
        )
        for row in batch.to_pylist()
    )


def encode_rejected(messages: Sequence[RejectedMessage]) -> bytes:
    """The bytes of an object in quarantine; the same for the same messages."""
    return encode_proven(pa.Table.from_batches([to_batch(messages)]))


def decode_rejected(content: bytes, place: str) -> tuple[RejectedMessage, ...]:
    """Messages from the bytes of an object, which is at `place`; raises DamagedTableError for any other bytes."""
    try:
        # Threads of Arrow that read ahead are at times still there when the process ends, which aborts it.
        with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
            return from_batch(file.read(use_threads=False))
    except (ValueError, KeyError, TypeError, OSError, pa.ArrowException):
        raise DamagedTableError(
            f"{place} does not have rejected messages: restore it from a version or a copy.", key=place
        ) from None
