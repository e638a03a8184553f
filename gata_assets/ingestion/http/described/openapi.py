"""What OpenAPI says of each route: parameters, bodies, answers, with examples that the service takes and gives."""

from __future__ import annotations

from typing import Any

from gata_assets.ingestion.http.described.shapes import (
    COUNT,
    HEALTH_STATE,
    LANDED,
    ROW,
    TABLE,
    TEXT,
    VALIDATED,
    array_of,
    object_of,
)
from gata_assets.ingestion.http.idempotent import REPLAYED
from gata_assets.ingestion.http.problems import PROBLEM_TYPE
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.keys.request_records import LONGEST_KEY

DESCRIPTION = (
    "Takes rows and events of tenants. Rows land as raw files, are validated, and are curated with all others. "
    "Errors are problem details (RFC 9457)."
)
_INTERACTION = {
    "user_id": "user_001",
    "item_id": "item_1234",
    "interaction_type": "purchase",
    "timestamp": "2026-01-01T10:00:00Z",
    "rating": 5.0,
}
_LANDED = {
    "status": "success",
    "rows_accepted": 1,
    "rows_rejected": 0,
    "s3_path": "s3://my-training-data/acme/raw/interactions/2026-01-01/http-0123456789abcdef0123456789abcdef.jsonl",
    "validation_errors": [],
    "warnings": [],
    "quarantine_path": None,
    "file_id": "2026-01-01-http-0123456789abcdef0123456789abcdef",
    "was_there": False,
    "replaced_by": None,
}
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
    403: "The API key does not allow it, or is of another tenant.",
    404: "There is no such table, or source of webhooks.",
    408: "The body came too slowly.",
    409: "A request with this Idempotency-Key is in progress.",
    413: "More bytes or rows than are taken.",
    415: "The body is encoded, or of another type.",
    422: "The data or a parameter is wrong.",
    429: "Too many requests: see Retry-After.",
    500: "A fault of the service.",
    503: "The target is away, or busy: see Retry-After.",
}
_WAIT = {"Retry-After": {"description": "After how many seconds to come again.", "required": True, "schema": COUNT}}


def _described(
    summary: str, status: int, meaning: str, content: dict[str, Any], problems: tuple[int, ...], **more: Any
) -> dict[str, Any]:
    answers: dict[int | str, dict[str, Any]] = {status: {"description": meaning, "content": content}}
    for code in problems:
        answers[code] = {"description": _MEANINGS[code], "content": _PROBLEM_CONTENT}
        if code in (409, 429, 503):
            answers[code]["headers"] = _WAIT
    return {"summary": summary, "status_code": status, "responses": answers, "openapi_extra": more}


def _json(example: object, shape: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {kind: {"schema": shape, "example": example}}


def _parameter(
    name: str,
    description: str,
    shape: dict[str, Any],
    *,
    place: str = "query",
    is_required: bool = False,
    example: str | None = None,
) -> dict[str, Any]:
    found = {"name": name, "in": place, "required": is_required, "description": description, "schema": shape}
    return found if example is None else {**found, "example": example}


_TENANT = _parameter(
    "tenant_id",
    "Compared with the tenant of the API key; needed without keys.",
    {"type": "string", "pattern": "^[a-z0-9_]{1,63}$"},
)
_IDEMPOTENCY = _parameter(
    "Idempotency-Key",
    f"The same key and request again give the same answer, with {REPLAYED}.",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
    place="header",
)
_ACCEPTED = _json(
    {"status": "accepted", "stream": "http/0123456789abcdef", "offsets": [0]},
    object_of(status={"const": "accepted"}, stream=TEXT, offsets=array_of(COUNT, minItems=1)),
)
# No secret of anybody: for the example alone, which a test verifies.
_WEBHOOK_SECRET = "whsec_ZXhhbXBsZS1vbmx5LWV4YW1wbGUtb25seQ=="  # noqa: S105
_SIGNATURE = "v1,K5oWOExofA8WtGqZI9s9i4yk2HMZ25WGGncSRAmDw+Q="
_AUTH: dict[str, Any] = {"security": [{"bearer": []}, {"header": []}]}
_ASKED = (401, 403, 404, 422, 429, 500, 503)
_SENT = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)

HEALTH = _described(
    "Whether the service, its target and Kafka work",
    200,
    "The process works; `status` says whether all that it needs does.",
    _json(
        {
            "status": "healthy",
            "service": "data-pipeline",
            "version": "1.0.0",
            "timestamp": "2026-01-01T10:00:00Z",
            "kafka_connected": False,
            "kafka_configured": False,
            "s3_connected": True,
        },
        HEALTH_STATE,
    ),
    (500,),
)
METRICS = _described("Counters for Prometheus", 200, "Text of Prometheus.", {"text/plain": {"schema": TEXT}}, (500,))
ROWS = _described(
    "Land rows of a table: a JSON array of objects, or JSON Lines",
    200,
    "The rows landed; rejected ones are in quarantine.",
    _json(_LANDED, LANDED),
    _SENT,
    parameters=[_TENANT, _IDEMPOTENCY],
    requestBody={
        "required": True,
        "content": {
            **_json([_INTERACTION], array_of(ROW)),
            "application/x-ndjson": {"schema": TEXT},
        },
    },
    **_AUTH,
)
UPLOAD = _described(
    "Land a file: CSV, JSON Lines or Parquet by its name, else CSV",
    200,
    "The file landed; rejected rows are in quarantine.",
    _json(_LANDED, LANDED),
    _SENT,
    parameters=[_TENANT, _parameter("data_type", "The table.", TABLE, is_required=True), _IDEMPOTENCY],
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": object_of(file={"type": "string", "format": "binary"}),
            }
        },
    },
    **_AUTH,
)
EVENTS = _described(
    "Store single events: a JSON object, or a small array of objects",
    202,
    "The events are durable.",
    _ACCEPTED,
    _SENT,
    parameters=[_TENANT, _parameter("table", "The table.", TABLE, is_required=True), _IDEMPOTENCY],
    requestBody={"required": True, "content": _json(_INTERACTION, {"oneOf": [ROW, array_of(ROW, minItems=1)]})},
    **_AUTH,
)
WEBHOOK = _described(
    "Store the event of a signed request of a registered source",
    202,
    "The event is durable.",
    _ACCEPTED,
    tuple(code for code in _SENT if code != 403),
    parameters=[
        _parameter(
            name,
            f"{description} The example is signed with the secret {_WEBHOOK_SECRET}.",
            TEXT,
            place="header",
            example=example,
        )
        for name, description, example in (
            ("webhook-id", "The event's ID; of the scheme github it is in X-GitHub-Delivery.", "msg_01"),
            ("webhook-timestamp", "The instant of the attempt, in seconds since 1970.", "1767225600"),
            ("webhook-signature", "Of ID, instant and body; of the scheme github X-Hub-Signature-256.", _SIGNATURE),
        )
    ],
    requestBody={"required": True, "content": _json(_INTERACTION, ROW)},
)
VALIDATE = _described(
    "Validate a sample of rows without landing it",
    200,
    "Which rows break which rules, by their number.",
    _json(
        {
            "data_type": "interactions",
            "is_valid": False,
            "rows": 2,
            "valid": 1,
            "invalid": 1,
            "errors": [{"row": 2, "rules": ["rating_is_1_to_5"]}],
            "errors_left_out": 0,
            "validation_errors": [{"rule": "rating_is_1_to_5", "rows": 1}],
            "warnings": [],
        },
        VALIDATED,
    ),
    tuple(code for code in _SENT if code != 409),
    parameters=[_TENANT],
    requestBody={
        "required": True,
        "content": _json(
            {"data_type": "interactions", "sample_data": [_INTERACTION]},
            {**object_of(data_type=TABLE, sample_data=array_of(ROW)), "additionalProperties": False},
        ),
    },
    **_AUTH,
)
SCHEMA = _described(
    "The JSON Schema of a row of a table",
    200,
    "A schema of draft 2020-12.",
    _json(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "items"},
        {**ROW, "required": ["$schema", "title", "type", "properties"]},
        "application/schema+json",
    ),
    _ASKED,
    parameters=[_TENANT],
    **_AUTH,
)
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}


def complete(document: dict[str, Any], service: Service) -> None:
    """Add to what FastAPI has made what only a service knows: its tables, and whether it asks for keys."""
    components = document.setdefault("components", {})
    components["schemas"] = {"Table": {"type": "string", "enum": sorted(service.tables)}}
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        for parameter in operation.get("parameters", ()):
            if (parameter["in"], parameter["name"]) == ("path", "table"):
                parameter["schema"] = TABLE
    if not service.rules.trusts_network:
        components["securitySchemes"] = _SECURITY
        return
    for operation in operations:
        # What stores rows needs to know whose they are; what validates them does not.
        if operation.pop("security", None) and "409" in operation["responses"]:
            parameters = operation["parameters"]
            operation["parameters"] = [
                {**found, "required": True} if found["name"] == "tenant_id" else found for found in parameters
            ]
