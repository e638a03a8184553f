"""The two datasets of a batch of a tenant's interactions: features and training data.

A dataset's manifest records the curated days, the catalog and the settings that it was built from. Values only:
`assets.write_tables` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from gata_assets.batches import Window
from gata_assets.curation.layout import MANIFEST_FILE, TenantLayout
from gata_assets.tables.manifests import FileEntry, Manifest, decode_manifest, describe_span

# The assets of a tenant that batches are built from.
CURATED_INTERACTIONS = "curated_interactions"
CURATED_ITEMS = "curated_items"
# The table of a batch that is written last: the training data, joined to their features.
LAST_TABLE = "with_features"


def curation_op(tenant: str) -> str:
    """The op that curates a tenant's days."""
    return f"{tenant}_curation"


Settings = Mapping[str, str | int | float | list[str]]

# The settings that shape features; all of them shape training data.
_SHAPING_FEATURES = ("INTERACTION_PERIOD",)


class DatasetKind(StrEnum):
    """The two datasets, by the name of their folder."""

    FEATURES = "features"
    TRAINING_DATA = "training_data"

    def batches_folder(self, places: TenantLayout) -> str:
        """The folder of the batches."""
        return f"{places.tenant}/{self.value}/"

    def prefix(self, places: TenantLayout, batch_id: str) -> str:
        """The folder of a batch's dataset."""
        is_features = self is DatasetKind.FEATURES
        return places.features(batch_id) if is_features else places.training_data(batch_id)

    def manifest_key(self, places: TenantLayout, batch_id: str) -> str:
        """The key of the manifest of a batch's dataset."""
        return self.prefix(places, batch_id) + MANIFEST_FILE


@dataclass(frozen=True)
class BatchDataset:
    """A dataset of a batch, or (`has_rows` is false) the reason why there is none.

    `numbers` are counts by table, `made_from` are digests of what it was built from.
    """

    name: DatasetKind
    tenant: str
    batch_id: str
    has_rows: bool
    reason: str
    windows: Mapping[str, Window]
    numbers: Mapping[str, Mapping[str, int | float]]
    settings: Settings
    made_from: Mapping[str, Any]
    code_version: str

    def manifest(self, files: Mapping[str, FileEntry], schema: Mapping[str, Any]) -> Manifest:
        """The manifest for these written files; `schema` has the columns and their types by table."""
        details = {
            "tenant": self.tenant,
            "batch_id": self.batch_id,
            "is_made": self.has_rows,
            "reason": self.reason,
            "windows": {name: describe_span(window) for name, window in self.windows.items()},
            "numbers": {table: dict(numbers) for table, numbers in self.numbers.items()},
        }
        return Manifest(self.name.value, files, schema, self.settings, self.made_from, self.code_version, details)


@dataclass(frozen=True)
class StoredTables:
    """The content of a complete dataset's manifest.

    `sha256` identifies the dataset; `files` are the names of its files, and `file_digests` their SHA-256.
    """

    has_rows: bool
    reason: str
    settings: Mapping[str, Any]
    made_from: Mapping[str, Any]
    sha256: str
    files: tuple[str, ...] = ()
    file_digests: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> StoredTables:
        """From a manifest; raises KeyError for one that belongs to no batch."""
        details = manifest.details
        names = tuple(sorted(manifest.files))
        return cls(
            bool(details["is_made"]),
            str(details["reason"]),
            manifest.settings,
            manifest.made_from,
            manifest.digest,
            names,
            tuple(manifest.files[name].sha256 for name in names),
        )

    def keys(self, prefix: str, table: str) -> list[str]:
        """The keys of a table's parts, in order; `prefix` is the dataset's folder."""
        return [prefix + name for name in self.files if name.startswith(f"{table}/")]

    def version(self, table: str) -> str:
        """The version of a table: a digest of its files."""
        digests = dict(zip(self.files, self.file_digests, strict=True))
        return sha256("\n".join(digests[key] for key in self.keys("", table)).encode()).hexdigest()

    def was_built_with(self, settings: Settings, name: DatasetKind) -> bool:
        """Whether it was built with the settings that shape the dataset of that name."""
        shaping = _SHAPING_FEATURES if name is DatasetKind.FEATURES else settings
        return all(self.settings.get(key) == settings[key] for key in shaping)


def read_stored(content: bytes) -> StoredTables | None:
    """The content of a manifest; None if it is withdrawn or belongs to no batch. Raises ManifestVersionError."""
    manifest = decode_manifest(content)
    try:
        return StoredTables.of(manifest) if manifest else None
    except KeyError:
        return None


def digest_days(digests: Sequence[str]) -> dict[str, str | int]:
    """The digests of curated days, in order, as one digest with the number of days."""
    return {"days": len(digests), "sha256": sha256("\n".join(digests).encode()).hexdigest()}
