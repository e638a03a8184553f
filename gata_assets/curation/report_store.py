"""A tenant's reports in the store: all of them, one of them, and changing them. What they say is in `reports`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.reports import Report
from gata_assets.errors import ConflictError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order

# So often a change is worked out again because others change the same reports; each time one of them gets through.
_MOST_ATTEMPTS = 20


class _Kept(NamedTuple):
    """A report as it was read after the listing had its version: no older than that."""

    version: Version
    report: Report


class ReportStore:
    """The reports of one tenant, for one run or command: it asks for all of them several times, and between the times
    others may write.

    So they are listed each time, and read where the listing has another version than that which was read. A report is
    written in place of the version that was read alone. What is kept takes 25 MB for 10,000 files of three days each;
    two lists of them, which one run held, took 59 MB.
    """

    def __init__(self, store: ObjectStore, places: TenantLayout) -> None:
        self._store = store
        self._places = places
        self._kept: dict[str, dict[str, _Kept]] = {}
        self._versions: dict[str, Version] = {}

    def read_all(self, table: str) -> list[Report]:
        """All reports of a table, by file id; raises DamagedTableError, or StoreError."""
        before = self._kept.get(table, {})
        # Listed before they are read: what is written over meanwhile is newer than its version, and read again.
        listed = list(self._store.list_versions(self._places.report(table)))
        changed = [key for key, version in listed if key not in before or before[key].version != version]
        read = dict(zip(changed, map_in_order(self._read, changed, SMALL_CALLS_AT_ONCE), strict=True))
        self._kept[table] = {key: _Kept(version, read[key]) if key in read else before[key] for key, version in listed}
        self._versions.update(listed)
        return [kept.report for kept in self._kept[table].values()]

    def find(self, table: str, name: str) -> Report | None:
        """The report of a file id, None where there is none; raises DamagedTableError, or StoreError."""
        key = self._places.report(table, name)
        try:
            content, self._versions[key] = self._store.read_versioned(key)
        except ObjectNotFoundError:
            self._versions[key] = ABSENT
            return None
        return Report.decode(content, self._store.uri(key))

    def change(self, seen: Report | None, new: Report, work_out: Callable[[Report | None], Sequence[Report]]) -> Report:
        """Write the reports that follow from the one that a file has, in their order.

        Args:
            seen: The file's report as it was read last; None where there was none.
            new: Of which file.
            work_out: Gives the reports to write. It is asked again where another command has changed one of them.

        Returns:
            The last of the reports that were written.

        Raises:
            ConflictError: Others change the same reports all the time.
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
        # Whatever a listing has: what was written here is read again.
        self._kept.get(report.table, {}).pop(key, None)
        self._versions[key] = self._store.write(key, report.encode(), expected=self._versions.get(key, ABSENT))

    def _read(self, key: str) -> Report:
        return Report.decode(self._store.read(key), self._store.uri(key))
