"""A tenant's reports in the store: read all, find one, change them. `reports` defines their content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from gata_assets.curation.files.formats import file_id, has_long_mark, old_file_id, printable
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import claim, release
from gata_assets.errors import ConflictError, DamagedTableError, DataRuleError, ObjectNotFoundError
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
        return self._decode(key, content)

    def find_raw(self, table: str, raw_key: str) -> Report | None:
        """The report of a raw file, also under the id that the release before gave it; None if it has none.

        Raises DamagedTableError, also for a report of another raw file under this one's id, or StoreError.
        """
        name, old_name = (make(self._places, table, raw_key) for make in (file_id, old_file_id))
        report = self.find(table, name)
        if report and report.raw_key != raw_key:
            raise DamagedTableError(
                f"{self._store.uri(self._places.report(table, name))} is of another raw file, "
                f"{printable(report.raw_key)}: remove it, and both are validated again."
            )
        # No file of this release has such an id; of others a listing shows whether there is one.
        is_possible = not has_long_mark(raw_key) and (
            table not in self._kept or self._places.report(table, old_name) in self._kept[table]
        )
        old = self.find(table, old_name) if report is None and is_possible else None
        return old if old and old.raw_key == raw_key else report

    def change(self, seen: Report | None, new: Report, work_out: Callable[[Report | None], Sequence[Report]]) -> Report:
        """Write the reports that follow from a file's present one, in order.

        Args:
            seen: The file's report as it was last read; None if it did not exist.
            new: The new report, which names the file.
            work_out: Returns the reports to write. It is called again if another command has changed one of them.

        Returns:
            The file's own report as it was written.

        Raises:
            ConflictError: Other commands keep changing the same reports.
            StoreError: The target failed.
        """

        def from_present(is_first: bool) -> Sequence[Report]:
            return work_out(seen if is_first else self.find(new.table, new.file_id))

        written = self._write_all(new.table, new.file_id, from_present)
        return next(report for report in written if report.file_id == new.file_id)

    def claim(self, table: str, name: str, olds: Sequence[str]) -> None:
        """Let a file alone supersede others as soon as its report is written.

        Raises DataRuleError, see `superseding.require_place` (then no claim of this call is left), or as `change` does.
        """
        before: dict[str, str | None] = {}

        def claims(_: bool) -> Sequence[Report]:
            reports = self.read_all(table)
            claimants = {report.file_id: report.replaced_by for report in reports}
            taken = claim(table, name, olds, reports)
            for report in taken:
                before.setdefault(report.file_id, claimants[report.file_id])
            return taken

        try:
            self._write_all(table, name, claims)
        except DataRuleError:
            if before:
                self._write_all(table, name, lambda _: release(name, before, self.read_all(table)))
            raise

    def adopt(self, reports: Iterable[Report]) -> None:
        """Write reports that were listed; one that another command has changed meanwhile stays as it is."""

        def write(report: Report) -> None:
            with suppress(ConflictError):
                self._write(report)

        for _ in map_in_order(write, reports, SMALL_CALLS_AT_ONCE):
            pass

    def _write_all(self, table: str, name: str, work_out: Callable[[bool], Sequence[Report]]) -> Sequence[Report]:
        for attempt in range(_MOST_ATTEMPTS):
            changed = work_out(attempt == 0)
            try:
                for report in changed:
                    self._write(report)
            except ConflictError:
                continue
            return changed
        raise ConflictError(
            f"{self._store.uri(self._places.report(table, name))} could not be written: other commands "
            "change the same reports. Run it again later."
        )

    def _write(self, report: Report) -> None:
        key = self._places.report(report.table, report.file_id)
        # Whatever version a listing has: the reports written here are read again.
        self._kept.get(report.table, {}).pop(key, None)
        self._versions[key] = self._store.write(key, report.encode(), expected=self._versions.get(key, ABSENT))

    def _read(self, key: str) -> Report:
        return self._decode(key, self._store.read(key))

    def _decode(self, key: str, content: bytes) -> Report:
        report = Report.decode(content, self._store.uri(key))
        if self._places.report(report.table, report.file_id) != key:
            raise DamagedTableError(
                f"{self._store.uri(key)} is the report of another file, {report.file_id}: remove it."
            )
        return report
