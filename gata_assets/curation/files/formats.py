"""The names of raw files in the store, and the format that a name implies.

`readers` reads their rows, `layout` has their folders, and `columns` checks their columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from hashlib import sha256

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import RawFileError


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
_ENDINGS |= dict.fromkeys(("jsonl", "ndjson"), RawFormat.JSON_LINES)
_COMPRESSIONS = {"gz": Compression.GZIP, "zst": Compression.ZSTD}
_LONGEST_STEM = 80
_MARK = 12
FORMATS = "csv, jsonl (or ndjson) or parquet, each alone or with .gz or .zst"


def parse_format(name: str) -> FileFormat:
    """The format of a file's name or suffix; raises RawFileError for an unknown one."""
    endings = name.lower().split(".")
    compression = _COMPRESSIONS.get(endings[-1])
    if compression:
        endings.pop()
    if not endings or endings[-1] not in _ENDINGS:
        raise RawFileError(f"has a name that does not tell the format. A file ends with {FORMATS}.")
    return FileFormat(_ENDINGS[endings[-1]], compression)


def raw_key(places: TenantLayout, table: str, name: str, file_format: FileFormat, digest: str, landed_on: date) -> str:
    """The key of a landing file: by day, its name in safe characters and the start of its SHA-256."""
    return f"{places.raw(table, landed_on)}{_safe_stem(name)}-{content_mark(digest)}.{file_format}"


def content_mark(digest: str) -> str:
    """The start of a content's SHA-256, which identifies a landed file under any name."""
    return digest[:_MARK]


def mark_of(key: str) -> str | None:
    """The `content_mark` in a raw file's key; None if the key is not from `raw_key`."""
    found = re.fullmatch(rf".*-([0-9a-f]{{{_MARK}}})\.[a-z.]+", key.rpartition("/")[2], re.ASCII)
    return found[1] if found else None


def is_raw_name(name: str) -> bool:
    """Whether a key or file name can be a raw file's: names that begin with `.` or `_` are files that are still being
    written, or leftovers of tools.
    """
    return name.rpartition("/")[2][:1] not in "._"


def file_id(places: TenantLayout, table: str, key: str) -> str:
    """A raw file's short name for reports and parts: its day, its name and a digest of its key."""
    below = key.removeprefix(places.raw(table))
    landed_on = landing_day(places, table, key)
    digest = sha256(below.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return "-".join([*([landed_on.isoformat()] if landed_on else []), _safe_stem(below.rpartition("/")[2]), digest])


def landing_day(places: TenantLayout, table: str, key: str) -> date | None:
    """The day that a raw file's folder names; None if it names none."""
    folder = key.removeprefix(places.raw(table)).partition("/")[0]
    try:
        return date.fromisoformat(folder) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", folder, re.ASCII) else None
    except ValueError:
        return None


def landed_at(places: TenantLayout, table: str, key: str, now: datetime) -> datetime:
    """When a file landed that is first seen now: now, or the end of the day of its folder if that is past."""
    day = landing_day(places, table, key)
    return min(now, datetime.combine(day + timedelta(days=1), time(), UTC)) if day else now


def _safe_stem(name: str) -> str:
    stem = re.sub(r"(\.[a-z0-9]{1,7}){1,2}$", "", name.lower().rpartition("/")[2])
    return re.sub(r"[^a-z0-9]+", "-", stem)[:_LONGEST_STEM].strip("-") or "file"
