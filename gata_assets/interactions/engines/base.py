"""The interface of engines, which build features and training rows from curated interactions.

An engine reads a window's curated days from the store, builds and checks tables, and writes them on request. Every
engine produces the same rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.batches import Window
from gata_assets.curation.layout import TenantLayout
from gata_assets.interactions.datasets import LAST_TABLE
from gata_assets.interactions.rules import SamplingRules
from gata_assets.storage.files import WrittenFile
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.outcomes import Outcome
from gata_assets.tables.people.erased_people import ErasedPeople

if TYPE_CHECKING:
    from gata_assets.interactions.features.unknown_items import UnknownItems

USER_FEATURES = "user_features"
ITEM_FEATURES = "item_features"
RECENT_INTERACTIONS = "recent_interactions"
NEGATIVE_SAMPLES = "negative_samples"
WITH_FEATURES = LAST_TABLE

# Counts by table, and check results by table and check.
Numbers = Mapping[str, Mapping[str, int | float]]
Outcomes = Mapping[str, Mapping[str, Sequence[Outcome]]]
# The keys of the parts of features, by table.
FeatureParts = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class CuratedWindow:
    """A batch's input: a tenant's curated days and catalog, and the batch's windows.

    `window` is `[B - INTERACTION_PERIOD days, B)`; `seen_window` starts at the same time or earlier and ends with it.
    Every day that it overlaps is curated, even if it is empty. Rows of people `erased` do not count.
    """

    places: TenantLayout
    window: Window
    seen_window: Window
    erased: ErasedPeople | None = None


class BuiltTables(ABC):
    """A batch's tables, built and checked but not yet written.

    `numbers` are counts by table (always with `row_count`) for metadata and manifests; `outcomes` are the check results
    by table and check. `unknown_items` are those of the window, with features.
    """

    numbers: Numbers
    outcomes: Outcomes
    unknown_items: UnknownItems | None = None

    @abstractmethod
    def write(self, prefix: str, token: str) -> Mapping[str, tuple[WrittenFile, ...]]:
        """Write the tables below a prefix, under the keys of `parquet_parts.part_key`; returns the files by table."""


class InteractionEngine(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Builds a batch's tables; raises DataRuleError if curated tables break their rules, or StoreError."""

    @abstractmethod
    def make_features(self, curated: CuratedWindow, store: ObjectStore) -> BuiltTables:
        """Build USER_FEATURES, ITEM_FEATURES and RECENT_INTERACTIONS; empty tables if the window has no events."""

    @abstractmethod
    def make_training_data(
        self, curated: CuratedWindow, rules: SamplingRules, store: ObjectStore, *, features: FeatureParts
    ) -> BuiltTables:
        """Build NEGATIVE_SAMPLES, and WITH_FEATURES: the same rows joined to the features in these parts.

        Raises:
            DataRuleError: If there are positives, but no item can be drawn.
        """
