"""How a run curates a table: it validates new files, and writes the requested partitions and those that files touch.

A partition is recorded once it is stored, including a day that was not requested but touched by a late file. A day with
invalid data fails alone; the run fails after all days.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.curation.curated.check_names import EVERY_RAW_FILE_WAS_READ, FEW_ROWS_WERE_REJECTED, NO_ROW_IS_LOST
from gata_assets.curation.layout import MANIFEST_FILE
from gata_assets.curation.quality.measures import QualityRules
from gata_assets.curation.reports import Report, check_few_rows_are_rejected, check_no_row_is_lost
from gata_assets.curation.superseding import replaced_files, valid_reports
from gata_assets.errors import ChecksFailedError
from gata_assets.orchestration import checks
from gata_assets.orchestration.asset_pages.raw_files import observe_raw_files
from gata_assets.orchestration.curated_tables.due import CURATED, AssetNames, asset_key, due_days, is_table_due
from gata_assets.orchestration.curated_tables.freshness import evaluate_freshness
from gata_assets.orchestration.curated_tables.quality import RunQuality, quality_metadata
from gata_assets.orchestration.dagster_private import kept_open
from gata_assets.orchestration.failures import DAYS, Partitions
from gata_assets.orchestration.recording import Event, Events, KeptFailures, Recorder
from gata_assets.tables.outcomes import Outcome, broken

if TYPE_CHECKING:
    # Only where they are used: they load compiled kernels, and definitions are loaded all the time.
    from gata_assets.curation.curated.curator import CuratedPartition, TableCurator

_TABLES = Partitions("table of", "")


class CurationRun:
    """The work of one run for one table of a tenant; `days` are its partitions (future ones do not exist yet), None for
    an unpartitioned table.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        *,
        curator: TableCurator,
        table: str,
        days: dg.PartitionsDefinition[str] | None,
        code_version: str,
        quality: QualityRules,
        names: AssetNames = CURATED,
        has_freshness: bool = False,
    ) -> None:
        self._context = context
        self._curator = curator
        self._table = table
        self._days = days
        self._tenant = curator.places.tenant
        self._code_version = code_version
        self._key = names.key(self._tenant, table)
        self._staged_key = names.staged_key(self._tenant, table)
        self._events = Recorder(context, code_version=code_version, as_events=True)
        self._quality = RunQuality(curator, quality, context.log.warning)
        self._fresh_within = quality.fresh_within if has_freshness else None

    def curate_table(self) -> Events:
        """Validate new files and write the table; raises dagster.Failure if it breaks a rule."""
        if not self._context.selected_asset_keys:
            return
        failures = KeptFailures(self._context.log, partitions=1, are=_TABLES)
        try:
            yield from self._validate()
            reports = self._curator.reports(self._table)
            yield from self._record_lost(None, self._lost_rows(valid_reports(reports)))
            result = Recorder(self._context, code_version=self._code_version, as_events=False)
            yield from self._curate_unpartitioned(self._table, result)
            yield from self._evaluate_files([None], {None: reports})
            yield observe_raw_files(self._tenant, self._table, reports)
            self._quality.push(self._table)
        except Exception as error:  # noqa: BLE001 (kept as the failure that ends the run)
            failures.keep(self._tenant, self._key.to_user_string(), error)
        failures.stop_at_end()

    def curate_days(self, asked: Sequence[str], *, stale_between: tuple[date, date] | None = None) -> Events:
        """Validate new files, and write the requested days and those that the files touch; yields events as they occur.

        With `stale_between`, other days are written only if they are in that range and missing or stale.

        Raises dagster.Failure: at the end for days that failed alone, at once for errors that would fail every day.
        """
        if not self._context.selected_asset_keys:
            return
        failures = KeptFailures(self._context.log, partitions=len(asked), are=DAYS)
        with kept_open(self._context.instance, self._context.run.run_id):
            days: list[date] = []
            files: list[Report] = []
            try:
                files = yield from self._validate()
                if self._key in self._context.selected_asset_keys:
                    days = yield from self._find_days(asked, stale_between, failures)
            except Exception as error:  # noqa: BLE001 (kept as the failure that ends the run)
                failures.keep(asked[0], self._key.to_user_string(), error)
            looked_at = set(days)
            while days:
                try:
                    for curated in self._curator.curate(self._table, list(days)):
                        yield from self._record(curated, self._events)
                        days.pop(0)
                except Exception as error:  # noqa: BLE001 (kept as the day's failure, which ends the run)
                    failures.keep(str(days.pop(0)), self._key.to_user_string(), error)
                failures.stop_if_hopeless(ended=set())
            # After the days, since Dagster ignores check results from before the last materialization.
            try:
                of_files = set(map(date.fromisoformat, asked)) if self._staged_key else looked_at
                yield from self._evaluate_days(files, of_files)
                yield from self._evaluate_freshness()
                yield observe_raw_files(self._tenant, self._table, self._curator.reports(self._table))
                self._quality.push(self._table)
            except Exception as error:  # noqa: BLE001 (kept with the days' failures, which end the run)
                failures.keep(asked[0], self._key.to_user_string(), error)
        failures.stop_at_end()

    def _validate(self) -> Generator[Event, None, list[Report]]:
        """Validate new files against the present values of referenced tables, which are brought up to date before.

        Files that count by other rules than the present ones are not validated again automatically: they are logged,
        and so are rows of days that were deleted for good.
        """
        for table in self._curator.referenced(self._table):
            self._curator.validate_new(table, warn=self._context.log.warning)
            if is_table_due(self._curator, table, self._context.instance):
                yield from self._curate_unpartitioned(table, self._events)
        files = self._curator.validate_new(self._table, warn=self._context.log.warning)
        if outdated := self._curator.outdated(self._curator.reports(self._table)):
            self._context.log.warning(
                f"{len(outdated):,} files of {self._tenant} count by other rules than those of now (of their table, "
                "which a new release may have changed, or EARLIEST_INTERACTION, LAKE_EARLIEST_DATE, MAX_HOURS_AHEAD, "
                "UNKNOWN_ITEMS, INVALID_OPTIONAL_VALUES). To validate them again: gata quarantine --tenant "
                f"{self._tenant} --replay"
            )
        first = self._curator.first_day(self._table)
        if late := sum(part.rows for report in files for part in report.parts if part.day and part.day < first):
            self._context.log.warning(
                f"{late:,} rows of new files of {self._tenant} are of days before {first}, which retention has "
                "deleted: they do not count. `gata retention plan` counts all of them."
            )
        return files

    def _find_days(
        self, asked: Sequence[str], stale_between: tuple[date, date] | None, failures: KeptFailures
    ) -> Generator[Event, None, list[date]]:
        """The days to write: requested and stale ones, without those with rows of a file that has lost rows."""
        stale = due_days(self._curator, self._table, self._days, stale_between) if self._days else []
        due = {*map(date.fromisoformat, asked), *stale}
        lost: dict[date, list[Outcome]] = {}
        for file in valid_reports(self._curator.reports(self._table)):
            touched = due.intersection(file.days)
            outcomes = self._lost_rows([file]) if touched else []
            for day in touched if broken(outcomes) else ():
                lost.setdefault(day, []).extend(outcomes)
        for day, outcomes in sorted(lost.items()):
            try:
                yield from self._record_lost(day, outcomes)
            except ChecksFailedError as error:
                failures.keep(str(day), self._key.to_user_string(), error)
        return sorted(due - lost.keys())

    def _curate_unpartitioned(self, table: str, recorder: Recorder) -> Events:
        for curated in self._curator.curate(table, [None]):
            yield from self._record(curated, recorder)

    def _record(self, curated: CuratedPartition, recorder: Recorder) -> Events:
        """Record a partition with its checks; raises ChecksFailedError if it failed any and was not written."""
        key = self._key if curated.table == self._table else asset_key(self._tenant, curated.table)
        partition = _partition_of(curated.day)
        try:
            checks.require_passed(key.to_user_string(), curated.outcomes)
        except ChecksFailedError:
            yield from checks.evaluations(key, partition, curated.outcomes)
            raise
        folder = self._curator.places.curated(curated.table, curated.day)
        measures = self._quality.measure(curated)
        metadata = {
            "dagster/row_count": curated.rows,
            self._curator.tables[curated.table].repetitions.dropped: curated.dropped,
            "files": len(curated.parts),
            "path": dg.MetadataValue.path(self._curator.store.uri(folder)),
            "manifest": dg.MetadataValue.path(self._curator.store.uri(folder + MANIFEST_FILE)),
            **({"reason": curated.reason} if curated.reason else {}),
            **{name: value for name, value in curated.details.items() if isinstance(value, int)},
            **quality_metadata(measures),
        }
        yield recorder.materialization(key, partition, metadata, version=curated.sha256)
        target, quality = recorder.find(key, partition), self._quality.check({"": measures})
        yield from checks.evaluations(key, partition, curated.outcomes, target=target)
        yield from checks.evaluations(key, partition, quality, is_blocking=False, target=target)

    def _record_lost(self, day: date | None, outcomes: Sequence[Outcome]) -> Events:
        """Record whether rows of files are missing; raises ChecksFailedError if so."""
        if broken(outcomes):
            found: Mapping[str, Sequence[Outcome]] = {NO_ROW_IS_LOST: outcomes}
            yield from checks.evaluations(self._key, _partition_of(day), found)
            checks.require_passed(self._key.to_user_string(), found)

    def _evaluate_days(self, files: Iterable[Report], days: set[date]) -> Events:
        """Evaluate the files that landed: on the written days, and on the landing days of files that are new, have rows
        of those days, were refused or have too many rejected rows (`gata ingest` validates too, and records nothing).
        """
        reports, most = self._curator.reports(self._table), self._curator.rules.max_rejected_share
        of_days = [
            report
            for report in reports
            if report.refused is not None or report.rejected > most * report.rows or not days.isdisjoint(report.days)
        ]
        landed: dict[date | None, list[Report]] = {}
        for report in reports:
            landed.setdefault(self._landing_day(report), []).append(report)
        found = days.union(self._landing_day(file) for file in [*files, *of_days])
        existing = [day for day in sorted(found) if self._days and self._days.has_partition_key(str(day))]
        yield from self._evaluate_files(existing, landed)

    def _evaluate_freshness(self) -> Events:
        if self._fresh_within is not None:
            key, reports = self._staged_key or self._key, self._curator.reports(self._table)
            latest = self._context.instance.fetch_materializations(key, limit=1).records
            target = latest[0] if latest else None
            yield evaluate_freshness(key, reports, self._curator.now, self._fresh_within, target)

    def _evaluate_files(
        self, partitions: Collection[date | None], landed: Mapping[date | None, Sequence[Report]]
    ) -> Events:
        replaced = replaced_files(report for reports in landed.values() for report in reports)
        advice = "`gata quarantine` shows which, and why; fix the file and upload it with `--replaces`"
        for day in partitions:
            reports, partition = landed.get(day, []), _partition_of(day)
            counting = [report for report in reports if report.file_id not in replaced]
            refused = sum(report.refused is not None for report in counting)
            found = {
                EVERY_RAW_FILE_WAS_READ: [Outcome("no file was refused", refused, len(reports), advice, unit="files")],
                FEW_ROWS_WERE_REJECTED: check_few_rows_are_rejected(counting, self._curator.rules.max_rejected_share),
            }
            key = self._staged_key or self._key
            if self._staged_key:
                yield self._staged(self._staged_key, partition, reports, counting)
            target = self._events.find(key, partition)
            yield from checks.evaluations(key, partition, found, is_blocking=False, target=target)

    def _staged(
        self, key: dg.AssetKey, partition: str | None, reports: Sequence[Report], counting: Sequence[Report]
    ) -> Event:
        """The materialization of the valid rows of a landing day's files."""
        metadata = {
            "dagster/row_count": sum(report.valid for report in counting),
            "files": len(counting),
            "refused_files": sum(report.refused is not None for report in counting),
            "superseded_files": len(reports) - len(counting),
            "quarantined_rows": sum(report.rejected for report in counting),
            "path": dg.MetadataValue.path(self._curator.store.uri(self._curator.places.staged(self._table))),
            **({} if reports else {"reason": f"no file of {self._table} landed on {partition}"}),
        }
        # Of the names of parts, which have the digests of files and rules.
        parts = sorted(part.key for report in counting for part in report.parts)
        names = [*parts, *sorted(report.file_id for report in reports)]
        version = sha256("\n".join(names).encode()).hexdigest()
        return self._events.materialization(key, partition, metadata, version=version)

    def _landing_day(self, report: Report) -> date:
        """The day of the file's folder, or the day it was first seen if the folder names none, or one that is no
        partition; for files before the first partition that one.
        """
        day = self._curator.places.landing_day(report.table, report.raw_key) or report.landed_at.date()
        if self._days is None or self._days.has_partition_key(str(day)):
            return day
        first = date.fromisoformat(self._days.get_first_partition_key() or str(day))
        return max(min(day, report.landed_at.date()), first)

    def _lost_rows(self, files: Sequence[Report]) -> list[Outcome]:
        """Check that parts and quarantine contain all rows of files; whether parts match their report is checked when a
        partition is built from them.
        """
        rows = {part: part.rows for file in files for part in file.parts}
        rows.update(self._curator.stored_rows(file.quarantine) for file in files if file.quarantine)
        return check_no_row_is_lost(files, rows)


def _partition_of(day: date | None) -> str | None:
    return str(day) if day else None
