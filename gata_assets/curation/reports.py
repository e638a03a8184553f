"""What became of a raw file, and which files count: reports as values and as JSON.

A report is written last, so it makes a file's parts count. A file whose place another took counts no more, nor does
that one once it was replaced itself. Counts, keys and rule names only; never a value of a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple

from gata_assets.curation.layout import DataType
from gata_assets.errors import DamagedTableError, DataRuleError
from gata_assets.tables.outcomes import Outcome


class Span(NamedTuple):
    """Where something stands in an object: its first byte, and how many there are."""

    start: int
    size: int


@dataclass(frozen=True, order=True)
class Part:
    """A stored table of a file's rows: its key, rows and SHA-256; for good interactions their day, and where it stands
    in the object, which has a part for each day. Without `spans` it is the whole object.
    """

    key: str
    rows: int
    sha256: str
    day: date | None = None
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Report:
    """What became of the rows of one raw file.

    `rows` were counted as they were read; `parts` hold the good ones and `quarantine` the bad ones (None without any).
    `bad_by_rule` counts a row under each rule that it breaks. `unknown_items` counts good rows with an item that the
    catalogue did not have. `refused` says why no row was read, `rules` is the digest of the settings that rows were
    judged by (`curation_rules.digest_settings`), `replaces` names the files whose place this one takes.
    """

    data: DataType
    file_id: str
    raw_key: str
    landed_at: datetime
    rules: str
    rows: int = 0
    parts: tuple[Part, ...] = ()
    quarantine: Part | None = None
    bad_by_rule: Mapping[str, int] | None = None
    unknown_items: int = 0
    refused: str | None = None
    replaces: tuple[str, ...] = ()

    @property
    def good(self) -> int:
        """Rows that were kept."""
        return sum(part.rows for part in self.parts)

    @property
    def bad(self) -> int:
        """Rows in quarantine."""
        return self.quarantine.rows if self.quarantine else 0

    @property
    def tables(self) -> tuple[Part, ...]:
        """All that its rows are in: the parts, and the quarantine if there is one."""
        return (*self.parts, *([self.quarantine] if self.quarantine else []))

    @property
    def days(self) -> tuple[date, ...]:
        """The days that the good rows are of, ascending."""
        return tuple(sorted({part.day for part in self.parts if part.day}))

    def encode(self) -> bytes:
        """As JSON, with the counts by day beside the parts for whoever reads it."""
        by_day = {str(part.day): part.rows for part in self.parts if part.day}
        content = asdict(self) | {"good": self.good, "bad": self.bad, "good_by_day": by_day}
        return json.dumps(content, default=str, indent=1).encode()

    @classmethod
    def decode(cls, content: bytes, place: str) -> Report:
        """From JSON; raises DamagedTableError for anything else."""
        try:
            found = json.loads(content)
            quarantine = found["quarantine"]
            return cls(
                data=DataType(found["data"]),
                file_id=found["file_id"],
                raw_key=found["raw_key"],
                landed_at=datetime.fromisoformat(found["landed_at"]),
                rules=found["rules"],
                rows=found["rows"],
                parts=tuple(_part(part) for part in found["parts"]),
                quarantine=_part(quarantine) if quarantine else None,
                bad_by_rule=found["bad_by_rule"],
                unknown_items=found["unknown_items"],
                refused=found["refused"],
                replaces=tuple(found["replaces"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DamagedTableError(
                f"{place} is not a report that this project wrote whole: remove it, and the file is sorted again."
            ) from None


def _part(found: Mapping[str, Any]) -> Part:
    spans = tuple(Span(int(start), int(size)) for start, size in found["spans"])
    day = date.fromisoformat(found["day"]) if found["day"] else None
    return Part(str(found["key"]), int(found["rows"]), str(found["sha256"]), day, spans)


def replaced_files(reports: Iterable[Report]) -> dict[str, str]:
    """The ids of files that count no more, each with that of the file that took its place (which may have been
    replaced itself).

    Two commands at once could have files take each other's place: of such a circle the one that landed last counts.
    """
    found = list(reports)
    replaced = {old: report.file_id for report in found if report.refused is None for old in report.replaces}
    landed = {report.file_id: (report.landed_at, report.file_id) for report in found}
    looked_at: set[str] = set()
    for start in sorted(replaced):
        path: list[str] = []
        one = start
        while one in replaced and one not in looked_at:
            looked_at.add(one)
            path.append(one)
            one = replaced[one]
        if one in path:
            del replaced[max(path[path.index(one) :], key=lambda name: landed[name])]
    return replaced


def counts_instead(name: str, replaced: Mapping[str, str]) -> str:
    """The id of the file at the end of those that took the place of one; its own where none did."""
    while name in replaced:
        name = replaced[name]
    return name


def valid_reports(reports: Iterable[Report]) -> list[Report]:
    """The reports of files that count: read, and not replaced."""
    found = list(reports)
    replaced = replaced_files(found)
    return [report for report in found if report.refused is None and report.file_id not in replaced]


def require_place(data: DataType, name: str, olds: Sequence[str], reports: Iterable[Report]) -> None:
    """See that a file would count in the place of others; raises DataRuleError.

    A file that was replaced comes back in the place of the one that counts instead of it, and of no other. `reports`
    are all of that kind of data.
    """
    found = list(reports)
    known, replaced = {report.file_id for report in found}, replaced_files(found)
    for old in olds:
        if old == name:
            raise DataRuleError(f"{old} is the file itself, and cannot take its own place.")
        if old not in known:
            raise DataRuleError(f"There is no file {old} of {data}: `gata ingest` said the id when it came.")
        if replaced.get(old, name) not in (name, *olds):
            instead = counts_instead(old, replaced)
            raise DataRuleError(f"{old} counts no more, {instead} does in its place: --replaces {instead} is needed.")
    instead = counts_instead(name, replaced)
    if olds and instead not in (name, *olds):
        raise DataRuleError(f"{name} counts no more, {instead} does in its place: --replaces {instead} brings it back.")


def supersede(new: Report, olds: Sequence[str], reports: Iterable[Report]) -> list[Report]:
    """The reports to write, in this order, so that a file takes the place of others; its own is the last of them.

    Whatever took its place before does so no more. Raises DataRuleError, see `require_place`.
    """
    others = [report for report in reports if report.file_id != new.file_id]
    require_place(new.data, new.file_id, olds, [*others, new])
    freed = [
        replace(report, replaces=tuple(one for one in report.replaces if one != new.file_id))
        for report in others
        if new.file_id in report.replaces
    ]
    return [*freed, replace(new, replaces=tuple(dict.fromkeys((*new.replaces, *olds))))]


def parts_by_day(reports: Iterable[Report]) -> dict[date, list[Part]]:
    """The parts of interactions that count, by day and in order."""
    days: dict[date, list[Part]] = {}
    for report in valid_reports(reports):
        for part in report.parts:
            if part.day:
                days.setdefault(part.day, []).append(part)
    return {day: sorted(parts) for day, parts in sorted(days.items())}


def check_no_row_is_lost(reports: Iterable[Report], stored_rows: Mapping[Part, int]) -> list[Outcome]:
    """Of every file that was read, the rows in its stored parts and its quarantine are those that it has.

    `stored_rows` has the rows of stored tables, as the tables themselves say; a table that is not there has none.
    """
    lost = checked = 0
    for report in reports:
        lost += abs(report.rows - sum(stored_rows.get(part, 0) for part in report.tables))
        checked += report.rows
    advice = "A staged part or a quarantine table is missing or changed: `gata quarantine --replay` makes them again."
    return [Outcome("good + bad = raw", lost, checked, advice)]


def check_no_part_is_lost(
    parts: Iterable[Part], read_rows: Mapping[str, int], kept: int, duplicates: int
) -> list[Outcome]:
    """Of a day or the catalogue: every part has the rows that its report says, and kept + dropped rows are theirs."""
    expected = {part.key: part.rows for part in parts}
    off = sum(abs(rows - read_rows.get(key, 0)) for key, rows in expected.items())
    total = sum(read_rows.values())
    advice = "A staged part is missing or changed: `gata quarantine --replay` makes them again."
    defect = "This is a defect of the curation; please report it."
    return [
        Outcome("staged parts have the rows that were sorted", off, sum(expected.values()), advice),
        Outcome("kept + duplicates = staged", abs(total - kept - duplicates), total, defect),
    ]
