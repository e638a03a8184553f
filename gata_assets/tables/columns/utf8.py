"""Columns of text as Arrow keeps them: one run of bytes and where each text ends; what compiled loops read.

Here: to and from Polars, and what is told of texts one by one. Rules that use it stand in `curation_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.tables.columns.arrow_buffers import validity
from gata_assets.tables.columns.jit import compiled


@dataclass(frozen=True)
class Texts:
    """UTF-8 texts end to end: text n is `data[ends[n]:ends[n + 1]]`; an empty one stands for none."""

    ends: NDArray[np.int64]
    data: NDArray[np.uint8]

    def __post_init__(self) -> None:
        # Wherever they come from: numba would compile its functions for arrays that can be written, and for others.
        self.ends.setflags(write=False)
        self.data.setflags(write=False)

    def __len__(self) -> int:
        return len(self.ends) - 1

    @classmethod
    def of(cls, column: pl.Series) -> Texts:
        """The texts of a string column; null becomes empty."""
        # Where none is missing, filling would copy.
        given = column.fill_null("") if column.null_count() else column
        return cls.of_arrow(given.rechunk().to_arrow())

    @classmethod
    def of_many(cls, texts: Sequence[str]) -> Texts:
        """Some texts."""
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(ends, np.frombuffer(b"".join(encoded) or bytes(1), dtype=np.uint8))

    @classmethod
    def of_arrow(cls, array: pa.Array) -> Texts:
        """The texts of an Arrow array of large strings, as it holds them; what a null holds has to be empty."""
        _, offsets, content = array.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
        return cls(ends, np.frombuffer(content if content is not None and content.size else bytes(1), dtype=np.uint8))

    def take(self, places: NDArray[np.int64]) -> Texts:
        """The texts at some places, in that order."""
        return Texts(*_take(self.ends, self.data, places))

    def as_arrow(self, is_given: NDArray[np.bool_] | None = None) -> pa.Array:
        """Large strings, with null where none is given; if that is not told, for an empty text."""
        nulls = validity(np.diff(self.ends) != 0 if is_given is None else is_given)
        return pa.Array.from_buffers(
            pa.large_string(), len(self), [nulls, pa.py_buffer(self.ends), pa.py_buffer(self.data)]
        )

    def as_series(self) -> pl.Series:
        """A string column, with null for an empty text."""
        column: pl.Series = pl.from_arrow(self.as_arrow())  # type: ignore[assignment]
        return column


def is_utf_8(data: NDArray[np.uint8]) -> bool:
    """Whether bytes are UTF-8 as a whole."""
    ends = np.array([0, len(data)], dtype=np.int64)
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, pa.py_buffer(ends), pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def are_given(texts: Texts) -> NDArray[np.bool_]:
    """Which texts have something else than white space."""
    return _are_given(texts.ends, texts.data)


def find_codes(texts: Texts, names: Sequence[str]) -> NDArray[np.uint8]:
    """The place of each text among at most 255 names, or 255."""
    known = Texts.of(pl.Series(names))
    return _find_codes(texts.ends, texts.data, known.ends, known.data)


def parse_instants(texts: Texts, *, also_days: bool = False) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read ISO 8601 instants: microseconds since 1970 (UTC), and which texts are such.

    A day `YYYY-MM-DD` with a time `HH:MM`, `HH:MM:SS` or with a fraction after `T` or a blank, and `Z`, an offset
    `+HH:MM`, `+HHMM` or `+HH`, or nothing, which is UTC. Of a fraction, what is finer than microseconds is cut off.
    A day alone is its midnight where `also_days` says so.
    """
    return _parse_instants(texts.ends, texts.data, also_days)


def parse_ratings(texts: Texts) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Numbers of one digit and at most two after a point, which is what ratings are, and of each text what it is.

    NO_NUMBER for an empty one, A_NUMBER, or NOT_TOLD for any other, which is not read.
    """
    return _parse_ratings(texts.ends, texts.data)


NO_NUMBER, A_NUMBER, NOT_TOLD = 0, 1, 2


@compiled
def _take(
    ends: NDArray[np.int64], data: NDArray[np.uint8], places: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    taken, size = np.zeros(len(places) + 1, dtype=np.int64), 0
    for row in range(len(places)):
        size += ends[places[row] + 1] - ends[places[row]]
        taken[row + 1] = size
    content, at = np.empty(max(size, 1), dtype=np.uint8), 0
    for row in range(len(places)):
        for place in range(ends[places[row]], ends[places[row] + 1]):
            content[at] = data[place]
            at += 1
    return taken, content


@compiled
def _parse_ratings(ends: NDArray[np.int64], data: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rows = len(ends) - 1
    ratings, found = np.zeros(rows, dtype=np.float32), np.zeros(rows, dtype=np.uint8)
    for row in range(rows):
        at, end = ends[row], ends[row + 1]
        length = end - at
        if length == 0:
            continue
        found[row] = NOT_TOLD
        if length > 4 or length == 2 or (length > 2 and data[at + 1] != 46):
            continue
        number, scale, is_number = 0, 1, True
        for place in range(at, end):
            if place == at + 1:
                continue
            digit = int(np.int64(data[place])) - 48
            if digit < 0 or digit > 9:
                is_number = False
                break
            number = number * 10 + digit
            scale *= 10
        if is_number:
            ratings[row], found[row] = np.float32(number * 10 / scale), A_NUMBER
    return ratings, found


@compiled
def _are_given(ends: NDArray[np.int64], data: NDArray[np.uint8]) -> NDArray[np.bool_]:
    given = np.zeros(len(ends) - 1, dtype=np.bool_)
    for row in range(len(given)):
        for at in range(ends[row], ends[row + 1]):
            if data[at] > 32:
                given[row] = True
                break
    return given


@compiled
def _find_codes(
    ends: NDArray[np.int64], data: NDArray[np.uint8], name_ends: NDArray[np.int64], names: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    codes = np.full(len(ends) - 1, 255, dtype=np.uint8)
    for row in range(len(codes)):
        start, length = ends[row], ends[row + 1] - ends[row]
        for code in range(len(name_ends) - 1):
            name = name_ends[code]
            if name_ends[code + 1] - name != length:
                continue
            same = 0
            while same < length and data[start + same] == names[name + same]:
                same += 1
            if same == length:
                codes[row] = code
                break
    return codes


@compiled
def _parse_instants(
    ends: NDArray[np.int64], data: NDArray[np.uint8], also_days: bool
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    rows = len(ends) - 1
    instants, is_instant = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.bool_)
    for row in range(rows):
        instant = _parse_instant(data, ends[row], ends[row + 1], also_days)
        if instant != _NO_INSTANT:
            instants[row], is_instant[row] = instant, True
    return instants, is_instant


_NO_INSTANT = -(2**63)
_DAY_SECONDS = 86_400


@compiled
def _digits(data: NDArray[np.uint8], at: int, count: int, end: int) -> int:
    """A number of so many digits, or -1."""
    if at + count > end:
        return -1
    number = 0
    for place in range(at, at + count):
        digit = int(np.int64(data[place])) - 48
        if digit < 0 or digit > 9:
            return -1
        number = number * 10 + digit
    return number


@compiled
def _parse_instant(data: NDArray[np.uint8], at: int, end: int, also_days: bool) -> int:
    year, month, day = _digits(data, at, 4, end), _digits(data, at + 5, 2, end), _digits(data, at + 8, 2, end)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > _month_days(year, month):
        return _NO_INSTANT
    if data[at + 4] != 45 or data[at + 7] != 45:
        return _NO_INSTANT
    midnight = _days_since_1970(year, month, day) * _DAY_SECONDS
    if also_days and end == at + 10:
        return midnight * 1_000_000
    hour, minute = _digits(data, at + 11, 2, end), _digits(data, at + 14, 2, end)
    if hour < 0 or minute < 0 or (data[at + 10] != 84 and data[at + 10] != 32) or data[at + 13] != 58:
        return _NO_INSTANT
    at += 16
    second, micros = 0, 0
    if at < end and data[at] == 58:
        second = _digits(data, at + 1, 2, end)
        at += 3
        if second >= 0 and at < end and data[at] == 46:
            at += 1
            first, scale = at, 100_000
            while at < end and 48 <= data[at] <= 57:
                micros += (int(np.int64(data[at])) - 48) * scale
                scale //= 10
                at += 1
            if at == first:
                return _NO_INSTANT
    offset = 0
    if at < end and data[at] == 90:
        at += 1
    elif at < end and (data[at] == 43 or data[at] == 45):
        hours, minutes = _digits(data, at + 1, 2, end), 0
        sign = 1 if data[at] == 43 else -1
        at += 3
        if at < end:
            at += 1 if data[at] == 58 else 0
            minutes = _digits(data, at, 2, end)
            at += 2
        if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
            return _NO_INSTANT
        offset = sign * (hours * 3600 + minutes * 60)
    if at != end or hour > 23 or minute > 59 or second < 0 or second > 59:
        return _NO_INSTANT
    return (midnight + hour * 3600 + minute * 60 + second - offset) * 1_000_000 + micros


@compiled
def _month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@compiled
def _days_since_1970(year: int, month: int, day: int) -> int:
    """Source: https://howardhinnant.github.io/date_algorithms.html#days_from_civil."""
    shifted = year - (1 if month <= 2 else 0)
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
