"""Files that are something else than their names say: read for what they are, or refused with what they are.

Real: archives, compressed files and tables that Python, Arrow and Polars write. Signatures of programs that are not
installed here are their first bytes.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pytest

from gata_assets.curation.files.formats import RawFormat, parse_format
from gata_assets.curation.files.open_files import read_validated, require_readable
from gata_assets.curation.files.signatures import require_format
from gata_assets.errors import RawFileError
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.tables.row_rules import RowContext
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.raw_worlds import ENDINGS, encode, interaction

SPEC = TABLES[INTERACTIONS]
VALUE = canary("a user")
ROWS = [interaction(user_id=VALUE), interaction(user_id="u2")]
CSV, JSON, PARQUET = (encode(ROWS, kind) for kind in ("csv", "jsonl", "parquet"))


def valid_rows(content: bytes, ending: str, folder: Path) -> int:
    path = folder / f"a.{ending}"
    path.write_bytes(content)
    require_readable(path, parse_format(ending), SPEC)
    return sum(len(block.valid) for _, block in read_validated(path, parse_format(ending), SPEC, RowContext(), "a"))


def refusal(content: bytes, ending: str, folder: Path) -> str:
    """Why a file is refused: for the same reason before it lands and when it is validated."""
    path = folder / f"a.{ending}"
    path.write_bytes(content)
    with pytest.raises(RawFileError) as first:
        require_readable(path, parse_format(ending), SPEC)
    with pytest.raises(RawFileError) as second:
        list(read_validated(path, parse_format(ending), SPEC, RowContext(), "a"))
    assert str(first.value) == str(second.value)
    assert VALUE not in str(first.value)
    return str(first.value)


@pytest.mark.parametrize("named", ENDINGS)
@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_compression_is_recognized_whatever_the_name_says(named: str, packed: str, tmp_path: Path) -> None:
    content = encode(ROWS, named.partition(".")[0] + packed)
    assert valid_rows(content, named, tmp_path) == len(ROWS)


@pytest.mark.parametrize(
    "name", ["PARENT_ID", "PAR1", "ORCID", "ORC", "FEA1", "ARROW1", "BZh9", "MZ", "PGDMP2", "PK", "GIF8"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_column_whose_name_begins_as_a_signature_does_is_a_column(name: str, separator: str) -> None:
    require_format(f"{name}{separator}user_id\n".encode(), RawFormat.CSV)
    require_format(f"user_id{separator}DUCKS\n".encode(), RawFormat.CSV)
    require_format(f'"{name}"{separator}[user]{separator}{{item}}\n'.encode(), RawFormat.CSV)


def test_several_compressed_files_end_to_end_are_one(tmp_path: Path) -> None:
    header, *rows = CSV.splitlines(keepends=True)
    assert valid_rows(gzip.compress(header) + b"".join(map(gzip.compress, rows)), "csv.gz", tmp_path) == len(ROWS)
    # A frame that is to be skipped comes first, as parallel zstd writes it.
    frame = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    assert valid_rows(frame + encode(ROWS, "csv.zst"), "csv.zst", tmp_path) == len(ROWS)


def archive(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zipped(buffer: io.BytesIO, name: str = "a.csv") -> None:
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, CSV)


def tar(buffer: io.BytesIO) -> None:
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.csv"), io.BytesIO())


def database(folder: Path) -> bytes:
    with sqlite3.connect(folder / "a.sqlite") as connection:
        connection.execute("CREATE TABLE a (b)")
    return (folder / "a.sqlite").read_bytes()


TABLE = pl.DataFrame(ROWS, infer_schema_length=None).to_arrow()
OTHERS = {
    "zip": (archive(zipped), "a ZIP archive", "extract"),
    "xlsx": (archive(lambda buffer: zipped(buffer, "[Content_Types].xml")), "an Excel workbook", "save the sheet"),
    "xls": (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504), "an old Office document", "save the sheet as CSV"),
    "bzip2": (bz2.compress(CSV), "compressed with bzip2", "decompress it"),
    "xz": (lzma.compress(CSV), "compressed with xz", "decompress it"),
    "lzma": (lzma.compress(CSV, format=lzma.FORMAT_ALONE), "compressed with LZMA", "decompress it"),
    "lz4": (pa.compress(CSV, "lz4", asbytes=True), "compressed with lz4", "decompress it"),
    "7z": (bytes.fromhex("377abcaf271c0004"), "a 7-Zip archive", "extract"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "a RAR archive", "extract"),
    "tar": (archive(tar), "a tar archive", "extract"),
    "tar.gz": (gzip.compress(archive(tar)), "a tar archive", "extract"),
    "feather": (archive(lambda buffer: pyarrow.feather.write_feather(TABLE, buffer)), "an Arrow", "as Parquet"),
    "stream": (archive(lambda buffer: pl.DataFrame(TABLE).write_ipc_stream(buffer)), "an Arrow", "as Parquet"),
    "orc": (archive(lambda buffer: pyarrow.orc.write_table(pa.table({"a": [1]}), buffer)), "ORC", "as Parquet"),
    "avro": (archive(lambda buffer: pl.DataFrame({"a": [1]}).write_avro(buffer)), "Avro", "as Parquet"),
    "pickle": (pickle.dumps(ROWS), "a pickle", "as Parquet"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document", "export its rows"),
    "html": (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "HTML or XML", "export its rows"),
    "html table": (b"\xef\xbb\xbf\n <table border=1><tr>", "HTML or XML", "export its rows"),
    "xml": (b'<?xml version="1.0"?>\n<rows/>', "HTML or XML", "export its rows"),
    "utf-16": (CSV.decode().encode("utf-16"), "not UTF-8 but UTF-16", "save it as UTF-8"),
    "utf-16le": (CSV.decode().encode("utf-16-le"), "not UTF-8 but UTF-16", "save it as UTF-8"),
    "utf-16be": (CSV.decode().encode("utf-16-be"), "not UTF-8 but UTF-16", "save it as UTF-8"),
    "utf-32": (CSV.decode().encode("utf-32"), "not UTF-8 but UTF-32", "save it as UTF-8"),
    "utf-32be": (CSV.decode().encode("utf-32-be"), "not UTF-8 but UTF-32", "save it as UTF-8"),
    "gzip twice": (gzip.compress(gzip.compress(CSV)), "compressed with gzip and then once more", "decompress it once"),
    "nul": (bytes(5_000), "512 NUL bytes", "not copied completely"),
    "binary": (b"ab\x00\x07cdef\n", "NUL bytes in its first line", "Export its rows"),
    "none": (b"", "is empty.", ""),
}


@pytest.mark.parametrize("ending", ["csv", "jsonl.gz", "parquet"])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_of_another_kind_is_refused_with_what_it_is_and_what_to_do(
    kind: str, ending: str, tmp_path: Path
) -> None:
    content, name, remedy = OTHERS[kind]
    said = refusal(content, ending, tmp_path)
    assert name in said
    assert remedy in said


def test_a_database_is_refused_with_what_it_is(tmp_path: Path) -> None:
    assert "is a SQLite database: export its rows" in refusal(database(tmp_path), "csv", tmp_path)


@pytest.mark.parametrize(
    ("content", "named", "said"),
    [
        (PARQUET, "csv", "is Parquet, and its name (or --format) says CSV: name it .parquet, or send it with"),
        (PARQUET, "jsonl", "is Parquet, and its name (or --format) says JSON Lines: name it .parquet"),
        (JSON, "csv", "is JSON, and its name (or --format) says CSV: name it .jsonl, or send it with --format jsonl"),
        (JSON, "parquet", "is JSON, and its name (or --format) says Parquet: name it .jsonl"),
        (CSV, "jsonl", "is CSV, and its name (or --format) says JSON Lines: name it .csv"),
        (CSV, "parquet", "is text, such as CSV, and its name (or --format) says Parquet: name it .csv"),
        (b"\x01\x02\x03\x04garbage\xff", "parquet", "is not Parquet, which begins with PAR1"),
        (b"PAR1 and no more", "parquet", "damaged or cut off"),
        (b"[" + JSON.replace(b"\n", b",\n") + b"]", "jsonl", "is a JSON array, not JSON Lines: write each object"),
        (b"[\n" + JSON.replace(b"\n", b"\n,", 1) + b"]", "jsonl", "is a JSON array"),
        (b"[]", "jsonl", "is a JSON array"),
        (b"[" + JSON.replace(b"\n", b",\n") + b"]", "csv", "is a JSON array"),
        (b'{\n  "user_id": "u"\n}\n', "jsonl", "is JSON over several lines, not JSON Lines"),
        (b'{"user_id": "u",\n "item_id": "i"}\n', "jsonl", "is JSON over several lines, not JSON Lines"),
        (JSON.replace(b"\n", b",\n"), "jsonl", "its lines end with commas"),
        (CSV.replace(b"\n", b"\r"), "csv", "end with a carriage return alone (\\r), as on old Macs: save it"),
        (JSON.replace(b"\n", b"\r"), "jsonl", "end with a carriage return alone (\\r), as on old Macs"),
        (CSV.replace(b"\n", b"\r") * 100_000, "csv", "end with a carriage return alone"),
        (JSON.replace(b"\n", b"\r") * 100_000, "jsonl", "end with a carriage return alone"),
        (b"\n \r\n\n", "csv", "is empty but for blank lines"),
        (b"\n" * 2_000_000, "csv", "is empty but for blank lines"),
        (b"\n \r\n\n", "jsonl", "is empty but for blank lines"),
        (b"\xef\xbb\xbf", "csv", "is empty but for blank lines"),
        (b"\n" + CSV, "csv", "has an empty line in place of the columns' names"),
        (b"x" * 2_000_000, "csv", "has a first line of more than 1,048,576 bytes: it is not CSV"),
        (CSV.splitlines()[0] + b"\n" + b"x" * 17_000_000, "csv", "has a line of more than 16,000,000 bytes"),
        (b"no json\n", "jsonl", "is not JSON Lines: every line is an object"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_is_said_of_a_file_is_true_of_it(content: bytes, named: str, said: str, tmp_path: Path) -> None:
    for packed, pack in (("", bytes), (".gz", lambda plain: gzip.compress(plain, 1))):
        assert said in refusal(pack(content), named + packed, tmp_path)


def test_text_that_decodes_to_more_than_the_limit_is_refused_with_the_number_and_what_to_do(tmp_path: Path) -> None:
    for ending in ("csv.gz", "jsonl.zst", "parquet.gz"):
        path = tmp_path / f"a.{ending}"
        path.write_bytes(encode([interaction(user_id=f"u{number}") for number in range(3_000)], ending))
        for look in (
            require_readable,
            lambda *given, **limit: list(read_validated(*given, RowContext(), "a", **limit)),
        ):
            with pytest.raises(RawFileError, match=r"decodes to [\d,]+ bytes or more, .* split it .* MAX_DECODED_GIGA"):
                look(path, parse_format(ending), SPEC, max_decoded_bytes=20_000)
