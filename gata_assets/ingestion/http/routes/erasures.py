"""Requests to erase people: durable when they are answered, carried out by the job.

By an API key alone, also where the network is trusted: what is erased does not come back.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gata_assets.governance.privacy.actors import http_actor
from gata_assets.governance.privacy.requests.record import (
    LONGEST_ID,
    MOST_PEOPLE,
    NAME_RULE,
    is_request_name,
    new_request_name,
)
from gata_assets.ingestion.http.access import admit
from gata_assets.ingestion.http.bodies.json_object import object_of
from gata_assets.ingestion.http.bodies.reading import held_body
from gata_assets.ingestion.http.problems import Problem, too_large
from gata_assets.ingestion.http.service import Service

_NEEDED = (
    'A JSON object with "subjects" is needed, an array of ids as tables name people, each of 1 to '
    f'{LONGEST_ID:,} characters; and, if it is to be sent again, with "request", its name.'
)


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    subjects: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)]], msgspec.Meta(min_length=1)
    ]
    request: str | None = None


class ErasureRoutes:
    """The routes below /v1/privacy/erasures."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ask(self, request: Request) -> Response:
        """Take a request: from its answer on nobody reads what precedes it, and it will be carried out."""
        service = self._service
        tenant, prefix = await self._admit(request)
        async with held_body(service, request, service.rules.max_body_bytes) as body:
            asked = object_of(body, _Asked, _NEEDED)
            if len(asked.subjects) > MOST_PEOPLE:
                raise too_large(f"{len(asked.subjects):,} people", f"{MOST_PEOPLE:,} in a request")
            name = new_request_name(service.clock()) if asked.request is None else asked.request
            if not is_request_name(name):
                raise Problem(422, "parameter", NAME_RULE)
            taken = await service.landing(service.rows.ask_erasure, tenant, asked.subjects, name, http_actor(prefix))
        return JSONResponse(taken.as_json(service.clock()), 202, {"Location": f"{request.url.path}/{name}"})

    async def state(self, request: Request, name: str) -> Response:
        """What became of a request."""
        service = self._service
        tenant, _ = await self._admit(request)
        found = await service.call(service.rows.find_erasure, tenant, name) if is_request_name(name) else None
        if found is None:
            raise Problem(404, "no-such-request", "The tenant has no request of this name whose ids were stored.")
        return JSONResponse(found.as_json(service.clock()))

    async def _admit(self, request: Request) -> tuple[str, str]:
        """The tenant and the prefix of the key; raises Problem."""
        caller = await admit(self._service, request, "privacy")
        if caller.key_prefix is None:
            raise Problem(403, "scope", "People are erased for an API key alone: SERVICE_AUTH=api-keys.")
        return caller.required_tenant, caller.key_prefix
