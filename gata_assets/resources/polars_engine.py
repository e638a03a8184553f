"""The engine of one machine: curated days become coded arrays, and compiled loops make the tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from gata_assets.core.feature_quality import check_features
from gata_assets.core.features import FeatureTables, make_features
from gata_assets.core.interaction_rules import SamplingRules
from gata_assets.core.quality import Outcome
from gata_assets.resources.curated_days import read_catalogue, read_events
from gata_assets.resources.interaction_engine import (
    ITEM_FEATURES,
    RECENT_INTERACTIONS,
    USER_FEATURES,
    CuratedWindow,
    InteractionEngine,
    MadeTables,
    WrittenFile,
)
from gata_assets.resources.object_store import ObjectStore
from gata_assets.resources.part_files import TableSource, write_tables


class ArrowTables(MadeTables):
    """Tables in memory that Arrow writes."""

    def __init__(
        self,
        store: ObjectStore,
        sources: Mapping[str, TableSource],
        numbers: Mapping[str, Mapping[str, int | float]],
        outcomes: Mapping[str, Mapping[str, Sequence[Outcome]]],
        threads: int,
    ) -> None:
        self.numbers, self.outcomes = numbers, outcomes
        self._store, self._sources, self._threads = store, sources, threads

    def write(self, prefix: str) -> Mapping[str, tuple[WrittenFile, ...]]:
        """See MadeTables."""
        return write_tables(self._store, prefix, self._sources, threads=self._threads)


class PolarsEngine(InteractionEngine):
    """Makes a batch's tables in the memory of this process: about 21 bytes an interaction, and the tables.

    `threads` is how many draw and write at once; they change nothing of what is written. 0: as many as there are cores.
    """

    threads: int = 0

    def make_features(self, curated: CuratedWindow, store: ObjectStore) -> MadeTables:
        """See InteractionEngine."""
        catalogue = read_catalogue(curated.places, store)
        events = read_events(curated.places, curated.window, catalogue, store)
        tables = make_features(events, catalogue, before=curated.window.end_at)
        outcomes = check_features(tables, events, curated.window)
        numbers: dict[str, dict[str, int | float]] = {
            USER_FEATURES: {"row_count": tables.user_features.num_rows, "interactions": len(events)},
            ITEM_FEATURES: {"row_count": tables.item_features.num_rows, "interactions": len(events)},
            RECENT_INTERACTIONS: {"row_count": tables.recent_interactions.num_rows},
        }
        return ArrowTables(store, _sources(tables), numbers, outcomes, self.threads or os.cpu_count() or 1)

    def make_training_data(
        self, curated: CuratedWindow, rules: SamplingRules, store: ObjectStore, *, features: str
    ) -> MadeTables:
        """See InteractionEngine."""
        raise NotImplementedError


def _sources(tables: FeatureTables) -> dict[str, TableSource]:
    return {
        USER_FEATURES: TableSource(
            tables.user_features.num_rows,
            lambda start, stop: tables.user_features.slice(start, stop - start),
            frozenset({"user_id", "last_interaction"}),
        ),
        ITEM_FEATURES: TableSource(
            tables.item_features.num_rows,
            lambda start, stop: tables.item_features.slice(start, stop - start),
            frozenset({"item_id"}),
        ),
        RECENT_INTERACTIONS: TableSource(
            tables.recent_interactions.num_rows,
            lambda start, stop: tables.recent_interactions.slice(start, stop - start),
            frozenset({"timestamp"}),
        ),
    }
