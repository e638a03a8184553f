"""Zero-copy conversion of columns of numbers and texts between NumPy, Arrow and Polars.

`pa.array` and `to_numpy` are not used: they import pandas if it is installed, to check for its types, which takes 50 MB
and 0.3 s; `pa.Schema.empty_table` does too. Nor is `pyarrow.compute`, which takes 10 MB to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

MICROS_OF_A_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(instant: datetime) -> int:
    """A timezone-aware datetime in microseconds since 1970, as in `timestamp[us]`."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def numbers_as_arrow(
    values: NDArray[Any], kind: pa.DataType | None = None, *, is_given: NDArray[np.bool_] | None = None
) -> pa.Array:
    """Convert numbers to an Arrow array of their type, or of `kind`, which has the same width.

    Args:
        values: The numbers.
        kind: The Arrow type, such as a timestamp for int64.
        is_given: Whether each value is given; the others become null.
    """
    values = np.ascontiguousarray(values)
    nulls = None if is_given is None else validity(is_given)
    return pa.Array.from_buffers(kind or pa.from_numpy_dtype(values.dtype), len(values), [nulls, pa.py_buffer(values)])


def integers_as_arrow(values: Sequence[int], kind: pa.DataType) -> pa.Array:
    """Convert integers to an Arrow array of a type of 64 bits."""
    return numbers_as_arrow(np.array(values, dtype=np.int64), kind)


def texts_as_arrow(values: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    """Convert bytes to an Arrow array of `kind`, binary or string, where they are UTF-8; at most 2 GB."""
    ends = np.cumsum([0, *map(len, values)], dtype=np.int32)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))])


def numbers_of_arrow(column: pa.Array | pa.ChunkedArray, kind: type[np.generic]) -> NDArray[Any]:
    """Read a column's numbers as `kind`, which has the same width; null values are undefined."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.frombuffer(chunk.buffers()[1] or b"", dtype=kind)[chunk.offset : chunk.offset + len(chunk)]


def given_of_arrow(array: pa.Array) -> NDArray[np.bool_]:
    """Whether each value of an array is non-null."""
    bits = array.buffers()[0]
    if bits is None:
        return np.ones(len(array), dtype=np.bool_)
    given = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")
    return given[array.offset : array.offset + len(array)].view(np.bool_)


def validity(is_given: NDArray[np.bool_]) -> pa.Buffer | None:
    """The validity bitmap of an Arrow array: a bit per value, or None if all values are given."""
    return None if is_given.all() else pa.py_buffer(np.packbits(is_given, bitorder="little"))


def texts_as_series(ends: NDArray[np.int64], data: NDArray[np.uint8]) -> pl.Series:
    """UTF-8 texts end to end, text n is `data[ends[n]:ends[n + 1]]`, as a string column; null for an empty one."""
    buffers = [validity(np.diff(ends) != 0), pa.py_buffer(ends), pa.py_buffer(data)]
    return pl.Series(_Exported(pa.Array.from_buffers(pa.large_string(), len(ends) - 1, buffers)))


class _Exported:
    """An array by Arrow's C interface alone: of one of pyarrow's classes Polars imports `pyarrow.compute`."""

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return cast("tuple[object, object]", self._array.__arrow_c_array__(requested_schema))


def text_buffers(column: pl.Series | pa.Array) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """A column of texts without null as compiled loops read it: where each text ends in the bytes, and the bytes."""
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()) if isinstance(column, pl.Series) else column
    _, offsets, content = array.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(content if content is not None and content.size else bytes(1), dtype=np.uint8)
    # Wherever they come from: numba would compile its functions for arrays that can be written, and for others.
    ends.setflags(write=False)
    data.setflags(write=False)
    return ends, data
