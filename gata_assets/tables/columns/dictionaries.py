"""Arrow dictionary columns: compacted to the values of the rows written, or decoded to strings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa


def compacted(table: pa.Table, start: int, stop: int) -> pa.Table:
    """Slice the rows `[start, stop)` and drop dictionary values that do not occur: Parquet stores a dictionary per row
    group.

    The table has one chunk per column, and its dictionaries have no nulls.
    """
    piece = table.slice(start, stop - start)
    return pa.table({name: _compacted(piece[name].combine_chunks()) for name in piece.column_names})


def _compacted(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ListArray):
        offsets = column.offsets.to_numpy()
        return pa.ListArray.from_arrays(pa.array(offsets - offsets[0]), _compacted(column.flatten()))
    if not isinstance(column, pa.DictionaryArray):
        return column
    codes = column.indices.to_numpy()
    is_used = np.zeros(len(column.dictionary), dtype=np.bool_)
    is_used[codes] = True
    new_codes = np.cumsum(is_used, dtype=np.int32) - np.int32(1)
    return pa.DictionaryArray.from_arrays(new_codes[codes], column.dictionary.take(np.flatnonzero(is_used)))


def decoded(table: pa.Table, rows: int) -> Iterator[pl.DataFrame]:
    """Decode a table's dictionaries to strings, in pieces of `rows` rows; an empty table gives one empty piece."""
    schema = pa.schema([(field.name, plain_type(field.type)) for field in table.schema])
    for start in range(0, max(table.num_rows, 1), max(rows, 1)):
        frame = pl.from_arrow(table.slice(start, rows).cast(schema))
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 - Polars' type is wider
        yield frame


def plain_type(kind: pa.DataType) -> pa.DataType:
    """A dictionary's value type, also inside lists; other types unchanged."""
    if pa.types.is_list(kind):
        return pa.list_(plain_type(kind.value_type))
    return kind.value_type if pa.types.is_dictionary(kind) else kind
