"""Lands what arrived as a raw file, validates it, and says what became of its rows.

By `curation/landing`, as `gata ingest` does: the same content lands once under any name, whether at another time or at
the same.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from gata_assets.curation.files.formats import FileFormat
from gata_assets.curation.files.sources import FixedContent, HeldContent
from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.ingestion.http.idempotent import json_answer, place_of, rule_counts
from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.service import Service
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
    with service.turn(f"{tenant}/{table}/{digest}"), service.metrics.time_landing(table):
        # Remembered by the curator: that of all calls which wait for nothing else.
        saved = service.call_meanwhile(curator.mappings.saved, table)
        service.referenced.refresh(curator, table)
        saved.result()
        landing = Landing(curator, service.marks_of(tenant, table))
        landed = landing.land(table, name, content, file_format, request_id=request_id)
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
