"""Which rows of a sample break which rules; nothing is stored, and no value is in the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.layout import NOBODY
from gata_assets.curation.readers.faults import unforeseen_errors_refuse
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.curation.reports import Report
from gata_assets.curation.validation import validate_block
from gata_assets.ingestion.http.bodies.json_lines import rows_of
from gata_assets.ingestion.http.rows.work import rule_counts
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec, read_by_row

# Rows whose rules are listed one by one; all are counted.
MOST_LISTED = 1_000


def judge_rows(
    curator_of: Callable[[str], TableCurator],
    spec: TableSpec,
    tenant: str | None,
    content: bytes,
    most_rows: int,
    now: datetime,
) -> dict[str, Any]:
    """See `RowWork.judge`; what rows refer to is looked at only for a tenant that is known."""
    rows = rows_of(content, "application/json", most_rows)
    valid = 0
    by_rule, unknown = Counter[str](), Counter[str]()
    errors: list[dict[str, Any]] = []
    if rows.count:
        by_row = read_by_row(spec)
        context = _context(curator_of(tenant or NOBODY), spec, now, is_known=tenant is not None)
        with unforeseen_errors_refuse():
            for pending in read_blocks(BytesIO(rows.lines), RawFormat.JSON_LINES, by_row):
                found = validate_block(by_row, pending(), context, "sample")
                valid += len(found.valid)
                by_rule.update(found.rejected_by_rule)
                unknown.update(found.unknown_by_rule)
                errors += _errors(found.rejected, MOST_LISTED - len(errors))
    invalid = rows.count - valid
    return {
        "data_type": spec.table,
        "is_valid": not invalid,
        "rows": rows.count,
        "valid": valid,
        "invalid": invalid,
        "errors": errors,
        "errors_left_out": invalid - len(errors),
        "validation_errors": rule_counts(by_rule),
        "warnings": rule_counts(unknown),
    }


def _context(curator: TableCurator, spec: TableSpec, now: datetime, *, is_known: bool) -> RowContext:
    """What rows are validated against."""
    if is_known:
        return curator.context_of(spec, Report(spec.table, "sample", curator.places.raw(spec.table), now, ""))
    rules = curator.rules
    if spec.event_time is None:
        return RowContext(tokens=rules.tokens)
    return RowContext(rules.earliest_of(spec.table), now + rules.at_most_ahead, tokens=rules.tokens)


def _errors(rejected: pa.Table, most: int) -> list[dict[str, Any]]:
    few = rejected.slice(0, most)
    records, rules = few.column("source_record").to_pylist(), few.column("rules").to_pylist()
    return [{"row": record, "rules": broken} for record, broken in zip(records, rules, strict=True)]
