"""What OpenAPI says of each route: parameters, bodies, answers, with examples that the service takes and gives."""

from __future__ import annotations

from typing import Any

from gata_assets.ingestion.http.described.description import (
    ASKED,
    AUTH,
    SENT,
    TENANT,
    described,
    json_content,
    parameter_of,
)
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
_IDEMPOTENCY = parameter_of(
    "Idempotency-Key",
    f"The same key and request again give the same answer, with {REPLAYED}.",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
    place="header",
)
_ACCEPTED = json_content(
    {"status": "accepted", "stream": "http/0123456789abcdef", "offsets": [0]},
    object_of(status={"const": "accepted"}, stream=TEXT, offsets=array_of(COUNT, minItems=1)),
)
# No secret of anybody: for the example alone, which a test verifies.
_WEBHOOK_SECRET = "whsec_ZXhhbXBsZS1vbmx5LWV4YW1wbGUtb25seQ=="  # noqa: S105
_SIGNATURE = "v1,K5oWOExofA8WtGqZI9s9i4yk2HMZ25WGGncSRAmDw+Q="
HEALTH = described(
    "Whether the service, its target and Kafka work",
    200,
    "The process works; `status` says whether all that it needs does.",
    json_content(
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
METRICS = described("Counters for Prometheus", 200, "Text of Prometheus.", {"text/plain": {"schema": TEXT}}, (500,))
ROWS = described(
    "Land rows of a table: a JSON array of objects, or JSON Lines",
    200,
    "The rows landed; rejected ones are in quarantine.",
    json_content(_LANDED, LANDED),
    SENT,
    parameters=[TENANT, _IDEMPOTENCY],
    requestBody={
        "required": True,
        "content": {
            **json_content([_INTERACTION], array_of(ROW)),
            "application/x-ndjson": {"schema": TEXT},
        },
    },
    **AUTH,
)
UPLOAD = described(
    "Land a file: CSV, JSON Lines or Parquet by its name, else CSV",
    200,
    "The file landed; rejected rows are in quarantine.",
    json_content(_LANDED, LANDED),
    SENT,
    parameters=[TENANT, parameter_of("data_type", "The table.", TABLE, is_required=True), _IDEMPOTENCY],
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": object_of(file={"type": "string", "format": "binary"}),
            }
        },
    },
    **AUTH,
)
EVENTS = described(
    "Store single events: a JSON object, or a small array of objects",
    202,
    "The events are durable.",
    _ACCEPTED,
    SENT,
    parameters=[TENANT, parameter_of("table", "The table.", TABLE, is_required=True), _IDEMPOTENCY],
    requestBody={"required": True, "content": json_content(_INTERACTION, {"oneOf": [ROW, array_of(ROW, minItems=1)]})},
    **AUTH,
)
WEBHOOK = described(
    "Store the event of a signed request of a registered source",
    202,
    "The event is durable.",
    _ACCEPTED,
    tuple(code for code in SENT if code != 403),
    parameters=[
        parameter_of(
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
    requestBody={"required": True, "content": json_content(_INTERACTION, ROW)},
)
VALIDATE = described(
    "Validate a sample of rows without landing it",
    200,
    "Which rows break which rules, by their number.",
    json_content(
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
    tuple(code for code in SENT if code != 409),
    parameters=[TENANT],
    requestBody={
        "required": True,
        "content": json_content(
            {"data_type": "interactions", "sample_data": [_INTERACTION]},
            {**object_of(data_type=TABLE, sample_data=array_of(ROW)), "additionalProperties": False},
        ),
    },
    **AUTH,
)
SCHEMA = described(
    "The JSON Schema of a row of a table",
    200,
    "A schema of draft 2020-12.",
    json_content(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "items"},
        {**ROW, "required": ["$schema", "title", "type", "properties"]},
        "application/schema+json",
    ),
    ASKED,
    parameters=[TENANT],
    **AUTH,
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
