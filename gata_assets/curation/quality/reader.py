"""Reads what measures need of all tenants, again and again, at the price of a listing: only what changed is read.

Of the reports of old files only their versions are kept. `measures` defines what is counted, `exposition` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from threading import Lock
from time import monotonic

from gata_assets.curation.curated.merge import table_file
from gata_assets.curation.layout import MANIFEST_FILE, TenantLayout, is_tenant_name
from gata_assets.curation.quality.measures import CuratedRows, Tally, newest_landing, recent_files, tally_files
from gata_assets.curation.reports import Report
from gata_assets.errors import DamagedTableError, GataError, ObjectNotFoundError
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.spec import TableSpec

# Whoever asks, the target is read once in so many seconds.
READ_SECONDS = 60.0
# Each has about 15 series a table; of further tenants, in the order of their names, nothing is measured.
MOST_TENANTS = 500
# Of the days that recent files have rows of, the newest ones.
_MOST_DAYS = 31


@dataclass(frozen=True)
class Reading:
    """The tallies by tenant and table as they were last read, and when; how many tenants were left out, and how many
    tables could not be read: what was known of these before is kept.
    """

    tallies: Mapping[tuple[str, str], Tally] = field(default_factory=dict)
    read_at: datetime | None = None
    left_out: int = 0
    failures: int = 0


class QualityReader:
    """Reads the tallies of the tables of all tenants of a target; safe for several threads."""

    def __init__(
        self,
        store: ObjectStore,
        tables: Mapping[str, TableSpec],
        clock: Callable[[], datetime],
        *,
        read_seconds: float = READ_SECONDS,
        seconds: Callable[[], float] = monotonic,
        most_tenants: int = MOST_TENANTS,
    ) -> None:
        """`seconds` are of a clock that never goes back; `read_seconds` pass between two readings; of more than
        `most_tenants`, the rest is left out.
        """
        self._store, self._tables, self._clock = store, tables, clock
        self._read_seconds, self._seconds, self._most_tenants = read_seconds, seconds, most_tenants
        self._looked_at = float("-inf")
        self._readers: dict[tuple[str, str], _TableReader] = {}
        self._lock = Lock()
        self.reading = Reading()

    def refresh(self) -> None:
        """Read what changed, unless that was done a short time ago; what cannot be read stays as it was."""
        with self._lock:
            if self._seconds() - self._looked_at < self._read_seconds:
                return
            try:
                self.reading = self._read()
            except GataError:
                before = self.reading
                self.reading = Reading(before.tallies, before.read_at, before.left_out, before.failures + 1)
            self._looked_at = self._seconds()

    def _read(self) -> Reading:
        tenants = [name for name in self._store.list_folders("") if is_tenant_name(name)]
        names = [(tenant, table) for tenant in tenants[: self._most_tenants] for table in self._tables]
        self._readers = {
            name: self._readers.get(name) or _TableReader(self._store, TenantLayout(name[0]), self._tables[name[1]])
            for name in names
        }
        tallies, failures = {}, self.reading.failures
        for name, reader in self._readers.items():
            try:
                tallies[name] = reader.read()
            except GataError as error:
                if name in self.reading.tallies:
                    tallies[name] = self.reading.tallies[name]
                elif not isinstance(error, DamagedTableError):
                    # A folder of somebody else's, which may not be listed.
                    continue
                failures += 1
        found = {name: tally for name, tally in tallies.items() if tally.files}
        return Reading(found, self._clock(), max(0, len(tenants) - self._most_tenants), failures)


class _TableReader:
    """The recent files of a tenant's table, and the curated rows of their days."""

    def __init__(self, store: ObjectStore, places: TenantLayout, spec: TableSpec) -> None:
        self._store, self._places, self._spec = store, places, spec
        self._versions: dict[str, Version] = {}
        self._recent: dict[str, Report] = {}
        self._newest: datetime | None = None
        self._curated: dict[str, tuple[Version, CuratedRows | None]] = {}

    def read(self) -> Tally:
        """The tally of now; raises DamagedTableError or StoreError."""
        listed = dict(self._store.list_versions(self._places.report(self._spec.table)))
        self._read_reports(listed)
        newest = newest_landing(self._recent.values())
        if self._newest and (newest is None or newest < self._newest):
            # The newest file counts no more, so that older ones are recent again.
            self._versions, self._recent = {}, {}
            self._read_reports(listed)
        found = recent_files(list(self._recent.values()))
        self._newest = newest_landing(found)
        names = {report.file_id for report in found}
        self._recent = {key: report for key, report in self._recent.items() if report.file_id in names}
        return tally_files(self._spec, found, self._read_curated(found))

    def _read_reports(self, listed: Mapping[str, Version]) -> None:
        changed = [key for key, version in listed.items() if self._versions.get(key) != version]
        read = zip(changed, map_in_order(self._report, changed, SMALL_CALLS_AT_ONCE), strict=True)
        known = {key: report for key, report in self._recent.items() if key in listed}
        self._recent = known | {key: report for key, report in read if report}
        # Only now: a report that cannot be read is tried again.
        self._versions = dict(listed)

    def _report(self, key: str) -> Report | None:
        with suppress(ObjectNotFoundError):
            return Report.decode(self._store.read(key), self._store.uri(key))
        return None

    def _read_curated(self, reports: Sequence[Report]) -> CuratedRows | None:
        """The curated rows of the days of files; None if none of them is curated yet."""
        days: list[date | None] = [None]
        if self._spec.partition_by:
            days = list(sorted({day for report in reports for day in report.days})[-_MOST_DAYS:])
        folders = [self._places.curated(self._spec.table, day) for day in days]
        listed = dict(self._store.list_versions(self._places.curated(self._spec.table)))
        wanted = {folder: listed[folder + MANIFEST_FILE] for folder in folders if folder + MANIFEST_FILE in listed}
        before = self._curated
        changed = [folder for folder, version in wanted.items() if before.get(folder, (None,))[0] != version]
        read = dict(zip(changed, map_in_order(self._rows, changed, SMALL_CALLS_AT_ONCE), strict=True))
        self._curated = {
            folder: (version, read[folder]) if folder in read else before[folder] for folder, version in wanted.items()
        }
        found = [rows for _, rows in self._curated.values() if rows]
        return sum(found, CuratedRows()) if found else None

    def _rows(self, folder: str) -> CuratedRows | None:
        manifest = find_manifest(self._store, folder).manifest
        file = manifest.find(table_file(self._spec.table)) if manifest else None
        if manifest is None or file is None:
            return None
        return CuratedRows(file[1].rows, int(manifest.details.get(self._spec.repetitions.dropped, 0)))
