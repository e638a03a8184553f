"""The local Data API's protocol: errors with their HTTP status, request parsing, and response bodies."""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any

from gata_assets.sandbox.data_api.http import Answer
from gata_assets.sandbox.data_api.postgres import Outcome
from gata_assets.sandbox.data_api.sql import DataApiError, bad_request

# The HTTP status of each error: those of botocore's rds-data model, and two that every AWS service can return.
ERROR_STATUS = {
    "AccessDeniedException": 403,
    "BadRequestException": 400,
    "DatabaseErrorException": 400,
    "DatabaseNotFoundException": 404,
    "DatabaseResumingException": 400,
    "DatabaseUnavailableException": 504,
    "ForbiddenException": 403,
    "HttpEndpointNotEnabledException": 400,
    "InternalServerErrorException": 500,
    "InvalidResourceStateException": 400,
    "InvalidSecretException": 400,
    "NotFoundException": 404,
    "SecretsErrorException": 400,
    "ServiceUnavailableError": 503,
    "StatementTimeoutException": 400,
    "TransactionNotFoundException": 404,
    "UnsupportedResultException": 400,
    "ExpiredTokenException": 403,
    "ThrottlingException": 400,
}
FAULT_MESSAGES = {
    "DatabaseResumingException": (
        "The Aurora DB instance is resuming after being auto-paused. Please wait a few seconds and try again."
    ),
    "ThrottlingException": "Rate exceeded",
    "StatementTimeoutException": "ERROR: canceling statement due to statement timeout; SQLState: 57014",
}

# The documented limit of a request.
_REQUEST_LIMIT_BYTES = 4 * 1024 * 1024


def parameter_names(parameters: Any) -> tuple[str, ...]:
    """The names of a request's parameters, for the list of calls."""
    if not isinstance(parameters, list):
        return ()
    return tuple(str(p.get("name")) for p in parameters if isinstance(p, dict))


def parse_request(body: bytes) -> dict[str, Any]:
    """Parse a request's JSON object; raises DataApiError."""
    if len(body) > _REQUEST_LIMIT_BYTES:
        raise bad_request("The request is larger than 4 MiB")
    try:
        content = json.loads(body)
    except ValueError as error:
        raise bad_request("The request is not JSON") from error
    if not isinstance(content, dict):
        raise bad_request("The request is not a JSON object")
    return content


def execute_response(outcome: Outcome, as_json: bool, with_metadata: bool) -> bytes:
    """The body of an Execute response."""
    # Assembled as text, because the rows are JSON text already and may be 1 MiB.
    members = ['"generatedFields":[]', f'"numberOfRecordsUpdated":{outcome.updated}']
    if outcome.columns is not None and as_json:
        members.append(f'"formattedRecords":{encode_basestring(outcome.rows_json)}')
    elif outcome.columns is not None:
        members.append(f'"records":{outcome.rows_json}')
        if with_metadata:
            members.append(f'"columnMetadata":{json.dumps([c.metadata() for c in outcome.columns])}')
    return ("{" + ",".join(members) + "}").encode()


def error_answer(error: DataApiError) -> Answer:
    """The response for an error."""
    body = json.dumps({"message": error.message, **error.extra}).encode()
    return Answer(ERROR_STATUS[error.name], body, error=error.name)


def secret_answer(status: int, members: dict[str, Any]) -> Answer:
    """A response of Secrets Manager."""
    return Answer(status, json.dumps(members).encode(), "application/x-amz-json-1.1", members.get("__type"))
