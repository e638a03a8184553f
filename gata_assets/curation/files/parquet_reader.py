"""Parquet, where a few bytes may be gigabytes of values: only the table's columns are read, in slices limited by bytes.

Texts are read as dictionaries; texts that are too long or not UTF-8 are found there, before rows are built from them.
Numbers, booleans, days and instants become texts as in CSV.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gata_assets.curation.files.columns import Path, match_columns
from gata_assets.curation.files.csv_records import LONGEST_RECORD
from gata_assets.curation.files.raw_block import READABLE, UNREADABLE, PendingBlock, RawBlock
from gata_assets.errors import RawFileError
from gata_assets.tables.columns.arrow_buffers import given_of_arrow, numbers_of_arrow
from gata_assets.tables.spec import TableSpec

_ROWS_AT_ONCE = 131_072
_BYTES_AT_ONCE = 4_000_000
# For a column in a row group, decompressed. With prefix encoding every value may be as long as all of that.
_LARGEST_CHUNK = 1 << 28
_LARGEST_OF_PREFIXES = 1 << 25
_DECODED_PREFIXES = 1 << 27
_WITHOUT_DICTIONARY = {"DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"}


def read_parquet(stream: BinaryIO, spec: TableSpec) -> Iterator[PendingBlock]:
    """All rows of a file, block by block; raises RawFileError."""
    described = pq.ParquetFile(stream)
    kinds = dict(_leaves(described.schema_arrow, spec))
    columns = match_columns(spec, kinds)
    for path in columns:
        if not _is_readable(kinds[path]):
            kind = kinds[path]
            raise RawFileError(f"has a column {path[-1]} of type {kind}: text, numbers or instants are needed.")
    texts = {".".join(path) for path in columns if _is_text(kinds[path])}
    coded, rows_at_once = _plan(described.metadata, {".".join(path) for path in columns}, texts)
    file = pq.ParquetFile(
        stream,
        metadata=described.metadata,
        read_dictionary=sorted(coded),
        buffer_size=1 << 16,
        coerce_int96_timestamp_unit="us",
    )
    first_row = 1
    for batch in file.iter_batches(rows_at_once, columns=[".".join(path) for path in columns], use_threads=False):
        values = {path: _Values.of(array) for path, array in _arrays(batch)}
        sizes = np.cumsum(np.sum([column.sizes for column in values.values()], axis=0, dtype=np.int64))
        cuts = np.flatnonzero(np.diff(sizes // _BYTES_AT_ONCE)) + 1
        for start, stop in pairwise([0, *cuts.tolist(), batch.num_rows]):
            yield _ParquetBlock(values, columns, first_row, start, stop)
        first_row += batch.num_rows


def _leaves(schema: pa.Schema, spec: TableSpec) -> Iterator[tuple[Path, pa.DataType]]:
    """The columns of a file by their paths, including those in the table's nested fields."""
    nests = {column.within for column in spec.raw_columns if column.within}
    for column in schema:
        if column.name in nests and pa.types.is_struct(column.type):
            yield from (((column.name, inner.name), inner.type) for inner in column.type)
        else:
            yield (column.name,), column.type


def _is_text(kind: pa.DataType) -> bool:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values))


def _is_readable(kind: pa.DataType) -> bool:
    types = pa.types
    others = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_date)
    return _is_text(kind) or types.is_timestamp(kind) or types.is_null(kind) or any(other(kind) for other in others)


def _plan(metadata: pq.FileMetaData, paths: set[str], texts: set[str]) -> tuple[set[str], int]:
    """Which columns are read as dictionaries, and how many rows at once; raises RawFileError for too large a file."""
    coded, rows = set(texts), _ROWS_AT_ONCE
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            if chunk.path_in_schema not in paths:
                continue
            size = chunk.total_uncompressed_size
            has_prefixes = "DELTA_BYTE_ARRAY" in chunk.encodings and chunk.path_in_schema in texts
            most = _LARGEST_OF_PREFIXES if has_prefixes else _LARGEST_CHUNK
            if size > most:
                raise RawFileError(
                    f"has {size:,} bytes of a column in one row group, and at most {most:,} can be read at once: write "
                    "it with smaller row groups and send it again."
                )
            if has_prefixes:
                rows = min(rows, max(_DECODED_PREFIXES // max(size, 1), 1))
            if _WITHOUT_DICTIONARY & {*chunk.encodings}:
                coded.discard(chunk.path_in_schema)
    return coded, rows


def _arrays(batch: pa.RecordBatch) -> Iterator[tuple[Path, pa.Array]]:
    for column, array in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_struct(column.type):
            yield from (((column.name, inner.name), of) for inner, of in zip(column.type, array.flatten(), strict=True))
        else:
            yield (column.name,), array


@dataclass(frozen=True)
class _Values:
    """A column of a batch: its array, or distinct texts and each row's position among them; the bytes of each row's
    text, and which rows' text is too long or not UTF-8 (it is left blank).
    """

    array: pa.Array | None
    texts: pl.Series
    places: NDArray[np.int64]
    sizes: NDArray[np.int64]
    is_faulty: NDArray[np.bool_]

    @classmethod
    def of(cls, array: pa.Array) -> _Values:
        """Inspect a column without building the texts of its rows."""
        rows = len(array)
        if not _is_text(array.type):
            none_invalid = np.zeros(rows, dtype=np.bool_)
            return cls(array, pl.Series([]), np.zeros(0, dtype=np.int64), np.full(rows, 8), none_invalid)
        if pa.types.is_dictionary(array.type):
            distinct, indices = array.dictionary, array.indices.cast(pa.int64())
            # Rows without a value have the position after all others.
            places = np.where(given_of_arrow(indices), numbers_of_arrow(indices, np.int64), len(distinct))
        else:
            distinct, places = array, np.arange(rows)
        distinct = distinct.cast(pa.large_string()) if not pa.types.is_large_string(distinct.type) else distinct
        sizes = np.diff(np.frombuffer(distinct.buffers()[1], np.int64)[distinct.offset :][: len(distinct) + 1])
        is_faulty = sizes > LONGEST_RECORD
        if is_faulty.any() or not _is_utf_8(distinct):
            is_faulty |= [not _is_utf_8(distinct[place : place + 1]) for place in range(len(distinct))]
            distinct = distinct.filter(pa.array(~is_faulty))
            # The position after the others is empty, for rows without a value.
            moved = np.where(is_faulty, len(distinct), np.cumsum(~is_faulty) - 1)
        else:
            moved = np.arange(len(sizes))
        moved, sizes = np.append(moved, len(distinct)), np.append(np.where(is_faulty, 0, sizes), 0)
        texts = pl.Series(pl.from_arrow(distinct), dtype=pl.String).append(pl.Series([None], dtype=pl.String))
        return cls(None, texts, moved[places], sizes[places], np.append(is_faulty, [False])[places])

    def rows(self, start: int, stop: int) -> pl.Series:
        """The texts of a range of rows; null for an empty text."""
        if self.array is not None:
            return _as_text(pl.Series(pl.from_arrow(self.array[start:stop])))
        texts = self.texts.gather(pl.Series(self.places[start:stop]))
        return pl.select(pl.when(texts.str.len_bytes() > 0).then(texts)).to_series()


def _is_utf_8(texts: pa.Array) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


@dataclass(frozen=True)
class _ParquetBlock:
    """A range of rows of a batch."""

    values: Mapping[Path, _Values]
    columns: Mapping[Path, str]
    first_row: int
    start: int
    stop: int

    def __call__(self) -> RawBlock:
        rows = slice(self.start, self.stop)
        numbers = np.arange(self.first_row + self.start, self.first_row + self.stop)
        faults = np.full(len(numbers), READABLE, dtype=np.uint8)
        for values in self.values.values():
            faults[values.is_faulty[rows]] = UNREADABLE
        texts = [self.values[path].rows(self.start, self.stop).alias(name) for path, name in self.columns.items()]
        return RawBlock(pl.DataFrame(texts), numbers, numbers, faults)


def _as_text(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime | pl.Date):
        return _instants_as_text(column)
    return column.cast(pl.String)


# The days from 1970 to the last of the year 9999, as units of Parquet: Polars panics on instants far beyond.
_MOST_DAYS = 2_932_896
_UNITS_OF_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def _instants_as_text(column: pl.Series) -> pl.Series:
    """Instants and days as ISO 8601; a number far beyond the calendar stays a number, which no rule accepts."""
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
