"""Rows that are validated without landing, and the JSON Schema of a table."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gata_assets.ingestion.http.access import admit
from gata_assets.ingestion.http.bodies.json_object import object_of
from gata_assets.ingestion.http.bodies.reading import held_body
from gata_assets.ingestion.http.json_schema import json_schema
from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.service import Service


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
            sample = object_of(
                body, _Sample, 'A JSON object with "data_type" (a table) and "sample_data" (an array) is needed.'
            )
            table = service.table(sample.data_type).table
            content = bytes(sample.sample_data)
            if content[:1] != b"[":
                raise Problem(422, "malformed", '"sample_data" is to be an array of objects.')
            judged = await service.landing(
                service.rows.judge, caller.tenant, table, content, service.rules.max_body_rows
            )
            return JSONResponse(judged)

    async def schema(self, request: Request, table: str) -> Response:
        """The JSON Schema of a row of a table."""
        await admit(self._service, request, "validate")
        return JSONResponse(json_schema(self._service.table(table)), media_type="application/schema+json")
