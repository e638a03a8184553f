"""Errors as problem details of RFC 9457, and which error of this project is which problem.

A problem names counts, limits, rules and places in what the caller sent; never a value of a row, a key, or what only
the operator may know: those who run the service find the request's id in its log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from gata_assets.errors import (
    ConflictError,
    DataRuleError,
    GataError,
    HeldPeopleError,
    IdempotencyError,
    MappingError,
    OtherPeopleError,
    PrivacyKeyError,
    ProcessLostError,
    RawFileChangedError,
    RawFileError,
    StoreError,
    TooManyEventsError,
    WebhookError,
)

PROBLEM_TYPE = "application/problem+json"
_RETRY_SECONDS = 5


class Problem(Exception):  # noqa: N818 (the term of RFC 9457)
    """An answer that is an error."""

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        """Describe it.

        Args:
            status: The status of HTTP.
            kind: A word for programs, such as `too-large`; the end of the problem's type.
            detail: What is wrong, how many, what to do; for people.
            headers: Of the answer.
            members: More of the problem, for programs.
        """
        # The arguments that it is made of again in another process; the rest are attributes.
        super().__init__(status, kind, detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.members = dict(headers or {}), members

    def __str__(self) -> str:
        return self.detail

    def answer(self, request_id: str) -> Response:
        """The answer to a request."""
        content = {
            "type": f"urn:gata:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:gata:request:{request_id}",
            **self.members,
        }
        return Response(json.dumps(content), self.status, self.headers, PROBLEM_TYPE)


def too_large(found: str, limit: str) -> Problem:
    """The problem of more than the service takes."""
    return Problem(413, "too-large", f"{found} are too many: at most {limit}. Divide the data, and send each part.")


def unavailable(detail: str, seconds: int = _RETRY_SECONDS) -> Problem:
    """The problem of what may work later."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(seconds)})


def ending() -> Problem:
    """The problem of a request that the service did not finish before it ended."""
    return unavailable("The service ends, and did not finish this request: send it again in some seconds.")


def internal() -> Problem:
    """The problem that says no more than that the service has failed."""
    return Problem(500, "internal", "The service failed. Its log has the reason under the id of this request.")


def problem_of(error: GataError) -> Problem:
    """What an error of this project is for a caller."""
    if isinstance(error, TooManyEventsError):
        return unavailable("Too many events wait to be stored: nothing was taken. Send them again in some seconds.")
    if isinstance(error, RawFileChangedError | ConflictError):
        return unavailable("Another request changes the same data at this moment: send it again.", 1)
    if isinstance(error, ProcessLostError):
        return unavailable(
            "The process that works on rows ended, and another one starts: send it again in some seconds."
        )
    if isinstance(error, StoreError):
        return unavailable("The target could not be read or written: send it again in some seconds.")
    if isinstance(error, WebhookError):
        return unavailable("The secret of this source cannot be read: its operator has to look at it.", 60)
    if isinstance(error, IdempotencyError):
        return Problem(400, "idempotency-key", str(error))
    if isinstance(error, RawFileError):
        # The message continues the name of a file.
        return Problem(422, "unreadable", f"The data {error} Nothing landed.")
    if isinstance(error, HeldPeopleError):
        return Problem(403, "held", str(error))
    if isinstance(error, OtherPeopleError):
        return Problem(409, "other-people", str(error))
    if isinstance(error, PrivacyKeyError):
        return unavailable("PRIVACY_KEYS of the service lacks a key: its operator has to look at it.", 60)
    if isinstance(error, MappingError | DataRuleError):
        return Problem(422, "data-rule", str(error))
    return internal()
