"""Single events: durable in a segment when they are answered, in raw files after their hour."""

from __future__ import annotations

from datetime import UTC
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from gata_assets.ingestion.http.access import admit
from gata_assets.ingestion.http.bodies.json_lines import objects_of, require_no_page
from gata_assets.ingestion.http.bodies.reading import held_body
from gata_assets.ingestion.http.durable_events import DurableEvents
from gata_assets.ingestion.http.idempotent import carry_out
from gata_assets.ingestion.http.problems import Problem, too_large
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.segments.event import MAX_PAYLOAD_BYTES, NewEvent

_SOURCE = "http"


class EventRoutes:
    """The routes of single events."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def events(self, request: Request) -> Response:
        """Store one event, or a small array of them, all or none."""
        service = self._service
        caller = await admit(service, request, "ingest")
        tenant = caller.required_tenant
        tables = request.query_params.getlist("table")
        if len(tables) != 1:
            raise Problem(422, "parameter", "The parameter table is needed once: ?table=interactions.")
        spec = service.table(tables[0])
        async with held_body(service, request, min(service.rules.max_body_bytes, MAX_PAYLOAD_BYTES)) as body:
            payloads = objects_of(body)
            if not payloads:
                raise Problem(422, "no-object", "The array has no event.")
            if len(payloads) > service.rules.max_events:
                raise too_large(f"{len(payloads):,} events", f"{service.rules.max_events:,} in a request")
            require_no_page(spec, payloads)
            received_at = service.clock().astimezone(UTC)
            request_id = request.state.request_id
            events = [NewEvent(tenant, spec.table, payload, received_at, _SOURCE, request_id) for payload in payloads]
            durable = DurableEvents(service, events)
            digest = sha256(body).hexdigest()
            return await carry_out(service, request, tenant, digest, durable.store, find_done=durable.find)
