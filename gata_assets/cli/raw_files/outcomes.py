"""Shared by the commands for a tenant's raw files: the curator, progress, and showing the outcome of a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from gata_assets.cli.raw_files.given_files import GivenFile
from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import progress_on_terminal, text_console
from gata_assets.curation.files.formats import FileFormat, parse_format, printable
from gata_assets.curation.reports import Report
from gata_assets.errors import RawFileError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables, curation_rules
from gata_assets.settings.tenants import is_named

# With fewer rows a rate would mainly show how long the start took.
_ROWS_OF_A_RATE = 100_000
# The ends of rules about times.
_OF_TIMES = ("_is_within_reason", "_is_iso_8601", "_is_an_instant")
Found = TypeVar("Found")
_COUNTS = ("rows", "valid", "rejected", "rejected_by_rule", "unknown_by_rule", "discarded_by_rule")


@dataclass(frozen=True)
class FileOutcome:
    """The outcome of a requested file: its report, or why it did not land; the file that supersedes it, if any; the
    files that count because it is void; how long it took; how many items were derived from its rows, None if that was
    not asked for, and in which file.
    """

    name: str
    report: Report | None = None
    refused: str | None = None
    was_there: bool = False
    replaced_by: str | None = None
    counting: tuple[str, ...] = ()
    seconds: float = 0.0
    derived_items: int | None = None
    items_file: str | None = None

    @property
    def is_refused(self) -> bool:
        """Whether it should count but cannot be read."""
        return bool(self.refused or (self.report and self.report.refused)) and self.replaced_by is None

    @property
    def has_failed(self) -> bool:
        """Whether it should count but no row of it does, though it has rows or cannot be read."""
        return self.reason is not None and self.replaced_by is None

    @property
    def reason(self) -> str | None:
        """Why it cannot be read, or why none of its rows is valid; continues the file's name."""
        if self.report and self.report.rows and not self.report.valid:
            rules = ", ".join(f"{rows:,} broke {rule}" for rule, rows in self.report.rejected_by_rule.items())
            found = f"has no valid row among its {self.report.rows:,}: {rules}.{self._counting}"
            return f"{found} {self.advice}" if self.advice else found
        refused = self.refused or (self.report.refused if self.report else None)
        return refused + self._counting if refused else None

    @property
    def advice(self) -> str | None:
        """What shows how the file can be read, where its times are to blame that none of its rows is valid."""
        report = self.report
        if report is None or report.valid or not any(rule.endswith(_OF_TIMES) for rule in report.rejected_by_rule):
            return None
        return f"`gata ingest {report.table} FILE --explain` shows how its times are written, and which setting counts."

    @property
    def _counting(self) -> str:
        """What counts in place of this file, which was to supersede it and cannot."""
        olds = self.counting if self.replaced_by is None else ()
        return f" It supersedes nothing: as before, what counts is {' and '.join(olds)}." if olds else ""

    def show(self, *, as_table: bool) -> None:
        """Show it, for people or as a line of JSON."""
        if as_table:
            text_console().print("\n".join(_describe(self)), markup=False)
        else:
            print(json.dumps(_as_json(self)))


def open_curator(
    settings: Settings, tenant: str, now: datetime | None = None, *, table: str | None = None, is_quiet: bool = False
) -> Curator:
    """The curator of all tables of a tenant; unless `is_quiet`, warns on stderr if their data, or that of the table
    that it is for, is not prepared.
    """
    # While TENANTS is unset, a tenant is prepared as soon as it has a file.
    if not is_quiet and not is_named(settings, tenant, table):
        warning = f"TENANTS does not name {tenant}: its data is kept and validated, not prepared."
        text_console(stderr=True).print(warning)
    rules, tables = curation_rules(settings), all_tables(settings)
    return Curator(open_store(settings), tenant, rules, now or datetime.now(UTC), tables)


@contextmanager
def followed(
    name: str, *, number: int = 1, of: int = 1, rows_of_a_line: int = 10_000_000
) -> Iterator[Callable[[int], None]]:
    """Show that a file is being validated, the `number`th `of` so many, and the number of rows that the context
    reports: on a terminal always, and elsewhere by a line of JSON on stderr after each `rows_of_a_line`.
    """
    title = f"{number:,} of {of:,} files, {name}" if of > 1 else name
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with progress_on_terminal(*columns, transient=True) as progress:
        task = progress.add_task(f"{title}: reading", total=None)
        lines = 0

        def show(rows: int) -> None:
            nonlocal lines
            progress.update(task, description=f"{title}: {rows:,} rows")
            if progress.disable and rows // rows_of_a_line > lines:
                lines = rows // rows_of_a_line
                line = {"event": "FILE_PROGRESS", "file": name, "number": number, "of": of, "rows": rows}
                print(json.dumps(line), file=sys.stderr)

        yield show


def try_file(file: GivenFile, read: Callable[[FileFormat, Callable[[int], None]], Found]) -> Found | str:
    """The result of reading a given file, followed on a terminal; or why it is refused, which continues its name.

    Args:
        file: The file.
        read: Reads it: gets its format, and what to call with the number of rows so far; raises RawFileError.
    """
    if file.refused:
        return file.refused
    try:
        file_format = file.format or parse_format(file.own_name)
        with followed(printable(file.name), number=file.number, of=file.of) as show:
            return read(file_format, show)
    except RawFileError as error:
        return str(error) if file.format else f"{error} Name it so, or say what it is with --format."


def _describe(outcome: FileOutcome) -> list[str]:
    """The lines about a file for people."""
    report = outcome.report
    if report and outcome.replaced_by:
        return [
            f"REPLACED {outcome.name} (file {report.file_id}) counts no more:",
            f"  {outcome.replaced_by} counts in its place",
            f"  to bring it back: --replaces {outcome.replaced_by}",
        ]
    if report is None or outcome.is_refused:
        where = f" (file {report.file_id})" if report else " Nothing landed."
        return [f"REFUSED {outcome.name} {outcome.reason}{where}"]
    is_long = outcome.seconds > 1 and report.rows >= _ROWS_OF_A_RATE
    rate = f", {report.rows / outcome.seconds:,.0f} rows/s" if is_long else ""
    landed = f"already landed on {report.landed_at:%Y-%m-%d}" if outcome.was_there else "landed"
    lines = [
        f"{outcome.name}: {landed} as {report.file_id}",
        f"  {report.rows:,} rows: {report.valid:,} valid, {report.rejected:,} in quarantine{rate}",
    ]
    if report.days:
        lines.append(f"  days: {len(report.days)}, from {report.days[0]} to {report.days[-1]}")
    lines += [f"  {rows:,} broke {rule}" for rule, rows in report.rejected_by_rule.items()]
    if outcome.has_failed:
        olds = " ".join(f"--replaces {old}" for old in (*outcome.counting, report.file_id))
        lines.append(f"  NOTHING VALID: correct the file and send it with {olds}")
        lines += [f"  {outcome.advice}"] if outcome.advice else []
    if report.quarantine:
        lines.append(f"  the rejected rows: {report.quarantine.key} in the target")
    unknown, discarded = report.unknown_by_rule, report.discarded_by_rule
    lines += [f"  {rows:,} valid rows refer to nothing, as {rule} says" for rule, rows in unknown.items()]
    lines += [f"  {rows:,} valid rows lost a value that broke {rule}" for rule, rows in discarded.items()]
    if report.figures and (unused := report.figures.beside_unused):
        lines.append(f"  {unused:,} records of lists beside the rows are in no row")
    if outcome.derived_items is not None:
        where = f", as {outcome.items_file}" if outcome.items_file else ""
        lines.append(f"  {outcome.derived_items:,} items derived that the catalog lacked{where}")
    if report.is_void:
        return lines + [f"  supersedes nothing: as before, what counts is {old}" for old in outcome.counting]
    return lines + [f"  supersedes {old}" for old in report.replaces]


def _as_json(outcome: FileOutcome) -> dict[str, object]:
    event = "FILE_REFUSED" if outcome.is_refused else "FILE_VALIDATED"
    found: dict[str, object] = {"event": "FILE_REPLACED" if outcome.replaced_by else event, "file": outcome.name}
    if report := outcome.report:
        found |= {
            "file_id": report.file_id,
            "raw": report.raw_key,
            "landed_at": report.landed_at.isoformat(),
            "was_there": outcome.was_there,
            **{name: getattr(report, name) for name in _COUNTS},
            "quarantine": report.quarantine.key if report.quarantine else None,
            # Only their number: a file with years of rows has thousands.
            "days": len(report.days),
            "first_day": str(report.days[0]) if report.days else None,
            "last_day": str(report.days[-1]) if report.days else None,
            "replaces": () if report.is_void else report.replaces,
            "replaced_by": outcome.replaced_by,
        }
    if outcome.derived_items is not None:
        found |= {"derived_items": outcome.derived_items, "items_file": outcome.items_file}
    return found | {"reason": outcome.reason, "seconds": round(outcome.seconds, 3)}
