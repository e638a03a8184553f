"""The values of a column of Parquet as texts: those of CSV, whatever their type.

Texts are read as dictionaries; those that are too long or not UTF-8 are found there, before rows are built from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.curation.readers.csv_records import LONGEST_RECORD
from gata_assets.curation.readers.raw_block import KnownColumn
from gata_assets.tables.columns.arrow_buffers import given_of_arrow, numbers_of_arrow
from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.columns.conversion import convert
from gata_assets.tables.row_rules import are_given

_TEXTS = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view())


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts, or bytes that may be: some programs write texts so. Each is checked to be UTF-8."""
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return values in _TEXTS


@dataclass(frozen=True)
class ColumnValues:
    """A column of a batch: its array, or distinct texts, null for an empty one, and each row's position among them; the
    bytes of each row's text, and which rows' text is too long or not UTF-8 (it is left blank).
    """

    array: pa.Array | None
    texts: pl.Series
    places: NDArray[np.int64]
    sizes: NDArray[np.int64]
    is_faulty: NDArray[np.bool_]

    @classmethod
    def of(cls, array: pa.Array) -> ColumnValues:
        """Inspect a column without building the texts of its rows."""
        rows = len(array)
        if not is_text(array.type):
            none_invalid = np.zeros(rows, dtype=np.bool_)
            return cls(array, pl.Series([]), np.zeros(0, dtype=np.int64), np.full(rows, 8), none_invalid)
        if pa.types.is_dictionary(array.type):
            distinct, indices = array.dictionary, array.indices.cast(pa.int64())
            # Rows without a value have the position after all others.
            places = np.where(given_of_arrow(indices), numbers_of_arrow(indices, np.int64), len(distinct))
            if rows and not 0 <= places.min() <= places.max() <= len(distinct):
                raise pa.ArrowInvalid("A position of the dictionary is out of its range.")
        else:
            distinct, places = array, np.arange(rows)
        if not pa.types.is_large_string(distinct.type):
            distinct = distinct.cast(pa.large_binary()).view(pa.large_string())
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
        if (texts.str.len_bytes() == 0).any():
            texts = pl.select(pl.when(texts.str.len_bytes() > 0).then(texts)).to_series()
        return cls(None, texts, moved[places], sizes[places], np.append(is_faulty, [False])[places])

    def rows(self, start: int, stop: int) -> pl.Series:
        """The texts of a range of rows; null for an empty text."""
        if self.array is not None:
            texts = _as_text(_known_to_polars(self.array[start:stop]))
            is_faulty = pl.Series(self.is_faulty[start:stop])
            return pl.select(pl.when(~is_faulty).then(texts)).to_series() if is_faulty.any() else texts
        return self.texts.gather(pl.Series(self.places[start:stop]))

    def known(self, start: int, stop: int, column: ColumnSpec) -> KnownColumn | None:
        """A range of rows by a column's type, if that is the file's too or few distinct texts have to be converted.

        Rows whose text is too long or not UTF-8 are as texts.
        """
        if self.array is not None:
            if not _has_type(self.array.type, column.dtype):
                return None
            read = _known_to_polars(self.array[start:stop])
            values = _as_instants(read) if isinstance(column.dtype, pl.Datetime) else read.cast(column.dtype)
            if values.null_count() != read.null_count():
                # Beyond the type or the calendar: as a text, which a rule rejects.
                return None
            return KnownColumn(values, values.is_not_null(), lambda places: self._texts_at(start + places))
        if column.is_plain_text or len(self.texts) * _FEW > stop - start or self.is_faulty[start:stop].any():
            return None
        rows = pl.Series(self.places[start:stop])
        values, given = (found.gather(rows) for found in (convert(self.texts, column), are_given(self.texts)))
        return KnownColumn(values, given.fill_null(value=False), lambda places: self._texts_at(start + places))

    def _texts_at(self, places: NDArray[np.int64]) -> pl.Series:
        if self.array is not None:
            return _as_text(_known_to_polars(self.array.take(pa.array(places))))
        return self.texts.gather(pl.Series(self.places[places]))


# Distinct texts are converted instead of all if each is that of so many rows.
_FEW = 4


def _has_type(kind: pa.DataType, wanted: pl.DataType) -> bool:
    """Whether all values of a type of Parquet are values of a column's type, but for those beyond the calendar."""
    if isinstance(wanted, pl.Decimal):
        is_exact = pa.types.is_decimal128(kind) and kind.scale == wanted.scale
        return bool(is_exact and kind.precision <= (wanted.precision or 38))
    if isinstance(wanted, pl.Datetime):
        return bool(pa.types.is_timestamp(kind) and kind.unit in ("us", "ms", "s"))
    is_plain = bool(wanted.is_integer() or wanted == pl.Boolean())
    return is_plain and str(wanted).lower() == str(kind)


def _as_instants(read: pl.Series) -> pl.Series:
    """Instants of UTC in microseconds; null for one beyond the calendar."""
    kind, numbers = read.dtype, read.to_physical()
    units = _UNITS_OF_A_DAY[kind.time_unit] if isinstance(kind, pl.Datetime) else 1
    if not numbers.is_between(_FIRST_DAY * units, (_MOST_DAYS + 1) * units - 1).all():
        read = pl.select(
            pl.when(numbers.is_between(_FIRST_DAY * units, (_MOST_DAYS + 1) * units - 1)).then(read)
        ).to_series()
    return read.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _is_utf_8(texts: pa.Array) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _known_to_polars(array: pa.Array) -> pl.Series:
    """An array of numbers, booleans, days or instants, without what Polars refuses or panics on."""
    if pa.types.is_timestamp(array.type):
        # They are of UTC; their time zone is for display, and may be unknown here.
        array = array.cast(pa.timestamp(array.type.unit))
    elif pa.types.is_decimal256(array.type):
        array = array.cast(pa.string())
    return pl.Series(pl.from_arrow(array))


def _as_text(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime | pl.Date):
        return _instants_as_text(column)
    return column.cast(pl.String)


# The days from 1970 to the first of the year 1 and the last of the year 9999; and units of Parquet. Polars panics on
# instants far beyond.
_FIRST_DAY, _MOST_DAYS = -719_162, 2_932_896
_UNITS_OF_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def _instants_as_text(column: pl.Series) -> pl.Series:
    """Instants and days as ISO 8601; a number far beyond the calendar stays a number, which no rule accepts."""
    kind, numbers = column.dtype, column.to_physical()
    units = _UNITS_OF_A_DAY[kind.time_unit] if isinstance(kind, pl.Datetime) else 1
    most = min((_MOST_DAYS + 1) * units, 1 << 63) - 1
    near = pl.select(pl.when(numbers.is_between(-most, most)).then(column)).to_series()
    form = "%Y-%m-%dT%H:%M:%S%.6fZ" if isinstance(kind, pl.Datetime) else "%Y-%m-%d"
    texts = near.dt.strftime(form)
    return pl.select(pl.coalesce(texts, numbers.cast(pl.String))).to_series()
