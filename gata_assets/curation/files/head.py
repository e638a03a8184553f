"""The start of a file that nobody has landed yet: enough to see how it is written, however long it is.

Nothing is kept of it. `curation.mappings` decides what it may mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from gata_assets.curation.files.formats import Compression, FileFormat, RawFormat
from gata_assets.curation.files.open_files import decompressed
from gata_assets.curation.files.signatures import BYTE_ORDER_MARK, HEAD_BYTES, begins_as_parquet, compression_of
from gata_assets.curation.policy import MAX_DECODED_BYTES
from gata_assets.curation.readers.faults import attributed_faults
from gata_assets.errors import RawFileError
from gata_assets.storage.scratch import scratch_file

# A thousand rows of a kilobyte each.
_TEXT_BYTES = 1_000_000
_PIECE_BYTES = 16_384
_MOST_COPIED = 1_000_000_000


@dataclass(frozen=True)
class Head:
    """The start of a file: its format and compression by its content, and complete lines, or all of Parquet.

    `is_complete` is whether the file has no more than that.
    """

    format: RawFormat
    compression: Compression | None
    stream: BinaryIO
    is_complete: bool

    @property
    def file_format(self) -> FileFormat:
        """Format and compression."""
        return FileFormat(self.format, self.compression)


@contextmanager
def opened_head(source: Path | BinaryIO) -> Iterator[Head]:
    """The start of a file, of which at most a megabyte is read, but for Parquet, which is read from its end.

    Raises RawFileError for a file that cannot be opened or decompressed, and StoreError for a fault of the machine.
    """
    if not isinstance(source, Path):
        with _head_of(source) as head:
            yield head
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise RawFileError(f"cannot be read: {error.strerror}.") from None
    with file, _head_of(file) as head:
        yield head


@contextmanager
def _head_of(file: BinaryIO) -> Iterator[Head]:
    with attributed_faults():
        content = file.read(_TEXT_BYTES)
        compression = compression_of(content[:HEAD_BYTES])
        is_complete = len(content) < _TEXT_BYTES
        text, is_all = _unpacked(content, is_complete=is_complete) if compression else (content, is_complete)
        form = _format_of(text)
    if form is not RawFormat.PARQUET:
        if not is_all:
            text = text[: text.rfind(b"\n") + 1] or text
        yield Head(form, compression, BytesIO(text), is_all)
        return
    with attributed_faults(), _seekable(file, content) as original:
        original.seek(0)
        with decompressed(original, FileFormat(form), MAX_DECODED_BYTES) as stream:
            stream.seek(0)
            yield Head(form, compression, stream, is_complete=True)


@contextmanager
def _seekable(file: BinaryIO, content: bytes) -> Iterator[BinaryIO]:
    """A file whose start was read, or a copy of it if it is a stream, which cannot be read again."""
    if file.seekable():
        yield file
        return
    with scratch_file() as copy:
        while content:
            copy.write(content)
            if copy.tell() > _MOST_COPIED:
                raise RawFileError(
                    f"is Parquet, which is read from its end, and has more than {_MOST_COPIED / 1e9:g} GB: name the "
                    "file itself, or one of its parts."
                )
            content = file.read(_TEXT_BYTES)
        yield copy


def _unpacked(content: bytes, *, is_complete: bool) -> tuple[bytes, bool]:
    """The start of what compressed bytes contain, and whether that is all; a cut end is no fault."""
    text = b""
    with decompressed(BytesIO(content), FileFormat(RawFormat.CSV), MAX_DECODED_BYTES) as stream:
        try:
            while len(text) < _TEXT_BYTES and (piece := stream.read(_PIECE_BYTES)):
                text += piece
            return text, is_complete and len(text) < _TEXT_BYTES
        except (pa.ArrowException, OSError, EOFError):
            if is_complete or not text:
                raise
            return text, False


def _format_of(text: bytes) -> RawFormat:
    start = text[:HEAD_BYTES].removeprefix(BYTE_ORDER_MARK)
    if begins_as_parquet(start):
        return RawFormat.PARQUET
    return RawFormat.JSON_LINES if re.match(rb"\s*(\{|\[\s*(\{|$))", start) else RawFormat.CSV
