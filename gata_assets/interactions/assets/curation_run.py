"""How a run curates a tenant: new files are sorted, and each day that they touch or that it is asked for is made.

A day is recorded when it stands in the store, also one that a late file touches and nobody asked for. A day whose
data is bad fails alone, and the run at the end of all of them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence, Set
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.curation.files.formats import landing_day
from gata_assets.curation.layout import MANIFEST_FILE
from gata_assets.curation.reports import Report, check_no_row_is_lost, replaced_files, valid_reports
from gata_assets.errors import ChecksFailedError
from gata_assets.interactions.assets import check_names
from gata_assets.interactions.datasets import CURATED_INTERACTIONS, CURATED_ITEMS
from gata_assets.interactions.schema import INTERACTIONS, ITEMS
from gata_assets.orchestration import checks
from gata_assets.orchestration.failures import DAYS, Partitions
from gata_assets.orchestration.instances import held_open, is_recorded
from gata_assets.orchestration.recording import Event, Events, KeptFailures, Recorder
from gata_assets.tables.outcomes import Outcome, broken

if TYPE_CHECKING:
    # Only where they are used: they load compiled kernels, and definitions are loaded all the time.
    from gata_assets.interactions.curated.curator import Curated, Curator


class CurationRun:
    """The work of one run for one tenant; `days` are the partitions, of which those in the future do not exist yet."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        *,
        curator: Curator,
        days: dg.PartitionsDefinition[str],
        code_version: str,
    ) -> None:
        self._context = context
        self._curator = curator
        self._days = days
        self._tenant = curator.places.tenant
        self._code_version = code_version
        self._key = dg.AssetKey([self._tenant, CURATED_INTERACTIONS])

    def make_catalogue(self) -> Events:
        """Validate new item files and curate the catalog; raises dagster.Failure where it breaks a rule."""
        if not self._context.selected_asset_keys:
            return
        failures = KeptFailures(self._context.log, partitions=1, are=Partitions("catalogue of", ""))
        try:
            self._curator.validate_new(ITEMS)
            yield from self._make_catalogue(as_event=False)
        except Exception as error:  # noqa: BLE001 (kept as the failure that ends the run)
            failures.keep(self._tenant, f"{self._tenant}/{CURATED_ITEMS}", error)
        failures.stop_at_end()

    def make_days(self, asked: Sequence[str], *, stale_between: tuple[date, date] | None = None) -> Events:
        """Sort new files, and make the days and those that the files touch; gives what it records as it happens.

        With `stale_between`, of the days that nobody asked for only those between the two that are missing or stale.

        Raises dagster.Failure: at the end for days that failed alone, at once for what would fail for every day.
        """
        if not self._context.selected_asset_keys:
            return
        failures = KeptFailures(self._context.log, partitions=len(asked), are=DAYS)
        with held_open(self._context.instance, self._context.run.run_id):
            days: list[date] = []
            files: list[Report] = []
            try:
                days, files = yield from self._begin(asked, stale_between, failures)
            except Exception as error:  # noqa: BLE001 (kept as the failure that ends the run)
                failures.keep(asked[0], self._key.to_user_string(), error)
            looked_at = set(days)
            while days:
                try:
                    for made in self._curator.curate_days(list(days)):
                        yield from self._record(self._key, made, made.outcomes, as_event=True)
                        days.pop(0)
                except Exception as error:  # noqa: BLE001 (kept as the day's failure, which ends the run)
                    failures.keep(str(days.pop(0)), self._key.to_user_string(), error)
                failures.stop_if_hopeless(ended=set())
            # After the days, since Dagster takes no account of what a check said before the last materialization.
            yield from self._evaluate_files(files, looked_at)
        failures.stop_at_end()

    def _begin(
        self, asked: Sequence[str], stale_between: tuple[date, date] | None, failures: KeptFailures
    ) -> Generator[Event, None, tuple[list[date], list[Report]]]:
        """Validate new files; gives the days to curate (those that are asked for, and stale ones) and the files."""
        self._curator.validate_new(ITEMS)
        from gata_assets.interactions.curated.status import CuratedLayer

        key = dg.AssetKey([self._tenant, CURATED_ITEMS])
        is_known = is_recorded(self._context.instance, key, CuratedLayer(self._curator).catalogue_digest())
        if self._curator.is_catalogue_due() or not is_known:
            yield from self._make_catalogue(as_event=True)
        files = self._curator.validate_new(INTERACTIONS)
        reports = self._curator.reports(INTERACTIONS)
        self._tell_outdated(reports)
        among = self._curator.stale_days(*(stale_between or (None, None)))
        stale = [day for day in among if self._days.has_partition_key(str(day))]
        wanted = {*map(date.fromisoformat, asked), *stale}
        lost = self._find_lost(wanted, reports)
        for day, outcomes in lost.items():
            yield from checks.evaluations(self._key, str(day), {check_names.NO_ROW_IS_LOST: outcomes})
            try:
                checks.require_passed(self._key.to_user_string(), {check_names.NO_ROW_IS_LOST: outcomes})
            except ChecksFailedError as error:
                failures.keep(str(day), self._key.to_user_string(), error)
        return sorted(wanted - lost.keys()), files

    def _tell_outdated(self, reports: Iterable[Report]) -> None:
        """Say how many files count by rows that were judged by other settings: nothing sorts them again by itself."""
        outdated = self._curator.outdated(reports)
        if outdated:
            self._context.log.warning(
                f"{len(outdated):,} files of {self._tenant} count by other rules than those of now "
                f"(EARLIEST_INTERACTION, MAX_HOURS_AHEAD, UNKNOWN_ITEMS). To sort them again: "
                f"gata quarantine --tenant {self._tenant} --replay"
            )

    def _make_catalogue(self, *, as_event: bool) -> Events:
        made = self._curator.curate_items()
        outcomes = {
            check_names.CURATED_ITEMS_ARE_VALID: [one for of_check in made.outcomes.values() for one in of_check]
        }
        yield from self._record(dg.AssetKey([self._tenant, CURATED_ITEMS]), made, outcomes, as_event=as_event)

    def _record(
        self, key: dg.AssetKey, made: Curated, outcomes: Mapping[str, Sequence[Outcome]], *, as_event: bool
    ) -> Events:
        """Record what was made, with its checks; raises ChecksFailedError for what broke one, and was not written."""
        recorder = Recorder(self._context, code_version=self._code_version, as_events=as_event)
        partition = str(made.day) if made.day else None
        try:
            checks.require_passed(key.to_user_string(), outcomes)
        except ChecksFailedError:
            yield from checks.evaluations(key, partition, outcomes)
            raise
        places = self._curator.places
        folder = places.curated_day(made.day) if made.day else places.curated_items()
        yield recorder.materialization(
            key,
            partition,
            {
                "dagster/row_count": made.rows,
                "duplicates" if made.day else "earlier_rows": made.dropped,
                "files": len(made.parts),
                "path": dg.MetadataValue.path(self._curator.store.uri(folder)),
                "manifest": dg.MetadataValue.path(self._curator.store.uri(folder + MANIFEST_FILE)),
                **({"reason": made.reason} if made.reason else {}),
            },
            version=made.sha256,
            made_from={},
            seconds={},
        )
        yield from checks.evaluations(key, partition, outcomes, target=recorder.find(key, partition))

    def _evaluate_files(self, files: Iterable[Report], days: set[date]) -> Events:
        """Say whether all files could be read: of the days that were made, and of each day on which a file landed that
        is new, or of those days, or that was refused (`gata ingest` validates files too, and records nothing).
        """
        reports = self._curator.reports(INTERACTIONS)
        of_days = [report for report in reports if report.refused is not None or not days.isdisjoint(report.days)]
        replaced = replaced_files(reports)
        recorder = Recorder(self._context, code_version=self._code_version, as_events=True)
        for day in sorted(days.union(self._landing_day(file) for file in [*files, *of_days])):
            landed = [report for report in reports if self._landing_day(report) == day]
            refused = sum(report.refused is not None and report.file_id not in replaced for report in landed)
            advice = "`gata quarantine` says which, and why; fix the file and upload it with `--replaces`"
            outcome = Outcome("no file was refused", refused, len(landed), advice, unit="files")
            if self._days.has_partition_key(str(day)):
                yield from checks.evaluations(
                    self._key,
                    str(day),
                    {check_names.EVERY_RAW_FILE_WAS_READ: [outcome]},
                    is_blocking=False,
                    target=recorder.find(self._key, str(day)),
                )

    def _landing_day(self, report: Report) -> date:
        """The day of the file's folder, or on which it was first seen where that names none."""
        return landing_day(self._curator.places, report.table, report.raw_key) or report.landed_at.date()

    def _find_lost(self, days: Set[date], reports: Iterable[Report]) -> dict[date, list[Outcome]]:
        """Those of the days that have rows of a file whose rows are not all in parts and quarantine; that parts hold
        what their report says is looked at when a day is made from them.
        """
        lost: dict[date, list[Outcome]] = {}
        for file in valid_reports(reports):
            touched = [day for day in file.days if day in days]
            if not touched:
                continue
            rows = {part: part.rows for part in file.parts}
            rows.update([self._curator.stored_rows(file.quarantine)] if file.quarantine else [])
            outcomes = check_no_row_is_lost([file], rows)
            for day in touched if broken(outcomes) else []:
                lost.setdefault(day, []).extend(outcomes)
        return lost
