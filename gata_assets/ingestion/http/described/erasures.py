"""What OpenAPI says of the routes of requests to erase people."""

from __future__ import annotations

from gata_assets.governance.privacy.requests.record import LONGEST_ID, MOST_PEOPLE
from gata_assets.ingestion.http.described.description import ASKED, AUTH, SENT, TENANT, described, json_content
from gata_assets.ingestion.http.described.shapes import ERASURE, array_of

_ERASURE = {
    "request": "letter-17",
    "state": "open",
    "people": 1,
    "erased_at": "2026-01-01T10:00:00+00:00",
    "deadline_at": "2026-01-02T10:00:00+00:00",
    "is_overdue": False,
    "completed_at": None,
}
_REQUEST_NAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"}
ASK_ERASURE = described(
    "Have people erased: from now on nobody reads what precedes it, and the job erases it",
    202,
    "The request is durable.",
    json_content(_ERASURE, ERASURE),
    tuple(code for code in SENT if code != 404),
    # Another name helps, and not to come again.
    waits=(429, 503),
    parameters=[TENANT],
    requestBody={
        "required": True,
        "content": json_content(
            {"request": "letter-17", "subjects": ["user_001"]},
            {
                "type": "object",
                "properties": {
                    "request": {**_REQUEST_NAME, "type": ["string", "null"]},
                    "subjects": array_of(
                        {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}, minItems=1, maxItems=MOST_PEOPLE
                    ),
                },
                "required": ["subjects"],
                "additionalProperties": False,
            },
        ),
    },
    **AUTH,
)
ERASURE_STATE = described(
    "What became of a request to erase people",
    200,
    "How far it is, and by when it is to be complete.",
    json_content(_ERASURE, ERASURE),
    ASKED,
    parameters=[TENANT],
    **AUTH,
)
