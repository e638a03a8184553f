"""The single-machine engine: encodes curated days as arrays and builds the tables with compiled loops."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from gata_assets.interactions.curated.reader import read_catalog, read_events
from gata_assets.interactions.engines import base
from gata_assets.interactions.features.checks import check_features
from gata_assets.interactions.features.tables import FeatureTables, look_up_items, make_features
from gata_assets.interactions.features.unknown_items import find_unknown_items
from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling.checks import check_negative_samples
from gata_assets.interactions.sampling.join import JoinedRows
from gata_assets.interactions.sampling.positives import count_largest, find_positives
from gata_assets.interactions.sampling.samples import ROWS_PER_GROUP, SampledRows, sample_rows
from gata_assets.storage.files import WrittenFile
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import TableSource, read_parts, write_tables
from gata_assets.tables.columns.dictionaries import compacted
from gata_assets.tables.outcomes import Outcome

_ROWS_PER_GROUP = 1 << 20
# Rows of user features have up to fifty items.
_USERS_PER_GROUP = 1 << 16


class ArrowTables(base.BuiltTables):
    """Arrow tables in memory."""

    def __init__(
        self,
        store: ObjectStore,
        sources: Mapping[str, TableSource],
        numbers: Mapping[str, Mapping[str, int | float]],
        outcomes: Mapping[str, Mapping[str, Sequence[Outcome]]],
        threads: int,
    ) -> None:
        self.numbers, self.outcomes = numbers, outcomes
        self.sources = sources
        self._store, self._threads = store, threads

    def write(self, prefix: str, token: str) -> Mapping[str, tuple[WrittenFile, ...]]:
        """See base.BuiltTables."""
        return write_tables(self._store, prefix, self.sources, token=token, threads=self._threads)


class PolarsEngine(base.InteractionEngine):
    """Builds a batch's tables in this process's memory: about 21 bytes per interaction, plus the tables.

    `threads` sample and write in parallel, without effect on the result; 0 means one per core.
    """

    threads: int = 0

    def make_features(self, curated: base.CuratedWindow, store: ObjectStore) -> base.BuiltTables:
        """See base.InteractionEngine."""
        catalog = read_catalog(curated.places, store)
        events = read_events(curated.places, curated.window, catalog, store, erased=curated.erased)
        tables = make_features(events, catalog, before=curated.window.end_at)
        outcomes = check_features(tables, events, curated.window)
        unknown = find_unknown_items(tables.item_counts, catalog) if tables.item_counts else None
        numbers: dict[str, dict[str, int | float]] = {
            base.USER_FEATURES: {"row_count": tables.user_features.num_rows, "interactions": len(events)},
            base.ITEM_FEATURES: {
                "row_count": tables.item_features.num_rows,
                "interactions": len(events),
                **(unknown.numbers if unknown else {}),
            },
            base.RECENT_INTERACTIONS: {"row_count": tables.recent_interactions.num_rows},
        }
        built = ArrowTables(store, feature_sources(tables), numbers, outcomes, self.threads or os.cpu_count() or 1)
        built.unknown_items = unknown
        return built

    def make_training_data(
        self, curated: base.CuratedWindow, rules: SamplingRules, store: ObjectStore, *, features: base.FeatureParts
    ) -> base.BuiltTables:
        """See base.InteractionEngine."""
        end_at, threads = curated.window.end_at, self.threads or os.cpu_count() or 1
        catalog = read_catalog(curated.places, store)
        events = read_events(curated.places, curated.seen_window, catalog, store, erased=curated.erased)
        first = int(np.searchsorted(events.timestamp, curated.window.start * 1_000_000))
        is_available = look_up_items(events.items, catalog, before=end_at)["is_available"].to_numpy()
        rows = sample_rows(events, first=first, is_available=is_available, rules=rules, threads=threads)
        joined = JoinedRows(
            rows,
            read_parts(store, features[base.USER_FEATURES], without="recent_items"),
            read_parts(store, features[base.ITEM_FEATURES]),
        )
        outcomes = {
            base.NEGATIVE_SAMPLES: check_negative_samples(
                events,
                rows,
                first=first,
                is_available=is_available,
                rules=rules,
                end=curated.window.end * 1_000_000,
                threads=threads,
            ),
            base.WITH_FEATURES: {"with_features_are_valid": joined.check()},
        }
        positive = find_positives(events, first, rules)
        largest = {} if len(rows) else count_largest(events.user[positive], events.item[positive])
        numbers = {base.NEGATIVE_SAMPLES: {**rows.numbers, **largest}, base.WITH_FEATURES: {"row_count": len(rows)}}
        return ArrowTables(store, row_sources(rows, joined), numbers, outcomes, threads)


def feature_sources(tables: FeatureTables) -> dict[str, TableSource]:
    """The feature tables, prepared for writing."""
    return {
        base.USER_FEATURES: _source(tables.user_features, _USERS_PER_GROUP, "user_id", "last_interaction"),
        base.ITEM_FEATURES: item_source(tables.item_features),
        base.RECENT_INTERACTIONS: _source(tables.recent_interactions, _ROWS_PER_GROUP, "timestamp"),
    }


def item_source(items: pa.Table) -> TableSource:
    """Item features, prepared for writing."""
    return _source(items, _ROWS_PER_GROUP, "item_id")


def row_sources(rows: SampledRows, joined: JoinedRows) -> dict[str, TableSource]:
    """Training rows, prepared for writing."""
    return {base.NEGATIVE_SAMPLES: row_source(rows, rows.table), base.WITH_FEATURES: row_source(rows, joined.table)}


def row_source(
    rows: SampledRows, take: Callable[[int, int], pa.Table], rows_per_group: int = ROWS_PER_GROUP
) -> TableSource:
    """Training rows, possibly with more columns, prepared for writing.

    Rows are ordered by user_id and a user's rows are in one row group, so that readers can stream user by user, and
    find a user by the row groups' minimum and maximum user_id.
    """
    plain, summed = frozenset({"sampling_probability"}), ("user_id", "item_id", "label")
    return TableSource(rows.ranges(rows_per_group) or [(0, 0)], take, plain, summed)


def _source(table: pa.Table, rows: int, *plain: str) -> TableSource:
    groups = [(start, min(start + rows, len(table))) for start in range(0, max(len(table), 1), rows)]
    return TableSource(groups, partial(compacted, table), frozenset(plain))
