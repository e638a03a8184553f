"""What tests ask of datasets in a store: where a file is, and whether all is as the manifest says. All real."""

from __future__ import annotations

from gata_assets.storage.datasets import read_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import MANIFEST_FILE


def stored_key(store: ObjectStore, folder: str, name: str) -> str:
    """The key of a file of a dataset by its name without a token."""
    manifest = read_manifest(store, folder).manifest
    assert manifest
    found = manifest.find(name)
    assert found
    return folder + found[0]


def is_readable(store: ObjectStore, folder: str) -> bool:
    """Whether there is a manifest, and the files that it lists are there, with the bytes that it says."""
    manifest = read_manifest(store, folder).manifest
    return manifest is not None and all(
        store.exists(folder + name) and entry.matches(store.read(folder + name))
        for name, entry in manifest.files.items()
    )


def is_complete(store: ObjectStore, folder: str) -> bool:
    """Whether a dataset is readable, and nothing else is in its folder."""
    manifest = read_manifest(store, folder).manifest
    listed = {folder + name for name in manifest.files} if manifest else set()
    return is_readable(store, folder) and set(store.list_keys(folder)) == listed | {folder + MANIFEST_FILE}
