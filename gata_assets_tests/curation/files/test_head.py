"""The start of a file: how much of it is read, and what it is by its content.

Real: streams, files, compression. The stream that counts what is read of it is the only fake.
"""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from gata_assets.curation.files.formats import Compression, RawFormat
from gata_assets.curation.files.head import opened_head
from gata_assets.errors import RawFileError

LINE = b"user-%09d,item,view,2026-01-01T00:00:00Z\n"
# More than is read at once: two megabytes.
LONG = b"".join(LINE % number for number in range(45_000))


class Stream(io.BytesIO):
    """A stream that cannot be read again, as stdin."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("pack", ["", "gz", "zst"])
def test_of_a_long_file_a_megabyte_of_complete_lines_is_read(pack: str) -> None:
    packed = {"": LONG, "gz": gzip.compress(LONG, 1), "zst": pa.compress(LONG, codec="zstd", asbytes=True)}[pack]
    stream = Stream(packed)
    with opened_head(stream) as head:
        text = head.stream.read()
    assert (head.format, head.compression, head.is_complete) == (
        RawFormat.CSV,
        Compression(pack) if pack else None,
        False,
    )
    assert LONG.startswith(text)
    assert text.endswith(b"Z\n")
    assert 900_000 < len(text) <= 1_020_000
    assert stream.tell() <= 1_000_000


def test_a_packed_file_that_is_cut_for_its_length_is_no_fault_and_a_damaged_one_is() -> None:
    # Nothing that packs well: the packed file is longer than what is read of it.
    noise = b"".join(b"%d\n" % (number * 0x9E3779B97F4A7C15 % 2**61) for number in range(200_000))
    with opened_head(Stream(gzip.compress(noise))) as head:
        assert noise.startswith(head.stream.read())
        assert not head.is_complete
    with pytest.raises(RawFileError, match="damaged or cut off"), opened_head(Stream(gzip.compress(LONG)[:50])):
        pass


@pytest.mark.parametrize("pack", ["", "gz"])
def test_parquet_of_a_stream_is_copied_and_that_of_a_file_is_not(pack: str, tmp_path: Path) -> None:
    rows = pl.DataFrame({"a": ["x", "y"]})
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    content = gzip.compress(buffer.getvalue()) if pack else buffer.getvalue()
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    for source in (Stream(content), path):
        with opened_head(source) as head:
            assert head.format is RawFormat.PARQUET
            assert pl.read_parquet(head.stream.read()).equals(rows)


def test_a_header_that_begins_as_parquet_does_is_none() -> None:
    with opened_head(Stream(b"PAR1_ID,x\n1,2\n")) as head:
        assert (head.format, head.is_complete) == (RawFormat.CSV, True)
