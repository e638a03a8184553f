"""The batches in the target as their manifests describe them: state, rows, labels, sizes; and the removal of a batch.

Knows no domain: pipelines say where a batch's files are. Nothing is built here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gata_assets.errors import GataError, ManifestVersionError
from gata_assets.orchestration.batch_status import BatchStatus, Status
from gata_assets.orchestration.pipelines import Pipeline, StoredBatches
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest


@dataclass(frozen=True)
class StoredDataset:
    """A dataset of a batch; `manifest` is None if it is missing, withdrawn, damaged or (`fault`) unknown."""

    name: str
    folder: str
    manifest: Manifest | None
    fault: str = ""

    @property
    def rows(self) -> dict[str, int]:
        """The rows by the first part of the files' names: `train`, `test`, `user_features`; most first."""
        rows: Counter[str] = Counter()
        for name, file in self.manifest.files.items() if self.manifest else ():
            rows[name.partition("/")[0]] += file.rows
        return dict(rows.most_common())

    @property
    def size(self) -> int:
        """The bytes of its files, without the manifest."""
        return sum(file.bytes for file in self.manifest.files.values()) if self.manifest else 0

    @property
    def labels(self) -> dict[str, dict[str, int]]:
        """The rows by label and part, where its kind has labels."""
        found = self.manifest.details.get("labels") if self.manifest else None
        return {str(label): dict(rows) for label, rows in found.items()} if isinstance(found, Mapping) else {}

    @property
    def label_names(self) -> dict[str, str]:
        """The names of labels that have one, by label."""
        found = self.manifest.details.get("label_names") if self.manifest else None
        return {str(label): str(name) for label, name in found.items()} if isinstance(found, Mapping) else {}

    @property
    def reason(self) -> str:
        """Why there is no dataset, or why it has no rows; empty for one that has."""
        if self.manifest is None:
            return self.fault or "not in the target"
        return str(self.manifest.details.get("reason", ""))


@dataclass(frozen=True)
class StoredBatch:
    """A batch of a pipeline: its datasets, and its status; `fault` says why that is not known."""

    pipeline: str
    scope: str
    batch_id: str
    status: BatchStatus | None
    datasets: tuple[StoredDataset, ...]
    fault: str = ""

    @property
    def state(self) -> str:
        """`complete`, `stale`, `missing` (not all of it is in the target) or `unknown`."""
        return self.status.status.value if self.status else "unknown"

    @property
    def reasons(self) -> list[str]:
        """Why it is not up to date, or not known."""
        return [self.fault] if self.fault else sorted(self.status.reasons if self.status else ())

    @property
    def is_whole(self) -> bool:
        """Whether both its datasets are in the target, up to date or not."""
        return self.status is not None and self.status.status is not Status.MISSING


def read_batches(pipeline: Pipeline, store: ObjectStore, batch_ids: Sequence[str]) -> list[StoredBatch]:
    """Describe batches of a pipeline, in the given order; raises StoreError.

    A batch that cannot be described, such as one of a later release, has the reason and stops no other.
    """
    known, faults = _statuses(pipeline, batch_ids)

    def read(batch_id: str) -> StoredBatch:
        folders = pipeline.places(batch_id).folders
        datasets = tuple(_read_dataset(store, name, folder) for name, folder in folders.items())
        scope = pipeline.scope
        return StoredBatch(pipeline.name, scope, batch_id, known.get(batch_id), datasets, faults.get(batch_id, ""))

    return list(map_in_order(read, batch_ids, SMALL_CALLS_AT_ONCE))


def _statuses(pipeline: Pipeline, batch_ids: Sequence[str]) -> tuple[Mapping[str, BatchStatus], Mapping[str, str]]:
    if not batch_ids:
        return {}, {}
    try:
        return pipeline.plan(batch_ids, again=False).statuses, {}
    except ManifestVersionError:
        pass
    known: dict[str, BatchStatus] = {}
    faults: dict[str, str] = {}
    for batch_id in batch_ids:
        try:
            known.update(pipeline.plan([batch_id], again=False).statuses)
        except ManifestVersionError as error:
            faults[batch_id] = str(error)
    return known, faults


def _read_dataset(store: ObjectStore, name: str, folder: str) -> StoredDataset:
    try:
        return StoredDataset(name, folder, find_manifest(store, folder).manifest)
    except ManifestVersionError as error:
        return StoredDataset(name, folder, None, str(error))


def find_files(pipeline: StoredBatches, store: ObjectStore, batch_id: str) -> list[str]:
    """The keys of all that the target has of a batch, manifests first; raises StoreError."""
    places = pipeline.places(batch_id)
    below = [key for folder in places.folders.values() for key in store.list_keys(folder)]
    # What is next to a dataset is read through its manifest: without it, nothing of the dataset is visible.
    below.sort(key=lambda key: not key.endswith(f"/{MANIFEST_FILE}"))
    return below + [key for key in places.other_keys if store.exists(key)]


def remove_files(store: ObjectStore, keys: Sequence[str]) -> Iterator[tuple[str, GataError | None]]:
    """Delete files one after the other, and yield each with its error; stops at no error but that of a manifest.

    Files whose manifest is still there stay, so that no reader finds a dataset with a file missing.
    """
    for key in keys:
        try:
            store.delete(key)
        except GataError as error:
            yield key, error
            if key.endswith(f"/{MANIFEST_FILE}"):
                return
        else:
            yield key, None
