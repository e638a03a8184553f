"""Whether events are stored already, by what their sender called the request: for a request whose answer nobody knows.

Looked for in segments first and then in raw files, the way that events go, so that none slips through. Costs a listing
for each stream of HTTP: rare, since it is asked only after a process died or the target failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa

from gata_assets.curation.files.formats import is_of_events
from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import ObjectNotFoundError
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.cursor import find_streams
from gata_assets.ingestion.segments.event import Event, NewEvent, StoredEvents
from gata_assets.ingestion.segments.lines import line_of
from gata_assets.ingestion.segments.trace import number_origins, read_origins
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order

# Clocks of processes differ.
_EARLIER = timedelta(minutes=10)
_STREAMS = "http/"


def find_stored(store: ObjectStore, wanted: Sequence[NewEvent], since: datetime) -> StoredEvents | None:
    """Where the events of one request are, whenever they were stored from an instant on; None if they are not.

    They are found by tenant, table, source, request and payload, all of them one after another: if a person was erased
    from them since, they are not, and whoever asks stores them once more.

    Raises DamagedTableError or StoreError.
    """
    since -= _EARLIER
    streams = [stream for stream in find_streams(store) if stream.startswith(_STREAMS)]
    found = map_in_order(lambda stream: _in_segments(Chain(store, stream), wanted, since), streams, SMALL_CALLS_AT_ONCE)
    return next((place for place in found if place), None) or _in_raw_files(store, wanted, since)


def _in_segments(chain: Chain, wanted: Sequence[NewEvent], since: datetime) -> StoredEvents | None:
    keys = [_identity(event, event.payload) for event in wanted]
    # All that are left: those that are rolled up are kept for some time.
    for first in reversed(chain.first_offsets(0)):
        with suppress(ObjectNotFoundError):
            events = chain.read(first).events
            if found := _run(keys, [(_identity(event, event.payload), event.offset) for event in events]):
                return StoredEvents(chain.stream, found)
            if events and max(event.received_at for event in events) < since:
                break
    return None


def _in_raw_files(store: ObjectStore, wanted: Sequence[NewEvent], since: datetime) -> StoredEvents | None:
    """All events of a request are of one tenant, table and source, and so in one raw file."""
    like = wanted[0]
    places = TenantLayout(like.tenant)
    lines = [_identity(event, line_of(event.payload)[0]) for event in wanted]
    for name, hour in _files(store, places, like.table, since):
        origins = read_origins(store, like.tenant, like.table, name)
        is_own = (pl.col("source") == like.source) & (pl.col("request_id") == like.request_id)
        if len(origins.filter(is_own)) < len(wanted):
            continue
        with pa.CompressedInputStream(
            pa.BufferReader(store.read(f"{places.raw(like.table, hour)}{name}")), "zstd"
        ) as file:
            content = file.read().splitlines()
        own = number_origins(origins, len(content)).filter(is_own)
        rows = own.select("record", "stream", "offset").iter_rows()
        stored = [(_identity(like, content[record - 1]), offset, stream) for record, stream, offset in rows]
        if found := _run(lines, [(key, offset) for key, offset, _ in stored]):
            return StoredEvents(stored[0][2], found)
    return None


def _files(store: ObjectStore, places: TenantLayout, table: str, since: datetime) -> Iterator[tuple[str, datetime]]:
    """The raw files of events from an hour on, newest first, by the origins of their records."""
    found = []
    folder = places.events(table)
    for key in store.list_keys(folder):
        name = key.removeprefix(folder).removesuffix(".parquet")
        if is_of_events(name):
            hour = datetime.strptime(name.rsplit("-", 3)[1], "%Y%m%d%H").replace(tzinfo=UTC)
            if hour + timedelta(hours=1) > since:
                found.append((name, hour))
    return iter(sorted(found, key=lambda file: file[1], reverse=True))


def _identity(event: NewEvent | Event, content: bytes) -> tuple[object, ...]:
    return event.tenant, event.table, event.source, event.request_id, content


def _run(wanted: Sequence[object], stored: Sequence[tuple[object, int]]) -> tuple[int, ...] | None:
    """The offsets of the first run of what is wanted; None without one."""
    size = len(wanted)
    for start in range(len(stored) - size + 1):
        run = stored[start : start + size]
        if all(key == one for key, (one, _) in zip(wanted, run, strict=True)):
            return tuple(offset for _, offset in run)
    return None
