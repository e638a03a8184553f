"""How events prove themselves, for whoever verifies the target: segments, where records came from, rejected messages.

No manifest names them: segments have their own digest, the others checksums of their pages.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.compute as pc

from gata_assets.curation.files.formats import is_of_events
from gata_assets.curation.reports import Report
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.governance.trust.forms import Forms, SelfCheck
from gata_assets.governance.trust.names import Name, Role
from gata_assets.governance.trust.proofs import damaged, read_proven
from gata_assets.ingestion.segments.chain import ENDING, Chain, segment_key
from gata_assets.ingestion.segments.coding.rejected_messages import REJECTED_SCHEMA
from gata_assets.ingestion.segments.cursor import SEGMENTS, find_streams, read_cursor
from gata_assets.ingestion.segments.event import is_stream_name
from gata_assets.ingestion.segments.raw_files import ORIGIN_SCHEMA, origins_key
from gata_assets.ingestion.segments.rejected import QUARANTINE
from gata_assets.storage.objects import ObjectStore

_EVENTS, _PARQUET = "events", ".parquet"
_MOST_ATTEMPTS = 5


def names_of_report(_: str, report: Report) -> Iterator[Name]:
    """Where the records of a raw file of single events came from."""
    tenant = report.raw_key.partition("/")[0]
    if is_of_events(report.raw_key):
        yield Name(origins_key(tenant, report.table, report.raw_key), Role.BESIDE)


def check_of(key: str) -> SelfCheck | None:
    """What checks a segment, origins or rejected messages; None for any other object."""
    if _place_of_segment(key):
        return _check_segment
    if key.startswith(QUARANTINE) and key.endswith(_PARQUET):
        return _check_rejected
    folders = key.split("/")
    is_of_table = len(folders) == 4 and folders[1] == _EVENTS
    return _check_origins if is_of_table and is_of_events(key.removesuffix(_PARQUET)) else None


def faults(store: ObjectStore) -> Iterator[DamagedTableError]:
    """The gaps in chains of segments behind what is rolled up; raises StoreError."""
    for stream in find_streams(store):
        fault: DamagedTableError | None = None
        for _ in range(_MOST_ATTEMPTS):
            fault = _fault_of(store, stream)
            if fault is None:
                break
        if fault is not None:
            yield fault


def _fault_of(store: ObjectStore, stream: str) -> DamagedTableError | None:
    try:
        for _ in Chain(store, stream).segments(read_cursor(store, stream).end):
            pass
    except DamagedTableError as error:
        # What is wrong with one segment is found where that is looked at.
        is_gap = error.key is not None and _place_of_segment(error.key) and not store.exists(error.key)
        return error if is_gap else None
    except ObjectNotFoundError as error:
        # It was rolled up and deleted meanwhile, or is missing: another attempt shows which.
        return DamagedTableError(str(error))
    return None


def _place_of_segment(key: str) -> tuple[str, int] | None:
    stream, _, name = key.removeprefix(SEGMENTS).rpartition("/")
    first = name.removesuffix(ENDING)
    is_segment = key.startswith(SEGMENTS) and first.isdecimal() and is_stream_name(stream)
    return (stream, int(first)) if is_segment and key == segment_key(stream, int(first)) else None


def _check_segment(store: ObjectStore, key: str) -> None:
    place = _place_of_segment(key)
    if place:
        Chain(store, place[0]).read(place[1])


def _check_rejected(store: ObjectStore, key: str) -> None:
    if read_proven(store, key).schema.names != REJECTED_SCHEMA.names:
        raise damaged(store, key)


def _check_origins(store: ObjectStore, key: str) -> None:
    rows = read_proven(store, key)
    if rows.schema.names != ORIGIN_SCHEMA.names:
        raise damaged(store, key)
    records = rows["record"].combine_chunks()
    # Each once, from 1 on; those of erased people are missing.
    if len(records) and (records[0].as_py() < 1 or pc.any(pc.less(pc.pairwise_diff(records), 1)).as_py()):
        raise damaged(store, key)


EVENTS = Forms(of_report=names_of_report, check_of=check_of, faults=faults)
