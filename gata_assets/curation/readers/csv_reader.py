"""CSV by RFC 4180, in blocks of complete records: a header, then one record per row.

`regular_csv` reads blocks without quotes and faults, `csv_records` finds records and fields of all others. A record
with bytes that are not UTF-8 is faulty alone.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.readers.columns import join_others, match_columns, other_columns
from gata_assets.curation.readers.csv_records import LONGEST_RECORD, Records, split_records
from gata_assets.curation.readers.raw_block import (
    NOT_UTF_8,
    READABLE,
    UNREADABLE,
    PendingBlock,
    RawBlock,
    pieces,
    require_line_ends,
    require_short,
    without_mark,
)
from gata_assets.curation.readers.regular_csv import RegularLines, regular_lines
from gata_assets.errors import RawFileError
from gata_assets.tables.raw_mapping import own_names
from gata_assets.tables.spec import TableSpec

# What programs write instead of a comma, above all spreadsheets in countries with decimal commas.
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MOST_COLUMNS = 10_000


def read_csv(stream: BinaryIO, spec: TableSpec, block_bytes: int, max_decoded_bytes: int) -> Iterator[PendingBlock]:
    """All records of a file, block by block; raises RawFileError."""
    coming = pieces(stream, RawFormat.CSV, block_bytes, max_decoded_bytes)
    first, rest, is_last = _first_line(coming)
    line, record = 2, 1
    if spec.mapping.header:
        header = list(spec.mapping.header)
        rest, line = first + (b"" if is_last and not rest else b"\n") + rest, 1
    else:
        header = own_names(read_header(first, spec.separator), spec.mapping)
    paths = [(name,) for name in header]
    known = match_columns(spec, paths)
    others = other_columns(spec, paths, known)
    wanted = [header.index(path[0]) for path in (*known, *others)]
    fields = {column: number for number, column in enumerate(known.values())}
    more = (spec.more or "", {name: number for number, name in enumerate(others.values(), len(known))})
    # What was read after the header is the first block.
    for content, is_end in chain([(b"", is_last)] if rest or is_last else [], coming):
        block = rest + content
        if not block or (block.endswith(b"\n") and not block.strip(b"\r\n")):
            # Gigabytes of empty lines may be kilobytes of a file.
            line, rest = line + block.count(b"\n"), b""
            continue
        # Columns that the table has no column for are kept row by row.
        lines = None if others else regular_lines(block, len(header), spec.separator, is_last=is_end)
        if lines is not None and _is_utf_8(np.frombuffer(lines.content, dtype=np.uint8)):
            rest = block[lines.used :]
            require_short(rest)
            places = dict(zip(wanted, known.values(), strict=True))
            yield _RegularBlock(lines, len(header), spec.separator, places, record, line)
            line += lines.count
            record += lines.count
            continue
        data = np.frombuffer(block, dtype=np.uint8)
        records = split_records(data, len(header), is_last=is_end, separator=ord(spec.separator), wanted=wanted)
        rest = block[records.used :]
        require_short(rest)
        if len(records.faults):
            yield _CsvBlock(data, records, fields, more, record, line)
        line += records.used_lines
        record += len(records.faults)


def _first_line(coming: Iterator[tuple[bytes, bool]]) -> tuple[bytes, bytes, bool]:
    """The line of the columns' names, what was read after it, and whether that is all; raises RawFileError."""
    block = b""
    for content, is_last in coming:
        block += content
        line, end, rest = block.partition(b"\n")
        if not end and not is_last and len(block) <= LONGEST_RECORD:
            continue
        line = without_mark(line)
        require_line_ends(line)
        if not end and not is_last:
            raise RawFileError(f"has a first line of more than {LONGEST_RECORD:,} bytes: it is not CSV.")
        if not line.strip():
            has_more = rest.strip() or any(content.strip() for content, _ in coming)
            what = "has an empty line in place of the columns' names" if has_more else "is empty but for blank lines"
            raise RawFileError(f"{what}.")
        return line, rest, is_last
    raise AssertionError("The last piece ends the loop.")


@dataclass(frozen=True)
class _RegularBlock:
    """Regular lines of a block, and the table's columns by their places among the fields."""

    lines: RegularLines
    fields: int
    separator: str
    columns: dict[int, str]
    first_record: int
    first_line: int

    def __call__(self) -> RawBlock:
        numbers = np.arange(self.lines.count)
        return RawBlock(
            texts=self.lines.texts(self.fields, self.separator, self.columns),
            records=numbers + self.first_record,
            lines=numbers + self.first_line,
            faults=np.full(self.lines.count, READABLE, dtype=np.uint8),
            fault_texts={},
        )


@dataclass(frozen=True)
class _CsvBlock:
    """Records of a block, and where columns are among the wanted fields: the table's, and those that one keeps."""

    content: NDArray[np.uint8]
    records: Records
    fields: dict[str, int]
    more: tuple[str, dict[str, int]]
    first_record: int
    first_line: int

    def __call__(self) -> RawBlock:
        records, content = self.records, self.content
        if not _is_utf_8(content[: records.used]):
            spans = enumerate(records.spans.tolist())
            damaged = [place for place, span in spans if not _is_utf_8(content[slice(*span)])]
            records.set_fault(np.array(damaged, dtype=np.int64), UNREADABLE)
        texts = pl.DataFrame({name: records.texts(content, field) for name, field in self.fields.items()})
        column, others = self.more
        if others:
            kept = join_others({name: records.texts(content, field) for name, field in others.items()})
            texts = texts.with_columns(pl.Series(column, kept, dtype=pl.String))
        return RawBlock(
            texts=texts,
            records=np.arange(self.first_record, self.first_record + len(records.faults)),
            lines=records.lines + self.first_line,
            faults=records.faults,
            fault_texts=records.fault_texts(content),
        )


def read_header(line: bytes, separator: str) -> list[str]:
    """The columns' names of a first line, without its end; raises RawFileError."""
    try:
        text = line.decode().rstrip("\r")
        names = [name.strip() for name in next(csv.reader([text], delimiter=separator))]
    except UnicodeDecodeError:
        raise RawFileError(NOT_UTF_8) from None
    except (csv.Error, StopIteration):
        raise RawFileError("has a first line that does not name columns.") from None
    for mark, called in _SEPARATORS.items():
        if len(names) == 1 and mark in text and mark != separator:
            wanted = _SEPARATORS.get(separator, f'"{separator}"')
            raise RawFileError(f"has {called} between its columns: save it with {wanted} and send it again.")
    if len(names) > MOST_COLUMNS:
        raise RawFileError(
            f"has {len(names):,} columns, and at most {MOST_COLUMNS:,} are read: send it again with the columns of "
            "the table alone."
        )
    return names


def _is_utf_8(data: NDArray[np.uint8]) -> bool:
    ends = np.array([0, len(data)], dtype=np.int64)
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
