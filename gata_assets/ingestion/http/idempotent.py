"""Requests with an Idempotency-Key: carried out once, and answered the same when they are sent again."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from gata_assets.errors import ConflictError, StoreError, TooManyEventsError
from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.keys.request_records import Answer, InProgress, Replayed, Started, fingerprint
from gata_assets.ingestion.keys.requests import IdempotentRequests

REPLAYED = "Idempotency-Replayed"
_JSON = (("content-type", "application/json"),)
Work = Callable[[], Awaitable[Answer]]
FindDone = Callable[[datetime], Awaitable[Answer | None]]


def json_answer(status: int, content: object) -> Answer:
    """An answer in JSON."""
    return Answer(status, json.dumps(content).encode(), _JSON)


async def carry_out(
    service: Service,
    request: Request,
    tenant: str,
    digest: str,
    work: Work,
    parameters: Mapping[str, str] | None = None,
    find_done: FindDone | None = None,
) -> Response:
    """Do the work of a request, or give the answer that it has already.

    Args:
        service: The service.
        request: Its path, its query but for tenant_id, and its Idempotency-Key count.
        tenant: Whose it is.
        digest: The SHA-256 of what was sent as data.
        work: Gives the answer; what it raises is not kept, so the request can be sent again.
        parameters: More of what must be the same.
        find_done: See `OneRequest`.

    Raises:
        Problem: The request is in progress, or another was sent with its key.
    """
    given = request.headers.getlist("idempotency-key")
    if not given:
        return _response(await work())
    if len(given) > 1:
        raise Problem(400, "idempotency-key", "The request has more than one Idempotency-Key.")
    query = {name: value for name, value in request.query_params.multi_items() if name != "tenant_id"}
    route = f"{request.method} {request.url.path}"
    print_of = fingerprint(route, digest, {**query, **(parameters or {})})
    named = OneRequest("Idempotency-Key", tenant, route, given[0], print_of, find_done)
    return await carry_out_once(service, service.requests, named, work)


@dataclass(frozen=True)
class OneRequest:
    """What a request is, however often it is sent.

    Attributes:
        key_name: what its sender calls its key.
        tenant: whose it is.
        route: what is asked for.
        key: names it among those of the tenant and route.
        fingerprint: of what it contains.
        find_done: finds the answer of a request that may have been carried out since an instant, by a process that died
            or while the target failed; None if it was not. Without it such a request is carried out again.
    """

    key_name: str
    tenant: str
    route: str
    key: str
    fingerprint: str
    find_done: FindDone | None = None


async def carry_out_once(service: Service, requests: IdempotentRequests, one: OneRequest, work: Work) -> Response:
    """Do the work of a request that has a key, or give the answer that it has already; raises as `carry_out`."""
    begun = await service.call(requests.begin, one.tenant, one.route, one.key, one.fingerprint)
    if isinstance(begun, Replayed):
        return _response(begun.answer, {REPLAYED: "true"})
    if isinstance(begun, InProgress):
        seconds = max(1, round((begun.free_at - service.clock()).total_seconds()))
        raise Problem(
            409,
            "in-progress",
            f"A request with this {one.key_name} is being carried out: send it again in a moment.",
            headers={"Retry-After": "1"},
            free_in_seconds=seconds,
        )
    if not isinstance(begun, Started):
        raise Problem(
            422, "other-request", f"The {one.key_name} was used for other data or parameters: use a new one for them."
        )
    answer: Answer | None = None
    is_untouched = False
    try:
        if one.find_done and begun.begun_before:
            answer = await one.find_done(begun.begun_before)
        answer = answer or await work()
    except TooManyEventsError:
        is_untouched = begun.begun_before is None
        raise
    finally:
        if answer is None:
            end = requests.release if one.find_done and not is_untouched else requests.forget
            # A fault of the store that also keeps this from being done must not hide the first one.
            with suppress(StoreError):
                await service.call(end, begun)
    # It is done and the caller learns so: without its record a repetition is carried out again, which landing allows.
    with suppress(ConflictError, StoreError):
        await service.call(requests.finish, begun, answer)
    return _response(answer)


def _response(answer: Answer, more: Mapping[str, str] | None = None) -> Response:
    return Response(answer.body, answer.status, {**dict(answer.headers), **(more or {})})
