"""Lands what arrived as a raw file, validates it, and says what became of its rows.

By `curation/landing`, as `gata ingest` does: the same content lands once under any name, whether at another time or at
the same.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from hashlib import sha256
from typing import Any

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.files.formats import FileFormat
from gata_assets.curation.files.sources import FixedContent, HeldContent
from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.ingestion.http.idempotent import json_answer, place_of, rule_counts
from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.keys.content_claims import one_name
from gata_assets.ingestion.keys.request_records import Answer

# One name for all bodies, so that processes that land the same at once give it the same key.
_BODY = "http"


def land_bytes(
    service: Service, tenant: str, table: str, content: bytes, file_format: FileFormat, request_id: str
) -> Answer:
    """Land the rows of a body, in the thread that calls; raises as `land_file` does."""
    held = HeldContent(content, sha256(content).hexdigest())
    return land_file(service, tenant, table, _BODY, held, file_format, request_id)


def land_file(
    service: Service,
    tenant: str,
    table: str,
    name: str,
    content: FixedContent,
    file_format: FileFormat,
    request_id: str,
) -> Answer:
    """Land a file, in the thread that calls; its report keeps the request.

    Raises:
        RawFileError: It cannot be read as the table; it did not land.
        Problem: It landed and cannot be read to its end.
        StoreError: The target failed.
    """
    curator = service.curator_of(tenant, service.clock())
    digest = content.sha256
    own = nullcontext(name) if name == _BODY else one_name(service.store, service.clock, tenant, table, digest, name)
    timed = service.metrics.time_landing(table)
    with service.turn(f"{tenant}/{table}/{digest}"), timed, own as landed_name:
        _refresh_referenced(curator, table)
        landed = Landing(curator).land(table, landed_name, content, file_format, request_id=request_id)
    report = landed.report
    if not landed.was_there:
        service.metrics.count_rows(table, report.valid, report.rejected, report.rejected_by_rule)
    if report.refused is not None:
        raise Problem(
            422,
            "unreadable",
            f"The data {report.refused} It landed, and none of its rows counts.",
            s3_path=service.store.uri(report.raw_key),
            file_id=report.file_id,
        )
    return json_answer(200, _answer(service, landed))


def _refresh_referenced(curator: TableCurator, table: str) -> None:
    """Let referenced tables contain the rows that landed before; another request may be at it.

    They are read once: what validation needs of them is kept, and one that is damaged is written anew.
    """
    with suppress(ConflictError):
        curator.refresh_referenced([name for name in curator.referenced(table) if curator.stale(name)])
        for reference in curator.tables[table].references.values():
            if reference.mode.is_of_changes:
                continue
            try:
                curator.known_keys(reference.table, reference.column)
            except (DamagedTableError, ObjectNotFoundError):
                curator.refresh_referenced([reference.table])


def _answer(service: Service, landed: LandedFile) -> dict[str, Any]:
    report = landed.report
    status = "success" if not report.rejected else "partial" if report.valid else "rejected"
    return {
        "status": status,
        "rows_accepted": report.valid,
        "rows_rejected": report.rejected,
        "s3_path": service.store.uri(report.raw_key),
        "validation_errors": rule_counts(report.rejected_by_rule),
        "warnings": rule_counts({**report.unknown_by_rule, **report.discarded_by_rule}),
        "quarantine_path": place_of(service.store, report.quarantine.key if report.quarantine else None),
        "file_id": report.file_id,
        "was_there": landed.was_there,
        "replaced_by": landed.replaced_by,
    }
