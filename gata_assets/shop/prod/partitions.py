"""One table's partitions in the store and in the catalog: which build is current, and how another supersedes it.

A build is a folder that no other build uses. The partition's manifest names the current one, and the catalog follows
the manifest: whoever has written the manifest moves the catalog's entry to what the manifest then says. Superseded
builds stay for a time of grace, for queries that have begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from secrets import token_hex
from typing import Any

from gata_assets.errors import ConflictError, DeleteDeniedError
from gata_assets.shop.prod.builds import (
    BUILD,
    StoredPartition,
    build_folder,
    encode_partition,
    location_of,
    read_partition,
)
from gata_assets.shop.prod.parts import Part
from gata_assets.shop.prod.source import ProdSettings
from gata_assets.shop.prod.tables import ProdTable
from gata_assets.storage.catalog.base import Catalog, Partition, Values
from gata_assets.storage.files import digest_file
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.manifests import MANIFEST_FILE, FileEntry, Manifest

# The version of the formulas: another one makes every partition stale.
RULES_VERSION = 1

_MOST_ATTEMPTS = 5
# Where the catalog's entry of a table without partitions points before its first build: a folder without files.
_NO_BUILD = "none"


class TablePartitions:
    """The partitions of a table as they were when this was opened, and what this command has changed since."""

    def __init__(
        self,
        table: ProdTable,
        store: ObjectStore,
        catalog: Catalog,
        folder: str,
        settings: ProdSettings,
        *,
        now: datetime,
    ) -> None:
        """Register the table, look at what is there, and finish what a killed command had begun.

        Args:
            table: The table.
            store: The store of its files.
            catalog: The catalog of its readers.
            folder: The key of the table's folder, with a slash at its end.
            settings: Those of the build.
            now: The present instant, from which the time of grace of superseded builds is counted.
        """
        self.table = table
        self._store, self._catalog, self._folder = store, catalog, folder
        self._settings, self._now, self._may_delete = settings, now, True
        root = folder if table.partition_keys else build_folder(folder, _NO_BUILD)
        self._entry = table.entry(settings.database, location_of(store, root))
        catalog.ensure_table(self._entry)
        # The keys of each partition by their builds; those of its manifest have none.
        self._builds: dict[Values, dict[str, set[str]]] = {}
        for key in store.list_keys(folder):
            self._add_key(key)
        places = sorted(self._builds)
        found = map_in_order(lambda values: read_partition(store, self.folder(values)), places, SMALL_CALLS_AT_ONCE)
        self._stored = dict(zip(places, found, strict=True))
        self._registered: dict[Values, Partition] = catalog.partitions(self._entry)
        for values in places:
            self._recover(values)

    @property
    def known(self) -> set[Values]:
        """The partitions that have a file, or an entry in the catalog."""
        return {*self._stored, *self._registered}

    def folder(self, values: Values) -> str:
        """The key of a partition's folder."""
        named = zip(self.table.partition_keys, values, strict=True)
        return self._folder + "".join(f"{key.name}={value}/" for key, value in named)

    def stored(self, values: Values) -> StoredPartition:
        """A partition as its manifest says."""
        return self._stored.get(values, StoredPartition())

    def is_visible(self, values: Values) -> bool:
        """Whether the catalog has a partition, or should have it."""
        return self.stored(values).has_rows or values in self._registered

    def digests(self) -> dict[str, str]:
        """The digests of the partitions that have rows, by their folders in the table's."""
        return {
            self.folder(values).removeprefix(self._folder): stored.manifest.digest
            for values, stored in sorted(self._stored.items())
            if stored.manifest is not None and stored.build
        }

    @property
    def rows(self) -> int:
        """The rows of all current builds."""
        return sum(stored.rows for stored in self._stored.values())

    def are_complete(self) -> bool:
        """Whether every file of the current builds exists."""
        return all(self._is_complete(values) for values in self._stored)

    def is_current(self, values: Values, made_from: Mapping[str, Any]) -> bool:
        """Whether a partition was built from this, in the same way, and its files exist."""
        manifest = self.stored(values).manifest
        expected = self._manifest({}, made_from)
        return (
            manifest is not None
            and (manifest.made_from, manifest.settings, manifest.schema)
            == (expected.made_from, expected.settings, expected.schema)
            and self._is_complete(values)
        )

    def publish(self, values: Values, parts: Sequence[Part], made_from: Mapping[str, Any]) -> None:
        """Store a partition's files as a new build, and let readers see it; without files, remove the partition.

        Raises:
            ConflictError: Another command published this partition from other rows meanwhile.
            StoreError: The store or the catalog failed; readers see the build before or this one, and the next run
                finishes.
        """
        build = token_hex(8) if parts else ""
        files = {}
        for part in parts:
            key = build_folder(self.folder(values), build) + part.path.name
            self._store.write_file(key, part.path)
            self._add_key(key)
            files[part.path.name] = FileEntry(part.rows, part.path.stat().st_size, digest_file(part.path))
        self._write_manifest(values, self._manifest(files, made_from), build)
        self._follow(values)

    def remove(self, values: Values) -> bool:
        """Remove a partition that no curated day belongs to any more; returns whether it was there."""
        was_there = self.is_visible(values)
        if was_there or self._unknown_builds(values):
            self._write_manifest(values, self._manifest({}, {}), "")
            self._follow(values)
        return was_there

    def drop_superseded(self) -> int:
        """Delete builds whose time of grace is over; returns how many files could not be deleted."""
        return sum(self._drop(values) for values, stored in sorted(self._stored.items()) if stored.superseded)

    def _drop(self, values: Values) -> int:
        stored = self._stored[values]
        left, gone = 0, set()
        for build, superseded_at in stored.superseded.items():
            if superseded_at + self._settings.grace > self._now:
                continue
            keys = self._keys_of(values, build)
            for key in sorted(keys) if self._may_delete else ():
                try:
                    self._store.delete(key)
                    keys.discard(key)
                except DeleteDeniedError:
                    # One refused call is enough: superseded files of years would be as many.
                    self._may_delete = False
                    break
            left += len(keys)
            if not keys:
                gone.add(build)
        if gone and stored.manifest is not None:
            remaining = {build: at for build, at in stored.superseded.items() if build not in gone}
            self._note(values, stored, stored.manifest, stored.build, remaining)
        return left

    def _recover(self, values: Values) -> None:
        """Let the catalog follow a manifest that a killed command has written, and note builds that nobody finished.

        The time of grace of superseded builds begins now, since readers may have been using one until now.
        """
        stored = self._stored[values]
        if stored.manifest is None:
            # Damaged or never written: it is built again. Until then readers keep what they see.
            return
        registered = self._registered.get(values)
        is_followed = (registered.location if registered else None) == self._location(values)
        unknown = self._unknown_builds(values)
        if unknown or not is_followed:
            superseded = dict(stored.superseded) if is_followed else dict.fromkeys(stored.superseded, self._now)
            noted = superseded | dict.fromkeys(unknown, self._now)
            if noted != stored.superseded:
                self._note(values, stored, stored.manifest, stored.build, noted)
        if not is_followed and self._is_complete(values):
            self._follow(values)

    def _write_manifest(self, values: Values, manifest: Manifest, build: str) -> None:
        """Make a build the current one, unless another command has done so with another."""
        for _ in range(_MOST_ATTEMPTS):
            before = self.stored(values)
            others = {before.build, *self._unknown_builds(values)} - {build, ""}
            superseded = {**before.superseded, **dict.fromkeys(others, self._now)}
            if self._note(values, before, manifest, build, superseded):
                return
            after = self._stored[values]
            if after.build == before.build:
                # Only its notes were changed.
                continue
            if after.manifest is not None and after.manifest.digest == manifest.digest:
                return
            break
        raise ConflictError(
            f"Another command wrote {self._store.uri(self.folder(values))} meanwhile, and this build of it is not "
            "visible: run it again."
        )

    def _note(
        self,
        values: Values,
        before: StoredPartition,
        manifest: Manifest,
        build: str,
        superseded: Mapping[str, datetime],
    ) -> bool:
        """Replace a manifest that is still the one before; whether it was. If not, the present one is known then."""
        folder = self.folder(values)
        content = encode_partition(manifest, build, superseded)
        try:
            version = self._store.write(folder + MANIFEST_FILE, content, expected=before.version)
        except ConflictError:
            self._stored[values] = read_partition(self._store, folder)
            return False
        self._stored[values] = StoredPartition(manifest, version, build, superseded)
        return True

    def _follow(self, values: Values) -> None:
        """Move the catalog's entry to the build that the manifest names, until the manifest is the same afterwards."""
        for _ in range(_MOST_ATTEMPTS):
            stored = self._stored[values]
            if (location := self._location(values)) is None:
                self._catalog.remove_partition(self._entry, values)
                self._registered.pop(values, None)
            else:
                parameters = {"build": stored.build, "rows": str(stored.rows)}
                self._catalog.swap(self._entry, values, location, parameters)
                self._registered[values] = Partition(location, parameters)
            if self._store.version(self.folder(values) + MANIFEST_FILE) == stored.version:
                return
            self._stored[values] = read_partition(self._store, self.folder(values))
        raise ConflictError(
            f"{self._store.uri(self.folder(values))} was written by other commands at each of {_MOST_ATTEMPTS} "
            "attempts to register it: run this again when fewer of them are running."
        )

    def _location(self, values: Values) -> str | None:
        """Where the catalog should point; None for a partition without rows."""
        stored = self._stored[values]
        return location_of(self._store, build_folder(self.folder(values), stored.build)) if stored.has_rows else None

    def _is_complete(self, values: Values) -> bool:
        stored = self._stored[values]
        folder, keys = build_folder(self.folder(values), stored.build), self._keys_of(values, stored.build)
        return stored.manifest is not None and all(folder + name in keys for name in stored.manifest.files)

    def _unknown_builds(self, values: Values) -> set[str]:
        """Builds that have files, which no manifest knows: of commands that were killed, or are running."""
        stored = self.stored(values)
        return {build for build, keys in self._builds.get(values, {}).items() if keys and build} - {
            stored.build,
            *stored.superseded,
        }

    def _keys_of(self, values: Values, build: str) -> set[str]:
        return self._builds.get(values, {}).get(build, set())

    def _add_key(self, key: str) -> None:
        """Sort a key of the table's folder into the builds of its partition, if it is of any."""
        *folders, name = key.removeprefix(self._folder).split("/")
        build = folders.pop().removeprefix(BUILD) if folders and folders[-1].startswith(BUILD) else ""
        names = [f"{key.name}=" for key in self.table.partition_keys]
        if (build or name == MANIFEST_FILE) and len(folders) == len(names) and all(map(str.startswith, folders, names)):
            values = tuple(map(str.removeprefix, folders, names))
            self._builds.setdefault(values, {}).setdefault(build, set()).add(key)

    def _manifest(self, files: Mapping[str, FileEntry], made_from: Mapping[str, Any]) -> Manifest:
        return Manifest(
            kind=self.table.name,
            files=files,
            schema=self.table.schema_note,
            settings={**self._settings.format, "rules": RULES_VERSION},
            made_from=made_from,
            code_version=self._settings.code_version,
            details=self._settings.notes,
        )
