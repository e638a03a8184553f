"""Whether a tenant's stored datasets of a batch equal those that would be built now: one decision for all callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gata_assets.interactions.datasets import (
    CURATED_INTERACTIONS,
    CURATED_ITEMS,
    LAST_TABLE,
    DatasetKind,
    Settings,
    StoredTables,
)
from gata_assets.orchestration.batch_status import MISSING, BatchStatus, Reason


@dataclass(frozen=True)
class Present:
    """What a batch would be built from now: `made_from` of each dataset as in its manifest, except for features.

    `is_to_be_curated`: curating files that have been validated will change the rows of its window.
    """

    made_from: Mapping[DatasetKind, Mapping[str, Any]]
    settings: Settings
    is_to_be_curated: bool = False

    @classmethod
    def of(
        cls,
        days: Mapping[str, Any],
        seen_days: Mapping[str, Any],
        catalog: str | None,
        settings: Settings,
        *,
        is_to_be_curated: bool = False,
    ) -> Present:
        """From the digests of the window's days, of the seen window's days and of the catalog."""
        digests = {DatasetKind.FEATURES: days, DatasetKind.TRAINING_DATA: seen_days}
        made_from = {name: {CURATED_INTERACTIONS: digest, CURATED_ITEMS: catalog} for name, digest in digests.items()}
        return cls(made_from, settings, is_to_be_curated)


def find_differences(stored: StoredTables, name: DatasetKind, present: Present) -> frozenset[Reason]:
    """How a stored dataset differs; windows of different lengths differ in settings, and rows cannot be compared."""
    found = set()
    then, now = (made_from.get(CURATED_INTERACTIONS, {}) for made_from in (stored.made_from, present.made_from[name]))
    if then.get("days") != now.get("days") or not stored.was_built_with(present.settings, name):
        found.add(Reason.SETTINGS)
    if then.get("days") == now.get("days") and then != now:
        found.add(Reason.ROWS)
    if stored.made_from.get(CURATED_ITEMS) != present.made_from[name].get(CURATED_ITEMS):
        found.add(Reason.CATALOG)
    return frozenset(found)


def batch_status(features: StoredTables | None, training: StoredTables | None, present: Present) -> BatchStatus:
    """How a batch's two stored datasets compare with what would be built now; None is an incomplete dataset.

    Training data built from other features than the stored ones are not a complete batch.
    """
    if features is None or training is None or training.made_from.get(DatasetKind.FEATURES.value) != features.sha256:
        return MISSING
    differences = find_differences(features, DatasetKind.FEATURES, present)
    differences |= find_differences(training, DatasetKind.TRAINING_DATA, present)
    if present.is_to_be_curated:
        differences |= {Reason.ROWS}
    return BatchStatus.of(differences, version=training.version(LAST_TABLE))
