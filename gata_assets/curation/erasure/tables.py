"""Erases people from a tenant's declared tables: finds the files that have rows of theirs, and rebuilds curated ones.

`files` removes rows from a file. A partition is rebuilt from the parts that are left; that only people were erased from
it is in its manifest, so that what was built from it before is not stale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.curated.staleness import Partition
from gata_assets.curation.erasure.files import FileEraser, RecordOrigins, Removed
from gata_assets.curation.erasure.leftovers import delete_leftovers
from gata_assets.curation.erasure.stored_rows import stored_keys, subject_tables
from gata_assets.curation.layout import MANIFEST_FILE
from gata_assets.curation.reports import Report
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.manifests import plain_name
from gata_assets.tables.people.erased_people import NEVER, ErasedPeople
from gata_assets.tables.spec import TableSpec


@dataclass(frozen=True)
class ErasedTable:
    """What was removed of a table: by raw file, which curated partitions were rebuilt, and how many objects with their
    rows were deleted that nothing names any more.
    """

    table: str
    files: dict[str, Removed] = field(default_factory=dict)
    partitions: tuple[Partition, ...] = ()
    leftovers: int = 0

    @property
    def removed(self) -> Removed:
        """Of all files."""
        return sum(self.files.values(), Removed())


class TableEraser:
    """Erases people from the tables of one tenant whose rows name them."""

    def __init__(
        self,
        curator: TableCurator,
        people: ErasedPeople,
        is_mention: Callable[[str], bool],
        request: str,
        origins: RecordOrigins | None = None,
    ) -> None:
        """As `FileEraser`; `request` names the erasure in manifests."""
        self._curator, self._people, self._request = curator, people, request
        self._is_mention = is_mention
        self._files = FileEraser(curator, people, is_mention, origins)

    def tables(self) -> list[TableSpec]:
        """The tables whose rows name a person."""
        return subject_tables(self._curator)

    def erase(self, spec: TableSpec) -> ErasedTable:
        """Remove their rows from a table, however far whoever was killed had come; raises as `FileEraser.erase`."""
        curator, table = self._curator, spec.table
        there = self._keys(spec)
        # From now on every file has a report, which leaves out their rows.
        curator.validate_new(table)
        files: dict[str, Removed] = {}
        for report in self._find_files(spec):
            removed = self._files.erase(table, report.file_id)
            if removed != Removed():
                files[report.file_id] = removed
        partitions = curator.stale(table)
        rebuilt = list(curator.curate(table, partitions, erased_by=self._request)) if partitions else []
        return ErasedTable(table, files, tuple(one.day for one in rebuilt), self._sweep(spec, there))

    def _find_files(self, spec: TableSpec) -> list[Report]:
        """The files that may have rows of theirs: by the parts of partitions that have some, and all files that say so
        themselves, that count no more, that are in no partition yet, whose rejected rows may be theirs,
        or that have records beside their rows.
        """
        parts = self._parts_with_theirs(spec)
        counting = {part.key for found in self._curator.parts(spec.table).values() for part in found}
        built = {key for _, key in self._curator.curated_parts(spec.table)}
        found = []
        for report in self._curator.reports(spec.table):
            keys = {part.key for part in report.parts}
            if spec.pages or report.erased or report.quarantine or keys & parts or keys - (counting & built):
                found.append(report)
        return found

    def _parts_with_theirs(self, spec: TableSpec) -> set[str]:
        """The keys of the parts of curated partitions that have rows of theirs, by what each says of its own rows."""
        curator = self._curator
        folders = [curator.places.curated(spec.table, day) for day in curator.curated_partitions(spec.table)]

        def find(folder: str) -> set[str]:
            manifest = find_manifest(curator.store, folder).manifest
            if manifest is None:
                return set()
            parts = {str(part["key"]) for part in manifest.made_from["parts"]}
            for column in spec.subject_columns:
                # The smallest of its files that has the column: that of distinct ids, where there is one.
                having = [name for name in manifest.files if column in manifest.schema.get(plain_name(name), {})]
                if not having:
                    # Such as curated rows whose people have other names: any part may have rows of theirs.
                    return parts
                name = min(having, key=lambda name: manifest.files[name].bytes)
                ids = pl.read_parquet(curator.store.read(folder + name), columns=[column])[column]
                if (self._people.limits(ids.cast(pl.String).drop_nulls().unique()) != NEVER).any():
                    return parts
            return set()

        return set().union(*map_in_order(find, folders, SMALL_CALLS_AT_ONCE))

    def _keys(self, spec: TableSpec) -> set[str]:
        """The keys of staged, rejected and curated rows."""
        return {key for _, key in stored_keys(self._curator, spec.table)}

    def _sweep(self, spec: TableSpec, there: set[str]) -> int:
        """Delete objects with rows of theirs that were there when the erasure began, and that nothing names: of earlier
        settings, and of writers that were killed.
        """
        curator = self._curator
        named = {part.key for report in curator.reports(spec.table) for part in report.tables}
        for day in curator.curated_partitions(spec.table):
            folder = curator.places.curated(spec.table, day)
            manifest = find_manifest(curator.store, folder).manifest
            named |= {folder + MANIFEST_FILE, *(folder + name for name in (manifest.files if manifest else ()))}
        unnamed = (there & self._keys(spec)) - named
        return delete_leftovers(curator.store, unnamed, [spec], self._people, self._is_mention)
