"""Parquet, where a few bytes may be gigabytes of values: only the table's columns are read, in slices limited by bytes.

`parquet_values` turns them into texts. A file whose values are more than a limit in all is refused before rows are
built from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.files.signatures import HEAD_BYTES, require_format
from gata_assets.curation.readers.columns import Path, join_others, match_columns, other_columns
from gata_assets.curation.readers.csv_records import LONGEST_RECORD
from gata_assets.curation.readers.parquet_footer import ColumnChunk, read_chunks, require_small_footer
from gata_assets.curation.readers.parquet_values import ColumnValues, is_text
from gata_assets.curation.readers.raw_block import READABLE, UNREADABLE, PendingBlock, RawBlock, require_decodable
from gata_assets.errors import RawFileError
from gata_assets.tables.columns.arrow_buffers import given_of_arrow, numbers_of_arrow
from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.raw_mapping import NO_MAPPING
from gata_assets.tables.spec import TableSpec

# Of every value, besides its text.
_BYTES_OF_A_VALUE = 8
_ROWS_AT_ONCE = 131_072
_BYTES_AT_ONCE = 4_000_000
# A file of which one batch has more than such a share of what may be decoded is measured first.
_BATCHES_OF_A_FILE = 16
# For a column in a row group, decompressed. With prefix encoding every value may be as long as all of that.
_LARGEST_CHUNK = 1 << 28
_LARGEST_OF_PREFIXES = 1 << 25
_DECODED_PREFIXES = 1 << 26
# Each batch of a row group may copy the dictionaries of the group's other columns.
_MOST_BATCHES_OF_A_GROUP = 4_096
_MOST_BATCHES_OF_PREFIXES = 100_000
_WITHOUT_DICTIONARY = {"DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"}


def read_parquet(
    stream: BinaryIO, spec: TableSpec, max_decoded_bytes: int, *, keeps_types: bool = False
) -> Iterator[PendingBlock]:
    """All rows of a file, block by block, see `readers.read_blocks`; raises RawFileError."""
    file = _ParquetRows.open(stream, spec, max_decoded_bytes)
    first_row, is_measured = 1, False
    # A mapping changes texts.
    typed = keeps_types and spec.mapping == NO_MAPPING
    by_type = {path: spec.column(name) for path, name in file.columns.items() if typed and path not in file.others}
    more = spec.more or ""
    for values, sizes in file.batches():
        ends = np.cumsum(sizes)
        if not is_measured and sizes.sum() > max_decoded_bytes // _BATCHES_OF_A_FILE:
            # Before minutes of work on rows of a file that is refused then.
            measure_parquet(stream, spec, max_decoded_bytes)
            is_measured = True
        cuts = np.flatnonzero(np.diff(ends // _BYTES_AT_ONCE)) + 1
        for start, stop in pairwise([0, *cuts.tolist(), len(sizes)]):
            yield _ParquetBlock(values, file.columns, by_type, more, file.others, first_row, start, stop)
        first_row += len(sizes)


def measure_parquet(stream: BinaryIO, spec: TableSpec, max_decoded_bytes: int) -> None:
    """Check that the values of all rows are not more than `max_decoded_bytes`, without building them.

    Raises RawFileError. A million rows take about 0.1 s.
    """
    file = _ParquetRows.open(stream, spec, max_decoded_bytes)
    # Few rows cannot be so large: longer texts are not decoded.
    if file.rows * len(file.columns) * LONGEST_RECORD > max_decoded_bytes:
        for _ in file.batches():
            pass


@dataclass(frozen=True)
class _ParquetRows:
    """The table's columns of an open file, and how they are read."""

    file: pq.ParquetFile
    columns: Mapping[Path, str]
    # Those that the table does not have and keeps together.
    others: frozenset[Path]
    rows_at_once: int
    max_decoded_bytes: int
    # By column, the rows whose instant in nanoseconds of a day (INT96) is beyond 64 bits of microseconds.
    beyond: Mapping[Path, NDArray[np.int64]]

    @classmethod
    def open(cls, stream: BinaryIO, spec: TableSpec, max_decoded_bytes: int) -> _ParquetRows:
        """Match the columns, and check what the metadata show; raises RawFileError."""
        stream.seek(0)
        require_format(stream.read(HEAD_BYTES), RawFormat.PARQUET)
        require_small_footer(stream)
        described = pq.ParquetFile(stream)
        kinds = dict(_leaves(described.schema_arrow, spec))
        columns = match_columns(spec, kinds)
        others = other_columns(spec, kinds, columns)
        columns |= others
        for path in columns:
            if not is_readable(kinds[path]):
                kind = kinds[path]
                raise RawFileError(f"has a column {path[-1]} of type {kind}: text, numbers or instants are needed.")
        require_decodable(described.metadata.num_rows * len(columns) * _BYTES_OF_A_VALUE, max_decoded_bytes)
        texts = {".".join(path) for path in columns if is_text(kinds[path])}
        coded, rows_at_once = _plan(read_chunks(stream), {".".join(path) for path in columns}, texts)
        file = partial(pq.ParquetFile, stream, metadata=described.metadata, buffer_size=1 << 16)
        old = [path for path in columns if ".".join(path) in _int96_columns(described.metadata)]
        return cls(
            file(read_dictionary=sorted(coded), coerce_int96_timestamp_unit="us"),
            columns,
            frozenset(others),
            rows_at_once,
            max_decoded_bytes,
            {path: _beyond_micros(file, ".".join(path)) for path in old},
        )

    @property
    def rows(self) -> int:
        """The number of rows that the file claims to have."""
        return int(self.file.metadata.num_rows)

    def batches(self) -> Iterator[tuple[dict[Path, ColumnValues], NDArray[np.int64]]]:
        """The values of each batch, and the bytes of each of its rows; raises RawFileError for too many in all."""
        decoded = first = 0
        names = [".".join(path) for path in self.columns]
        for batch in self.file.iter_batches(self.rows_at_once, columns=names, use_threads=False):
            values = {path: ColumnValues.of(array) for path, array in _arrays(batch)}
            for path, rows in self.beyond.items():
                within = rows[(rows >= first) & (rows < first + batch.num_rows)]
                values[path].is_faulty[within - first] = True
            first += batch.num_rows
            sizes: NDArray[np.int64] = np.sum([column.sizes for column in values.values()], axis=0, dtype=np.int64)
            decoded += int(sizes.sum()) + len(sizes) * len(values) * _BYTES_OF_A_VALUE
            require_decodable(decoded, self.max_decoded_bytes)
            yield values, sizes
        if first != self.rows:
            raise pa.ArrowInvalid("There are other rows than the metadata claim.")


def _int96_columns(metadata: pq.FileMetaData) -> set[str]:
    columns = (metadata.schema.column(place) for place in range(metadata.num_columns))
    return {column.path for column in columns if column.physical_type == "INT96"}


def _beyond_micros(file: Callable[..., pq.ParquetFile], name: str) -> NDArray[np.int64]:
    """The rows of a column of INT96 whose microseconds overflow, and would be another instant: Arrow does not check."""
    exact, coarse = (
        file(coerce_int96_timestamp_unit=unit).iter_batches(_ROWS_AT_ONCE, columns=[name], use_threads=False)
        for unit in ("us", "ms")
    )
    found, first = [np.zeros(0, dtype=np.int64)], 0
    for micros, millis in zip(exact, coarse, strict=True):
        [(_, of_micros)], [(_, of_millis)] = _arrays(micros), _arrays(millis)
        differs = numbers_of_arrow(of_micros, np.int64) // 1_000 != numbers_of_arrow(of_millis, np.int64)
        found.append(np.flatnonzero(differs & given_of_arrow(of_micros)) + first)
        first += micros.num_rows
    return np.concatenate(found)


def _leaves(schema: pa.Schema, spec: TableSpec) -> Iterator[tuple[Path, pa.DataType]]:
    """The columns of a file by their paths, including those in the table's nested fields."""
    nests = {column.within for column in spec.raw_columns if column.within}
    for column in schema:
        if column.name in nests and pa.types.is_struct(column.type):
            yield from (((column.name, inner.name), inner.type) for inner in column.type)
        else:
            yield (column.name,), column.type


def is_readable(kind: pa.DataType) -> bool:
    """Whether a column of this type can be one of a table."""
    types = pa.types
    others = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_date)
    return is_text(kind) or types.is_timestamp(kind) or types.is_null(kind) or any(other(kind) for other in others)


def _plan(chunks: Iterable[ColumnChunk], paths: set[str], texts: set[str]) -> tuple[set[str], int]:
    """Which columns are read as dictionaries, and how many rows at once; raises RawFileError for too large a file."""
    coded, rows, largest = set(texts), _ROWS_AT_ONCE, 0
    totals = dict.fromkeys(paths, 0)
    for chunk in chunks:
        if chunk.path not in paths:
            continue
        largest = max(largest, chunk.num_values)
        totals[chunk.path] += chunk.num_values
        size = chunk.uncompressed_size
        has_prefixes = "DELTA_BYTE_ARRAY" in chunk.encodings and chunk.path in texts
        if has_prefixes:
            rows = min(rows, max(_DECODED_PREFIXES // max(size, 1), 1))
        if _WITHOUT_DICTIONARY & chunk.encodings:
            coded.discard(chunk.path)
            # The lengths of all texts of a page are decoded at once.
            size = max(size, chunk.num_values * _BYTES_OF_A_VALUE)
        most = _LARGEST_OF_PREFIXES if has_prefixes else _LARGEST_CHUNK
        if size > most:
            raise RawFileError(
                f"has {size:,} bytes of a column in one row group, and at most {most:,} can be read at once: write "
                "it with smaller row groups and send it again."
            )
    total = max(totals.values(), default=0)
    if rows < _ROWS_AT_ONCE and (largest > rows * _MOST_BATCHES_OF_A_GROUP or total > rows * _MOST_BATCHES_OF_PREFIXES):
        raise RawFileError(
            f"has texts of which only {rows:,} of {largest:,} in one row group can be read at once, since each may be "
            "as long as all of them (DELTA_BYTE_ARRAY): write it with smaller row groups and send it again."
        )
    return coded, rows


def _arrays(batch: pa.RecordBatch) -> Iterator[tuple[Path, pa.Array]]:
    for column, array in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_struct(column.type):
            yield from (((column.name, inner.name), of) for inner, of in zip(column.type, array.flatten(), strict=True))
        else:
            yield (column.name,), array


@dataclass(frozen=True)
class _ParquetBlock:
    """A range of rows of a batch."""

    values: Mapping[Path, ColumnValues]
    columns: Mapping[Path, str]
    by_type: Mapping[Path, ColumnSpec]
    more: str
    others: frozenset[Path]
    first_row: int
    start: int
    stop: int

    def __call__(self) -> RawBlock:
        rows = slice(self.start, self.stop)
        numbers = np.arange(self.first_row + self.start, self.first_row + self.stop)
        faults = np.full(len(numbers), READABLE, dtype=np.uint8)
        for values in self.values.values():
            faults[values.is_faulty[rows]] = UNREADABLE
        texts, known, others = [], {}, {}
        for path, name in self.columns.items():
            values = self.values[path]
            if path in self.others:
                others[name] = values.rows(self.start, self.stop)
            elif path in self.by_type and (found := values.known(self.start, self.stop, self.by_type[path])):
                known[name] = found
            else:
                texts.append(values.rows(self.start, self.stop).alias(name))
        if others:
            texts.append(pl.Series(self.more, join_others(others), dtype=pl.String))
        return RawBlock(pl.DataFrame(texts), numbers, numbers, faults, known=known)
