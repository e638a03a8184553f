"""Nested values of bronze, kept there as JSON text: what offline tickets take from them.

A value of another shape gives nothing and is counted; bronze keeps it. Typed by msgspec, so that what isn't used (texts
of comments, profiles of users) costs a glance. Values that repeat are read once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
from msgspec import Raw, Struct, json
from numpy.typing import NDArray

_T = TypeVar("_T")
_Text = TypeVar("_Text", str, bytes)
_NULL = Raw(b"null")
INSTANTS = pa.timestamp("us", "UTC")
TEXT_LISTS = pa.large_list(pa.large_string())
_MOST_MINUTES = (1 << 31) - 1
# Fields of an export that name people besides those that have columns.
PEOPLE_FIELDS = (
    "collaborator_ids",
    "collaborators",
    "email_cc_ids",
    "email_ccs",
    "follower_ids",
    "followers",
    "requester",
    "assignee",
    "submitter",
)


class Metrics(NamedTuple):
    """What a metric set says, in the order of `METRICS`."""

    reopens: int | None
    replies: int | None
    first_reply_minutes: int | None
    first_reply_business_minutes: int | None
    full_resolution_minutes: int | None
    full_resolution_business_minutes: int | None
    solved_at: datetime | None
    assigned_at: datetime | None


_NUMBERS = Metrics._fields[:6]
NO_METRICS = Metrics(None, None, None, None, None, None, None, None)
METRICS = {name: pa.int32() if name in _NUMBERS else INSTANTS for name in Metrics._fields}


class Comment(Struct, gc=False):
    """What counts of a comment; without `public` it is public."""

    id: int | str | None = None
    author_id: int | str | None = None
    public: bool | None = None
    created_at: datetime | None = None


class _Minutes(Struct, gc=False):
    calendar: float | None = None
    business: float | None = None


class _MetricSet(Struct, gc=False):
    reopens: float | None = None
    replies: float | None = None
    reply_time_in_minutes: _Minutes | None = None
    full_resolution_time_in_minutes: _Minutes | None = None
    solved_at: datetime | None = None
    assigned_at: datetime | None = None


class _CustomField(Struct, gc=False):
    id: int | str
    value: Raw = _NULL


class _Named(Struct, gc=False):
    name: str | None = None


class _Scored(Struct, gc=False):
    score: str | None = None


class _Channelled(Struct, gc=False):
    channel: int | str | None = None


_NO_MINUTES = _Minutes()
_comments = json.Decoder(list[Comment] | None)
_metric_set = json.Decoder(_MetricSet | None)
_custom_fields = json.Decoder(list[_CustomField] | dict[str, Raw] | None)
_texts = json.Decoder(list[str | int] | str | None)
_named = json.Decoder(_Named | None)
_scored = json.Decoder(_Scored | str | None)
_channelled = json.Decoder(_Channelled | str | None)
_object = json.Decoder(dict[str, Raw])


class Runs(NamedTuple):
    """Rows as runs of equal ones: versions of a ticket follow one another and hardly ever differ in what is nested, or
    in texts, so that a quarter of the rows is read.
    """

    rows: pl.DataFrame
    places: pl.Series

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Runs:
        """The first row of each run, and the place of each row's run."""
        is_first = pl.int_range(pl.len()) == 0
        is_other = rows.select(is_first | pl.any_horizontal(pl.all().ne_missing(pl.all().shift(1)))).to_series()
        return cls(rows.filter(is_other), is_other.cum_sum() - 1)


@dataclass(frozen=True)
class NestedValues(Generic[_T]):
    """The values of rows: the distinct ones, and the place of each row's among them."""

    distinct: Sequence[_T]
    places: pl.Series

    def column(self, kind: pa.DataType | None = None) -> pl.Series:
        """The values by row, as by `as_column`."""
        return as_column(self.distinct, kind).gather(self.places)


class NestedReader:
    """Reads the nested values of rows; `unreadable` counts, by row, those of another shape."""

    def __init__(self, rows: int) -> None:
        self.unreadable = np.zeros(rows, dtype=np.int32)

    def read(
        self, values: pl.Series, decode: Callable[[bytes], _T], absent: _T, rows: pl.Series | None = None
    ) -> NestedValues[_T]:
        """The value of each text, of these rows or all; `absent` for null and for what has another shape.

        Texts are decoded from their bytes: a text outside of ASCII would be encoded again.
        """
        found, failed = _read_distinct(values.cast(pl.Binary), decode, absent)
        self.unreadable[failed if rows is None else rows.gather(failed).to_numpy()] += 1
        return found

    def read_texts(
        self, values: pl.Series, decode: Callable[[str], _T], absent: _T, kind: pa.DataType | None = None
    ) -> pl.Series:
        """The same as a column, of values that may be texts alone."""
        found, failed = _read_distinct(values, decode, absent)
        self.unreadable[failed] += 1
        return found.column(kind)


def _read_distinct(
    values: pl.Series, decode: Callable[[_Text], _T], absent: _T
) -> tuple[NestedValues[_T], NDArray[np.intp]]:
    """The values of texts, and the rows of those that have another shape."""
    runs = Runs.of(values.alias("text").to_frame())
    texts: dict[_Text | None, int] = {}
    places = pl.Series([texts.setdefault(text, len(texts)) for text in runs.rows["text"].to_list()], dtype=pl.UInt32)
    failed: list[int] = []
    found = [_read(text, decode, absent, place, failed) for text, place in texts.items()]
    of_rows = places.gather(runs.places)
    return NestedValues(found, of_rows), np.flatnonzero(np.isin(of_rows.to_numpy(), failed))


def _read(text: _Text | None, decode: Callable[[_Text], _T], absent: _T, place: int, failed: list[int]) -> _T:
    try:
        return absent if text is None else decode(text)
    # Lone surrogates, and numbers that have no end, are errors of their own.
    except (msgspec.MsgspecError, ValueError, OverflowError):
        failed.append(place)
        return absent


def as_column(values: Sequence[object], kind: pa.DataType | None = None) -> pl.Series:
    """Values as a column, of texts if nothing else is said; Arrow takes a tenth of the time that Polars does."""
    return pl.Series(pl.from_arrow(pa.array(values, kind or pa.large_string())))


def read_comments(text: bytes) -> list[Comment] | None:
    """The comments of a ticket; one that is given twice counts once."""
    found = _comments.decode(text)
    if found is None:
        return None
    named = {comment.id: comment for comment in found if comment.id is not None}
    unnamed = [comment for comment in found if comment.id is None]
    return found if len(named) + len(unnamed) == len(found) else [*named.values(), *unnamed]


def read_metrics(text: bytes) -> Metrics | None:
    """The metric set of a ticket."""
    found = _metric_set.decode(text)
    if found is None:
        return None
    reply = found.reply_time_in_minutes or _NO_MINUTES
    resolution = found.full_resolution_time_in_minutes or _NO_MINUTES
    numbers = (found.reopens, found.replies, reply.calendar, reply.business, resolution.calendar, resolution.business)
    instants = (found.solved_at, found.assigned_at)
    return Metrics(*map(_counted, numbers), *(instant and in_utc(instant) for instant in instants))  # type: ignore[arg-type]


def read_custom_fields(text: bytes) -> str | None:
    """A JSON object of the fields' values by id, as they came; the last value of an id counts."""
    found = _custom_fields.decode(text)
    if found is None:
        return None
    # Ids become names of JSON, also where they are numbers.
    fields = found if isinstance(found, dict) else {field.id: field.value for field in found}
    return json.encode(fields).decode()


def read_texts(text: str) -> list[str]:
    """A list of texts or ids; a text alone has them with white space or commas between."""
    if not _is_json(text):
        return text.replace(",", " ").split()
    found = _texts.decode(text)
    if isinstance(found, str):
        return found.replace(",", " ").split()
    return [str(item) for item in found or ()]


def read_name(text: str) -> str | None:
    """The name of a group."""
    found = _named.decode(text)
    return found.name or None if found else None


def read_score(text: str) -> str | None:
    """The score of a rating, which may be the text alone."""
    if not _is_json(text):
        return text or None
    found = _scored.decode(text)
    return (found if isinstance(found, str) or found is None else found.score) or None


def read_channel(text: str) -> str | None:
    """The channel, which may be the text alone."""
    if not _is_json(text):
        return text or None
    found = _channelled.decode(text)
    channel = found if isinstance(found, str) or found is None else found.channel
    return None if channel is None else str(channel) or None


def without_people(text: bytes) -> str | None:
    """A JSON object without the fields that name people; None if nothing is left."""
    kept = {name: value for name, value in _object.decode(text).items() if name not in PEOPLE_FIELDS}
    return json.encode(kept).decode() if kept else None


def _is_json(text: str) -> bool:
    """Whether a text is that of a nested value, and no plain one of a flat export."""
    return text[:1] in ("[", "{", '"') or text == "null"


def _counted(number: float | None) -> int | None:
    """A number of minutes or events, which are whole and not negative; None for others."""
    return int(number) if number is not None and 0 <= number <= _MOST_MINUTES else None


def in_utc(instant: datetime) -> datetime:
    """An instant in UTC, which one without a zone is."""
    if instant.tzinfo is UTC:
        return instant
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
