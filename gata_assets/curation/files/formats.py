"""The names of raw files in the store, and the format that a name implies.

`readers` reads their rows, `layout` has their folders, and `columns` checks their columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import RawFileError

# A path, or a file that can seek and is read from its start.
RawSource = Path | BinaryIO


class RawFormat(StrEnum):
    """How the rows of a raw file are written."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


class Compression(StrEnum):
    """The compression of an entire raw file."""

    GZIP = "gz"
    ZSTD = "zst"


@dataclass(frozen=True)
class FileFormat:
    """Format and compression; as text, the suffix of a file's name: `csv`, `jsonl.gz`."""

    format: RawFormat
    compression: Compression | None = None

    def __str__(self) -> str:
        return f"{self.format}.{self.compression}" if self.compression else str(self.format)


_ENDINGS = {"csv": RawFormat.CSV, "parquet": RawFormat.PARQUET}
_ENDINGS |= dict.fromkeys(("jsonl", "ndjson", "json"), RawFormat.JSON_LINES)
_COMPRESSIONS = {"gz": Compression.GZIP, "zst": Compression.ZSTD}
_LONGEST_STEM = 80
# Hexadecimal digits of digests in names: 128 bits. The release before had 48 in marks and 32 in ids.
_DIGITS, _DIGITS_OF_OLD_MARKS, _DIGITS_OF_OLD_IDS = 32, 12, 8
_DIGITS_OF_RANGES, _LONGEST_SOURCE = 16, 40
FORMATS = "csv, jsonl (or ndjson, json) or parquet, each alone or with .gz or .zst"


def parse_format(name: str, known: Mapping[str, str] | None = None) -> FileFormat:
    """The format of a file's name or suffix, with the endings of a mapping; raises RawFileError for an unknown one."""
    implied = {**{ending: RawFormat(form) for ending, form in (known or {}).items()}, **_ENDINGS}
    endings = name.lower().split(".")
    compression = _COMPRESSIONS.get(endings[-1])
    if compression:
        endings.pop()
    if not endings or endings[-1] not in implied:
        raise RawFileError(f"has a name that does not tell the format. A file ends with {FORMATS}.")
    return FileFormat(implied[endings[-1]], compression)


def raw_key(
    places: TenantLayout,
    table: str,
    name: str,
    file_format: FileFormat,
    digest: str,
    landed_on: date,
    *,
    number: int = 1,
) -> str:
    """The key of a landing file: by day, its name in safe characters and the start of its SHA-256.

    `number` distinguishes it from an object that was overwritten with other content.
    """
    stem = _safe_stem(name) + (f"-{number}" if number > 1 else "")
    return f"{places.raw(table, landed_on)}{stem}-{content_mark(digest)}.{file_format}"


def content_mark(digest: str) -> str:
    """The start of a content's SHA-256, which identifies a landed file under any name."""
    return digest[:_DIGITS]


def marks_of(digest: str) -> tuple[str, str]:
    """The marks that a key of this content may have: of this release, and the short one of the release before, which
    other content may have too.
    """
    return content_mark(digest), digest[:_DIGITS_OF_OLD_MARKS]


def mark_of(key: str) -> str | None:
    """The mark in a raw file's key, of either release; None if the key is not from `raw_key`."""
    marks = rf"[0-9a-f]{{{_DIGITS}}}|[0-9a-f]{{{_DIGITS_OF_OLD_MARKS}}}"
    found = re.fullmatch(rf".*-({marks})\.[a-z.]+", key.rpartition("/")[2], re.ASCII)
    return found[1] if found else None


def has_long_mark(key: str) -> bool:
    """Whether a raw file landed by `gata ingest` of this release."""
    return len(mark_of(key) or "") == _DIGITS


def is_of_ingest(key: str) -> bool:
    """Whether `gata ingest` of either release landed a raw file, as its name says; digits alone may be a time."""
    mark = mark_of(key)
    return mark is not None and not mark.isdecimal()


def events_stem(source: str, hour: datetime, digest: str) -> str:
    """The name of a raw file of single events: where they came from, their hour, and digits of what range they are."""
    origin = _safe_stem(re.sub("[./]", "-", source))[:_LONGEST_SOURCE]
    return f"events-{origin}-{hour:%Y%m%d%H}-{digest[:_DIGITS_OF_RANGES]}"


def is_of_events(key: str) -> bool:
    """Whether a raw file has single events, as its name says: each line is of another sender, and none of them makes
    the file one that cannot be read.
    """
    ranges = rf"[0-9]{{10}}-[0-9a-f]{{{_DIGITS_OF_RANGES}}}-[0-9a-f]{{{_DIGITS}}}"
    return bool(re.fullmatch(rf"events-[a-z0-9-]+-{ranges}\.jsonl\.zst", key.rpartition("/")[2], re.ASCII))


def plain_stem(name: str) -> str:
    """A raw file's name as patterns of mappings see it, by its name or key: `clicks-2026` of `Clicks 2026.csv`."""
    name = name.rpartition("/")[2]
    stem = _safe_stem(name)
    return stem[: stem.rindex("-")] if is_of_ingest(name) else stem


def is_hidden(path: str) -> bool:
    """Whether a path below a folder of raw files is none of them: a name or folder that begins with `.` or `_` is of a
    tool, or still being written; a path that ends with `/` is a folder in a bucket.
    """
    return path.endswith("/") or any(part[:1] in (".", "_") for part in path.split("/"))


def is_raw_key(places: TenantLayout, table: str, key: str) -> bool:
    """Whether a key in the folder of raw files is one."""
    return not is_hidden(key.removeprefix(places.raw(table)))


def printable(name: str) -> str:
    """A name for people, logs and tables: bytes that are not UTF-8 and control characters are escaped."""
    escapes = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)
    return "".join(escapes).replace("\\udc", "\\x")


def file_id(places: TenantLayout, table: str, key: str) -> str:
    """A raw file's name for reports and parts: its day, its name and a digest of its key."""
    return _file_id(places, table, key, _DIGITS)


def old_file_id(places: TenantLayout, table: str, key: str) -> str:
    """The id that the release before gave a raw file; another file may have the same."""
    return _file_id(places, table, key, _DIGITS_OF_OLD_IDS)


def _file_id(places: TenantLayout, table: str, key: str, digits: int) -> str:
    below = key.removeprefix(places.raw(table))
    landed_on = places.landing_day(table, key)
    digest = sha256(below.encode("utf-8", "surrogateescape")).hexdigest()[:digits]
    name = below.rpartition("/")[2]
    if digits == _DIGITS and has_long_mark(name):
        # The digest is of the key, so of the mark too: an id without it can be read and copied.
        name = name[: name.rindex("-")]
    return "-".join([*([landed_on.isoformat()] if landed_on else []), _safe_stem(name), digest])


def claimed_key(places: TenantLayout, table: str, name: str, file_format: FileFormat, digest: str) -> str | None:
    """The key that a file id of `gata ingest` was made of, if that was for this content; None if it was not."""
    found = re.fullmatch(rf"(\d{{4}}-\d\d-\d\d)-(.+)-[0-9a-f]{{{_DIGITS}}}", name, re.ASCII)
    if not found:
        return None
    folder, stem = f"{places.raw(table)}{found[1]}/", f"{found[2]}-{content_mark(digest)}"
    keys = (f"{folder}{stem}.{FileFormat(file_format.format, pack)}" for pack in (None, *Compression))
    return next((key for key in keys if file_id(places, table, key) == name), None)


def landed_at(places: TenantLayout, table: str, key: str, now: datetime) -> datetime:
    """When a file landed that is first seen now: now, or the end of the day of its folder if that is past."""
    day = places.landing_day(table, key)
    # The last day of the calendar has no end.
    is_past = day is not None and day < now.date()
    return min(now, datetime.combine(day + timedelta(days=1), time(), UTC)) if day and is_past else now


def _safe_stem(name: str) -> str:
    stem = re.sub(r"(\.[a-z0-9]{1,7}){1,2}$", "", name.lower().rpartition("/")[2])
    return re.sub(r"[^a-z0-9]+", "-", stem)[:_LONGEST_STEM].strip("-") or "file"
