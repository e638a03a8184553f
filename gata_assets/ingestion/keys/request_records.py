"""What is kept of an idempotent request: digests, its state, and its answer. Pure.

Nothing that the request contains is in it, nor its Idempotency-Key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal

import msgspec

from gata_assets.errors import IdempotencyError
from gata_assets.storage.objects import Version

# Answers name counts, rules and where things are.
MOST_BODY_BYTES = 64 << 10
# What a replayed answer needs of its headers; those of a connection, a date or a trace are of one answer alone.
KEPT_HEADERS = frozenset({"content-type", "content-language", "location"})
LONGEST_KEY = 255


@dataclass(frozen=True)
class Answer:
    """An answer that can be given again; headers by their names in lower case."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if len(self.body) > MOST_BODY_BYTES:
            raise IdempotencyError(
                f"An answer of {len(self.body):,} bytes is too large to be kept: at most {MOST_BODY_BYTES:,}."
            )

    @classmethod
    def of(cls, status: int, body: bytes, headers: Iterable[tuple[str, str]]) -> Answer:
        """An answer with those of its headers that are kept; raises IdempotencyError if its body is too large."""
        named = ((name.lower(), value) for name, value in headers)
        return cls(status, body, tuple(sorted((name, value) for name, value in named if name in KEPT_HEADERS)))


@dataclass(frozen=True)
class Started:
    """This process has the request: it carries it out, then calls `finish`, `release` or `forget`.

    `begun_before` is when a process first began it that may have carried it out, or not; None if there is none.
    """

    place: str
    version: Version
    token: str
    fingerprint: str
    begun_at: datetime
    begun_before: datetime | None = None


@dataclass(frozen=True)
class Replayed:
    """The request was carried out before, with this answer."""

    answer: Answer


@dataclass(frozen=True)
class InProgress:
    """Another process has had the request since `begun_at`; if it does not end, it is free again at `free_at`."""

    begun_at: datetime
    free_at: datetime


@dataclass(frozen=True)
class OtherBody:
    """The key was used before, for a request with another fingerprint."""


Begun = Started | Replayed | InProgress | OtherBody


def fingerprint(route: str, content_digest: str, parameters: Mapping[str, str]) -> str:
    """What must be the same when a request is sent again: a digest of its route, content and parameters.

    The content's digest is that of what was sent as data (an uploaded file, a body), not of the bytes around it, such
    as the boundaries of multipart, which differ each time.
    """
    return _digest([route, content_digest, sorted(parameters.items())])


def digest_of_key(route: str, key: str) -> str:
    """By what a request is stored; raises IdempotencyError if its key is no key."""
    if not 1 <= len(key) <= LONGEST_KEY:
        raise IdempotencyError(f"An Idempotency-Key of {len(key):,} characters: 1 to {LONGEST_KEY} are needed.")
    return _digest([route, key])


def _digest(parts: object) -> str:
    # Lists in JSON: no two differ in their parts and not in the text. Only ASCII, so that any text has an encoding.
    return sha256(json.dumps(parts, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class StoredAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An `Answer` as JSON; the body in base 64."""

    status: Annotated[int, msgspec.Meta(ge=100, le=599)]
    headers: tuple[tuple[str, str], ...]
    body: Annotated[bytes, msgspec.Meta(max_length=MOST_BODY_BYTES)]


class RequestRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request in the store: at work until it has an answer.

    `token` is that of the process that began it; `free_at` is when another may, if there is no answer; `begun_before`
    as that of `Started`; from `expires_at` on the record counts as absent.
    """

    version: Literal[1] = 1
    fingerprint: _Digest
    token: Annotated[str, msgspec.Meta(min_length=1)]
    begun_at: _Instant
    begun_before: _Instant | None = None
    free_at: _Instant
    expires_at: _Instant
    answer: StoredAnswer | None


def encode_record(record: RequestRecord) -> bytes:
    """The record as JSON."""
    return msgspec.json.encode(record)


def decode_record(content: bytes) -> RequestRecord:
    """The record of some JSON; raises ValueError, without a word of it, if it is none."""
    try:
        return msgspec.json.decode(content, type=RequestRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ValueError("not the record of a request") from None


def stored(answer: Answer) -> StoredAnswer:
    """An answer as it is stored."""
    return StoredAnswer(answer.status, answer.headers, answer.body)


def restored(answer: StoredAnswer) -> Answer:
    """A stored answer as it was given."""
    return Answer(answer.status, answer.body, answer.headers)
