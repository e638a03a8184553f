"""Why no curated row has a key: what has the key instead, as far as stored tables say. Counts only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import polars as pl

from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.reports import Report, StagedPart
from gata_assets.curation.superseding import replaced_files
from gata_assets.curation.tracing.key_values import KeyValues
from gata_assets.curation.tracing.places import has_rows
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.tables.changes.verdicts import PARKED, QUARANTINED, VERDICT


def explain_absence(curator: TableCurator | ChangesCurator, key: KeyValues) -> str:
    """What has the key, in words that continue a sentence; raises DamagedTableError or StoreError."""
    counts = Counter[str](dict(_waiting(curator, key)))
    reports = curator.reports(key.spec.table)
    replaced = replaced_files(reports)
    for report in reports:
        if any(has_rows(curator, key, part) for part in _parts_of(key, report)):
            counts["replaced" if report.file_id in replaced else "valid"] += 1
        if report.file_id not in replaced:
            counts["rejected"] += _rejected(curator, key, report)
    valid = "say that it was deleted, or are not folded in yet" if key.spec.changes else "are not curated yet"
    words = {
        PARKED: "{:,} rows with it wait for others (`gata quarantine waiting`)",
        QUARANTINED: "{:,} rows with it waited too long (`gata quarantine waiting`)",
        "valid": f"valid rows with it of {{:,}} files {valid}",
        "rejected": "{:,} rows in quarantine have these texts (`gata quarantine rows`)",
        "replaced": "{:,} files with it were superseded, and count no more",
    }
    return "; ".join(text.format(counts[name]) for name, text in words.items() if counts[name]) or (
        "no validated file has such a row; `gata events tail` shows events that are not curated yet"
    )


def _parts_of(key: KeyValues, report: Report) -> Iterator[StagedPart]:
    day = key.day_value.date() if isinstance(key.day_value, datetime) else None
    return (part for part in report.parts if day is None or part.day in (None, day))


def _rejected(validator: FileValidator, key: KeyValues, report: Report) -> int:
    if report.quarantine is None:
        return 0
    try:
        with validator.store.local_copy(report.quarantine.key) as path:
            return key.count_texts(path)
    except (ObjectNotFoundError, *DAMAGED) as error:
        raise DamagedTableError(
            f"{validator.store.uri(report.quarantine.key)} is missing or damaged: `gata quarantine --replay` writes it "
            "again."
        ) from error


def _waiting(curator: TableCurator | ChangesCurator, key: KeyValues) -> Iterator[tuple[str, int]]:
    """How many rows of changes with the key wait, by their verdict."""
    if not isinstance(curator, ChangesCurator):
        return
    columns = [*key.values, VERDICT]
    found = [key.filter(rows) for _, rows in curator.waiting_rows(key.spec.table, columns)]
    counts = pl.concat([rows.select(VERDICT) for rows in found]).group_by(VERDICT).len() if found else None
    yield from counts.iter_rows() if counts is not None else ()
