"""Rows in bulk: bodies of JSON and uploaded files, which land as raw files."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gata_assets.curation.files.formats import FileFormat, RawFormat, parse_format
from gata_assets.errors import RawFileError
from gata_assets.ingestion.http.access import admit
from gata_assets.ingestion.http.bodies.multipart import ENVELOPE_BYTES, FileReceiver
from gata_assets.ingestion.http.bodies.reading import held_body, in_pieces, require_size
from gata_assets.ingestion.http.idempotent import carry_out, json_answer
from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.rows.work import Landed
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.keys.request_records import Answer

_CSV = FileFormat(RawFormat.CSV)
_PIECE_BYTES = 1 << 20


class DataRoutes:
    """The routes below /internal/data."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def rows(self, request: Request, table: str) -> Response:
        """Land the rows of a JSON body."""
        service = self._service
        caller = await admit(service, request, "ingest")
        tenant = caller.required_tenant
        service.table(table)
        async with held_body(service, request, service.rules.max_body_bytes) as body:
            kind, most_rows = request.headers.get("content-type", ""), service.rules.max_body_rows

            async def work() -> Answer:
                land, request_id = service.rows.land_body, request.state.request_id
                return await self._land(table, land, tenant, table, body, kind, most_rows, request_id)

            return await carry_out(service, request, tenant, sha256(body).hexdigest(), work)

    async def upload(self, request: Request) -> Response:
        """Land an uploaded file."""
        service = self._service
        caller = await admit(service, request, "ingest")
        tenant = caller.required_tenant
        table = _only(request, "data_type")
        service.table(table)
        rules = service.rules
        require_size(request, rules.max_upload_bytes + ENVELOPE_BYTES)
        key = service.uploads.new_key()
        try:
            received = await self._receive(request, key)
            name = received.name or "file"
            _require_same(received.fields, {"tenant_id": tenant, "data_type": table})

            async def work() -> Answer:
                land, request_id = service.rows.land_upload, request.state.request_id
                file = Path(name).name, key, received.sha256, _format_of(name)
                answer = await self._land(table, land, tenant, table, *file, request_id)
                service.metrics.count_upload(table)
                return answer

            return await carry_out(service, request, tenant, received.sha256, work, {"name": name})
        finally:
            await service.call(service.uploads.discard, key)
            await service.call(service.uploads.sweep)

    async def _land(self, table: str, land: Callable[..., Landed], *arguments: Any) -> Answer:
        """Land something, count its rows, and answer; raises Problem if it landed and cannot be read to its end."""
        metrics = self._service.metrics

        def timed() -> Landed:
            with metrics.time_landing(table):
                return land(*arguments)

        landed = await self._service.landing(timed)
        if not landed.was_there:
            metrics.count_rows(table, landed.accepted, landed.rejected, landed.rejected_by_rule)
        if landed.unreadable is not None:
            detail = f"The data {landed.unreadable} It landed, and none of its rows counts."
            raise Problem(422, "unreadable", detail, **landed.answer)
        return json_answer(200, landed.answer)

    async def _receive(self, request: Request, key: str) -> FileReceiver:
        """Store the file of a body under a key as it arrives."""
        service, rules = self._service, self._service.rules
        kind = request.headers.get("content-type", "")
        writer = await service.call(service.store.open_write, key)
        try:
            received = FileReceiver(kind, writer, rules.max_upload_bytes, rules.max_upload_rows)
            size = 0
            async for piece in in_pieces(service, request, _PIECE_BYTES):
                size += len(piece)
                if size > rules.max_upload_bytes + ENVELOPE_BYTES:
                    raise Problem(413, "too-large", "The body is larger than files may be.")
                await service.call(received.feed, piece)
            received.finish()
        except BaseException:
            await service.call(writer.abort)
            raise
        await service.call(writer.commit)
        return received


def _only(request: Request, name: str) -> str:
    """The value of a parameter that is given once."""
    found = request.query_params.getlist(name)
    if len(found) != 1:
        raise Problem(422, "parameter", f"The parameter {name} is needed once: ?{name}=….")
    return found[0]


def _require_same(fields: dict[str, str], expected: dict[str, str]) -> None:
    """Fields of the body may repeat what the query and the key say, and say nothing else."""
    for name, value in expected.items():
        if fields.get(name, value) != value:
            raise Problem(403 if name == "tenant_id" else 422, "field", f"The body's field {name} is another.")


def _format_of(name: str) -> FileFormat:
    """The format that a file's name implies; CSV if it implies none."""
    try:
        return parse_format(name)
    except RawFileError:
        return _CSV
