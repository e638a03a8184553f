"""Lands what arrived as a raw file, validates it, and says what became of its rows.

By `curation/landing`, as `gata ingest` does: the same content lands once under any name, whether at another time or at
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from threading import Lock
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.curated.referenced_keys import ReferencedKeys
from gata_assets.curation.files.formats import FileFormat, RawFormat
from gata_assets.curation.files.known_marks import KnownMarks
from gata_assets.curation.files.sources import FixedContent, HeldContent, StoredContent
from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.curation.quality.exposition import QualityCollector
from gata_assets.curation.quality.measures import QualityRules
from gata_assets.curation.quality.reader import QualityReader
from gata_assets.governance.privacy.actors import Actor
from gata_assets.governance.privacy.requests.backlog import BacklogReader
from gata_assets.governance.privacy.requests.metrics import ErasureCollector
from gata_assets.governance.privacy.requests.record import StoredRequest
from gata_assets.governance.privacy.requests.store import ErasureRequests
from gata_assets.ingestion.http.bodies.json_lines import rows_of
from gata_assets.ingestion.http.rows.samples import judge_rows
from gata_assets.ingestion.http.rows.work import Landed, rule_counts, taking_rows
from gata_assets.ingestion.segments.coding.segments import decode_segment, encode_segment
from gata_assets.ingestion.segments.event import NewEvent, Segment, StoredEvents
from gata_assets.ingestion.segments.stored_events import find_stored
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.spec import TableSpec

# One name for all bodies, so that processes that land the same at once give it the same key.
_BODY = "http"
_JSON_LINES = FileFormat(RawFormat.JSON_LINES)
_CALLS_AT_ONCE = 8


class RowWorker:
    """Does the work of `RowWork` where it is."""

    def __init__(
        self,
        store: ObjectStore,
        tables: Mapping[str, TableSpec],
        curator_of: Callable[[str, datetime], TableCurator],
        clock: Callable[[], datetime],
        erasures: ErasureRequests,
        quality_rules: QualityRules = QualityRules(),  # noqa: B008 (nothing changes it)
    ) -> None:
        """Describe it.

        Args:
            store: The target.
            tables: All tables by name.
            curator_of: The curator of a tenant's tables as of an instant.
            clock: The present instant in UTC.
            erasures: The requests to erase people.
            quality_rules: How scores are measured.
        """
        self._store, self._curator_of, self._clock = store, curator_of, clock
        self._erasures = erasures
        self._tables = taking_rows(tables)
        self._calls = ThreadPoolExecutor(_CALLS_AT_ONCE, "row-call")
        self._referenced = ReferencedKeys(self._calls.map)
        self._marks: dict[tuple[str, str], KnownMarks] = {}
        self._turns: dict[str, tuple[Lock, int]] = {}
        self._turns_lock = Lock()
        self._quality = QualityReader(store, self._tables, clock)
        self._registry = CollectorRegistry()
        self._registry.register(QualityCollector(lambda: self._quality.reading, quality_rules, clock))
        self._registry.register(ErasureCollector(BacklogReader(erasures, clock).read, clock))

    def land_body(
        self, tenant: str, table: str, body: bytes, content_type: str, most_rows: int, request_id: str
    ) -> Landed:
        """See RowWork."""
        lines = rows_of(body, content_type, most_rows).lines
        held = HeldContent(lines, sha256(lines).hexdigest())
        return self._land(tenant, table, _BODY, held, _JSON_LINES, request_id)

    def land_upload(
        self, tenant: str, table: str, name: str, key: str, sha256: str, file_format: FileFormat, request_id: str
    ) -> Landed:
        """See RowWork."""
        content = StoredContent(self._store, key, sha256)
        return self._land(tenant, table, name, content, file_format, request_id)

    def judge(self, tenant: str | None, table: str, content: bytes, most_rows: int) -> dict[str, Any]:
        """See RowWork."""
        now = self._clock()
        return judge_rows(
            lambda name: self._curator_of(name, now), self._tables[table], tenant, content, most_rows, now
        )

    def measured(self) -> bytes:
        """See RowWork."""
        self._quality.refresh()
        return generate_latest(self._registry)

    def ask_erasure(self, tenant: str, ids: Sequence[str], request: str, by: Actor) -> StoredRequest:
        """See RowWork."""
        return self._erasures.ask(tenant, ids, request, by).without_sealed()

    def find_erasure(self, tenant: str, request: str) -> StoredRequest | None:
        """See RowWork."""
        found = self._erasures.find(tenant, request)
        return found and found.without_sealed()

    def encode_segment(self, segment: Segment) -> bytes:
        """See RowWork."""
        return encode_segment(segment)

    def decode_segment(self, content: bytes, place: str) -> Segment:
        """See RowWork."""
        return decode_segment(content, place)

    def find_stored(self, events: Sequence[NewEvent], since: datetime) -> StoredEvents | None:
        """See RowWork."""
        return find_stored(self._store, events, since)

    def close(self) -> None:
        """See RowWork."""
        self._calls.shutdown()

    def _land(
        self, tenant: str, table: str, name: str, content: FixedContent, file_format: FileFormat, request_id: str
    ) -> Landed:
        """Land a file; its report keeps the request."""
        curator = self._curator_of(tenant, self._clock())
        with self._turn(f"{tenant}/{table}/{content.sha256}"):
            # Remembered by the curator: that of all calls which wait for nothing else.
            saved = self._calls.submit(curator.mappings.saved, table)
            self._referenced.refresh(curator, table)
            saved.result()
            landing = Landing(curator, self._marks_of(tenant, table))
            landed = landing.land(table, name, content, file_format, request_id=request_id)
        report = landed.report
        counts = report.valid, report.rejected, report.rejected_by_rule, landed.was_there
        if report.refused is not None:
            place = {"s3_path": self._store.uri(report.raw_key), "file_id": report.file_id}
            return Landed(place, *counts, report.refused)
        return Landed(self._answer(landed), *counts)

    def _answer(self, landed: LandedFile) -> dict[str, Any]:
        report = landed.report
        status = "success" if not report.rejected else "partial" if report.valid else "rejected"
        return {
            "status": status,
            "rows_accepted": report.valid,
            "rows_rejected": report.rejected,
            "s3_path": self._store.uri(report.raw_key),
            "validation_errors": rule_counts(report.rejected_by_rule),
            "warnings": rule_counts({**report.unknown_by_rule, **report.discarded_by_rule}),
            "quarantine_path": self._store.uri(report.quarantine.key) if report.quarantine else None,
            "file_id": report.file_id,
            "was_there": landed.was_there,
            "replaced_by": landed.replaced_by,
        }

    def _marks_of(self, tenant: str, table: str) -> KnownMarks:
        """What this process knows of a table's raw files."""
        with self._turns_lock:
            return self._marks.setdefault((tenant, table), KnownMarks())

    @contextmanager
    def _turn(self, what: str) -> Iterator[None]:
        """Let one thread at a time do something: the same content that arrives twice at once lands once."""
        with self._turns_lock:
            lock, waiting = self._turns.get(what, (Lock(), 0))
            self._turns[what] = lock, waiting + 1
        try:
            with lock:
                yield
        finally:
            with self._turns_lock:
                lock, waiting = self._turns.pop(what)
                if waiting > 1:
                    self._turns[what] = lock, waiting - 1
