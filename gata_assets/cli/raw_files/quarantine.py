"""`gata quarantine`: a tenant's rejected rows and refused files with their reasons, and validating files again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import perf_counter

import click
from rich.table import Table

from gata_assets.cli.raw_files.outcomes import FileOutcome, followed, open_curator, show_outcomes
from gata_assets.cli.terminal import text_console
from gata_assets.curation.reports import Report, replaced_files
from gata_assets.errors import DataRuleError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.settings.model import Settings
from gata_assets.tables.row_rules import rule_names

_WIDEST = 1_000


def run(settings: Settings, tenant: str, *, rule: str | None, file_id: str | None, as_table: bool) -> None:
    """Show rejected rows by rule and file, refused files, and files that were validated with other settings.

    Raises DataRuleError for an unknown file.
    """
    curator = open_curator(settings, tenant)
    _require_rule(rule, curator)
    reports = find_reports(curator, file_id)
    rows = [
        (broken, report.file_id, count)
        for report in reports
        for broken, count in sorted(report.rejected_by_rule.items())
        if rule in (None, broken)
    ]
    refused = [report for report in reports if report.refused and rule is None]
    outdated = [report for report in reports if curator.is_outdated(report) and not report.refused and rule is None]
    if as_table:
        if not any(curator.reports(table) for table in curator.tables):
            text_console().print(f"No file of {tenant} was validated so far: `gata ingest` lands files.")
            return
        _print_tables(sorted(rows), refused)
        if outdated:
            again = f"gata quarantine --tenant {tenant} --replay"
            text_console().print(f"{say_outdated(len(outdated))} To validate them again: {again}", markup=False)
        return
    for broken, name, count in sorted(rows):
        print(json.dumps({"event": "ROWS_IN_QUARANTINE", "rule": broken, "file_id": name, "rows": count}))
    for report in refused:
        print(json.dumps({"event": "FILE_REFUSED", "file_id": report.file_id, "reason": report.refused}))
    for report in outdated:
        print(json.dumps({"event": "FILE_OUTDATED", "file_id": report.file_id, "rows": report.rows}))


def replay(settings: Settings, tenant: str, *, file_id: str | None, as_table: bool) -> bool:
    """Validate the files of `find_reports` again, show each, and return whether all could be read."""
    curator = open_curator(settings, tenant)
    curator.refresh_referenced(curator.tables)
    outcomes = []
    with followed() as display:
        for report in find_reports(curator, file_id):
            started = perf_counter()
            display.begin(report.file_id)
            again = curator.validate(report.raw_key, progress=display.show)
            outcomes.append(FileOutcome(report.file_id, again, seconds=perf_counter() - started))
            show_outcomes(outcomes[-1:], as_table=as_table)
            curator.refresh_referenced([again.table])
    if as_table and not outcomes:
        text_console().print("There is nothing in quarantine, and nothing to validate again.")
    return not any(outcome.is_refused for outcome in outcomes)


def _require_rule(rule: str | None, curator: Curator) -> None:
    known = {name for spec in curator.tables.values() for name in rule_names(spec)}
    if rule and rule not in known:
        raise click.BadParameter(f"there are: {', '.join(sorted(known))}.", param_hint="--rule")


def find_reports(curator: Curator, file_id: str | None) -> Sequence[Report]:
    """The files with rejected rows, the refused ones and those that were validated with other settings;
    or the requested file. Raises DataRuleError if that is unknown or superseded.
    """
    if file_id:
        report = curator.report_of(file_id)
        if instead := replaced_files(curator.reports(report.table)).get(file_id):
            raise DataRuleError(f"{file_id} counts no more: {instead} has superseded it.")
        return [report]
    found: list[Report] = []
    for table in curator.tables:
        reports = curator.reports(table)
        replaced = replaced_files(reports)
        found += [
            report
            for report in reports
            if report.file_id not in replaced and (report.rejected or report.refused or curator.is_outdated(report))
        ]
    return found


def say_outdated(files: int) -> str:
    """How many files count by outdated rules, for people."""
    are = "files count" if files != 1 else "file counts"
    settings = "EARLIEST_INTERACTION, MAX_HOURS_AHEAD, UNKNOWN_ITEMS"
    return f"{files:,} {are} by other rules than those of now (of their table, or {settings})."


def _print_tables(rows: Sequence[tuple[str, str, int]], refused: Sequence[Report]) -> None:
    console = text_console()
    if rows:
        table = Table(title="Rows in quarantine", title_justify="left")
        table.add_column("rule")
        table.add_column("file")
        table.add_column("rows", justify="right")
        for rule, name, count in rows:
            table.add_row(rule, name, f"{count:,}")
        # Not wrapped, even on a narrow terminal: a wrapped id cannot be copied.
        text_console(width=_WIDEST).print(table)
    for report in refused:
        console.print(f"REFUSED {report.file_id} {report.refused}", markup=False)
    if not rows and not refused:
        console.print("There is nothing in quarantine.")
