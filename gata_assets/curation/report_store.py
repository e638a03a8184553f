"""A tenant's reports in the store: read all, find one, change them. `reports` defines their content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.reports import Report
from gata_assets.errors import ConflictError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order

# How often a change is computed again because others change the same reports; each time one of them succeeds.
_MOST_ATTEMPTS = 20


class _Kept(NamedTuple):
    """A report that was read after its version was listed: it is not older than that version."""

    version: Version
    report: Report


class ReportStore:
    """The reports of one tenant, for one run or command, which reads all of them several times while others may write.

    So they are listed each time, and read if the listed version differs from the one that was read. A report replaces
    only the version that was read. The cache takes 25 MB for 10,000 files of three days each; two lists of them, which
    a run kept before, took 59 MB.
    """

    def __init__(self, store: ObjectStore, places: TenantLayout) -> None:
        self._store = store
        self._places = places
        self._kept: dict[str, dict[str, _Kept]] = {}
        self._versions: dict[str, Version] = {}

    def read_all(self, table: str) -> list[Report]:
        """All reports of a table, by file id; raises DamagedTableError, or StoreError."""
        before = self._kept.get(table, {})
        # Listed before they are read: a report overwritten meanwhile is newer than its version, and is read again.
        listed = list(self._store.list_versions(self._places.report(table)))
        changed = [key for key, version in listed if key not in before or before[key].version != version]
        read = dict(zip(changed, map_in_order(self._read, changed, SMALL_CALLS_AT_ONCE), strict=True))
        self._kept[table] = {key: _Kept(version, read[key]) if key in read else before[key] for key, version in listed}
        self._versions.update(listed)
        return [kept.report for kept in self._kept[table].values()]

    def find(self, table: str, name: str) -> Report | None:
        """The report of a file id, None if it does not exist; raises DamagedTableError or StoreError."""
        key = self._places.report(table, name)
        try:
            content, self._versions[key] = self._store.read_versioned(key)
        except ObjectNotFoundError:
            self._versions[key] = ABSENT
            return None
        return Report.decode(content, self._store.uri(key))

    def change(self, seen: Report | None, new: Report, work_out: Callable[[Report | None], Sequence[Report]]) -> Report:
        """Write the reports that follow from a file's present one, in order.

        Args:
            seen: The file's report as it was last read; None if it did not exist.
            new: The new report, which names the file.
            work_out: Returns the reports to write. It is called again if another command has changed one of them.

        Returns:
            The last of the reports that were written.

        Raises:
            ConflictError: Other commands keep changing the same reports.
            StoreError: The target failed.
        """
        for _ in range(_MOST_ATTEMPTS):
            changed = work_out(seen)
            try:
                for report in changed:
                    self._write(report)
            except ConflictError:
                seen = self.find(new.table, new.file_id)
                continue
            return changed[-1]
        raise ConflictError(
            f"{self._store.uri(self._places.report(new.table, new.file_id))} could not be written: other commands "
            "change the same reports. Run it again later."
        )

    def _write(self, report: Report) -> None:
        key = self._places.report(report.table, report.file_id)
        # Whatever version a listing has: the reports written here are read again.
        self._kept.get(report.table, {}).pop(key, None)
        self._versions[key] = self._store.write(key, report.encode(), expected=self._versions.get(key, ABSENT))

    def _read(self, key: str) -> Report:
        return Report.decode(self._store.read(key), self._store.uri(key))
