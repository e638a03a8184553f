"""What a Parquet file's footer says of its columns, which Arrow says too.

Real: files that pyarrow and Polars write. Nothing is faked; Arrow is the oracle.
"""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gata_assets.curation.readers.parquet_footer import read_chunks
from gata_assets.curation.readers.parquet_reader import read_parquet
from gata_assets.errors import RawFileError
from gata_assets.interactions.tables import INTERACTIONS, TABLES

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


def with_field(content: bytes, field: bytes) -> bytes:
    """A file with one more field, whose number is 100, at the end of its footer."""
    size = int.from_bytes(content[-8:-4], "little")
    assert content[-9:-8] == b"\0", "the end of the struct"
    return content[:-9] + field + b"\0" + (size + len(field)).to_bytes(4, "little") + b"PAR1"


def list_field(kind: int, count: int, values: bytes) -> bytes:
    size = b""
    while count >= 128:
        size, count = size + bytes([count & 127 | 128]), count >> 7
    return b"\x09\xc8\x01" + bytes([0xF0 | kind]) + size + bytes([count]) + values


@pytest.mark.parametrize(
    ("field", "is_damaged"),
    [
        (list_field(3, 1_000_000, bytes(1_000_000)), False),
        (list_field(12, 300_000, bytes(300_000)), False),
        (list_field(5, 300_000, bytes(300_000)), False),
        (list_field(8, 300_000, bytes(300_000)), False),
        (list_field(7, 10, bytes(80)), False),
        (list_field(9, 2, b"\x23ab\x10"), True),
        (list_field(9, 2, b"\x23ab\x13c"), False),
        (b"\x01\xc8\x01", False),
        (list_field(7, 100_000_000, b""), True),
        (list_field(7, 100, bytes(200)), True),
        (list_field(12, 100_000_000, b""), True),
        (b"\x06\xc8\x01" + b"\xff" * 1_000_000 + b"\0", True),
        (b"\x0c\xc8\x01" + b"\x1c" * 100_000, True),
    ],
)
def test_fields_that_are_not_wanted_are_skipped_and_not_built(field: bytes, is_damaged: bool) -> None:
    content = io.BytesIO(with_field(written(), field))
    expected = list(read_chunks(io.BytesIO(written())))
    tracemalloc.start()
    try:
        if is_damaged:
            with pytest.raises(EOFError):
                list(read_chunks(content))
        else:
            assert list(read_chunks(content)) == expected
        assert tracemalloc.get_traced_memory()[1] < 2 * len(field) + 1_000_000
    finally:
        tracemalloc.stop()


def test_a_large_footer_is_refused_before_arrow_builds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gata_assets.curation.readers.parquet_footer._LARGEST_FOOTER", 100)
    content = io.BytesIO(written())
    monkeypatch.setattr(pq, "ParquetFile", None)
    for look in (lambda: list(read_parquet(content, TABLES[INTERACTIONS], 10**9)), lambda: list(read_chunks(content))):
        with pytest.raises(
            RawFileError, match=r"has a footer of [\d,]+ bytes, .* 100 are read: write it with fewer row"
        ):
            look()
