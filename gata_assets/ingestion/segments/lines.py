"""What becomes of a payload in a raw file of JSON Lines: one line for each event, whatever it is.

An object on one line stays as it came. Of one on several lines, the line breaks between its values become spaces,
which changes no value. Anything else becomes a JSON text, which no table takes as a row: it goes to quarantine.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from enum import StrEnum

# `{\rtf` begins a document, and one at the start of a file would refuse all of it.
_OBJECT = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*["}]')
_BREAKS = re.compile(rb"[\r\n]")
# A text of JSON, which has no line break, or what is between texts.
_PIECE = re.compile(rb'"(?:[^"\\\r\n]|\\[^\r\n])*"|[^"]+')
_LONGEST_TEXT = 12_000_000


class LineForm(StrEnum):
    """How a line has a payload: as it came (but for line breaks), as a JSON text, or in base64 as a JSON text."""

    OBJECT = "object"
    TEXT = "text"
    BASE64 = "base64"


def line_of(payload: bytes) -> tuple[bytes, LineForm]:
    """A payload as a line of JSON Lines, without the line break at its end, and its form."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return _in_base64(payload), LineForm.BASE64
    if _OBJECT.match(payload) and b"\0" not in payload:
        if not _BREAKS.search(payload):
            return payload, LineForm.OBJECT
        if (line := _joined(payload)) is not None:
            return line, LineForm.OBJECT
    line = _quoted(text)
    # Control characters take six bytes each: only in base64 is no line too long for the readers of raw files.
    return (line, LineForm.TEXT) if len(line) <= _LONGEST_TEXT else (_in_base64(payload), LineForm.BASE64)


def _joined(payload: bytes) -> bytes | None:
    """The lines of an object as one; None if a line break is within a text, which no JSON has."""
    pieces = _PIECE.findall(payload)
    if sum(map(len, pieces)) != len(payload):
        return None
    return b"".join(piece if piece.startswith(b'"') else _BREAKS.sub(b" ", piece) for piece in pieces)


def _quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


def _in_base64(payload: bytes) -> bytes:
    return b'"%b"' % b64encode(payload)
