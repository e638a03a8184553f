"""The file of a multipart body, pushed piece by piece to where it is kept while it is hashed: no piece is held.

One part named `file` is taken. Parts without a filename are fields: few, and short.
Source: https://www.rfc-editor.org/rfc/rfc7578
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gata_assets.ingestion.http.problems import Problem, too_large

# Its warnings quote bytes of the body; what is wrong is in the answer.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
# What a body has besides its file.
ENVELOPE_BYTES = 20_000
_MOST_FIELDS, _LONGEST_FIELD, _LONGEST_NAME = 10, 1_000, 300


class Sink(Protocol):
    """Where the bytes of a file go."""

    def write(self, content: memoryview, /) -> object:
        """Take the next ones."""


class FileReceiver:
    """Takes the pieces of a body; `finish` when there are no more."""

    def __init__(self, content_type: str, to: Sink, most_bytes: int, most_lines: int) -> None:
        """`to` gets the file's bytes; raises Problem if the body is no multipart."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Problem(415, "no-multipart", "A multipart/form-data body with the part `file` is needed (curl -F).")
        self._to, self._most_bytes, self._most_lines = to, most_bytes, most_lines
        self._digest = sha256()
        self.size = self.lines = 0
        self.name: str | None = None
        self.fields: dict[str, str] = {}
        self._headers: list[tuple[bytearray, bytearray]] = []
        self._field: tuple[str, bytearray] | None = None
        self._is_complete = False
        try:
            self._parser = self._open_parser(boundary)
        except FormParserError:
            raise Problem(400, "malformed", "The boundary of the body is too long: at most 70 characters.") from None

    @property
    def sha256(self) -> str:
        """Of what was received of the file."""
        return self._digest.hexdigest()

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body; raises Problem, and what its place raises."""
        try:
            self._parser.write(piece)
        except FormParserError:
            raise Problem(
                400,
                "malformed",
                "The body is no multipart/form-data with the boundary of its header, or a part has too large a head.",
            ) from None

    def finish(self) -> None:
        """Require that all of the file has arrived; raises Problem."""
        if not self._is_complete:
            raise Problem(400, "cut-off", "The body ends before its last boundary: nothing landed. Send it again.")
        if self.name is None:
            raise Problem(422, "no-file", "The body has no part `file` with a filename (curl -F file=@NAME).")

    def _open_parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_begin": lambda: self._headers.append((bytearray(), bytearray())),
                "on_header_field": lambda data, start, end: self._headers[-1][0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._headers[-1][1].extend(data[start:end]),
                "on_headers_finished": self._begin_part,
                "on_part_data": self._take,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def _begin_part(self) -> None:
        headers = {bytes(name).lower(): bytes(value) for name, value in self._headers}
        _, options = parse_options_header(headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            if name != "file" or self.name is not None:
                raise Problem(422, "no-file", "One file is taken in a body, as the part `file`.")
            self.name = options[b"filename"].decode("utf-8", "replace")[-_LONGEST_NAME:] or "file"
        else:
            if len(self.fields) == _MOST_FIELDS:
                raise Problem(422, "fields", f"The body has more than {_MOST_FIELDS} fields.")
            self._field = name[:_LONGEST_FIELD], bytearray()

    def _take(self, data: bytes, start: int, end: int) -> None:
        content = memoryview(data)[start:end]
        if self._field:
            if len(self._field[1]) + len(content) > _LONGEST_FIELD:
                raise Problem(422, "fields", f"A field of the body has more than {_LONGEST_FIELD:,} bytes.")
            self._field[1].extend(content)
            return
        self.size += len(content)
        if self.size > self._most_bytes:
            raise too_large("The bytes of the file", f"{self._most_bytes:,} bytes")
        self.lines += data.count(b"\n", start, end)
        # Of compressed bytes one in 256 looks like a line break: they reach the limit of bytes first.
        if self.lines > self._most_lines:
            raise too_large("The lines of the file", f"{self._most_lines:,} lines")
        self._digest.update(content)
        self._to.write(content)

    def _end_part(self) -> None:
        if self._field:
            self.fields[self._field[0]] = self._field[1].decode("utf-8", "replace")
        self._field = None

    def _end(self) -> None:
        self._is_complete = True
