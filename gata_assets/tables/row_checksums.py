"""A checksum of rows, computed while they are written, to compare two tables without reading either back.

It depends on every row and on their order. It is not cryptographic: it detects errors, not forgeries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.tables.columns.hashing import hash_ids

# The odd constant of splitmix64, from the golden ratio.
_MIXER = np.uint64(0x9E3779B97F4A7C15)
# 63 bits, since the 64-bit integers of Parquet and Spark are signed.
_BITS = (1 << 63) - 1


def add_rows(total: int, rows: pa.Table, columns: Sequence[str]) -> int:
    """Extend a checksum by the next rows.

    Args:
        total: The checksum of the rows before, 0 at the start.
        rows: The next rows.
        columns: The columns to include: dictionaries of ids, or Float32.

    Returns:
        The checksum of all rows so far, 63 bits.
    """
    mixed = np.zeros(rows.num_rows, dtype=np.uint64)
    for name in columns:
        mixed ^= _numbers(rows[name])
        mixed *= _MIXER
        mixed ^= mixed >> np.uint64(32)
    mixed *= np.arange(1, 2 * len(mixed), 2, dtype=np.uint64)
    return (total * int(_MIXER) + int(mixed.sum()) + len(mixed)) & _BITS


def _numbers(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """A number per value: the hash of an id (computed once per dictionary value), or the bits of a label."""
    values = column.combine_chunks()
    if isinstance(values, pa.DictionaryArray):
        keys = hash_ids(pl.Series("id", values.dictionary)).to_numpy()
        numbers: NDArray[np.uint64] = keys[values.indices.to_numpy()]
    else:
        numbers = values.to_numpy().view(np.uint32).astype(np.uint64)
    return numbers
