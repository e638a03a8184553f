"""How a route is described for OpenAPI: its answers, with every problem that it may have, and what all routes share."""

from __future__ import annotations

from typing import Any

from gata_assets.ingestion.http.described.shapes import COUNT, TEXT, object_of
from gata_assets.ingestion.http.problems import PROBLEM_TYPE

_PROBLEM = {
    "type": "urn:gata:problem:unknown-key",
    "title": "Unauthorized",
    "status": 401,
    "detail": "The API key is unknown, revoked or expired.",
    "instance": "urn:gata:request:0123456789abcdef0123456789abcdef",
}
_PROBLEM_CONTENT = {
    PROBLEM_TYPE: {
        "schema": object_of(type=TEXT, title=TEXT, status={"type": "integer"}, detail=TEXT, instance=TEXT),
        "example": _PROBLEM,
    }
}
_MEANINGS = {
    400: "The request is malformed.",
    401: "No API key, or one that is unknown, revoked or expired; or no signature, or a wrong or old one.",
    403: "The API key does not allow it, or is of another tenant; or people are under a legal hold.",
    404: "There is no such table, source of webhooks or request.",
    408: "The body came too slowly.",
    409: "A request with this Idempotency-Key is in progress; or one to erase people has this name and other people.",
    413: "More bytes or rows than are taken.",
    415: "The body is encoded, or of another type.",
    422: "The data or a parameter is wrong.",
    429: "Too many requests: see Retry-After.",
    500: "A fault of the service.",
    503: "The target is away, or busy: see Retry-After.",
}
_WAIT = {"Retry-After": {"description": "After how many seconds to come again.", "required": True, "schema": COUNT}}


def described(
    summary: str,
    status: int,
    meaning: str,
    content: dict[str, Any],
    problems: tuple[int, ...],
    *,
    waits: tuple[int, ...] = (409, 429, 503),
    **more: Any,
) -> dict[str, Any]:
    """What FastAPI needs to describe a route.

    Args:
        summary: What it does.
        status: Of an answer that is no problem.
        meaning: Of that answer.
        content: Of that answer.
        problems: The statuses of problems that it may answer.
        waits: Those of them that say when to come again.
        more: More of the operation.
    """
    answers: dict[int | str, dict[str, Any]] = {status: {"description": meaning, "content": content}}
    for code in problems:
        answers[code] = {"description": _MEANINGS[code], "content": _PROBLEM_CONTENT}
        if code in waits:
            answers[code]["headers"] = _WAIT
    return {"summary": summary, "status_code": status, "responses": answers, "openapi_extra": more}


def json_content(example: object, shape: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    """Content of JSON, with an example."""
    return {kind: {"schema": shape, "example": example}}


def parameter_of(
    name: str,
    description: str,
    shape: dict[str, Any],
    *,
    place: str = "query",
    is_required: bool = False,
    example: str | None = None,
) -> dict[str, Any]:
    """A parameter of a request."""
    found = {"name": name, "in": place, "required": is_required, "description": description, "schema": shape}
    return found if example is None else {**found, "example": example}


TENANT = parameter_of(
    "tenant_id",
    "Compared with the tenant of the API key; needed without keys.",
    {"type": "string", "pattern": "^[a-z0-9_]{1,63}$"},
)
AUTH: dict[str, Any] = {"security": [{"bearer": []}, {"header": []}]}
ASKED = (401, 403, 404, 422, 429, 500, 503)
SENT = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)
