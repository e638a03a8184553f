"""Reads the current tickets of all days of a lake as they were at one moment, though days are rewritten meanwhile.

A day's manifest names its files and says when its tickets were closed and how recent they are, so that days without
what is asked for are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import NamedTuple, TypeVar

import polars as pl

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import DamagedTableError, ObjectNotFoundError, SourceError
from gata_assets.lake.days import CURRENT_FILE
from gata_assets.lake.tables import TICKETS
from gata_assets.storage.datasets import find_manifest, read_files
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.storage.parallel import CALLS_AT_ONCE, SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest

T = TypeVar("T")
# Each time means that another process wrote a day meanwhile.
_MOST_ATTEMPTS = 5


class LakeDay(NamedTuple):
    """A day of offline tickets: its folder, and its manifest in one version."""

    folder: str
    manifest: Manifest
    version: Version

    def overlaps(self, detail: str, first: float, last: float) -> bool:
        """Whether it may have tickets between two instants, both included, by a detail of its manifest."""
        found = self.manifest.details.get(detail)
        return found is not None and found[0] <= last and found[1] >= first

    def read(self, store: ObjectStore, columns: Sequence[str]) -> pl.DataFrame:
        """Columns of its current tickets; raises ObjectNotFoundError, DamagedTableError or StoreError."""
        [(_, content)] = read_files(store, self.folder, [CURRENT_FILE], self.manifest)
        return pl.read_parquet(BytesIO(content), columns=list(columns))


class LakeSnapshots:
    """The days of a tenant's lake; manifests are read once for each of their versions."""

    def __init__(self, store: ObjectStore, tenant: str) -> None:
        self._store, self._folder = store, TenantLayout(tenant).curated(TICKETS)
        self._known: dict[str, LakeDay] = {}

    def days(self) -> list[LakeDay]:
        """The days that there are now, ascending; raises SourceError for one that is incomplete, or StoreError."""
        versions = self._manifests()
        new = [
            key for key, version in versions.items() if key not in self._known or self._known[key].version != version
        ]
        folders = [key.removesuffix(MANIFEST_FILE) for key in new]
        found = map_in_order(lambda folder: find_manifest(self._store, folder), folders, SMALL_CALLS_AT_ONCE)
        read = dict(zip(new, found, strict=True))
        known = {}
        for key in versions:
            if key not in read:
                known[key] = self._known[key]
            elif (manifest := read[key].manifest) is not None:
                known[key] = LakeDay(key.removesuffix(MANIFEST_FILE), manifest, read[key].version)
            else:
                raise SourceError(
                    f"{self._store.uri(key)} is damaged, or its day is being rewritten: materialize its day of "
                    "offline_tickets."
                )
        self._known = known
        return list(known.values())

    def read(self, wanted: Callable[[LakeDay], bool], columns: Sequence[str]) -> list[pl.DataFrame]:
        """Columns of the current tickets of the wanted days, of one moment.

        Raises:
            SourceError: The lake is rewritten all the time, or a file of it is damaged.
            StoreError: The target failed.
        """
        read: dict[tuple[str, Version], pl.DataFrame] = {}
        for _ in range(_MOST_ATTEMPTS):
            days = [day for day in self.days() if wanted(day)]
            new = [day for day in days if (day.folder, day.version) not in read]
            try:
                tables = list(map_in_order(lambda day: day.read(self._store, columns), new, CALLS_AT_ONCE))
            except ObjectNotFoundError:
                # Written anew since it was listed.
                continue
            except DamagedTableError as error:
                raise SourceError(f"{error}: `gata quarantine --replay` and a new batch write it again.") from None
            read |= {(day.folder, day.version): table for day, table in zip(new, tables, strict=True)}
            if [day for day in self.days() if wanted(day)] == days:
                return [read[day.folder, day.version] for day in days]
        raise SourceError(f"{self._store.uri(self._folder)} is being written all the time: try again.")

    def _manifests(self) -> Mapping[str, Version]:
        listed = self._store.list_versions(self._folder)
        return dict(sorted((key, version) for key, version in listed if key.endswith(f"/{MANIFEST_FILE}")))
