"""Batches of rows and events as they are sent: their bytes, and the key that they keep however often they are sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import uuid4

Kind = Literal["events", "rows"]
Row = Mapping[str, object]
# What the list of a batch takes for each line besides its bytes.
_OVERHEAD_BYTES = 100


@dataclass(frozen=True)
class BatchRules:
    """When a batch is sent, and how many bytes wait at most.

    Attributes:
        most_events: in a request; the service takes 1,000.
        most_rows: in a request; all of them become one raw file.
        most_bytes: in a request; a single larger row is sent by itself.
        most_seconds: how long a row or an event waits for others.
        most_waiting_bytes: of rows and events that are not sent yet, or failed; more wait in the call that gives them.
    """

    most_events: int = 1_000
    most_rows: int = 10_000
    most_bytes: int = 4_000_000
    most_seconds: float = 1.0
    most_waiting_bytes: int = 32_000_000

    def most(self, kind: Kind) -> int:
        """How many of a kind are in a request."""
        return self.most_events if kind == "events" else self.most_rows


@dataclass(frozen=True)
class Batch:
    """A request's rows or events, each as JSON; the service carries out what has one `key` once."""

    kind: Kind
    table: str
    lines: tuple[bytes, ...] = field(repr=False)
    key: str

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return size_of(self.lines)


@dataclass(frozen=True)
class FailedBatch:
    """A batch that was refused, or that may have been carried out or not, and why."""

    batch: Batch
    error: Exception


def new_batch(kind: Kind, table: str, lines: Iterable[bytes]) -> Batch:
    """A batch with a key of its own."""
    return Batch(kind, table, tuple(lines), new_key())


def new_key() -> str:
    """A key that no other request has."""
    return uuid4().hex


def size_of(lines: Iterable[bytes]) -> int:
    """The bytes that lines take."""
    return sum(len(line) + _OVERHEAD_BYTES for line in lines)


def encode(row: Row) -> bytes:
    """A row as JSON on one line; raises TypeError or ValueError, which name no value."""
    if not isinstance(row, Mapping):
        raise TypeError(f"A row is a mapping of names to values, and no {type(row).__name__}.")
    try:
        text = json.dumps(dict(row), default=_as_text, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise ValueError("A row has a number that JSON has not (NaN, infinity), or contains itself.") from None
    return text.encode()


def _as_text(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise TypeError("A row has an instant without a time zone: give it one (datetime.now(UTC)).")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"A row has a value that JSON has not: a {type(value).__name__}.")
