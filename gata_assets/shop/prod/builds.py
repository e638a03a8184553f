"""What a partition's folder has: its manifest, which names the current build, and builds that were superseded.

{folder}manifest.json                        which build is current, what it was built from, its files
{folder}build={token}/part-00000.parquet     a build: its folder is where a catalog's entry points
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from gata_assets.shop.prod_checks import Outcomes
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.tables.manifests import Manifest, notes_of

BUILD = "build="
# The writers' notes in a partition's manifest: the current build, empty without rows, and since when others are not.
_CURRENT, _SUPERSEDED = "write", "superseded"


@dataclass(frozen=True)
class StoredPartition:
    """A partition as its manifest says; `manifest` is None if there is none, or a damaged one.

    `build` is the token of the current build, empty if the partition has no rows; `superseded` are the others that
    may still have files, and since when no catalog should point to them.
    """

    manifest: Manifest | None = None
    version: Version = ABSENT
    build: str = ""
    superseded: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def has_rows(self) -> bool:
        """Whether the catalog should have it."""
        return self.manifest is not None and bool(self.build)

    @property
    def rows(self) -> int:
        """The rows of its current build."""
        return sum(entry.rows for entry in self.manifest.files.values()) if self.manifest and self.build else 0


class Change(StrEnum):
    """What a build did to a partition."""

    BUILT = "built"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


@dataclass(frozen=True)
class PublishedPartition:
    """A partition that a build has brought up to date: what it did, and what readers see now.

    `values` are the year and month, none for a table without a date; `digest` identifies its content, and is empty if
    it never had any; `folder` is its key; `outcomes` are those of its checks, if it was built.
    """

    table: str
    values: tuple[str, ...]
    change: Change
    rows: int
    digest: str
    folder: str
    outcomes: Outcomes = field(default_factory=dict)


def read_partition(store: ObjectStore, folder: str) -> StoredPartition:
    """The partition of a folder; raises ManifestVersionError or StoreError."""
    found = find_manifest(store, folder)
    if found.manifest is None:
        return StoredPartition(version=found.version)
    notes = notes_of(found.content)
    superseded = {build: datetime.fromisoformat(at) for build, at in notes.get(_SUPERSEDED, {}).items()}
    return StoredPartition(found.manifest, found.version, str(notes.get(_CURRENT, "")), superseded)


def encode_partition(manifest: Manifest, build: str, superseded: Mapping[str, datetime]) -> bytes:
    """The manifest's content with the notes that `read_partition` reads."""
    noted = {token: superseded[token].isoformat() for token in sorted(superseded)}
    return manifest.encode(**{_CURRENT: build, _SUPERSEDED: noted})


def build_folder(folder: str, build: str) -> str:
    """The folder of a build."""
    return f"{folder}{BUILD}{build}/"


def location_of(store: ObjectStore, folder: str) -> str:
    """A folder's URI for readers, with a slash at its end; in a directory an absolute path."""
    uri = store.uri(folder.rstrip("/"))
    return f"{uri if '://' in uri else Path(uri).absolute()}/"
