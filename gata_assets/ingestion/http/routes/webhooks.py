"""Signed events of registered sources: verified, taken once by their ID, durable when they are answered.

What is not signed costs a read of its body and a few digests, and never a look at the target.
"""

from __future__ import annotations

from datetime import UTC
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from gata_assets.errors import DataRuleError, GataError, WebhookSignatureError
from gata_assets.ingestion.http.access import take_turn
from gata_assets.ingestion.http.bodies.json_lines import objects_of
from gata_assets.ingestion.http.bodies.reading import held_body
from gata_assets.ingestion.http.durable_events import DurableEvents
from gata_assets.ingestion.http.idempotent import REPLAYED, OneRequest, carry_out_once
from gata_assets.ingestion.http.problems import Problem, problem_of
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.keys.request_records import fingerprint
from gata_assets.ingestion.segments.event import NewEvent
from gata_assets.ingestion.webhooks.flattening import flatten
from gata_assets.ingestion.webhooks.schemes import verify
from gata_assets.ingestion.webhooks.source import WebhookSource

# Senders of webhooks send little; who has no secret can make the service read no more.
MOST_BYTES = 1_000_000


class WebhookRoutes:
    """The routes of webhooks."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def webhook(self, request: Request, source: str) -> Response:
        """Store the event of a signed request, and count what became of it."""
        service = self._service
        # Only names that an operator gave are counted by.
        name = ""
        try:
            found = await service.call(service.webhooks.find, source)
            if found is None:
                raise Problem(404, "no-such-source", "There is no such source of webhooks: its operator registers it.")
            name = found.name
            answer = await self._take(found, request)
        except (GataError, Problem) as error:
            problem = error if isinstance(error, Problem) else problem_of(error)
            service.metrics.count_webhook_refused(name, problem.kind)
            raise
        service.metrics.count_webhook(name, is_repeated=REPLAYED in answer.headers)
        return answer

    async def _take(self, found: WebhookSource, request: Request) -> Response:
        service = self._service
        async with held_body(service, request, min(MOST_BYTES, service.rules.max_body_bytes)) as body:
            event_id = await self._verify(found, request, body)
            request.state.tenant = found.tenant
            take_turn(service, found.event_source)
            service.table(found.table)
            received_at = service.clock().astimezone(UTC)
            payload = self._payload(found, body)
            event = NewEvent(found.tenant, found.table, payload, received_at, found.event_source, event_id)
            events = DurableEvents(service, [event])
            # Not the instant of the attempt, which is another each time.
            print_of = fingerprint(found.event_source, sha256(body).hexdigest(), {})
            one = OneRequest("event ID", found.tenant, found.event_source, event_id, print_of, events.find)
            return await carry_out_once(service, service.delivered, one, events.store)

    async def _verify(self, source: WebhookSource, request: Request, body: bytes) -> str:
        service = self._service
        # What the first of several headers says, which is what is signed.
        headers = dict(reversed(request.headers.items()))
        secrets = [await service.call(service.webhook_secrets.find, name) for name in source.secrets]
        try:
            return verify(source.scheme, secrets, headers, body, service.clock())
        except WebhookSignatureError as error:
            raise Problem(401, "stale" if error.is_stale else "signature", str(error)) from None

    def _payload(self, source: WebhookSource, body: bytes) -> bytes:
        """The event of a body: one JSON object, as it came unless the source is flattened."""
        objects = objects_of(body)
        if len(objects) != 1 or body.lstrip()[:1] == b"[":
            raise Problem(422, "no-object", "A request has one event: a JSON object, and no array.")
        if not source.is_flattened:
            return objects[0]
        try:
            return flatten(objects[0], MOST_BYTES)
        except DataRuleError as error:
            raise Problem(422, "no-object", str(error)) from None
