"""Shared by the commands for a tenant's raw files: the curator, the named files, and showing the outcome of a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gata_assets.cli.terminal import text_console
from gata_assets.curation.reports import Report
from gata_assets.interactions.curated.curator import Curator
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore

# With fewer rows a rate would mainly show how long the start took.
_ROWS_OF_A_RATE = 100_000


@dataclass(frozen=True)
class FileOutcome:
    """The outcome of a requested file: its report, or why it did not land; the file that supersedes it, if any; and how
    long it took.
    """

    name: str
    report: Report | None = None
    refused: str | None = None
    was_there: bool = False
    replaced_by: str | None = None
    seconds: float = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether it should count but cannot be read."""
        return self.reason is not None and self.replaced_by is None

    @property
    def reason(self) -> str | None:
        """Why it cannot be read; continues the file's name."""
        return self.refused or (self.report.refused if self.report else None)

    @property
    def event(self) -> str:
        """Its outcome, for machines."""
        if self.replaced_by:
            return "FILE_REPLACED"
        return "FILE_REFUSED" if self.is_refused else "FILE_VALIDATED"


def open_curator(settings: Settings, tenant: str, now: datetime | None = None) -> Curator:
    """The curator of all tables of a tenant; warns on stderr if the tenant's data is not prepared."""
    if tenant not in settings.tenants_prepared:
        text_console(stderr=True).print(
            f"TENANTS does not name {tenant}: its data is kept and validated, not prepared."
        )
    tables = all_tables(settings)
    return Curator(
        _open_store(settings), tenant, settings.interactions.curation_rules, now or datetime.now(UTC), tables
    )


def _open_store(settings: Settings) -> ObjectStore:
    """The target; a directory without Dagster, which takes 40 MB and a second."""
    if settings.target.bucket is None:
        return LocalStore(str(settings.target.directory))
    from gata_assets.definitions import build_store

    return build_store(settings)


class Followed:
    """The progress of validating files: a line with rows and rate on a terminal, nothing elsewhere."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None) if progress else None

    def begin(self, name: str) -> None:
        """Begin the next file."""
        self._say(f"{name}: reading")
        self._name = name

    def show(self, rows: int) -> None:
        """Show the number of its validated rows."""
        self._say(f"{self._name}: {rows:,} rows")

    def _say(self, text: str) -> None:
        if self._progress and self._task is not None:
            self._progress.update(self._task, description=text)


@contextmanager
def followed() -> Iterator[Followed]:
    """Show progress during the context."""
    if not sys.stderr.isatty():
        yield Followed(None)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, emoji=False), transient=True) as progress:
        yield Followed(progress)


def show_outcomes(outcomes: Sequence[FileOutcome], *, as_table: bool) -> None:
    """Show the outcomes of files: for people, or a line of JSON per file."""
    for outcome in outcomes:
        if as_table:
            _print_outcome(outcome)
        else:
            print(json.dumps(_describe(outcome)))


def _print_outcome(outcome: FileOutcome) -> None:
    console = text_console()
    report = outcome.report
    if report and outcome.replaced_by:
        console.print(f"REPLACED {outcome.name} (file {report.file_id}) counts no more:", markup=False, soft_wrap=True)
        console.print(f"  {outcome.replaced_by} counts in its place", markup=False)
        console.print(f"  to bring it back: --replaces {outcome.replaced_by}", markup=False, soft_wrap=True)
        return
    if report is None or outcome.reason:
        where = f" (file {report.file_id})" if report else " Nothing landed."
        console.print(f"REFUSED {outcome.name} {outcome.reason}{where}", markup=False)
        return
    is_long = outcome.seconds > 1 and report.rows >= _ROWS_OF_A_RATE
    rate = f", {report.rows / outcome.seconds:,.0f} rows/s" if is_long else ""
    landed = f"already landed on {report.landed_at:%Y-%m-%d}" if outcome.was_there else "landed"
    console.print(f"{outcome.name}: {landed} as {report.file_id}", markup=False)
    console.print(
        f"  {report.rows:,} rows: {report.valid:,} valid, {report.rejected:,} in quarantine{rate}", markup=False
    )
    if report.days:
        console.print(f"  days: {len(report.days)}, from {report.days[0]} to {report.days[-1]}", markup=False)
    for rule, rows in report.rejected_by_rule.items():
        console.print(f"  {rows:,} broke {rule}", markup=False)
    if report.quarantine:
        console.print(f"  the rejected rows: {report.quarantine.key} in the target", markup=False, soft_wrap=True)
    for rule, rows in report.unknown_by_rule.items():
        console.print(f"  {rows:,} valid rows refer to nothing, as {rule} says", markup=False)
    for rule, rows in report.discarded_by_rule.items():
        console.print(f"  {rows:,} valid rows lost a value that broke {rule}", markup=False)
    for old in report.replaces:
        console.print(f"  supersedes {old}", markup=False)


def _describe(outcome: FileOutcome) -> dict[str, object]:
    report = outcome.report
    found: dict[str, object] = {"event": outcome.event, "file": outcome.name}
    if report:
        found |= {
            "file_id": report.file_id,
            "raw": report.raw_key,
            "landed_at": report.landed_at.isoformat(),
            "was_there": outcome.was_there,
            "rows": report.rows,
            "valid": report.valid,
            "rejected": report.rejected,
            "rejected_by_rule": report.rejected_by_rule,
            "unknown_by_rule": report.unknown_by_rule,
            "discarded_by_rule": report.discarded_by_rule,
            "quarantine": report.quarantine.key if report.quarantine else None,
            # Only their number: a file with years of rows has thousands.
            "days": len(report.days),
            "first_day": str(report.days[0]) if report.days else None,
            "last_day": str(report.days[-1]) if report.days else None,
            "replaces": report.replaces,
            "replaced_by": outcome.replaced_by,
        }
    return found | {"reason": outcome.reason, "seconds": round(outcome.seconds, 3)}
