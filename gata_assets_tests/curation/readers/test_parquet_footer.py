"""What a Parquet file's footer says of its columns, which Arrow says too.

Real: files that pyarrow and Polars write. Nothing is faked; Arrow is the oracle.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gata_assets.curation.readers.parquet_footer import read_chunks

DELTA = {"a": "DELTA_BYTE_ARRAY", "b.c": "DELTA_LENGTH_BYTE_ARRAY", "d": "PLAIN"}
TABLE = pa.table(
    {
        "a": [f"user {number}" for number in range(1_000)],
        "b": [{"c": None if number % 3 else "x"} for number in range(1_000)],
        "d": pa.array(range(1_000)),
    }
)


def written(**options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(TABLE, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"row_group_size": 37},
        {"use_dictionary": False, "column_encoding": DELTA, "compression": "zstd"},
        {"write_page_index": True, "write_page_checksum": True, "store_decimal_as_integer": True},
        {"data_page_version": "2.0", "sorting_columns": [pq.SortingColumn(0)], "write_statistics": False},
    ],
)
def test_chunks_are_those_of_arrow(options: dict[str, Any]) -> None:
    content = written(**options)
    metadata = pq.read_metadata(io.BytesIO(content))
    expected = [
        (chunk.path_in_schema, chunk.num_values, chunk.total_uncompressed_size, {*chunk.encodings} & {*DELTA.values()})
        for group in range(metadata.num_row_groups)
        for chunk in map(metadata.row_group(group).column, range(metadata.num_columns))
    ]
    found = [
        (chunk.path, chunk.num_values, chunk.uncompressed_size, {*chunk.encodings} - {""})
        for chunk in read_chunks(io.BytesIO(content))
    ]
    assert found == [(*sizes, encodings - {"PLAIN"}) for *sizes, encodings in expected]


def test_chunks_of_another_writer_are_read() -> None:
    buffer = io.BytesIO()
    pl.DataFrame(TABLE).write_parquet(buffer)
    assert [chunk.path for chunk in read_chunks(buffer)] == ["a", "b.c", "d"]


@pytest.mark.parametrize("seed", range(50))
def test_a_damaged_footer_raises_one_error(seed: int) -> None:
    random, content = np.random.default_rng(seed), bytearray(written())
    size = int.from_bytes(content[-8:-4], "little")
    for place in random.integers(len(content) - 8 - size, len(content) - 4, 1 + seed % 4):
        content[place] = random.integers(256)
    for cut in (bytes(content), bytes(content[:4]), b""):
        try:
            list(read_chunks(io.BytesIO(cut)))
        except EOFError:
            continue
