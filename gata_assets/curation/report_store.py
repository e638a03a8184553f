"""A tenant's reports in the store: all of them, one of them, and writing one. What they say stands in `core`."""

from __future__ import annotations

from typing import NamedTuple

from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.reports import Report
from gata_assets.errors import ObjectNotFoundError
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order


class _Kept(NamedTuple):
    """A report as it was read after the listing had told its version: no older than that."""

    version: str
    report: Report


class ReportStore:
    """The reports of one tenant, for one run or command: it asks for all of them several times, and between the times
    others may write.

    So they are listed each time, and read where the listing tells another version than that which was read. What is
    kept takes 25 MB for 10,000 files of three days each; two lists of them, which one run held, took 59 MB.
    """

    def __init__(self, store: ObjectStore, places: TenantLayout) -> None:
        self._store = store
        self._places = places
        self._kept: dict[str, dict[str, _Kept]] = {}

    def read_all(self, table: str) -> list[Report]:
        """The reports of a table as they are now, by file id; raises DamagedTableError, or StoreError."""
        before = self._kept.get(table, {})
        # Listed before they are read: what is written over meanwhile is newer than its version, and read again.
        listed = list(self._store.list_versions(self._places.report(table)))
        changed = [key for key, version in listed if key not in before or before[key].version != version]
        read = dict(zip(changed, map_in_order(self._read, changed, SMALL_CALLS_AT_ONCE), strict=True))
        self._kept[table] = {key: _Kept(version, read[key]) if key in read else before[key] for key, version in listed}
        return [kept.report for kept in self._kept[table].values()]

    def find(self, table: str, name: str) -> Report | None:
        """The report of a file id as it stands, None where there is none; raises DamagedTableError, or StoreError."""
        try:
            return self._read(self._places.report(table, name))
        except ObjectNotFoundError:
            return None

    def write(self, report: Report) -> None:
        """Store a report in place of an earlier one; raises StoreError."""
        key = self._places.report(report.table, report.file_id)
        # Whatever a listing tells: what was written here is read anew.
        self._kept.get(report.table, {}).pop(key, None)
        self._store.write(key, report.encode())

    def _read(self, key: str) -> Report:
        return Report.decode(self._store.read(key), self._store.uri(key))
