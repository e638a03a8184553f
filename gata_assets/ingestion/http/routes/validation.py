"""Rows that are validated without landing, and the JSON Schema of a table."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.layout import NOBODY
from gata_assets.curation.readers.faults import unforeseen_errors_refuse
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.curation.reports import Report
from gata_assets.curation.validation import validate_block
from gata_assets.ingestion.http.access import Caller, admit
from gata_assets.ingestion.http.bodies.json_lines import TOO_DEEP, not_json, rows_of
from gata_assets.ingestion.http.bodies.reading import held_body
from gata_assets.ingestion.http.idempotent import rule_counts
from gata_assets.ingestion.http.json_schema import json_schema
from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.service import Service
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec, read_by_row

# Rows whose rules are listed one by one; all are counted.
MOST_LISTED = 1_000


class _Sample(msgspec.Struct, forbid_unknown_fields=True):
    data_type: Annotated[str, msgspec.Meta(max_length=63)]
    sample_data: msgspec.Raw


class ValidationRoutes:
    """The routes below /api/validation."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def validate(self, request: Request) -> Response:
        """Say which rows of a sample break which rules; nothing is stored, no value is in the answer."""
        service = self._service
        caller = await admit(service, request, "validate")
        async with held_body(service, request, service.rules.max_body_bytes) as body:
            try:
                sample = msgspec.json.decode(body, type=_Sample)
            except RecursionError:
                raise Problem(400, "malformed", TOO_DEEP) from None
            except msgspec.ValidationError:
                raise Problem(
                    422, "malformed", 'A JSON object with "data_type" (a table) and "sample_data" (an array) is needed.'
                ) from None
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Problem(400, "malformed", not_json(error)) from None
            spec = service.table(sample.data_type)
            content = bytes(sample.sample_data)
            if content[:1] != b"[":
                raise Problem(422, "malformed", '"sample_data" is to be an array of objects.')
            return JSONResponse(await service.landing(self._validate, caller, spec, content))

    async def schema(self, request: Request, table: str) -> Response:
        """The JSON Schema of a row of a table."""
        await admit(self._service, request, "validate")
        return JSONResponse(json_schema(self._service.table(table)), media_type="application/schema+json")

    def _validate(self, caller: Caller, spec: TableSpec, content: bytes) -> dict[str, Any]:
        rows = rows_of(content, "application/json", self._service.rules.max_body_rows)
        valid = 0
        by_rule, unknown = Counter[str](), Counter[str]()
        errors: list[dict[str, Any]] = []
        if rows.count:
            by_row = read_by_row(spec)
            context = self._context(caller, spec)
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

    def _context(self, caller: Caller, spec: TableSpec) -> RowContext:
        """What rows are validated against; what they refer to only of a tenant that is known."""
        now = self._service.clock()
        curator = self._service.curator_of(caller.tenant or NOBODY, now)
        if caller.tenant is not None:
            return curator.context_of(spec, Report(spec.table, "sample", curator.places.raw(spec.table), now, ""))
        rules = curator.rules
        if spec.event_time is None:
            return RowContext(tokens=rules.tokens)
        return RowContext(rules.earliest_of(spec.table), now + rules.at_most_ahead, tokens=rules.tokens)


def _errors(rejected: pa.Table, most: int) -> list[dict[str, Any]]:
    few = rejected.slice(0, most)
    records, rules = few.column("source_record").to_pylist(), few.column("rules").to_pylist()
    return [{"row": record, "rules": broken} for record, broken in zip(records, rules, strict=True)]
