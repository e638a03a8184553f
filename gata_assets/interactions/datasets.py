"""The tables that a batch has of a tenant's interactions, as two sets: features and training data.

A set is its files and the manifest that makes them one, as in `core.training_files`; what was made from other curated
days, another catalogue or with other settings is told by its manifest. Bytes only: written in `assets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any

from gata_assets.batches import Window
from gata_assets.curation.layout import MANIFEST_FILE, TenantLayout
from gata_assets.tables.manifests import MANIFEST_VERSION, describe_span, encode_manifest, read_manifest, withdraw

# The assets of a tenant that batches are made from.
CURATED_INTERACTIONS = "curated_interactions"
CURATED_ITEMS = "curated_items"


def curation_op(tenant: str) -> str:
    """The op that curates a tenant's days."""
    return f"{tenant}_curation"


Settings = Mapping[str, str | int | float | list[str]]

# The settings that shape features; all of them shape training data.
_SHAPING_FEATURES = ("INTERACTION_PERIOD",)


class DatasetKind(StrEnum):
    """The two sets of tables, by the folder in which they stand."""

    FEATURES = "features"
    TRAINING_DATA = "training_data"

    def prefix(self, places: TenantLayout, batch_id: str) -> str:
        """The folder of a batch's set."""
        is_features = self is DatasetKind.FEATURES
        return places.features(batch_id) if is_features else places.training_data(batch_id)

    def manifest_key(self, places: TenantLayout, batch_id: str) -> str:
        """Where the manifest of a batch's set stands."""
        return self.prefix(places, batch_id) + MANIFEST_FILE


@dataclass(frozen=True)
class BatchDataset:
    """A batch's set of tables, or (`is_made` is false) the reason why there is none.

    `numbers` are counts by table, `files` what was written (`key`, `rows`, `bytes`, `sha256`) by table, `made_from`
    digests of what it was made from.
    """

    name: DatasetKind
    tenant: str
    batch_id: str
    is_made: bool
    reason: str
    windows: Mapping[str, Window]
    numbers: Mapping[str, Mapping[str, int | float]]
    settings: Settings
    made_from: Mapping[str, Any]
    code_version: str
    files: Mapping[str, Sequence[Mapping[str, str | int]]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The manifest: the same tables, settings and code give the same bytes."""
        return encode_manifest(
            {
                "manifest_version": MANIFEST_VERSION,
                **_which(self.name, self.tenant, self.batch_id),
                "is_made": self.is_made,
                "reason": self.reason,
                "windows": {name: describe_span(window) for name, window in self.windows.items()},
                "files": {table: list(files) for table, files in self.files.items()},
                "numbers": {table: dict(numbers) for table, numbers in self.numbers.items()},
                "settings": dict(self.settings),
                "made_from": dict(self.made_from),
                "code_version": self.code_version,
            }
        )


def withdrawn_manifest(name: DatasetKind, tenant: str, batch_id: str) -> bytes:
    """What stands in for the manifest of a set while its files are written anew."""
    return withdraw(_which(name, tenant, batch_id))


def _which(name: DatasetKind, tenant: str, batch_id: str) -> dict[str, str]:
    return {"tables": name.value, "tenant": tenant, "batch_id": batch_id}


@dataclass(frozen=True)
class StoredTables:
    """What a whole set says of itself; `sha256` is that of its manifest, which tells it from any other."""

    is_made: bool
    reason: str
    settings: Mapping[str, Any]
    made_from: Mapping[str, Any]
    sha256: str

    def is_made_with(self, settings: Settings, name: DatasetKind) -> bool:
        """Whether a set of that name was made with the settings that shape it."""
        shaping = _SHAPING_FEATURES if name is DatasetKind.FEATURES else settings
        return all(self.settings.get(one) == settings[one] for one in shaping)


def read_stored(content: bytes) -> StoredTables | None:
    """What the manifest of a set says; None for one that is withdrawn or is not of this project."""
    manifest = read_manifest(content)
    if manifest is None:
        return None
    try:
        return StoredTables(
            is_made=bool(manifest["is_made"]),
            reason=str(manifest["reason"]),
            settings=dict(manifest["settings"]),
            made_from=dict(manifest["made_from"]),
            sha256=sha256(content).hexdigest(),
        )
    except (ValueError, KeyError, TypeError):
        return None


def digest_days(digests: Sequence[str]) -> dict[str, str | int]:
    """So many curated days as one digest, in their order."""
    return {"days": len(digests), "sha256": sha256("\n".join(digests).encode()).hexdigest()}
