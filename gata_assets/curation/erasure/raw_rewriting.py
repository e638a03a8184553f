"""Copies a raw file without the records of erased people; the bytes of all other records stay as they came.

Records are found by the readers that validate them, and left out by their lines (CSV, JSON Lines) or numbers (Parquet,
rows in documents).
A record that cannot be read is left out if it contains an id of theirs as a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.erasure.documents import copy_documents
from gata_assets.curation.files.formats import Compression, FileFormat, RawFormat
from gata_assets.curation.files.open_files import CODECS, decompressed
from gata_assets.curation.files.signatures import HEAD_BYTES, compression_of
from gata_assets.curation.readers.json_files.pages import read_documents
from gata_assets.curation.readers.raw_block import BLOCK_BYTES, READABLE, RawBlock
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.tables.columns.arrays import Bools, Int64s
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.row_rules import RowContext, validate_columns
from gata_assets.tables.spec import TableSpec

# The numbers of no records.
NONE: Int64s = np.zeros(0, dtype=np.int64)
_WORD = re.compile(r"[\w-]+")
# Behind all lines of a file.
_END = 1 << 62


class Mentions:
    """Whether texts contain one of some ids as a word: what is beside it is no letter, digit, `_` or `-`."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._words = frozenset(filter(_WORD.fullmatch, ids))
        others = [one for one in ids if one not in self._words]
        self._others = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, others))})(?![\w-])") if others else None

    def __call__(self, text: str) -> bool:
        """Whether a text does."""
        # Words are looked up, so that many ids take no longer than few.
        if self._words and any(found[0] in self._words for found in _WORD.finditer(text)):
            return True
        return self._others is not None and self._others.search(text) is not None


def copy_without(
    open_source: Callable[[], AbstractContextManager[BinaryIO]],
    to: Path,
    file_format: FileFormat,
    spec: TableSpec,
    people: ErasedPeople,
    is_mention: Callable[[str], bool],
    *,
    max_decoded_bytes: int,
    also: Int64s = NONE,
) -> int:
    """Copy a raw file without the records of erased people; returns how many it lacks. Without any it is of no use.

    Args:
        open_source: Opens the file, which can seek; it is read twice.
        to: Where the copy is written, compressed as the file is.
        file_format: What its name says.
        spec: Its table, as this file has it (`mapped`).
        people: Who was erased.
        is_mention: Whether a record that cannot be read is about one of them.
        max_decoded_bytes: See `read_blocks`.
        also: The numbers of records that are left out too.

    Raises RawFileError if the file cannot be read, or StoreError.
    """
    with open_source() as source, decompressed(source, file_format, max_decoded_bytes) as stream:
        blocks = read_blocks(stream, file_format.format, spec, max_decoded_bytes=max_decoded_bytes, keeps_types=True)
        erased = [
            _Erased.of(block, _are_erased(block, spec, people, is_mention) | np.isin(block.records, also))
            for block in (one() for one in blocks)
        ]
    count = sum(len(block.records) for block in erased)
    has_documents = spec.pages and not spec.is_by_row and file_format.format is RawFormat.JSON_LINES
    if not count and not has_documents:
        return 0
    with open_source() as source:
        compression = compression_of(source.read(HEAD_BYTES))
    with (
        open_source() as source,
        decompressed(source, file_format, max_decoded_bytes) as stream,
        _compressed(to, compression) as copy,
    ):
        if spec.pages and has_documents:
            # Also records beside rows of others.
            numbers = {int(number) for block in erased for number in block.records}
            documents = read_documents(stream, spec, max_decoded_bytes)
            count = copy_documents(documents, copy, spec, spec.pages, numbers, people)
        elif file_format.format is RawFormat.PARQUET:
            _copy_rows(stream, copy, np.concatenate([[0], *(block.records for block in erased)]).astype(np.int64))
        else:
            _copy_lines(stream, copy, _lines_of(erased))
    return count


def mark_erased(
    stream: BinaryIO,
    file_format: FileFormat,
    spec: TableSpec,
    people: ErasedPeople,
    is_mention: Callable[[str], bool],
    *,
    max_decoded_bytes: int,
) -> Bools:
    """For each record of a file, whether it is of erased people; arguments and errors as `copy_without`."""
    with decompressed(stream, file_format, max_decoded_bytes) as plain:
        blocks = read_blocks(plain, file_format.format, spec, max_decoded_bytes=max_decoded_bytes, keeps_types=True)
        marks = [_are_erased(block, spec, people, is_mention) for block in (one() for one in blocks)]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *marks])


class _Erased:
    """The erased records of a block: their numbers, and their lines as ranges; `open_from` continues in the next."""

    def __init__(
        self, records: np.ndarray, ranges: list[tuple[int, int]], first_line: int, open_from: int | None
    ) -> None:
        self.records, self.ranges, self.first_line, self.open_from = records, ranges, first_line, open_from

    @classmethod
    def of(cls, block: RawBlock, is_erased: Bools) -> _Erased:
        """What is erased of a block."""
        places = np.flatnonzero(is_erased)
        ends = [*block.lines[1:].tolist(), None]
        starts = block.lines.tolist()
        ranges = [(starts[place], end) for place in places.tolist() if (end := ends[place]) is not None]
        is_open = len(is_erased) > 0 and bool(is_erased[-1])
        return cls(block.records[places], ranges, starts[0] if starts else 0, starts[-1] if is_open else None)


def _lines_of(blocks: Sequence[_Erased]) -> Iterator[tuple[int, int]]:
    """The ranges of lines (from 1, the end is not in it) that are left out, ascending."""
    open_from: int | None = None
    for block in blocks:
        if open_from is not None:
            yield open_from, block.first_line
        yield from block.ranges
        open_from = block.open_from
    if open_from is not None:
        yield open_from, _END


def _are_erased(block: RawBlock, spec: TableSpec, people: ErasedPeople, is_mention: Callable[[str], bool]) -> Bools:
    known = {name: (column.values, column.given) for name, column in block.known.items()}
    found = people.rows_of(spec, validate_columns(spec, block.texts, RowContext(), known).values)
    is_erased: Bools = np.zeros(len(block), dtype=np.bool_) if found is None else found
    is_erased = is_erased & (block.faults == READABLE)
    for place, text in block.fault_texts.items():
        is_erased[place] = is_mention(text)
    return is_erased


def _copy_lines(stream: BinaryIO, copy: BinaryIO, left_out: Iterator[tuple[int, int]]) -> None:
    """Copy a stream without these lines."""
    # The number of the line in which a piece begins.
    line = 1
    begin, end = next(left_out, (_END, _END))
    while piece := stream.read(BLOCK_BYTES):
        data = np.frombuffer(piece, dtype=np.uint8)
        # Where each line begins that begins in this piece; the first one may have begun before.
        starts = np.concatenate([[0], np.flatnonzero(data == 10) + 1])
        last = line + len(starts) - 1
        at = 0
        while begin <= last:
            first = starts[begin - line] if begin >= line else 0
            copy.write(piece[at:first])
            if end > last:
                # The rest of it is in the next piece.
                at = len(piece)
                break
            at = int(starts[end - line])
            begin, end = next(left_out, (_END, _END))
        copy.write(piece[at:])
        line = last


def _copy_rows(stream: BinaryIO, copy: BinaryIO, records: np.ndarray) -> None:
    """Copy a Parquet file without these rows, which are numbered from 1."""
    file = pq.ParquetFile(stream)
    first = 1
    with pq.ParquetWriter(copy, file.schema_arrow, compression="zstd") as writer:
        for batch in file.iter_batches():
            numbers = np.arange(first, first + len(batch))
            writer.write_batch(batch.filter(pa.array(~np.isin(numbers, records))))
            first += len(batch)


@contextmanager
def _compressed(to: Path, compression: Compression | None) -> Iterator[BinaryIO]:
    with to.open("wb") as file:
        if compression is None:
            yield file
            return
        with pa.CompressedOutputStream(pa.PythonFile(file, "wb"), CODECS[compression]) as stream:
            yield cast("BinaryIO", stream)
