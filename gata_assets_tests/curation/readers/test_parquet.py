"""Parquet: a few bytes may be gigabytes of values, and instants of many kinds; what is read is right or rejected.

Real: pyarrow writes the files; the peak of memory is that of a process of its own. Nothing is faked.
"""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gata_assets.curation.files.formats import RawFormat, parse_format
from gata_assets.curation.files.open_files import require_readable
from gata_assets.curation.readers.raw_block import READABLE, UNREADABLE, RawBlock
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.errors import RawFileError
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.tables.spec import TableSpec, UnknownColumns

SPEC = TABLES[INTERACTIONS]
READER = "gata_assets.curation.readers.parquet_reader"


def read(content: bytes, *, spec: TableSpec = SPEC, max_decoded_bytes: int = 10**12) -> list[RawBlock]:
    blocks = read_blocks(io.BytesIO(content), RawFormat.PARQUET, spec, max_decoded_bytes=max_decoded_bytes)
    return [block() for block in blocks]


def users(blocks: list[RawBlock]) -> list[str]:
    return [user or "" for block in blocks for user in block.texts["user_id"]]


def faults(blocks: list[RawBlock]) -> list[int]:
    return [fault for block in blocks for fault in block.faults.tolist()]


def parquet(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def rows_of(texts: pa.Array, **columns: pa.Array) -> pa.Table:
    """Interactions whose users are these, and whose other values are nothing to speak of."""
    names = ("item_id", "interaction_type", "timestamp")
    others = {name: columns.get(name, pa.array(["x"] * len(texts))) for name in names}
    return pa.table({"user_id": texts, **others})


def repeated(value: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, dtype=np.int32), pa.array([value]))


def test_a_long_value_of_a_dictionary_costs_its_rows_and_no_memory() -> None:
    codes = np.tile(np.array([0, 1], dtype=np.int32), 300)
    texts = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 1_100_000, "u1"]))
    blocks = read(parquet(rows_of(texts), compression="zstd"))
    assert faults(blocks) == [UNREADABLE, READABLE] * 300
    assert users(blocks) == ["", "u1"] * 300
    # They count as empty texts, and so are no reason to refuse the file.
    assert len(blocks) == 1


def test_a_block_has_no_more_than_some_megabytes_of_texts() -> None:
    blocks = read(parquet(rows_of(repeated("x" * 100_000, 2_000))))
    assert sum(map(len, blocks)) == 2_000
    assert max(block.texts["user_id"].str.len_bytes().sum() for block in blocks) <= 4_200_000


def test_a_file_that_decodes_to_more_than_the_limit_is_refused_before_a_row_is_built(tmp_path: Path) -> None:
    # 118 GB of texts in 3 KB.
    content = parquet(rows_of(repeated("x" * 900_000, 131_072)), compression="zstd")
    blocks = read_blocks(io.BytesIO(content), RawFormat.PARQUET, SPEC)
    with pytest.raises(
        RawFileError, match=r"decodes to 11\d,\d{3},\d{3},\d{3} bytes .* 64 GB .* MAX_DECODED_GIGABYTES"
    ):
        next(blocks)
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(RawFileError, match="split it"):
        require_readable(path, parse_format(path.name), SPEC)


def test_what_later_batches_decode_to_is_known_before_the_file_lands(tmp_path: Path) -> None:
    users = pa.concat_arrays([repeated("u", 300_000), repeated("x" * 1_000, 10_000)])
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(rows_of(users)))
    require_readable(path, parse_format(path.name), SPEC, max_decoded_bytes=22_000_000)
    with pytest.raises(RawFileError, match=r"at most 0\.015 GB are read"):
        require_readable(path, parse_format(path.name), SPEC, max_decoded_bytes=15_000_000)


def test_a_file_whose_first_rows_are_large_is_measured_before_they_are_built() -> None:
    content = parquet(rows_of(pa.concat_arrays([repeated("u" * 100, 200_000), repeated("x", 100_000)])))
    blocks = read_blocks(io.BytesIO(content), RawFormat.PARQUET, SPEC, max_decoded_bytes=30_000_000)
    with pytest.raises(RawFileError, match=r"at most 0\.03 GB are read"):
        next(blocks)


def test_the_rows_that_metadata_claim_are_refused_if_their_values_alone_are_too_many() -> None:
    content = parquet(
        rows_of(repeated("u", 100_000), **dict.fromkeys(("item_id", "timestamp"), repeated("x", 100_000)))
    )
    with pytest.raises(RawFileError, match="decodes to 3,200,000 bytes or more"):
        read(content, max_decoded_bytes=3_000_000)


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_texts_without_a_dictionary_are_read_as_they_are(encoding: str) -> None:
    texts = pa.array([f"user {number // 3}" if number % 5 else None for number in range(1_000)])
    content = parquet(rows_of(texts), use_dictionary=False, column_encoding={"user_id": encoding})
    assert users(read(content)) == [text or "" for text in texts.to_pylist()]


def test_a_column_too_large_to_decode_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{READER}._LARGEST_CHUNK", 1_000)
    texts = pa.array([f"user {number}" for number in range(1_000)])
    with pytest.raises(RawFileError, match="with smaller row groups"):
        read(parquet(rows_of(texts), use_dictionary=False))


def test_the_lengths_of_many_texts_of_no_bytes_count_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{READER}._LARGEST_CHUNK", 50_000)
    encodings = {"user_id": "DELTA_LENGTH_BYTE_ARRAY"}
    content = parquet(rows_of(pa.array([""] * 10_000)), use_dictionary=False, column_encoding=encodings)
    with pytest.raises(RawFileError, match="has 80,000 bytes of a column in one row group"):
        read(content)


def prefixed(texts: pa.Array, **options: Any) -> bytes:
    encodings = {"user_id": "DELTA_BYTE_ARRAY"}
    return parquet(rows_of(texts), use_dictionary=["item_id"], column_encoding=encodings, **options)


def test_short_texts_with_prefixes_are_read_in_few_blocks() -> None:
    blocks = read(prefixed(pa.array(["user"] * 300_000)))
    assert users(blocks) == ["user"] * 300_000
    # By the memory of their lengths they would be 10,714.
    assert len(blocks) < 200


def test_texts_with_prefixes_that_need_too_many_blocks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.array([f"user {number * 7919 % 100_003}" for number in range(20_000)])
    monkeypatch.setattr(f"{READER}._DECODED_PREFIXES", 1 << 17)
    with pytest.raises(RawFileError, match=r"only 1 of 20,000 in one row group .* with smaller row groups and send it"):
        read(prefixed(texts))
    # As is advised; then each block has more rows.
    content = prefixed(texts, row_group_size=100)
    blocks = read(content)
    assert users(blocks) == texts.to_pylist()
    assert len(blocks) < 500
    monkeypatch.setattr(f"{READER}._MOST_BATCHES_OF_PREFIXES", 10)
    with pytest.raises(RawFileError, match="with smaller row groups"):
        read(content)


PEAK = r"""
import re, sys
from pathlib import Path
from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.interactions.tables import TABLES

def peak():
    # Of this program alone: ru_maxrss is inherited from the process that started it.
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

with open(sys.argv[1], "rb") as stream:
    blocks = read_blocks(stream, RawFormat.PARQUET, TABLES["interactions"])
    before, rows = peak(), 0
    for block in blocks:
        rows += len(block())
print(rows, peak() - before)
"""


@pytest.mark.process
@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "PLAIN_DICTIONARY"])
def test_texts_that_would_be_gigabytes_are_read_some_at_once(encoding: str, tmp_path: Path) -> None:
    path, rows = tmp_path / "a.parquet", 3_000
    if encoding == "DELTA_BYTE_ARRAY":
        with pq.ParquetWriter(
            path,
            rows_of(pa.array(["x"])).schema,
            compression="zstd",
            use_dictionary=False,
            column_encoding={"user_id": encoding},
        ) as writer:
            writer.write_table(rows_of(pa.array(["x" * 200_000] * rows)))
    else:
        path.write_bytes(parquet(rows_of(repeated("x" * 200_000, rows)), compression="zstd"))
    assert path.stat().st_size < 1_000_000
    command = [sys.executable, "-c", PEAK, str(path)]
    found, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(found) == rows
    # All at once they are 600 MB, and are held twice.
    assert int(peak) < 400_000_000


def test_texts_that_are_no_utf_8_cost_their_rows() -> None:
    for kind in (pa.string(), pa.binary(), pa.large_binary()):
        texts = pa.array([b"u1", b"\xff\xfe", b"u3", None], pa.large_binary() if "large" in str(kind) else pa.binary())
        for use_dictionary in (True, False):
            blocks = read(parquet(rows_of(texts.view(kind)), use_dictionary=use_dictionary))
            assert faults(blocks) == [READABLE, UNREADABLE, READABLE, READABLE]
            assert users(blocks) == ["u1", "", "u3", ""]


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.binary(2), pa.duration("us"), pa.time64("us")])
def test_a_column_of_another_type_refuses_the_file_by_its_name(kind: pa.DataType) -> None:
    with pytest.raises(RawFileError, match=r"has a column user_id of type .*: text, numbers or instants are needed"):
        read(parquet(rows_of(pa.nulls(3, kind))))


INSTANTS = {
    "2026-01-02T03:04:05.678901Z": datetime(2026, 1, 2, 3, 4, 5, 678_901),
    "9999-12-31T23:59:59.999999Z": datetime(9999, 12, 31, 23, 59, 59, 999_999),
    "2262-04-12T00:00:00.000000Z": datetime(2262, 4, 12),
    "1582-10-04T00:00:00.000000Z": datetime(1582, 10, 4),
    "0001-01-01T00:00:00.000000Z": datetime(1, 1, 1),
}


def timestamps(values: pa.Array, **options: Any) -> list[str | None]:
    (block,) = read(parquet(rows_of(pa.array(["u"] * len(values)), timestamp=values), **options))
    found: list[str | None] = block.texts["timestamp"].to_list()
    assert [fault == UNREADABLE for fault in block.faults] == [
        text is None and value.is_valid for text, value in zip(found, values, strict=True)
    ]
    return found


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo", "+05:30", "Nowhere/Land"])
@pytest.mark.parametrize("is_int96", [False, True])
def test_instants_far_from_today_are_read_as_they_are(zone: str | None, is_int96: bool) -> None:
    values = pa.array([*INSTANTS.values(), None], pa.timestamp("us")).cast(pa.int64()).view(pa.timestamp("us", zone))
    assert timestamps(values, use_deprecated_int96_timestamps=is_int96) == [*INSTANTS, None]


def test_instants_in_nanoseconds_are_cut_to_microseconds() -> None:
    values = pa.array([1_767_323_045_678_901_999, 2**63 - 1, -1], pa.int64()).view(pa.timestamp("ns"))
    expected = ["2026-01-02T03:04:05.678901Z", "2262-04-11T23:47:16.854775Z", "1969-12-31T23:59:59.999999Z"]
    assert timestamps(values) == expected
    assert timestamps(values[:1], use_deprecated_int96_timestamps=True) == expected[:1]


def test_an_instant_of_an_old_file_that_overflows_microseconds_is_no_other_instant() -> None:
    # 584,542 years later it would be one of 2026, and as much earlier too.
    seconds = [1_767_323_045 + sign * (2**64 // 10**6) for sign in (0, 1, -1)]
    values = pa.array([*seconds, None], pa.timestamp("s"))
    found = timestamps(values, use_deprecated_int96_timestamps=True)
    assert found == ["2026-01-02T03:04:05.000000Z", None, None, None]


def test_days_and_numbers_become_texts_as_in_csv() -> None:
    assert timestamps(pa.array([date(1, 1, 1), date(2026, 1, 2), date(9999, 12, 31)])) == [
        *("0001-01-01", "2026-01-02", "9999-12-31"),
    ]
    for kind in (pa.decimal128(5, 2), pa.decimal256(60, 2)):
        assert users(read(parquet(rows_of(pa.array([Decimal("9.50"), None], kind))))) == ["9.50", ""]
    assert users(read(parquet(rows_of(pa.array([2**64 - 1], pa.uint64()))))) == [str(2**64 - 1)]


def test_columns_that_a_table_does_not_have_are_not_decoded() -> None:
    spec = replace(SPEC, unknown_columns=UnknownColumns.IGNORE)
    table = rows_of(pa.array(["u1"])).append_column("many", pa.array([list(range(1_000))]))
    (block,) = read(parquet(table), spec=spec)
    assert "many" not in block.texts.columns


def test_a_file_with_other_rows_than_its_metadata_claim_is_refused() -> None:
    content = parquet(rows_of(pa.array(["u"] * 300)))
    # The number of the file's rows, as Thrift writes it: 300 becomes 302.
    claimed = content.replace(b"\x16\xd8\x04", b"\x16\xdc\x04", 1)
    assert pq.read_metadata(io.BytesIO(claimed)).num_rows == 302
    with pytest.raises(RawFileError, match="damaged or cut off"):
        read(claimed)


def test_a_position_beyond_a_dictionary_refuses_the_file() -> None:
    content = parquet(rows_of(pa.array(["a", "b", "c"] * 100)), compression="none")
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0)
    refused = 0
    for place in range(chunk.data_page_offset, chunk.dictionary_page_offset + chunk.total_compressed_size, 3):
        damaged = bytearray(content)
        # Two bits are a position, and there is no fourth text.
        damaged[place] = 0xFF
        try:
            read(bytes(damaged))
        except RawFileError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_file_is_refused_or_read_and_raises_nothing_else(seed: int) -> None:
    random = np.random.default_rng(seed)
    texts = pa.array([f"u{number % 50}" for number in range(300)])
    for options in ({}, {"use_dictionary": False}, {"compression": "zstd", "data_page_version": "2.0"}):
        content = bytearray(parquet(rows_of(texts), **options))
        # Not in the metadata: some changes of them make Arrow end the process.
        pages = len(content) - int.from_bytes(content[-8:-4], "little") - 8
        for place in random.integers(4, pages, 3):
            content[place] = random.integers(256)
        try:
            blocks = read(bytes(content))
        except RawFileError:
            continue
        assert sum(map(len, blocks)) == 300
