"""The outcome of each raw file, and which files count: reports as values and as JSON.

A report is written last, so it makes a file's parts count. A file that another superseded no longer counts, nor does
the other once it is superseded itself. Counts, keys and rule names only; never a value of a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from gata_assets.errors import DamagedTableError, DataRuleError
from gata_assets.tables.outcomes import Outcome

_VERSION = 2


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


@dataclass(frozen=True)
class Report:
    """The outcome of the rows of one raw file.

    `rows` counts the rows read; `parts` contain the valid ones, `quarantine` the rejected ones (None: no row).
    `rejected_by_rule` counts a row under each rule that it breaks, `unknown_by_rule` valid rows with an unknown
    reference, `discarded_by_rule` valid rows that lost an invalid value. `refused` is the reason why no row was read,
    `rules` the digest of the settings that validated the rows (`validation.digest_settings`); `replaces` names the
    files that this one supersedes.
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
    refused: str | None = None
    replaces: tuple[str, ...] = ()

    @property
    def valid(self) -> int:
        """Rows that were kept."""
        return sum(part.rows for part in self.parts)

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
        content = {"report_version": _VERSION, **asdict(self), **counts}
        return json.dumps(content, default=str, indent=1).encode()

    @classmethod
    def decode(cls, content: bytes, place: str) -> Report:
        """From JSON, including that of the previous release; raises DamagedTableError for anything else."""
        try:
            found = json.loads(content)
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


def replaced_files(reports: Iterable[Report]) -> dict[str, str]:
    """The ids of superseded files, each with the id of the file that superseded it (which may be superseded itself).

    Two concurrent commands can make files supersede each other, or both supersede the same file: in such a cycle, and
    among such rivals, the file that landed last counts.
    """
    found = list(reports)
    rivals: dict[str, list[str]] = {}
    for report in found:
        for old in report.replaces if report.refused is None else ():
            rivals.setdefault(old, []).append(report.file_id)
    replaced = {old: names[-1] for old, names in rivals.items()}
    landed = {report.file_id: (report.landed_at, report.file_id) for report in found}
    looked_at: set[str] = set()
    for start in sorted(replaced):
        path: list[str] = []
        current = start
        while current in replaced and current not in looked_at:
            looked_at.add(current)
            path.append(current)
            current = replaced[current]
        if current in path:
            del replaced[max(path[path.index(current) :], key=lambda name: landed[name])]
    for old in sorted(rivals):
        counting = {counts_instead(name, replaced) for name in rivals[old]}
        last = max(counting, key=lambda name: landed[name])
        replaced |= dict.fromkeys(counting - {last}, last)
    return replaced


def counts_instead(name: str, replaced: Mapping[str, str]) -> str:
    """The id of the file at the end of the chain that superseded a file; its own if none did."""
    while name in replaced:
        name = replaced[name]
    return name


def valid_reports(reports: Iterable[Report]) -> list[Report]:
    """The reports of files that count: read, and not superseded."""
    found = list(reports)
    replaced = replaced_files(found)
    return [report for report in found if report.refused is None and report.file_id not in replaced]


def require_place(table: str, name: str, olds: Sequence[str], reports: Iterable[Report]) -> None:
    """Check that a file can supersede others; raises DataRuleError.

    A superseded file can come back only by superseding the one that counts instead of it. `reports` are all of that
    table.
    """
    found = list(reports)
    known, replaced = {report.file_id for report in found}, replaced_files(found)
    for old in olds:
        if old == name:
            raise DataRuleError(f"{old} is the file itself, and cannot take its own place.")
        if old not in known:
            raise DataRuleError(f"There is no file {old} of {table}: `gata ingest` said the id when it came.")
        if replaced.get(old, name) not in (name, *olds):
            instead = counts_instead(old, replaced)
            raise DataRuleError(f"{old} counts no more, {instead} does in its place: --replaces {instead} is needed.")
    instead = counts_instead(name, replaced)
    if olds and instead not in (name, *olds):
        raise DataRuleError(f"{name} counts no more, {instead} does in its place: --replaces {instead} brings it back.")


def supersede(new: Report, olds: Sequence[str], reports: Iterable[Report]) -> list[Report]:
    """The reports to write, in this order, so that a file supersedes others; its own is the last of them.

    Files that superseded it before no longer do. Raises DataRuleError, see `require_place`.
    """
    others = [report for report in reports if report.file_id != new.file_id]
    require_place(new.table, new.file_id, olds, [*others, new])
    freed = [
        replace(report, replaces=tuple(old for old in report.replaces if old != new.file_id))
        for report in others
        if new.file_id in report.replaces
    ]
    return [*freed, replace(new, replaces=tuple(dict.fromkeys((*new.replaces, *olds))))]


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
