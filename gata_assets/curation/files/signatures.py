"""What a file is by its first bytes, whatever its name: compressed, of a known format, or something else with a remedy.

A table of signatures. `open_files` decompresses by it, and readers refuse by it what they cannot read.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gata_assets.curation.files.formats import Compression, RawFormat
from gata_assets.errors import RawFileError

# Enough for all signatures.
HEAD_BYTES = 512
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Not the beginning of a column's name in a header, such as PARENT_ID or ORCID.
_NO_NAME = rb"(?![\w ,;|\t\"'.-])"
_PARQUET = re.compile(rb"PAR1" + _NO_NAME)
_COMPRESSED = (
    (re.compile(rb"\x1f\x8b"), Compression.GZIP),
    (re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), Compression.ZSTD),
)


class _Signature(NamedTuple):
    """What a file is whose first bytes match, and what to do with it."""

    pattern: bytes
    name: str
    remedy: str


_UNPACK = "decompress it (or use gzip or zstd) and send it again"
_EXTRACT = "extract the files in it and send each by itself"
_EXPORT = "export its rows as CSV, JSON Lines or Parquet and send those"
_SPREADSHEET = "save the sheet as CSV (in Excel: CSV UTF-8) and send that"
_AS_UTF_8 = "save it as UTF-8 (in Excel: CSV UTF-8) and send it again"
_REWRITE = "write it as Parquet and send that"
_OTHERS = (
    _Signature(rb"PK(\x03\x04|\x05\x06).{26,40}(\[Content_Types\]|xl/|_rels/)", "an Excel workbook", _SPREADSHEET),
    _Signature(rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a ZIP archive (or an Excel workbook)", _EXTRACT),
    _Signature(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", _SPREADSHEET),
    _Signature(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "compressed with bzip2", _UNPACK),
    _Signature(rb"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    _Signature(rb"\x5d\x00\x00[\x00-\xff]{2}(\xff{8}|[\x00-\xff]{5}\x00{3})", "compressed with LZMA", _UNPACK),
    _Signature(rb"\x04\x22\x4d\x18", "compressed with lz4", _UNPACK),
    _Signature(rb"\xff\x06\x00\x00sNaPpY", "compressed with Snappy", _UNPACK),
    _Signature(rb"\x1f[\x9d\xa0]", "compressed with compress", _UNPACK),
    _Signature(rb"LZIP\x01", "compressed with lzip", _UNPACK),
    _Signature(rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _EXTRACT),
    _Signature(rb"Rar!\x1a\x07", "a RAR archive", _EXTRACT),
    _Signature(rb".{257}ustar(\x0000|  \x00)", "a tar archive", _EXTRACT),
    _Signature(rb"PARE" + _NO_NAME, "encrypted Parquet", "write it without encryption and send it again"),
    _Signature(rb"ORC" + _NO_NAME, "ORC", _REWRITE),
    _Signature(rb"Obj\x01", "Avro", _REWRITE),
    _Signature(
        rb"(ARROW1\x00\x00|FEA1" + _NO_NAME + rb"|\xff{4}.{2}\x00\x00[\x04\x10]\x00\x00\x00)",
        "an Arrow or Feather file",
        _REWRITE,
    ),
    _Signature(rb"\x89HDF\r\n", "HDF5", _REWRITE),
    _Signature(rb"\x93NUMPY", "a NumPy array", _REWRITE),
    _Signature(rb"\x80[\x02-\x05](\x95|[\]}c(X])", "a pickle of Python", _REWRITE),
    _Signature(rb"SQLite format 3\x00", "a SQLite database", _EXPORT),
    _Signature(rb".{8}DUCK.\x00{7}", "a DuckDB database", _EXPORT),
    _Signature(rb"PGDMP" + _NO_NAME, "a dump of PostgreSQL", _EXPORT),
    _Signature(rb"%PDF-", "a PDF document", _EXPORT),
    _Signature(rb"\{\\rtf", "an RTF document", _EXPORT),
    _Signature(rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a", "an image", _EXPORT),
    _Signature(rb"\x7fELF|MZ[\x00-\xff]{2}\x00", "a program", _EXPORT),
    _Signature(rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff", "not UTF-8 but UTF-32", _AS_UTF_8),
    _Signature(rb"\xff\xfe|\xfe\xff", "not UTF-8 but UTF-16", _AS_UTF_8),
    # Without a mark: the first character is of ASCII.
    _Signature(rb"[\x01-\x7f]\x00\x00\x00|\x00\x00\x00[\x01-\x7f]", "not UTF-8 but UTF-32", _AS_UTF_8),
    _Signature(rb"([\x01-\x7f]\x00){2}|(\x00[\x01-\x7f]){2}", "not UTF-8 but UTF-16", _AS_UTF_8),
    _Signature(rb"(\xef\xbb\xbf)?\s*<([!?]|/?[A-Za-z][A-Za-z0-9]*[\s>/:])", "HTML or XML", _EXPORT),
)
_SIGNATURES = [(re.compile(other.pattern, re.DOTALL), other) for other in _OTHERS]
_TEXTS = {RawFormat.CSV: "CSV", RawFormat.JSON_LINES: "JSON Lines"}
_JSON_ARRAY = re.compile(rb"\s*\[\s*(\{|\[|\"|\]|$)")
_JSON_OBJECT = re.compile(rb"\s*\{\s*(\"|\}|$)")


def is_parquet(head: bytes) -> bool:
    """Whether a file is Parquet, as its first bytes say."""
    return _PARQUET.match(head) is not None


def compression_of(head: bytes) -> Compression | None:
    """The compression of a file with these first bytes."""
    return next((compression for pattern, compression in _COMPRESSED if pattern.match(head)), None)


def begins_as_parquet(head: bytes) -> bool:
    """Whether a file with these first bytes (decompressed) is Parquet, and not a header that begins so."""
    return _PARQUET.match(head) is not None


def require_format(head: bytes, expected: RawFormat, *, takes_arrays: bool = False) -> None:
    """Check that a file with these first bytes (decompressed) can be of a format, of JSON also an array if it
    `takes_arrays`; raises RawFileError, saying what it is, and what to do.
    """
    if not head:
        raise RawFileError("is empty.")
    if again := compression_of(head):
        name = "gzip" if again is Compression.GZIP else "zstd"
        raise RawFileError(f"is compressed with {name} and then once more: decompress it once and send it again.")
    is_parquet = begins_as_parquet(head) or (expected is RawFormat.PARQUET and head.startswith(b"PAR1"))
    if is_parquet and expected is not RawFormat.PARQUET:
        raise _is_other("Parquet", expected, RawFormat.PARQUET)
    if is_parquet:
        return
    if other := next((other for pattern, other in _SIGNATURES if pattern.match(head)), None):
        raise RawFileError(f"is {other.name}: {other.remedy}.")
    if not head.strip(b"\0"):
        raise RawFileError(f"begins with {len(head):,} NUL bytes: it was not copied completely. Send it again.")
    if b"\0" in head.partition(b"\n")[0]:
        raise RawFileError(
            f"has NUL bytes in its first line: it is binary, not text. {_EXPORT[0].upper()}{_EXPORT[1:]}."
        )
    if not (takes_arrays and expected is RawFormat.JSON_LINES):
        _require_text(head, expected)


def _require_text(head: bytes, expected: RawFormat) -> None:
    text = head.removeprefix(BYTE_ORDER_MARK)
    if _JSON_ARRAY.match(text) and expected is not RawFormat.CSV:
        raise is_json_array()
    if expected is RawFormat.JSON_LINES:
        return
    if _JSON_OBJECT.match(text):
        raise _is_other("JSON", expected, RawFormat.JSON_LINES)
    if re.match(rb"\s*\[\s*(\{|$)", text):
        raise is_json_array()
    if expected is RawFormat.PARQUET:
        if _is_printable(text):
            raise _is_other("text, such as CSV", expected, RawFormat.CSV)
        raise RawFileError("is not Parquet, which begins with PAR1: it is damaged, or something else. Send it again.")


def is_json_array() -> RawFileError:
    """The error of a file that is one JSON array."""
    return RawFileError(
        "is a JSON array, not JSON Lines: write each object on a line of its own, without brackets and commas "
        "(jq -c '.[]'), and send that as .jsonl."
    )


def _is_other(name: str, expected: RawFormat, found: RawFormat) -> RawFileError:
    taken = _TEXTS.get(expected, "Parquet")
    return RawFileError(
        f"is {name}, and its name (or --format) says {taken}: name it .{found}, or send it with --format {found}."
    )


def _is_printable(text: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters, but for a character that is cut at the end."""
    return not re.search(r"[\x00-\x08\x0e-\x1f\ufffd]", text[:-3].decode(errors="replace") or "\ufffd")
