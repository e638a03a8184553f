"""Erases people from a tenant's tables of changes, whose rows are theirs also through rows of other tables.

The keys of what belongs to them are noted before anything is removed (`owned_rows`), so that whoever is killed leaves
what the next one completes. Rows are removed file by file (`files`); then curation writes what had some of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.curation.curated.erasures import ERASED_BY
from gata_assets.curation.erasure.files import FileEraser, Removed
from gata_assets.curation.erasure.leftovers import delete_leftovers, named_by_manifests
from gata_assets.curation.erasure.owned_rows import note_owned_rows, rows_of_file
from gata_assets.curation.reports import Report
from gata_assets.tables.people.owners import owners
from gata_assets.tables.spec import TableSpec


@dataclass(frozen=True)
class ErasedChanges:
    """What was removed: by table, of each raw file; how many curated tables and partitions had something of theirs; and
    how many objects with their rows were deleted that nothing names any more.
    """

    files: dict[str, list[Removed]] = field(default_factory=dict)
    partitions: int = 0
    leftovers: int = 0


class ChangesEraser:
    """Erases people from the tables of changes of one tenant; whoever curates meanwhile ends with a conflict."""

    def __init__(self, curator: ChangesCurator, is_mention: Callable[[str], bool], request: str) -> None:
        """`is_mention` says whether a record that cannot be read is about one of them; `request` names the erasure."""
        self._curator, self._is_mention, self._request = curator, is_mention, request

    def erase(self) -> ErasedChanges:
        """Remove all rows of everybody who was erased up to now, however far whoever was killed had come.

        Raises:
            ChecksFailedError: Curated rows break rules; the next call goes on.
            ConflictError: Another command changes the same files or tables.
            DamagedTableError: What is stored is not what was written.
            StoreError: The target failed.
        """
        curator = self._curator
        tables = [curator.tables[table] for table in owners(curator.tables)]
        there = self._keys(tables)
        for spec in tables:
            curator.validate_new(spec.table)
        note_owned_rows(curator, self._request)
        erased = curator.erased()
        eraser = FileEraser(curator, erased, self._is_mention)
        files: dict[str, list[Removed]] = {}
        for spec in tables:
            found = [eraser.erase(spec.table, report.file_id) for report in self._find_files(spec)]
            files[spec.table] = [removed for removed in found if removed != Removed()]
        written = curator.curate(erased_by=self._request)
        partitions = sum(self._request in one.manifest.details.get(ERASED_BY, ()) for one in written)
        unnamed = (there & self._keys(tables)) - self._named(tables)
        leftovers = delete_leftovers(curator.store, unnamed, tables, erased, self._is_mention)
        return ErasedChanges(files, partitions, leftovers)

    def _find_files(self, spec: TableSpec) -> list[Report]:
        """The files that have rows of theirs, also of some that were left out when they were validated, and those with
        rejected rows, which may be theirs.
        """
        return [
            report
            for report in self._curator.reports(spec.table)
            if report.erased or report.quarantine or self._has_theirs(spec, report)
        ]

    def _has_theirs(self, spec: TableSpec, report: Report) -> bool:
        erased = self._curator.erased()
        return any(erased.rows_of(spec, rows) is not None for rows in rows_of_file(self._curator, spec, report))

    def _folders(self, tables: list[TableSpec]) -> list[str]:
        places = self._curator.places
        return [of(spec.table) for spec in tables for of in (places.staged, places.quarantine, places.curated)]

    def _keys(self, tables: list[TableSpec]) -> set[str]:
        """The keys of staged, rejected and curated rows."""
        return {key for folder in self._folders(tables) for key in self._curator.store.list_keys(folder)}

    def _named(self, tables: list[TableSpec]) -> set[str]:
        """The keys that reports and manifests name, and those of manifests."""
        curator = self._curator
        named = {part.key for spec in tables for report in curator.reports(spec.table) for part in report.tables}
        return named | named_by_manifests(curator.store, self._keys(tables))
