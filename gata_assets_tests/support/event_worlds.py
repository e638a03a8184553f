"""Events as callers send them, and what becomes of them in raw files, read back without the code that is tested.

Plain values; nothing is faked.
"""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa

from gata_assets.ingestion.segments.event import Event, NewEvent, Segment
from gata_assets.storage.objects import ObjectStore

START = datetime(2026, 1, 10, 9, tzinfo=UTC)
STREAM = "http/00000000000000aa"
OTHER = "http/00000000000000bb"
PARTITION = "kafka/interactions-raw/0"


def event(number: int, *, tenant: str = "acme", table: str = "interactions", source: str = "http") -> NewEvent:
    """An event with a payload of its own, received a second after the one before: a valid row of interactions."""
    row = {
        "user_id": f"u{number}",
        "item_id": "i1",
        "interaction_type": "view",
        "timestamp": f"{START + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}",
    }
    payload = json.dumps(row).encode()
    return NewEvent(tenant, table, payload, START + timedelta(seconds=number), source, f"r{number}")


def segment_of(events: Iterable[NewEvent], *, first: int = 0, end: int | None = None, stream: str = STREAM) -> Segment:
    """A segment of consecutive events."""
    numbered = tuple(one.at(offset) for offset, one in enumerate(events, first))
    return Segment(stream, first, first + len(numbered) if end is None else end, numbered)


def payload_of(line: bytes, form: str) -> bytes:
    """The payload that a line of a raw file was made of."""
    if form == "object":
        return line
    text: str = json.loads(line)
    return base64.b64decode(text) if form == "base64" else text.encode()


def rolled_up(store: ObjectStore) -> Iterator[tuple[str, str, Event]]:
    """Each record of each raw file of events, with its stream and its file's key, by its line and its origin."""
    for key in list(store.list_keys("")):
        tenant, kind, table, *_ = [*key.split("/"), "", "", ""]
        if kind != "raw":
            continue
        with pa.CompressedInputStream(pa.BufferReader(store.read(key)), "zstd") as file:
            lines = file.read().split(b"\n")
        assert lines.pop() == b""
        name = key.rpartition("/")[2]
        origins = pl.read_parquet(io.BytesIO(store.read(f"{tenant}/events/{table}/{name}.parquet")))
        assert origins["record"].to_list() == list(range(1, len(lines) + 1))
        for line, origin in zip(lines, origins.iter_rows(named=True), strict=True):
            payload = payload_of(line, origin["form"])
            where = (origin["received_at"], origin["source"], origin["request_id"])
            yield origin["stream"], key, Event(tenant, table, payload, *where, offset=origin["offset"])


def counted(found: Iterable[tuple[str, Event]]) -> Counter[tuple[str, Event]]:
    """How often each event of each stream is there."""
    return Counter(found)
