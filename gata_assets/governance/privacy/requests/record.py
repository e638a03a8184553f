"""A request to erase people as it is stored: who asked when, how many people, by when, and what became of it. Pure.

Their ids are in it sealed, until nothing of theirs is left.
"""

from __future__ import annotations

import re
from datetime import datetime
from secrets import token_hex
from typing import Annotated, Any, Literal

import msgspec

MOST_PEOPLE, LONGEST_ID = 100_000, 1_000
NAME_RULE = "The name of a request is 1 to 100 of letters, digits, . _ -, and begins with the first two."
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
State = Literal["open", "completed", "without ids"]


class StoredRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request of a tenant.

    Attributes:
        request: names it among those of the tenant.
        by: who asked, see `actors`; empty if that is not known.
        asked_at: from when on nobody reads what precedes it.
        deadline_at: until when everything of theirs is to be erased.
        people: how many.
        key_version: of the key by which they are known and their ids are sealed.
        sealed: their ids, sealed.
        failures: how often it was tried and something was left.
        last_failure: the kind of the last error, or `incomplete` if none happened.
        completed_at: when nothing of theirs was left.
    """

    version: Literal[1] = 1
    tenant: str
    request: str
    by: str
    asked_at: _Instant
    deadline_at: _Instant
    people: _Count
    key_version: int
    sealed: bytes | None
    failures: _Count = 0
    last_failure: str = ""
    completed_at: _Instant | None = None

    @property
    def state(self) -> State:
        """What became of it; `without ids` if whoever asked was cut off before they were stored."""
        if self.completed_at is not None:
            return "completed"
        return "without ids" if self.sealed is None else "open"

    def is_overdue(self, now: datetime) -> bool:
        """Whether it is, or was, not completed in time."""
        return (self.completed_at or now) > self.deadline_at

    def as_json(self, now: datetime) -> dict[str, Any]:
        """What may be shown of it, to whoever asked too."""
        return {
            "request": self.request,
            "state": self.state,
            "people": self.people,
            "erased_at": self.asked_at.isoformat(),
            "deadline_at": self.deadline_at.isoformat(),
            "is_overdue": self.is_overdue(now),
            "completed_at": self.completed_at.isoformat() if self.completed_at else None,
        }

    def completed(self, at: datetime) -> StoredRequest:
        """It once nothing of theirs is left: without their ids."""
        return msgspec.structs.replace(self, sealed=None, completed_at=at)

    def failed(self, kind: str) -> StoredRequest:
        """It after another attempt that left something."""
        return msgspec.structs.replace(self, failures=self.failures + 1, last_failure=kind)

    def without_sealed(self) -> StoredRequest:
        """It with as little as says whether their ids are stored, to be kept in memory."""
        return msgspec.structs.replace(self, sealed=None if self.sealed is None else b"")


def is_request_name(name: str) -> bool:
    """Whether a request can have this name."""
    return bool(_NAME.fullmatch(name))


def new_request_name(now: datetime) -> str:
    """A name that no other request has."""
    return f"{now:%Y%m%dT%H%M%SZ}-{token_hex(4)}"
