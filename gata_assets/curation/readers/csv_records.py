r"""CSV records in a run of bytes, by RFC 4180: where their fields are, and which records are at fault.

A quote opens a field only at its start. A line ends with `\n`, after any number of `\r`. No record is lost: one with
other fields than the header, with text (or a `\r`) after a closing quote, with a field that ends with `\r` before the
last one, or with an unclosed quote is marked as such, with its line.
Source: https://www.rfc-editor.org/rfc/rfc4180
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gata_assets.curation.readers.raw_block import RAGGED, READABLE, UNREADABLE
from gata_assets.tables.columns.arrow_buffers import texts_as_series
from gata_assets.tables.columns.jit import compiled

# A record with a longer quoted field has an unclosed quote: its first line is taken for the record.
LONGEST_RECORD = 1 << 20

_COMMA = 44


@dataclass(frozen=True)
class Records:
    """Records of a block: `bounds` (record, wanted field, start and end), `spans` of complete ones, `lines`, `faults`.

    Lines are counted from the start of the block; empty lines are not records. `faults` are READABLE, UNREADABLE or
    RAGGED. `used` bytes and `used_lines` lines belong to complete records; the rest belongs to the next block.
    """

    bounds: NDArray[np.int32]
    spans: NDArray[np.int32]
    lines: NDArray[np.int64]
    faults: NDArray[np.uint8]
    used: int
    used_lines: int

    def texts(self, data: NDArray[np.uint8], field: int) -> pl.Series:
        """One wanted field of all records, without its quotes; null for an empty one, and for a record at fault."""
        return texts_as_series(*_gather(data, self.bounds, field))

    def set_fault(self, places: NDArray[np.int64], fault: int) -> None:
        """Mark records as faulty; they then have no fields."""
        self.faults[places] = fault
        self.bounds[places] = 0

    def fault_texts(self, data: NDArray[np.uint8]) -> dict[int, str]:
        """The raw texts of the faulty records, by position."""
        places = np.flatnonzero(self.faults).tolist()
        return {row: data[slice(*self.spans[row])].tobytes().decode(errors="replace").rstrip("\r") for row in places}


def split_records(
    data: NDArray[np.uint8],
    fields: int,
    *,
    is_last: bool,
    separator: int = _COMMA,
    wanted: Sequence[int] | None = None,
) -> Records:
    """Find the complete records of a block that starts with a record; in the last block, all records.

    Where the `wanted` of the `fields` are is kept, in this order: all of a wide file would take more than its bytes.
    """
    lines = int(np.count_nonzero(data == 10)) + 1
    kept = np.full(fields, -1, dtype=np.int32)
    places = range(fields) if wanted is None else wanted
    kept[list(places)] = np.arange(len(places))
    bounds, spans = np.zeros((lines, len(places), 2), dtype=np.int32), np.empty((lines, 2), dtype=np.int32)
    line, faults = np.empty(lines, dtype=np.int64), np.empty(lines, dtype=np.uint8)
    records, used, used_lines = _split(data, kept, separator, is_last, bounds, spans, line, faults)
    return Records(bounds[:records], spans[:records], line[:records], faults[:records], used, used_lines)


@compiled
def _line_end(data: NDArray[np.uint8], at: int) -> int:
    while at < len(data) and data[at] != 10:
        at += 1
    return at


@compiled
def _after_returns(data: NDArray[np.uint8], at: int) -> int:
    while at < len(data) and data[at] == 13:
        at += 1
    return at


@compiled
def _split(
    data: NDArray[np.uint8],
    kept: NDArray[np.int32],
    separator: int,
    is_last: bool,
    bounds: NDArray[np.int32],
    spans: NDArray[np.int32],
    lines: NDArray[np.int64],
    faults: NDArray[np.uint8],
) -> tuple[int, int, int]:
    stop, at, line, record, fields = len(data), 0, 0, 0, len(kept)
    while at < stop:
        end = _after_returns(data, at)
        if (end == stop and is_last) or (end < stop and data[end] == 10):
            at = end + 1
            line += 1
            continue
        begin, first_line, field, fault = at, line, 0, READABLE
        while True:
            if at < stop and data[at] == 34:
                at += 1
                start = at
                while at < stop and at - begin <= LONGEST_RECORD:
                    if data[at] == 34:
                        if at + 1 < stop and data[at + 1] == 34:
                            at += 1
                        else:
                            break
                    elif data[at] == 10:
                        line += 1
                    at += 1
                if at >= stop and at - begin <= LONGEST_RECORD and not is_last:
                    return record, begin, first_line
                end = at
                if at >= stop or data[at] != 34:
                    at, line, fault = _line_end(data, begin), first_line, UNREADABLE
                    break
                at = _after_returns(data, at + 1)
                is_closed = at >= stop or data[at] == 10 or (data[at] == separator and at == end + 1)
                while at < stop and data[at] != separator and data[at] != 10:
                    at += 1
                if not is_closed:
                    fault = UNREADABLE
                if not is_closed and line > first_line:
                    # A quote of a later row closed it: only this line is lost, not all lines up to that one.
                    at, line = _line_end(data, begin), first_line
                    break
            else:
                start = at
                while at < stop and data[at] != separator and data[at] != 10:
                    at += 1
                end = at
                while end > start and data[end - 1] == 13:
                    end -= 1
                if end < at and at < stop and data[at] == separator:
                    fault = UNREADABLE
            if field < fields and kept[field] >= 0:
                bounds[record, kept[field], 0], bounds[record, kept[field], 1] = start, end
            field += 1
            if at >= stop or data[at] == 10:
                break
            at += 1
        if at >= stop and not is_last:
            return record, begin, first_line
        if fault == READABLE and field != fields:
            fault = RAGGED
        if fault != READABLE:
            bounds[record] = 0
        spans[record, 0], spans[record, 1] = begin, at
        lines[record], faults[record] = first_line, fault
        record += 1
        line += 1
        at += 1
    return record, min(at, stop), line


@compiled
def _gather(
    data: NDArray[np.uint8], bounds: NDArray[np.int32], field: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    # Not two slices of the bounds: for a single record numba sees another type than for many.
    starts, ends = bounds[:, field, 0], bounds[:, field, 1]
    rows, size = len(starts), 0
    for row in range(rows):
        size += ends[row] - starts[row]
    places, content, at = np.zeros(rows + 1, dtype=np.int64), np.empty(max(size, 1), dtype=np.uint8), 0
    for row in range(rows):
        start, end = starts[row], ends[row]
        if start > 0 and data[start - 1] == 34:
            place = start
            while place < end:
                content[at] = data[place]
                at += 1
                place += 2 if data[place] == 34 else 1
        else:
            for place in range(start, end):
                content[at] = data[place]
                at += 1
        places[row + 1] = at
    return places, content
