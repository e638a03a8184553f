"""Whether the tables that a tenant has of a batch are those that it would have now: one decision for all who ask.

Other rows of its days make a batch out of date: a late file is to come into all that it touches. Another catalogue or
other settings are said, and no more: both may change every day, and all batches would be made again each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gata_assets.interactions.datasets import CURATED_INTERACTIONS, CURATED_ITEMS, DatasetKind, Settings, StoredTables


class Difference(StrEnum):
    """In what a stored set differs from the one that would be made now."""

    DAYS = "rows of its days"
    CATALOGUE = "catalogue"
    SETTINGS = "settings"


class Lack(StrEnum):
    """Why a batch is to be made."""

    NOT_WHOLE = "not whole in the target"
    OTHER_ROWS = "whole, but days of their windows have other rows than they were made from"


@dataclass(frozen=True)
class Standing:
    """Of one batch: why it is to be made (None where it is not), and what differs of it and is left as it is."""

    lack: Lack | None
    differences: frozenset[Difference] = frozenset()


@dataclass(frozen=True)
class Present:
    """What a batch would be made from now: `made_from` of each set as its manifest would say, but for the features.

    `is_to_be_curated`: rows of its window wait in files that have been sorted.
    """

    made_from: Mapping[DatasetKind, Mapping[str, Any]]
    settings: Settings
    is_to_be_curated: bool = False


def find_differences(stored: StoredTables, name: DatasetKind, present: Present) -> frozenset[Difference]:
    """In what a stored set differs. Days of windows of another length cannot be held against each other: settings."""
    found = set()
    then, now = (made_from.get(CURATED_INTERACTIONS, {}) for made_from in (stored.made_from, present.made_from[name]))
    if then.get("days") != now.get("days") or not stored.is_made_with(present.settings, name):
        found.add(Difference.SETTINGS)
    if then.get("days") == now.get("days") and then != now:
        found.add(Difference.DAYS)
    if stored.made_from.get(CURATED_ITEMS) != present.made_from[name].get(CURATED_ITEMS):
        found.add(Difference.CATALOGUE)
    return frozenset(found)


def judge(features: StoredTables | None, training: StoredTables | None, present: Present) -> Standing:
    """How a batch stands: whole are both sets, the training data made from these features."""
    if features is None or training is None or training.made_from.get(DatasetKind.FEATURES.value) != features.sha256:
        return Standing(Lack.NOT_WHOLE)
    differences = find_differences(features, DatasetKind.FEATURES, present)
    differences |= find_differences(training, DatasetKind.TRAINING_DATA, present)
    is_old = present.is_to_be_curated or Difference.DAYS in differences
    return Standing(Lack.OTHER_ROWS if is_old else None, differences - {Difference.DAYS})
