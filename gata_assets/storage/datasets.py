"""The single writer of datasets: files under names that no other writer uses, then the manifest that lists them.

Two commands may write the same dataset at once. Each notes the version of the manifest at its start and replaces only
that version: exactly one of them becomes visible, and complete. Readers use the manifest. Datasets with fixed keys are
claimed first: `claims`. docs/adr/0007-writers.md explains why nothing that counts is ever deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import NamedTuple

from gata_assets import errors
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.tables.manifests import MANIFEST_FILE, FileEntry, Manifest, decode_manifest, withdrawn


class StoredManifest(NamedTuple):
    """The content of a manifest's key; `manifest` is None if it is absent, withdrawn, claimed or damaged."""

    manifest: Manifest | None
    content: bytes
    version: Version


NO_MANIFEST = StoredManifest(None, b"", ABSENT)


def read_manifest(store: ObjectStore, folder: str) -> StoredManifest:
    """The manifest of a folder; raises ObjectNotFoundError, ManifestVersionError or StoreError."""
    key = folder + MANIFEST_FILE
    content, version = store.read_versioned(key)
    try:
        return StoredManifest(decode_manifest(content), content, version)
    except errors.ManifestVersionError as error:
        raise errors.ManifestVersionError(f"{store.uri(key)}: {error}.") from None


def find_manifest(store: ObjectStore, folder: str) -> StoredManifest:
    """As `read_manifest`, but a folder may have no manifest."""
    try:
        return read_manifest(store, folder)
    except errors.ObjectNotFoundError:
        return NO_MANIFEST


@dataclass(frozen=True)
class Published:
    """A dataset that was written: its manifest, and how many files of earlier writes could not be deleted."""

    manifest: Manifest
    files_left: int = 0


class DatasetWrite:
    """One write of a dataset, as a context manager; without `publish`, its files are removed at the end."""

    def __init__(self, store: ObjectStore, folder: str, *, before: Mapping[str, Version] | None = None) -> None:
        """Note the contents of the folder.

        Args:
            store: The target.
            folder: The key of the manifest without its name.
            before: The keys below the folder with their versions, if they were listed earlier, before the first input
                of the dataset was read.
        """
        self.token = token_hex(8)
        self._store, self._folder = store, folder
        self._before = dict(store.list_versions(folder)) if before is None else before
        self._may_be_visible = False
        if folder + MANIFEST_FILE in self._before:
            find_manifest(store, folder)

    def __enter__(self) -> DatasetWrite:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._may_be_visible:
            self._remove_own_files()

    def name(self, name: str) -> str:
        """The name of a file in this write: `items.parquet` becomes `items-{token}.parquet`."""
        stem, dot, ending = name.rpartition(".")
        return f"{stem}-{self.token}{dot}{ending}"

    def write(self, name: str, content: bytes, rows: int) -> tuple[str, FileEntry]:
        """Store a file; returns its own name and its entry in the manifest."""
        own = self.name(name)
        self._store.write(self._folder + own, content)
        return own, FileEntry.of(content, rows)

    def publish(self, manifest: Manifest) -> Published:
        """Make the dataset visible: replace the manifest that was there when this write began, and delete its files.

        If another write became visible meanwhile, this one does not; that is a success if both have the same content.

        Raises:
            ConflictError: Another command wrote other content meanwhile; nothing of this one is visible.
            StoreError: The target failed.
        """
        key = self._folder + MANIFEST_FILE
        content = manifest.encode(write=self.token)
        # From here on it may be visible even if the response is lost.
        self._may_be_visible = True
        try:
            self._store.write(key, content, expected=self._before.get(key, ABSENT))
        except errors.ConflictError:
            self._may_be_visible = False
            other = find_manifest(self._store, self._folder).manifest
            if other and other.digest == manifest.digest:
                return Published(other)
            raise errors.ConflictError(
                f"Another command wrote {self._store.uri(self._folder)} meanwhile, and nothing of this one is visible: "
                "run it again if its settings or files differ."
            ) from None
        own = {self._folder + name for name in manifest.files}
        return Published(manifest, self._delete([found for found in self._before if found not in {key, *own}]))

    def _delete(self, keys: Sequence[str]) -> int:
        """Delete files that no manifest lists any longer; returns how many are left, which no reader uses."""
        left = 0
        for key in keys:
            try:
                self._store.delete(key)
            except errors.StoreError:
                left += 1
        return left

    def _remove_own_files(self) -> None:
        with suppress(errors.StoreError):
            self._delete([key for key in self._store.list_keys(self._folder) if f"-{self.token}." in key])


def withdraw(store: ObjectStore, folder: str, file: str) -> bool:
    """Mark a dataset as missing if its file differs from its manifest; returns whether it was marked.

    If the manifest no longer lists the file, another command has written the dataset meanwhile, which is kept.
    """
    found = find_manifest(store, folder)
    if found.manifest is None or file not in found.manifest.files:
        return False
    try:
        store.write(folder + MANIFEST_FILE, withdrawn(found.manifest.kind), expected=found.version)
    except errors.ConflictError:
        return False
    return True


def read_files(store: ObjectStore, folder: str, names: Sequence[str], manifest: Manifest) -> list[tuple[str, bytes]]:
    """The keys and bytes of files of a dataset, by their names without tokens, each verified by its manifest.

    If a file is missing because another write was published meanwhile, all are read from that write.

    Raises:
        ObjectNotFoundError: A file is missing that the manifest lists.
        DamagedTableError: A file is not listed, or differs from the manifest; `key` is its key.
        StoreError: The target failed.
    """
    try:
        return _read_files(store, folder, names, manifest)
    except errors.ObjectNotFoundError:
        present = find_manifest(store, folder).manifest
        if present is None or present.files == manifest.files:
            raise
        return _read_files(store, folder, names, present)


def _read_files(store: ObjectStore, folder: str, names: Sequence[str], manifest: Manifest) -> list[tuple[str, bytes]]:
    files = []
    for name in names:
        own, entry = manifest.find(name) or (name, None)
        content = store.read(folder + own)
        if entry is None or not entry.matches(content):
            raise errors.DamagedTableError(f"{store.uri(folder + own)} is not what its manifest says", key=folder + own)
        files.append((folder + own, content))
    return files
