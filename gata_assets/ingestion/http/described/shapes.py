"""JSON Schemas of what the service takes and answers."""

from __future__ import annotations

from typing import Any

TEXT, COUNT, FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
_INSTANT = {"type": "string", "format": "date-time"}
TEXT_OR_NULL = {"type": ["string", "null"]}
TABLE = {"$ref": "#/components/schemas/Table"}


def object_of(**properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that has all of some properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def array_of(items: dict[str, Any], **limits: int) -> dict[str, Any]:
    """The schema of an array."""
    return {"type": "array", "items": items, **limits}


ROW = {"type": "object"}
BY_RULE = array_of(object_of(rule=TEXT, rows=COUNT))
LANDED = object_of(
    status={"enum": ["success", "partial", "rejected"]},
    rows_accepted=COUNT,
    rows_rejected=COUNT,
    s3_path=TEXT,
    validation_errors=BY_RULE,
    warnings=BY_RULE,
    quarantine_path=TEXT_OR_NULL,
    file_id=TEXT,
    was_there=FLAG,
    replaced_by=TEXT_OR_NULL,
)
HEALTH_STATE = object_of(
    status={"enum": ["healthy", "degraded"]},
    service=TEXT,
    version=TEXT,
    timestamp=_INSTANT,
    kafka_connected=FLAG,
    kafka_configured=FLAG,
    s3_connected=FLAG,
)
ERASURE = object_of(
    request=TEXT,
    state={"enum": ["open", "completed"]},
    people=COUNT,
    erased_at=_INSTANT,
    deadline_at=_INSTANT,
    is_overdue=FLAG,
    completed_at={**_INSTANT, "type": ["string", "null"]},
)
VALIDATED = object_of(
    data_type=TABLE,
    is_valid=FLAG,
    rows=COUNT,
    valid=COUNT,
    invalid=COUNT,
    errors=array_of(object_of(row={"type": "integer", "minimum": 1}, rules=array_of(TEXT))),
    errors_left_out=COUNT,
    validation_errors=BY_RULE,
    warnings=BY_RULE,
)
