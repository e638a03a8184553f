"""The outcome of each raw file as a value and as JSON.

A report is written last, so it makes a file's parts count, unless another file has superseded it (`superseding`).
Counts, keys and rule names only; never a value of a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from gata_assets.errors import DamagedTableError, ManifestVersionError
from gata_assets.tables.outcomes import Outcome
from gata_assets.tables.raw_mapping import RawMapping

_VERSION = 4
# What a file without a mapping is written as: earlier releases can read it.
_VERSION_WITHOUT_MAPPING = 3


class Span(NamedTuple):
    """A range of bytes in an object: the first byte and the size."""

    start: int
    size: int


@dataclass(frozen=True, order=True)
class StagedPart:
    """A stored table of a file's rows: its key, rows and SHA-256; for tables curated by day also its day and its spans
    in the object, which has a part per day. Without `spans` it is the entire object.
    """

    key: str
    rows: int
    sha256: str
    day: date | None = None
    spans: tuple[Span, ...] = ()


def file_of_part(key: str) -> str:
    """The id of the file that a staged part is of, whatever rules it was validated by; by the part's key."""
    return key.rpartition("/")[2].rpartition("-")[0]


class RawContent(NamedTuple):
    """What was read of a raw object: its version in the store, its size in bytes and its SHA-256."""

    version: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class RowFigures:
    """What is counted of rows besides their outcomes: values of required and of optional columns that they lack, and
    rows that were rejected by a rule over several columns or by that of a reference; records beside the rows of a
    document that are in none of them.
    """

    missing: int = 0
    unfilled: int = 0
    inconsistent: int = 0
    beside_unused: int = 0

    def __add__(self, other: RowFigures) -> RowFigures:
        return RowFigures(
            self.missing + other.missing,
            self.unfilled + other.unfilled,
            self.inconsistent + other.inconsistent,
            self.beside_unused + other.beside_unused,
        )


NO_FIGURES = RowFigures()


@dataclass(frozen=True)
class Report:
    """The outcome of the rows of one raw file.

    `rows` counts the rows read; `parts` contain the valid ones, `quarantine` the rejected ones (None: no row).
    `rejected_by_rule` counts a row under each rule that it breaks, `unknown_by_rule` valid rows with an unknown
    reference, `discarded_by_rule` valid rows that lost an invalid value, `masked` values by column or kind. `refused`
    is the reason why no row was read, `rules` the digest of the settings that validated the rows
    (`validation.digest_settings`).

    `raw_version`, `raw_size` and `raw_sha256` are of the raw object whose bytes were read, and make it one file: an
    object with another version is another one. Reports of earlier releases have none of them; without `raw_sha256`
    nobody has read the bytes under that version.

    `replaces` names the files that this one supersedes, unless it `is_void`; `replaced_by` the file that alone may
    supersede this one, which it does once its report says so too.

    `mapping` is what the file was read by, None for nothing; `mapping_name` names it if it is a saved one.

    `figures` are None in reports of earlier releases, and for a file that was refused.

    `request_id` is the ID of the request that the file came by, if it came by HTTP.

    `erased` counts rows of people who were erased before it was validated: they are in no other number.

    `parts_before` are the keys of parts that had rows of people besides: who has folded one in needs no other row.
    """

    table: str
    file_id: str
    raw_key: str
    landed_at: datetime
    rules: str
    rows: int = 0
    parts: tuple[StagedPart, ...] = ()
    quarantine: StagedPart | None = None
    rejected_by_rule: Mapping[str, int] = field(default_factory=dict)
    unknown_by_rule: Mapping[str, int] = field(default_factory=dict)
    discarded_by_rule: Mapping[str, int] = field(default_factory=dict)
    masked: Mapping[str, int] = field(default_factory=dict)
    refused: str | None = None
    replaces: tuple[str, ...] = ()
    replaced_by: str | None = None
    raw_version: str | None = None
    raw_size: int | None = None
    raw_sha256: str | None = None
    mapping: RawMapping | None = None
    mapping_name: str | None = None
    figures: RowFigures | None = None
    request_id: str | None = None
    erased: int = 0
    parts_before: tuple[str, ...] = ()

    def of_raw(self, content: RawContent) -> Report:
        """The same outcome of that content."""
        return replace(self, raw_version=content.version, raw_size=content.size, raw_sha256=content.sha256)

    def seen_again(self, content: RawContent) -> Report:
        """The report of a file that has another version with the same content; itself if the content is another."""
        return self.of_raw(content) if self.raw_sha256 == content.sha256 else self

    @property
    def valid(self) -> int:
        """Rows that were kept."""
        return sum(part.rows for part in self.parts)

    @property
    def is_void(self) -> bool:
        """Whether it was refused, or has rows of which none is valid: it supersedes no other file."""
        return self.refused is not None or (self.rows > 0 and self.valid == 0)

    @property
    def rejected(self) -> int:
        """Rows in quarantine."""
        return self.quarantine.rows if self.quarantine else 0

    @property
    def tables(self) -> tuple[StagedPart, ...]:
        """All tables with its rows: the parts, and the quarantine if it exists."""
        return (*self.parts, *([self.quarantine] if self.quarantine else []))

    @property
    def days(self) -> tuple[date, ...]:
        """The days of the valid rows, ascending."""
        return tuple(sorted({part.day for part in self.parts if part.day}))

    def encode(self) -> bytes:
        """As JSON, with the counts by day beside the parts for readers."""
        by_day = {str(part.day): part.rows for part in self.parts if part.day}
        counts = {"valid": self.valid, "rejected": self.rejected, "valid_by_day": by_day}
        own = asdict(self)
        left_out = {
            *(("mapping", "mapping_name") if self.mapping is None else ()),
            *(("request_id",) if self.request_id is None else ()),
            *(("erased",) if not self.erased else ()),
            *(("parts_before",) if not self.parts_before else ()),
        }
        own = {key: value for key, value in own.items() if key not in left_out}
        version = _VERSION_WITHOUT_MAPPING if self.mapping is None else _VERSION
        content = {"report_version": version, **own, **counts}
        return json.dumps(content, default=str, indent=1).encode()

    @classmethod
    def decode(cls, content: bytes, place: str) -> Report:
        """From JSON, including that of earlier releases.

        Raises ManifestVersionError for a report of a later release, and DamagedTableError for anything else.
        """
        try:
            found = json.loads(content)
            if found.get("report_version", 1) > _VERSION:
                raise ManifestVersionError(f"{place} was written by a later release: this one cannot read it.")
            return msgspec.convert(found if "report_version" in found else _renamed(found), cls)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DamagedTableError(
                f"{place} is not a complete report of this project: remove it, and the file is validated again."
            ) from None


def _renamed(found: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the keys of a report without a version; its rows refer to items only."""
    unknown = {"item_is_known": found["unknown_items"]} if found["unknown_items"] else {}
    return {
        **found,
        "table": found["data"],
        "rejected_by_rule": found["bad_by_rule"] or {},
        "unknown_by_rule": unknown,
        "discarded_by_rule": {},
    }


def check_no_row_is_lost(reports: Iterable[Report], stored_rows: Mapping[StagedPart, int]) -> list[Outcome]:
    """Check that the stored parts and quarantine of every file that was read have all of its rows.

    `stored_rows` has the number of rows in each stored table itself; a missing table has none.
    """
    lost = checked = 0
    for report in reports:
        lost += abs(report.rows - sum(stored_rows.get(part, 0) for part in report.tables))
        checked += report.rows
    advice = "A staged part or a quarantine table is missing or changed: `gata quarantine --replay` writes them again."
    return [Outcome("valid + rejected = raw", lost, checked, advice)]


def check_few_rows_are_rejected(reports: Iterable[Report], max_share: float) -> list[Outcome]:
    """Check the shares of rejected rows of files that count, and of all their rows together."""
    found = [report for report in reports if report.rows]
    over = sum(report.rejected > max_share * report.rows for report in found)
    rows, rejected = sum(report.rows for report in found), sum(report.rejected for report in found)
    advice = "`gata quarantine` shows which rules they break in which file. MAX_REJECTED_SHARE is the greatest share."
    most = f"at most {max_share:.4g} of"
    return [
        Outcome(f"{most} each file's rows are rejected", over, len(found), advice, unit="files"),
        Outcome(f"{most} all rows are rejected", rejected if rejected > max_share * rows else 0, rows, advice),
    ]


def check_no_part_is_lost(
    parts: Iterable[StagedPart], read_rows: Mapping[str, int], kept: int, duplicates: int
) -> list[Outcome]:
    """Check a day or table: every part has the rows of its report, and kept + dropped rows are their sum."""
    expected = {part.key: part.rows for part in parts}
    off = sum(abs(rows - read_rows.get(key, 0)) for key, rows in expected.items())
    total = sum(read_rows.values())
    advice = "A staged part is missing or changed: `gata quarantine --replay` writes them again."
    defect = "This is a defect of the curation; please report it."
    return [
        Outcome("staged parts have the rows that were validated", off, sum(expected.values()), advice),
        Outcome("kept + duplicates = staged", abs(total - kept - duplicates), total, defect),
    ]
