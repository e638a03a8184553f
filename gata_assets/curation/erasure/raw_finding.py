"""Finds the records of people in a raw file: by the readers that validate them, with their numbers and lines.

A record that cannot be read is theirs if it contains an id of theirs as a word. `raw_rewriting` leaves them out of a
copy, `raw_records` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import polars as pl

from gata_assets.curation.erasure.stored_rows import ANY_CONTEXT
from gata_assets.curation.files.formats import FileFormat, RawFormat, is_of_events
from gata_assets.curation.files.open_files import decompressed
from gata_assets.curation.files.raw_objects import opened
from gata_assets.curation.readers.raw_block import BLOCK_BYTES, READABLE, RawBlock
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.curation.reports import Report
from gata_assets.curation.validator import FileValidator
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.columns.arrays import Bools, Int64s
from gata_assets.tables.people.named_people import Subjects
from gata_assets.tables.row_rules import validate_columns
from gata_assets.tables.spec import TableSpec, read_by_row

# Behind all lines of a file.
_END = 1 << 62
# The numbers of no records.
NONE: Int64s = np.zeros(0, dtype=np.int64)
# The place of what is in none of some ranges of lines.
BETWEEN = -1


class FoundRecords(NamedTuple):
    """The numbers of records, from 1, and the lines of each as a range, from 1 (the end is not in it)."""

    numbers: Int64s
    lines: list[tuple[int, int]]


def find_records(
    stream: BinaryIO,
    raw_format: RawFormat,
    spec: TableSpec,
    people: Subjects,
    is_mention: Callable[[str], bool],
    max_decoded_bytes: int,
    also: Int64s = NONE,
) -> FoundRecords:
    """Find the records of people in a raw file, which is decompressed; raises RawFileError or StoreError.

    Args:
        stream: The file.
        raw_format: Its format.
        spec: Its table, as this file has it (`mapped`).
        people: Whose records.
        is_mention: Whether a record that cannot be read is about one of them.
        max_decoded_bytes: See `read_blocks`.
        also: The numbers of records that are found too.
    """
    numbers = [NONE]
    lines: list[tuple[int, int]] = []
    # The last record of a block, whose lines end where the next block begins.
    open_from: int | None = None
    for pending in read_blocks(stream, raw_format, spec, max_decoded_bytes=max_decoded_bytes, keeps_types=True):
        block = pending()
        if not len(block):
            continue
        starts = block.lines.tolist()
        if open_from is not None:
            lines.append((open_from, starts[0]))
        are_theirs = _are_theirs(block, spec, people, is_mention) | np.isin(block.records, also)
        places = np.flatnonzero(are_theirs)
        numbers.append(block.records[places])
        lines += [(starts[place], starts[place + 1]) for place in places.tolist() if place + 1 < len(starts)]
        open_from = starts[-1] if are_theirs[-1] else None
    if open_from is not None:
        lines.append((open_from, _END))
    return FoundRecords(np.concatenate(numbers), lines)


def mark_records(
    stream: BinaryIO,
    file_format: FileFormat,
    spec: TableSpec,
    people: Subjects,
    is_mention: Callable[[str], bool],
    *,
    max_decoded_bytes: int,
) -> Bools:
    """For each record of a file, compressed or not, whether it is theirs; arguments and errors as `find_records`."""
    with decompressed(stream, file_format, max_decoded_bytes) as plain:
        blocks = read_blocks(plain, file_format.format, spec, max_decoded_bytes=max_decoded_bytes, keeps_types=True)
        marks = [_are_theirs(block, spec, people, is_mention) for block in (one() for one in blocks)]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *marks])


def has_documents(spec: TableSpec, raw_format: RawFormat) -> bool:
    """Whether the rows of a file are read from JSON documents, so that several may have the same line."""
    return spec.pages is not None and not spec.is_by_row and raw_format is RawFormat.JSON_LINES


def cut_lines(stream: BinaryIO, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    """The bytes of a stream in their order, in pieces, each with the place of the range of lines that it is in; or with
    BETWEEN, if it is in none. Ranges are ascending.
    """
    left = enumerate(ranges)
    # The number of the line in which a piece begins.
    line = 1
    place, (begin, end) = next(left, (BETWEEN, (_END, _END)))
    while piece := stream.read(BLOCK_BYTES):
        data = np.frombuffer(piece, dtype=np.uint8)
        # Where each line begins that begins in this piece; the first one may have begun before.
        starts = np.concatenate([[0], np.flatnonzero(data == 10) + 1])
        last = line + len(starts) - 1
        at = 0
        while begin <= last:
            first = int(starts[begin - line]) if begin >= line else 0
            # The rest of it may be in the next piece.
            until = int(starts[end - line]) if end <= last else len(piece)
            if at < first:
                yield BETWEEN, piece[at:first]
            if first < until:
                yield place, piece[first:until]
            at = until
            if end > last:
                break
            place, (begin, end) = next(left, (BETWEEN, (_END, _END)))
        if at < len(piece):
            yield BETWEEN, piece[at:]
        line = last


def spec_of_file(validator: FileValidator, table: str, key: str, report: Report | None) -> TableSpec:
    """A table as a raw file has it; raises RawFileError, DamagedTableError or StoreError."""
    spec = validator.table_of_file(table, validator.choose_mapping(table, key, report))
    return read_by_row(spec) if is_of_events(key) else spec


def read_values(
    stream: BinaryIO, raw_format: RawFormat, spec: TableSpec, max_decoded_bytes: int
) -> Iterator[pl.DataFrame]:
    """The values of the records that can be read; arguments and errors as `find_records`."""
    for pending in read_blocks(stream, raw_format, spec, max_decoded_bytes=max_decoded_bytes, keeps_types=True):
        block = pending()
        yield _values(block, spec).filter(pl.Series(block.faults == READABLE))


@contextmanager
def open_raw(store: ObjectStore, key: str) -> Iterator[BinaryIO]:
    """A raw file, to read it from anywhere; raises as `opened`."""
    with (
        opened(store, key) as source,
        source.open("rb") if isinstance(source, Path) else nullcontext(source) as file,
    ):
        yield file


def _values(block: RawBlock, spec: TableSpec) -> pl.DataFrame:
    known = {name: (column.values, column.given) for name, column in block.known.items()}
    return validate_columns(spec, block.texts, ANY_CONTEXT, known).values


def _are_theirs(block: RawBlock, spec: TableSpec, people: Subjects, is_mention: Callable[[str], bool]) -> Bools:
    found = people.rows_of(spec, _values(block, spec))
    are_theirs: Bools = np.zeros(len(block), dtype=np.bool_) if found is None else found
    are_theirs = are_theirs & (block.faults == READABLE)
    for place, text in block.fault_texts.items():
        are_theirs[place] = is_mention(text)
    return are_theirs
