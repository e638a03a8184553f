"""JSON documents of a table with pages: pages of rows, rows, and arrays of both, one after another.

Where the first document is a line of its own, each line is one, and one that cannot be read is at fault alone. Else the
file is cut by brackets, and refused where it breaks off or is no JSON: what follows cannot be found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import BinaryIO, NamedTuple

import msgspec

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.readers.json_files.documents import (
    BROKEN_TEXT,
    GOES_ON,
    LONGEST_DOCUMENT,
    CutError,
    Document,
    cut_documents,
    elements_of,
    value_end,
)
from gata_assets.curation.readers.json_files.kept import Text
from gata_assets.curation.readers.json_files.objects import NOT_READ, not_json_lines
from gata_assets.curation.readers.json_files.page_rows import DocumentRows, Joined, PageReader
from gata_assets.curation.readers.json_files.rows import JsonRows, RowDecoder
from gata_assets.curation.readers.raw_block import BLOCK_BYTES, PendingBlock, pieces, without_mark
from gata_assets.errors import RawFileError
from gata_assets.tables.spec import TableSpec

_ROWS_AT_ONCE = 50_000
# Rows of kilobytes are validated in blocks of some hundreds: four times as many take a fifth less time.
_BLOCKS_AT_ONCE = 4
# Tables, with their mappings, whose readers are kept.
_SPECS = 8


def read_pages(
    stream: BinaryIO, spec: TableSpec, block_bytes: int, max_decoded_bytes: int, *, keeps_types: bool = False
) -> Iterator[PendingBlock]:
    """All rows of a file, block by block, numbered over all pages; raises RawFileError."""
    coming = pieces(stream, RawFormat.JSON_LINES, block_bytes, max_decoded_bytes, takes_arrays=True)
    decode = _row_decoder(spec, keeps_types=keeps_types)
    rows = _HeldRows(_page_reader(spec), _BLOCKS_AT_ONCE * block_bytes)
    head, is_last = next(coming)
    _require_json(spec, head)
    again = chain([(head, is_last)], coming)
    documents = _lines(again, rows) if _is_of_lines(head, is_last=is_last) else cut_documents(again)
    try:
        is_empty = True
        for document in documents:
            is_empty = False
            for full in rows.add(document):
                yield partial(decode, full)
    except CutError as error:
        where = f"after record {rows.count:,} (line {error.line:,})"
        if error.is_end:
            raise RawFileError(f"breaks off {where}: it was not copied completely. Send it again.") from None
        raise RawFileError(f"is no JSON {where}: correct it there and send it again.") from None
    if is_empty and not without_mark(head).strip():
        raise RawFileError("is empty but for blank lines.")
    if last := rows.take():
        yield partial(decode, last)


def read_documents(stream: BinaryIO, spec: TableSpec, max_decoded_bytes: int) -> Iterator[Document]:
    """All documents of a file that `read_pages` has read; raises RawFileError."""
    coming = pieces(stream, RawFormat.JSON_LINES, BLOCK_BYTES, max_decoded_bytes, takes_arrays=True)
    head, is_last = next(coming)
    again = chain([(head, is_last)], coming)
    held = _HeldRows(_page_reader(spec), BLOCK_BYTES)
    return _lines(again, held) if _is_of_lines(head, is_last=is_last) else cut_documents(again)


# A page is read twice, and is often all of a file: to derive what reads it takes as long as a tenth of its rows.
@lru_cache(_SPECS)
def _row_decoder(spec: TableSpec, *, keeps_types: bool) -> RowDecoder:
    return RowDecoder(spec, (), keeps_types=keeps_types)


@lru_cache(_SPECS)
def _page_reader(spec: TableSpec) -> PageReader:
    assert spec.pages is not None  # noqa: S101 - read only where a table has them
    return PageReader(spec, spec.pages)


def _require_json(spec: TableSpec, head: bytes) -> None:
    """Check that the first line is JSON or begins as it does; raises RawFileError."""
    line = without_mark(head).lstrip().partition(b"\n")[0]
    if line[:1] in (b"{", b"[", b""):
        return
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except NOT_READ:
        raise not_json_lines(spec, line) from None


def _is_of_lines(head: bytes, *, is_last: bool) -> bool:
    """Whether the first document of a file is a line of its own, or a line that breaks within a text."""
    line, end, _ = without_mark(head).lstrip().partition(b"\n")
    if not end and not is_last:
        return False
    found = value_end(line + end, 0, is_last=True)
    return found == BROKEN_TEXT or found >= len(line.rstrip()) > 0


def _lines(coming: Iterator[tuple[bytes, bool]], rows: _HeldRows) -> Iterator[Document]:
    """The lines that are not blank, those of arrays by their elements; raises CutError for one that breaks off."""
    line, rest = 1, b""
    for content, is_last in coming:
        block = without_mark(rest + content) if line == 1 else rest + content
        used = len(block) if is_last else block.rfind(b"\n") + 1
        rest, block = block[used:], block[:used]
        if len(rest) > LONGEST_DOCUMENT:
            raise RawFileError(f"has a line of more than {LONGEST_DOCUMENT:,} bytes, after record {rows.count:,}.")
        found = block.split(b"\n")
        for place, text in enumerate(found):
            stripped = text.strip()
            if not stripped:
                continue
            is_end = is_last and place == len(found) - 1
            if is_end and value_end(stripped, 0, is_last=True) in (GOES_ON, BROKEN_TEXT):
                raise CutError(line + place, is_end=True)
            yield from _of_line(stripped, line + place)
        line += block.count(b"\n")


def _of_line(text: bytes, line: int) -> Iterator[Document]:
    """The documents of a line: one, or the elements of an array."""
    if not text.startswith(b"["):
        yield Document(text, line)
        return
    elements = elements_of(text)
    if elements is None:
        raise CutError(line, is_end=False)
    yield from (Document(bytes(element), line) for element in elements)


class _Slice(NamedTuple):
    """Consecutive rows of a document."""

    document: DocumentRows
    start: int
    stop: int


class _HeldRows:
    """Rows of documents until they are a block; `count` are those so far."""

    def __init__(self, reader: PageReader, block_bytes: int) -> None:
        self._reader, self._block_bytes = reader, block_bytes
        self.count = 0
        self._clear()

    def add(self, document: Document) -> Iterator[JsonRows]:
        """Add the rows of a document; gives blocks that are full."""
        text, line = document
        found = self._reader.rows_of(text)
        if found is None:
            if self._reader.looks_like_page(text):
                raise CutError(line, is_end=False)
            found = self._reader.row(text)
        start = 0
        while start < len(found.rows):
            stop = self._fitting(found.rows, start)
            self._slices.append(_Slice(found, start, stop))
            self._texts += found.rows[start:stop]
            self._lines += [line] * (stop - start)
            self.count += stop - start
            start = stop
            if (self._bytes >= self._block_bytes or len(self._texts) >= _ROWS_AT_ONCE) and (full := self.take()):
                yield full
        if not found.rows and found.joined.unused:
            self._slices.append(_Slice(found, 0, 0))

    def _fitting(self, rows: Sequence[Text], start: int) -> int:
        """Where the rows end that the block still takes, at least one."""
        most = start + max(_ROWS_AT_ONCE - len(self._texts), 1)
        for place in range(start, min(len(rows), most)):
            self._bytes += len(memoryview(rows[place]))
            if self._bytes >= self._block_bytes:
                return place + 1
        return min(len(rows), most)

    def take(self) -> JsonRows | None:
        """The rows that are held; None without any, and without unused records."""
        if not self._slices:
            return None
        first = self.count - len(self._texts) + 1
        found = JsonRows(self._lines, self._texts, first, partial(_join, self._reader.columns, self._slices))
        self._clear()
        return found

    def _clear(self) -> None:
        self._texts: list[Text] = []
        self._lines: list[int] = []
        self._slices: list[_Slice] = []
        self._bytes = 0


def _join(columns: Sequence[str], slices: Sequence[_Slice]) -> Joined:
    """What is beside the rows of a block. Records that no row has taken count with the first rows of their document."""
    beside: dict[str, list[bytes | None]] = {name: [] for name in columns}
    unused = 0
    for document, start, stop in slices:
        joined = document.joined
        for name, values in beside.items():
            found = joined.beside.get(name)
            values.extend([None] * (stop - start) if found is None else found[start:stop])
        unused += 0 if start else joined.unused
    return Joined(beside, unused)
