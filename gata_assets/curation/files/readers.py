"""The rows of raw files, as texts: CSV, JSON Lines and Parquet all come out alike, a block at a time.

Every row of a file comes out once, with its line; one that cannot be read comes with its fault. What its values have
to be is decided in `curation_rules`. A stream comes in as an argument; nothing here opens a file.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gata_assets.curation.files.csv_records import RAGGED, READABLE, UNREADABLE, Records, split_records
from gata_assets.curation.files.formats import COLUMNS, CONTEXT_COLUMN, CONTEXT_COLUMNS, RawFormat, require_columns
from gata_assets.curation.layout import DataType
from gata_assets.errors import RawFileError
from gata_assets.tables.columns.utf8 import Texts, is_utf_8


@dataclass(frozen=True)
class RawRows:
    """Rows of a block: a text column for each that the file has, the line of each row (the first of a file is 1; in
    Parquet the row's number), its fault, and the rows at fault as they came, by place.
    """

    columns: Mapping[str, Texts]
    lines: NDArray[np.int64]
    faults: NDArray[np.uint8]
    fault_texts: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)


# Rows that are still to be worked out, on whichever thread.
Block = Callable[[], RawRows]

# Bytes that are read at once. 2 MB held 15 MB more.
BLOCK_BYTES = 1_000_000
_LONGEST_LINE = 16_000_000
_PARQUET_ROWS = 131_072
_LINES_THAT_TELL_COLUMNS = 1_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What programs write where a comma should be, above all spreadsheets of countries whose decimals have a comma.
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_NOT_UTF_8 = "is not UTF-8: save it as UTF-8 (in Excel: CSV UTF-8) and send it again."


def read_blocks(
    stream: BinaryIO, file_format: RawFormat, data: DataType, *, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """All rows of a raw file (decompressed) in order, a block at a time, at most about `block_bytes` at once.

    Raises RawFileError, at first or on the way, for a file that is empty, damaged, not UTF-8, or has the wrong
    columns; its message goes on from the file's name.
    """
    try:
        if file_format is RawFormat.PARQUET:
            yield from _parquet_blocks(stream, data)
        elif file_format is RawFormat.CSV:
            yield from _csv_blocks(stream, data, block_bytes)
        else:
            yield from _json_blocks(stream, data, block_bytes)
    # Names of columns that are not UTF-8 are met when they are read, and told by Python itself.
    except (pa.ArrowException, EOFError, OSError, UnicodeDecodeError) as error:
        raise RawFileError(
            f"cannot be read to its end: it is damaged or cut off ({type(error).__name__}). Send it again."
        ) from None


def _csv_blocks(stream: BinaryIO, data: DataType, block_bytes: int) -> Iterator[Block]:
    header: list[str] = []
    line = 1
    rest = b""
    for content, is_last in _contents(stream, block_bytes):
        block = rest + content
        if not header:
            first, end, block = block.removeprefix(_BYTE_ORDER_MARK).partition(b"\n")
            if not end and not is_last:
                raise RawFileError(f"has a first line of more than {block_bytes:,} bytes: it is not CSV.")
            header = _read_header(first)
            require_columns(data, header)
            line = 2
        numbers = np.frombuffer(block, dtype=np.uint8)
        records = split_records(numbers, len(header), is_last=is_last)
        _require_text(numbers[: records.used])
        rest = block[records.used :]
        if len(rest) > _LONGEST_LINE:
            raise RawFileError(f"has a line of more than {_LONGEST_LINE:,} bytes.")
        if len(records.faults):
            yield _CsvBlock(numbers, records, header, line)
        line += records.used_lines


@dataclass(frozen=True)
class _CsvBlock:
    content: NDArray[np.uint8]
    records: Records
    header: list[str]
    first_line: int

    def __call__(self) -> RawRows:
        columns = {name: self.records.texts(self.content, place) for place, name in enumerate(self.header)}
        lines = self.records.lines + self.first_line
        return RawRows(columns, lines, self.records.faults, self.records.fault_texts(self.content))


def _read_header(line: bytes) -> list[str]:
    if not line.strip():
        raise RawFileError("is empty, or has an empty line in place of the columns' names.")
    try:
        text = line.decode().rstrip("\r")
        names = [name.strip() for name in next(csv.reader([text]))]
    except UnicodeDecodeError:
        raise RawFileError(_NOT_UTF_8) from None
    except (csv.Error, StopIteration):
        raise RawFileError("has a first line that does not name columns.") from None
    for mark, called in _OTHER_SEPARATORS.items():
        if len(names) == 1 and mark in text:
            raise RawFileError(f"has {called} between its columns: save it with commas and send it again.")
    return names


def _contents(stream: BinaryIO, block_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """What a stream holds, and with the last piece (which may be empty) that it is the last."""
    while content := stream.read(block_bytes):
        yield content, False
    yield b"", True


def _require_text(content: NDArray[np.uint8]) -> None:
    if len(content) and not is_utf_8(content):
        raise RawFileError(_NOT_UTF_8)


def _json_blocks(stream: BinaryIO, data: DataType, block_bytes: int) -> Iterator[Block]:
    names: tuple[str, ...] = ()
    line = 1
    rest = b""
    for content, is_last in _contents(stream, block_bytes):
        block = rest + content
        block = block.removeprefix(_BYTE_ORDER_MARK) if line == 1 else block
        used = len(block) if is_last else block.rfind(b"\n") + 1
        rest, block = block[used:], block[:used]
        if len(rest) > _LONGEST_LINE:
            raise RawFileError(f"has a line of more than {_LONGEST_LINE:,} bytes.")
        _require_text(np.frombuffer(block, dtype=np.uint8))
        if not block:
            continue
        if not names:
            names = _json_columns(block, data)
        yield _JsonBlock(block, names, line)
        line += block.count(b"\n")
    if not names:
        raise RawFileError("is empty.")


@dataclass(frozen=True)
class _JsonBlock:
    content: bytes
    names: tuple[str, ...]
    first_line: int

    def __call__(self) -> RawRows:
        texts: dict[str, list[str]] = {name: [] for name in self.names}
        lines: list[int] = []
        faults: list[int] = []
        fault_texts = {}
        for number, line in enumerate(self.content.split(b"\n"), self.first_line):
            if not line.strip():
                continue
            row = _read_json(line)
            fault = UNREADABLE if row is None else READABLE if row.keys() <= texts.keys() else RAGGED
            if fault:
                row, fault_texts[len(lines)] = {}, line.decode().rstrip("\r")
            for name, column in texts.items():
                column.append((row or {}).get(name, ""))
            lines.append(number)
            faults.append(fault)
        columns = {name: Texts.of(pl.Series(column, dtype=pl.String)) for name, column in texts.items()}
        return RawRows(columns, np.array(lines, dtype=np.int64), np.array(faults, dtype=np.uint8), fault_texts)


def _json_columns(block: bytes, data: DataType) -> tuple[str, ...]:
    rows = [_read_json(line) for line in block.split(b"\n", _LINES_THAT_TELL_COLUMNS)[:_LINES_THAT_TELL_COLUMNS]]
    found = {name: None for row in rows if row for name in row}
    if not found:
        raise RawFileError(
            "is empty, or not JSON Lines: every line is an object such as {…}, with texts, numbers or null."
        )
    require_columns(data, found)
    # All columns that there may be: a later row may have one that the first rows lack.
    return COLUMNS[data].all


def _read_json(line: bytes) -> dict[str, str] | None:
    """A JSON object's values as texts, with what is in its context beside the others; None for anything else."""
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            return None
        context = row.pop(CONTEXT_COLUMN, None)
        if context is not None:
            if not isinstance(context, dict) or not context.keys() <= set(CONTEXT_COLUMNS) - row.keys():
                return None
            row |= context
        texts = {name: _as_text(value) for name, value in row.items()}
        # A lone half of a surrogate pair is no text.
        "".join(texts.values()).encode()
    except (ValueError, TypeError, RecursionError):
        return None
    return texts


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise TypeError
    return json.dumps(value)


def _parquet_blocks(stream: BinaryIO, data: DataType) -> Iterator[Block]:
    file = pq.ParquetFile(stream)
    schema = file.schema_arrow
    has_context = CONTEXT_COLUMN in schema.names and pa.types.is_struct(schema.field(CONTEXT_COLUMN).type)
    inner = [one.name for one in schema.field(CONTEXT_COLUMN).type] if has_context else []
    require_columns(data, [name for name in schema.names if not (has_context and name == CONTEXT_COLUMN)] + inner)
    row = 1
    for batch in file.iter_batches(_PARQUET_ROWS):
        yield _ParquetBlock(batch, row)
        row += batch.num_rows


@dataclass(frozen=True)
class _ParquetBlock:
    batch: pa.RecordBatch
    first_row: int

    def __call__(self) -> RawRows:
        frame: pl.DataFrame = pl.from_arrow(self.batch)  # type: ignore[assignment]
        if isinstance(frame.schema.get(CONTEXT_COLUMN), pl.Struct):
            frame = frame.unnest(CONTEXT_COLUMN)
        columns = {column.name: Texts.of(_column_as_text(column)) for column in frame}
        lines = np.arange(self.first_row, self.first_row + len(frame), dtype=np.int64)
        return RawRows(columns, lines, np.zeros(len(frame), dtype=np.uint8))


def _column_as_text(column: pl.Series) -> pl.Series:
    kind = column.dtype
    if isinstance(kind, pl.Datetime | pl.Date):
        return _instants_as_text(column)
    if kind.is_numeric() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null):
        return column.cast(pl.String)
    raise RawFileError(f"has a column {column.name} of type {kind}: text, numbers or instants are needed.")


# The days from 1970 to the last of the year 9999, as units of Parquet: of instants far beyond, Polars panics.
_MOST_DAYS = 2_932_896
_UNITS_OF_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def _instants_as_text(column: pl.Series) -> pl.Series:
    """Instants and days as ISO 8601; of a number that is far beyond the calendar, the number, which no rule takes."""
    kind, numbers = column.dtype, column.to_physical()
    units = _UNITS_OF_A_DAY[kind.time_unit] if isinstance(kind, pl.Datetime) else 1
    most = min(_MOST_DAYS * units, (1 << 63) - 1)
    near = pl.select(pl.when(numbers.is_between(-most, most)).then(column)).to_series()
    if isinstance(kind, pl.Datetime):
        utc = near if kind.time_zone is None else near.dt.convert_time_zone("UTC")
        texts = utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    else:
        texts = near.cast(pl.String)
    return pl.select(pl.coalesce(texts, numbers.cast(pl.String))).to_series()
