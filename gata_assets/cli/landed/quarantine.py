"""`gata quarantine`: a tenant's rejected rows and refused files with their reasons, and validating files again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from time import perf_counter

import click
from rich.table import Table

from gata_assets.cli.options import SHOP_PREFIX
from gata_assets.cli.raw_files.outcomes import FileOutcome, followed, open_curator
from gata_assets.cli.terminal import text_console
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import counting_instead, replaced_files
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import DataRuleError, ObjectNotFoundError, RawFileChangedError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.settings.model import Settings
from gata_assets.tables.row_rules import rule_names

_WIDEST = 1_000


def run(settings: Settings, tenant: str, *, rule: str | None, file_id: str | None, as_table: bool) -> None:
    """Show rejected rows by rule and file, refused files, and files that were validated with other settings.

    Raises DataRuleError for an unknown file.
    """
    curator = open_validator(settings, tenant)
    reports = find_reports(curator, file_id)
    require_rule(curator, reports, rule)
    rows = sorted(
        (broken, report.file_id, count)
        for report in reports
        for broken, count in report.rejected_by_rule.items()
        if rule in (None, broken)
    )
    refused = [report for report in reports if report.refused and rule is None]
    outdated = [report for report in reports if curator.is_outdated(report) and not report.refused and rule is None]
    if not as_table:
        events: list[dict[str, object]] = [
            {"event": "ROWS_IN_QUARANTINE", "rule": broken, "file_id": name, "rows": count}
            for broken, name, count in rows
        ]
        events += [{"event": "FILE_REFUSED", "file_id": file.file_id, "reason": file.refused} for file in refused]
        events += [{"event": "FILE_OUTDATED", "file_id": file.file_id, "rows": file.rows} for file in outdated]
        for event in events:
            print(json.dumps(event))
    elif any(curator.reports(table) for table in curator.tables):
        _print_tables(rows, refused)
        if outdated:
            again = f"gata quarantine --tenant {tenant} --replay"
            text_console().print(f"{say_outdated(len(outdated))} To validate them again: {again}", markup=False)
    else:
        text_console().print(f"No file of {tenant} was validated so far: `gata ingest` lands files.")


def open_validator(settings: Settings, tenant: str) -> FileValidator:
    """What validates the files of a tenant, or of the source of a shop (`shop/ecommerce`)."""
    if not tenant.startswith(SHOP_PREFIX):
        return open_curator(settings, tenant)
    from gata_assets.definitions.shop_engine import open_shop

    return open_shop(settings).curator(tenant.removeprefix(SHOP_PREFIX))


def _refresh(curator: FileValidator, tables: Iterable[str]) -> None:
    """Bring up to date what rows of a tenant are validated by; a shop's rows are validated by themselves."""
    if isinstance(curator, Curator):
        curator.refresh_referenced(tables)


def require_rule(curator: FileValidator, reports: Sequence[Report], rule: str | None) -> None:
    """Raise click.BadParameter for a rule that no table has and no file broke."""
    rules = {name for spec in curator.tables.values() for name in rule_names(spec)}
    # A mapping may have files read by other rules: instants that are not ISO 8601.
    rules |= {name for report in reports for name in report.rejected_by_rule}
    if rule and rule not in rules:
        raise click.BadParameter(f"there are: {', '.join(sorted(rules))}.", param_hint="--rule")


def replay(settings: Settings, tenant: str, *, file_id: str | None, as_table: bool) -> bool:
    """Validate the files of `find_reports` again, show each, and return whether all could be read."""
    curator = open_validator(settings, tenant)
    _refresh(curator, curator.tables)
    outcomes = []
    reports = find_reports(curator, file_id)
    for number, report in enumerate(reports, 1):
        started = perf_counter()
        with followed(report.file_id, number=number, of=len(reports)) as show:
            outcome = _validate_again(curator, report, show)
        outcomes.append(replace(outcome, seconds=perf_counter() - started))
        outcomes[-1].show(as_table=as_table)
        _refresh(curator, [report.table])
    if as_table and not outcomes:
        text_console().print("There is nothing in quarantine, and nothing to validate again.")
    return not any(outcome.is_refused for outcome in outcomes)


def _validate_again(curator: FileValidator, report: Report, show: Callable[[int], None]) -> FileOutcome:
    try:
        again = curator.validate(report.raw_key, progress=show)
        return FileOutcome(report.file_id, again, counting=counting_instead(again, curator.reports(again.table)))
    except RawFileChangedError as error:
        return FileOutcome(report.file_id, refused=f"cannot be validated again: {error}")
    except ObjectNotFoundError:
        if report.raw_key in curator.store.list_delivered(report.raw_key):
            raise
        # Its rows count as before.
        return FileOutcome(report.file_id, refused="cannot be validated again: its raw file was removed.")


def find_reports(curator: FileValidator, file_id: str | None) -> Sequence[Report]:
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
        counting = [report for report in reports if report.file_id not in replaced]
        found += [one for one in counting if one.rejected or one.refused or curator.is_outdated(one)]
    return found


def say_outdated(files: int) -> str:
    """How many files count by outdated rules, for people."""
    are = "files count" if files != 1 else "file counts"
    settings = "EARLIEST_INTERACTION, LAKE_EARLIEST_DATE, MAX_HOURS_AHEAD, UNKNOWN_ITEMS, INVALID_OPTIONAL_VALUES"
    why = f"of their table, which a new release may have changed, or {settings}"
    return f"{files:,} {are} by other rules than those of now ({why})."


def _print_tables(rows: Sequence[tuple[str, str, int]], refused: Sequence[Report]) -> None:
    console = text_console()
    if rows:
        table = Table("rule", "file", title="Rows in quarantine", title_justify="left")
        table.add_column("rows", justify="right")
        for rule, name, count in rows:
            table.add_row(rule, name, f"{count:,}")
        # Not wrapped, even on a narrow terminal: a wrapped id cannot be copied.
        text_console(width=_WIDEST).print(table)
    for report in refused:
        console.print(f"REFUSED {report.file_id} {report.refused}", markup=False)
    if not rows and not refused:
        console.print("There is nothing in quarantine.")
