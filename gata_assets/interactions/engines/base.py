"""What makes features and training rows from curated interactions: on one machine, or on a cluster.

An engine reads the curated days of a window from the store, works out tables and what their checks say, and writes the
tables when it is told to. Every engine gives the same rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from gata_assets.batches import Window
from gata_assets.curation.layout import TenantLayout
from gata_assets.interactions.rules import SamplingRules
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.written import WrittenFile
from gata_assets.tables.outcomes import Outcome

USER_FEATURES = "user_features"
ITEM_FEATURES = "item_features"
RECENT_INTERACTIONS = "recent_interactions"
NEGATIVE_SAMPLES = "negative_samples"
WITH_FEATURES = "with_features"


@dataclass(frozen=True)
class CuratedWindow:
    """What a batch is made from: a tenant's curated days and catalogue, and the spans of time that count.

    `window` is `[B - INTERACTION_PERIOD days, B)`; `seen_window` reaches back at least as far and ends with it.
    Every day that it touches has been curated (an empty one too).
    """

    places: TenantLayout
    window: Window
    seen_window: Window


class BuiltTables(ABC):
    """Tables of a batch that were made and checked, and are not yet written.

    `numbers` are counts by table (`row_count` always), for metadata and manifests; `outcomes` are those of the checks,
    by table and check.
    """

    numbers: Mapping[str, Mapping[str, int | float]]
    outcomes: Mapping[str, Mapping[str, Sequence[Outcome]]]

    @abstractmethod
    def write(self, prefix: str) -> Mapping[str, tuple[WrittenFile, ...]]:
        """Write the tables below a prefix, `{prefix}{table}/part-00000.parquet` and so on; gives the files by table."""


class InteractionEngine(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Makes the tables of a batch. Raises DataRuleError for curated tables that break their rules, or StoreError."""

    @abstractmethod
    def make_features(self, curated: CuratedWindow, store: ObjectStore) -> BuiltTables:
        """USER_FEATURES, ITEM_FEATURES and RECENT_INTERACTIONS; tables without rows where the window has no events."""

    @abstractmethod
    def make_training_data(
        self, curated: CuratedWindow, rules: SamplingRules, store: ObjectStore, *, features: str
    ) -> BuiltTables:
        """NEGATIVE_SAMPLES, and WITH_FEATURES: the same rows joined to the features below the prefix `features`.

        Raises DataRuleError where there are positives and the catalogue has no item.
        """
