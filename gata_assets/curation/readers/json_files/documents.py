"""A stream of JSON cut into its values: documents one after another, and the elements of arrays, each by itself.

By brackets and quotes alone, so that a value with a fault inside ends where it ends; who reads it finds the fault. An
array may be larger than memory: only one element of it is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gata_assets.curation.readers.json_files.objects import NOT_READ, fields_as_they_came
from gata_assets.curation.readers.raw_block import without_mark
from gata_assets.errors import RawFileError
from gata_assets.tables.columns.jit import compiled

# Of a single document, which is decoded at once.
LONGEST_DOCUMENT = 64_000_000
# Where the end of a value is not found: it goes on behind what is there, or a line breaks within a text of it.
GOES_ON, BROKEN_TEXT = -1, -2
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Document(NamedTuple):
    """A value of a file, and the line on which it begins."""

    text: bytes
    line: int


class _Scanned(NamedTuple):
    """How many bytes of a value were looked at, and whether its end was then within brackets or a text."""

    size: int
    depth: int
    in_text: bool


_FROM_START = _Scanned(0, 0, in_text=False)


class CutError(Exception):
    """The text is no JSON, at a line; `is_end` if it breaks off there."""

    def __init__(self, line: int, *, is_end: bool) -> None:
        super().__init__(line)
        self.line, self.is_end = line, is_end


def cut_documents(coming: Iterable[tuple[bytes, bool]], *, longest: int = LONGEST_DOCUMENT) -> Iterator[Document]:
    """The values of a file from its pieces, those of arrays element by element.

    Raises CutError for what is between values and is no JSON, and RawFileError for a value that is too long.
    """
    pieces = iter(coming)
    buffer, is_last = next(pieces)
    buffer = without_mark(buffer)
    place, line, counted = 0, 1, 0
    # Of an array: whether a value, a comma or its end may follow.
    array, scanned = "", _FROM_START
    while True:
        found = _NOT_BLANK.search(buffer, place)
        place = found.start() if found else len(buffer)
        line, counted = line + buffer.count(b"\n", counted, place), place
        char, end, is_value = buffer[place : place + 1], place, False
        if char == b"[" and not array:
            array, end = "begun", place + 1
        elif char == b"]" and array in ("begun", "value"):
            array, end = "", place + 1
        elif char == b"," and array == "value":
            array, end = "comma", place + 1
        elif char and array == "value":
            raise CutError(line, is_end=False)
        elif char:
            end, scanned = _resume(buffer, place, scanned, is_last=is_last)
            if end in (place, BROKEN_TEXT):
                raise CutError(line, is_end=False)
            is_value = end > place
        if end > place:
            if is_value:
                array = array and "value"
                yield Document(buffer[place:end], line)
            place, scanned = end, _FROM_START
            continue
        if is_last:
            if char or array:
                raise CutError(line, is_end=True)
            return
        # All pieces of a value are joined once.
        more, size, goes_on = [buffer[place:]], len(buffer) - place, True
        while goes_on and not is_last:
            if size > longest:
                raise _too_long(line, longest)
            content, is_last = next(pieces)
            more.append(content)
            goes_on, ahead = _goes_on(content, size, scanned) if char else (False, scanned)
            scanned = ahead if goes_on else scanned
            size += len(content)
        buffer, place, counted = b"".join(more), 0, 0


def value_end(buffer: bytes, start: int, *, is_last: bool) -> int:
    """Where the value that begins at a place ends; the place itself if none does, or GOES_ON or BROKEN_TEXT."""
    return _resume(buffer, start, _FROM_START, is_last=is_last)[0]


def _resume(buffer: bytes, start: int, scanned: _Scanned, *, is_last: bool) -> tuple[int, _Scanned]:
    """As `value_end`, of a value whose first bytes were looked at before; also how far it was looked at now."""
    if not buffer:
        return GOES_ON, _FROM_START
    end, size, depth, in_text = _value_end(np.frombuffer(buffer, dtype=np.uint8), start, *scanned)
    if end == GOES_ON and is_last and buffer[start : start + 1] not in (b"{", b"[", b'"'):
        return len(buffer), _FROM_START
    return end, _Scanned(size, depth, in_text)


def _goes_on(content: bytes, known: int, scanned: _Scanned) -> tuple[bool, _Scanned]:
    """Whether a value goes on behind a piece, which follows its `known` bytes; and how far it was looked at then."""
    if not content:
        return True, scanned
    # What follows a backslash was passed over.
    passed, before = scanned.size - known, -1
    end, size, depth, in_text = _value_end(
        np.frombuffer(content, dtype=np.uint8), before, passed - before, scanned.depth, scanned.in_text
    )
    return end == GOES_ON, _Scanned(known + size + before, depth, in_text)


def fields_of(text: bytes) -> dict[str, bytes | msgspec.Raw] | None:
    """The fields of an object, whatever is inside of their values; None for anything else."""
    try:
        return dict(fields_as_they_came(text))
    except NOT_READ:
        spans = _spans(text)
    if spans is None or text[:1] != b"{" or not _is_framed(text, spans[1::2]):
        return None
    try:
        names = [msgspec.json.decode(text[slice(*span)], type=str) for span in spans[::2]]
    except NOT_READ:
        return None
    return dict(zip(names, (text[slice(*span)] for span in spans[1::2]), strict=True))


def elements_of(text: bytes | msgspec.Raw) -> list[bytes | msgspec.Raw] | None:
    """The elements of an array, whatever is inside of them; None for anything else."""
    try:
        return list(_ELEMENTS(text))
    except NOT_READ:
        text = bytes(text)
    spans = _spans(text)
    if spans is None or text[:1] != b"[" or not _is_framed(text, spans):
        return None
    return [text[slice(*span)] for span in spans]


def _spans(text: bytes) -> list[tuple[int, int]] | None:
    """The spans of the values inside of an array or object, names of fields too; None if one does not end."""
    data, found, place = np.frombuffer(text, dtype=np.uint8), [], 1
    while at := _INSIDE.search(text, place):
        place = _value_end(data, at.start(), *_FROM_START)[0]
        if place <= at.start():
            return None
        found.append((at.start(), place))
    return found


# The start of a value or a name.
_INSIDE = re.compile(rb"[^ \t\r\n,:\]}]")


def _is_framed(text: bytes, spans: list[tuple[int, int]]) -> bool:
    """Whether a text is JSON but for what is in spans of it."""
    bounds = [0, *(bound for span in spans for bound in span), len(text)]
    outside = (text[bounds[place] : bounds[place + 1]] for place in range(0, len(bounds), 2))
    try:
        msgspec.json.decode(b"0".join(outside), type=msgspec.Raw)
    except NOT_READ:
        return False
    return True


def _too_long(line: int, longest: int) -> RawFileError:
    return RawFileError(
        f"has a JSON document of more than {longest:,} bytes from line {line:,} on: ask for smaller pages, or "
        "write each row on a line of its own (jq -c '.[]', with the list's name before the brackets), and send that."
    )


@compiled
def _value_end(data: NDArray[np.uint8], start: int, size: int, depth: int, in_text: bool) -> tuple[int, int, int, bool]:
    place = start + size
    while place < len(data):
        byte = data[place]
        if in_text:
            if byte == 92:  # A backslash: what follows is no end.
                place += 1
            elif byte == 34:
                in_text = False
                if depth == 0:
                    return place + 1, 0, 0, False
            elif byte == 10:
                return -2, 0, 0, False
        elif byte == 34:
            if depth == 0 and place > start:
                return place, 0, 0, False
            in_text = True
        elif byte == 123 or byte == 91:
            if depth == 0 and place > start:
                return place, 0, 0, False
            depth += 1
        elif byte == 125 or byte == 93:
            if depth == 0:
                return place, 0, 0, False
            depth -= 1
            if depth == 0:
                return place + 1, 0, 0, False
        elif depth == 0 and (byte == 44 or byte == 58 or byte == 32 or byte == 9 or byte == 10 or byte == 13):
            return place, 0, 0, False
        place += 1
    return -1, place - start, depth, in_text
