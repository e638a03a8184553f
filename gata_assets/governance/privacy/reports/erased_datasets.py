"""The datasets whose manifests name a request: people were erased from them after they were built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gata_assets.batches import is_batch_id
from gata_assets.curation.curated.erasures import ERASED_BY
from gata_assets.errors import ManifestVersionError, ObjectNotFoundError
from gata_assets.storage.datasets import read_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.manifests import MANIFEST_FILE


def find_erased_datasets(store: ObjectStore, keys: Iterable[str], request: str) -> Iterator[str]:
    """The folders of the datasets that a request is named by, among the keys of a target; raises StoreError."""

    def look(folder: str) -> str | None:
        try:
            manifest = read_manifest(store, folder).manifest
        except (ObjectNotFoundError, ManifestVersionError):
            # Deleted since it was listed; or of a later release, which `gata verify` shows.
            return None
        return folder if manifest and request in manifest.details.get(ERASED_BY, ()) else None

    folders = (key.removesuffix(MANIFEST_FILE) for key in keys if key.endswith(f"/{MANIFEST_FILE}"))
    yield from filter(None, map_in_order(look, folders, SMALL_CALLS_AT_ONCE))


def batches_of(folders: Iterable[str]) -> tuple[str, ...]:
    """The batches that folders of datasets are of, ascending."""
    return tuple(sorted({part for folder in folders for part in folder.split("/") if is_batch_id(part)}))
