"""Which datasets are finished and not yet told to another system: a manifest is written last, and a mark is per reader.

A mark in the target names the manifest's key and version, below a folder of the reader's own: the relay to Kafka and
MLflow have one each. A crash between work and mark repeats the work; a manifest that is replaced is found again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from gata_assets.errors import ObjectNotFoundError
from gata_assets.storage.datasets import read_manifest
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest

# What a manifest says of a dataset that could not be built, for lack of rows.
_IS_MADE = "is_made"
# A listing has up to 1,000 keys; of so many batches each is listed, of more all.
_MOST_LISTED_ALONE = 20


class DatasetUse(StrEnum):
    """What a dataset is for."""

    FEATURES = "features"
    TRAINING = "training"


@dataclass(frozen=True)
class DatasetFolder:
    """A folder that has a folder with a manifest for each batch; whose it is, None for tickets."""

    folder: str
    use: DatasetUse
    tenant: str | None


class FinishedDataset(NamedTuple):
    """A manifest as it was listed, and the key of its mark."""

    of: DatasetFolder
    key: str
    version: Version
    mark: str


class FinishedDatasets:
    """The finished datasets that one reader has not marked; keeps in memory which are done with."""

    def __init__(self, store: ObjectStore, marks: str) -> None:
        """Set up without reading anything; `marks` is the reader's folder of marks, with a slash at its end."""
        self._store, self._marks = store, marks
        self._done: set[str] | None = None

    def find_waiting(self, folders: Iterable[DatasetFolder]) -> Iterator[FinishedDataset]:
        """The manifests without a mark; raises StoreError. Marks are listed once, manifests each time."""
        if self._done is None:
            self._done = set(self._store.list_keys(self._marks))
        done = self._done
        return (found for of in folders for found in self._list(of, of.folder) if found.mark not in done)

    def find_waiting_of(
        self, folders: Iterable[DatasetFolder], batch_ids: Collection[str]
    ) -> Iterator[FinishedDataset]:
        """The manifests of some batches without a mark; of a few, all others are not listed. Raises StoreError."""
        if len(batch_ids) > _MOST_LISTED_ALONE:
            wanted = set(batch_ids)
            for found in self.find_waiting(folders):
                if found.key.removeprefix(found.of.folder).partition("/")[0] in wanted:
                    yield found
            return
        for of in folders:
            for batch_id in batch_ids:
                for found in self._list(of, f"{of.folder}{batch_id}/"):
                    if not self._store.exists(found.mark):
                        yield found

    def finish(self, found: FinishedDataset, work: Callable[[Manifest], object]) -> bool:
        """Do the work with the manifest, then mark it; returns whether it is done with.

        It is not if it was replaced since it was listed: the next search finds it. There is no work for a manifest that
        is withdrawn while it is rewritten, which another version ends, nor for a dataset without rows. Raises what
        `work` raises, ManifestVersionError or StoreError; then there is no mark.
        """
        try:
            stored = read_manifest(self._store, found.key.removesuffix(MANIFEST_FILE))
        except ObjectNotFoundError:
            return True
        if stored.version != found.version:
            return False
        manifest = stored.manifest
        if manifest is not None and manifest.details.get(_IS_MADE, True):
            work(manifest)
        self._store.write(found.mark, manifest.digest.encode() if manifest else b"")
        if self._done is not None:
            self._done.add(found.mark)
        return True

    def _list(self, of: DatasetFolder, below: str) -> Iterator[FinishedDataset]:
        for key, version in self._store.list_versions(below):
            if key.endswith(f"/{MANIFEST_FILE}"):
                mark = self._marks + sha256(f"{key} {version}".encode()).hexdigest()
                yield FinishedDataset(of, key, version, mark)
