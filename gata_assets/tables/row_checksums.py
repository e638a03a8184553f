"""A number by which rows of one table are told to be those of another, as they are written: nothing is read back.

It depends on every row and on the order of the rows. Not a cipher: it finds faults, not forgeries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.tables.columns.hashing import hash_ids

# An odd number without a pattern: the golden ratio's, as in splitmix64.
_MIXER = np.uint64(0x9E3779B97F4A7C15)
# What Parquet and Spark have as a number of 64 bits has a sign.
_BITS = (1 << 63) - 1


def add_rows(total: int, rows: pa.Table, columns: Sequence[str]) -> int:
    """The number of all rows so far, of which these come next: by columns of dictionaries of ids, or of Float32."""
    mixed = np.zeros(rows.num_rows, dtype=np.uint64)
    for name in columns:
        mixed ^= _numbers(rows[name])
        mixed *= _MIXER
        mixed ^= mixed >> np.uint64(32)
    mixed *= np.arange(1, 2 * len(mixed), 2, dtype=np.uint64)
    return (total * int(_MIXER) + int(mixed.sum()) + len(mixed)) & _BITS


def _numbers(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """A number for each value: the key of an id, which is worked out once, or the bits of a label."""
    values = column.combine_chunks()
    if isinstance(values, pa.DictionaryArray):
        keys = hash_ids(pl.Series("id", values.dictionary)).to_numpy()
        numbers: NDArray[np.uint64] = keys[values.indices.to_numpy()]
    else:
        numbers = values.to_numpy().view(np.uint32).astype(np.uint64)
    return numbers
