"""The Spark engine: shuffles interactions by ranges of users, and runs the compiled loops on each range.

Its rows equal those of the single-machine engine. Data of the catalog's size is on the driver and in every executor;
data of the interactions' size is never in one place, except the keys of positives while they are few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gata_assets.interactions.check_names import (
    FEATURES_MATCH_THE_EVENTS,
    NEGATIVES_WERE_NEVER_INTERACTED,
    WITH_FEATURES_ARE_VALID,
)
from gata_assets.interactions.curated.reader import read_catalog
from gata_assets.interactions.engines import base
from gata_assets.interactions.engines.polars import item_source
from gata_assets.interactions.engines.spark.features import FeatureKernel, check_items, check_ranges, sum_item_counts
from gata_assets.interactions.engines.spark.positives import find_positive_pairs
from gata_assets.interactions.engines.spark.samples import (
    Catalog,
    SampleKernel,
    check_shuffle,
    numbers_of,
    sum_evidence,
)
from gata_assets.interactions.engines.spark.session import open_session, spark_errors
from gata_assets.interactions.engines.spark.shuffle import Days, repartition_by_user
from gata_assets.interactions.engines.spark.survey import survey
from gata_assets.interactions.engines.spark.task_outputs import table_output
from gata_assets.interactions.engines.spark.tasks import SparkTables, bucket_count, run_and_cache
from gata_assets.interactions.features.tables import make_item_features
from gata_assets.interactions.features.unknown_items import find_unknown_items
from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling.checks import check_samples
from gata_assets.interactions.sampling.evidence import weigh_items
from gata_assets.interactions.sampling.join import check_features_of_items
from gata_assets.interactions.sampling.samples import require_candidates
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import read_parts, read_schema
from gata_assets.tables.columns.arrow_buffers import micros

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_USER_TABLES = (base.USER_FEATURES, base.RECENT_INTERACTIONS)


class SparkEngine(base.InteractionEngine):
    """Builds a batch's tables on a Spark cluster.

    Attributes:
        master: The address of a Spark master.
        remote: The address of a Spark Connect server, instead of `master`.
        settings: Spark settings by name.
        rows_per_part: Interactions per part of a table, which one task has in memory (about 200 bytes each).
        pairs_on_driver: Up to this number of positives, the driver computes the k-core in its memory (about 60 bytes
            each); with more, the cluster does, in rounds.
        wait_seconds: A cluster that runs no task within this time is an error.
    """

    master: str | None = None
    remote: str | None = None
    settings: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    rows_per_part: int = 500_000
    pairs_on_driver: int = 20_000_000
    wait_seconds: float = 300

    def make_features(self, curated: base.CuratedWindow, store: ObjectStore) -> base.BuiltTables:
        """See base.InteractionEngine; also raises EngineError."""
        places, window = curated.places, curated.window
        catalog = read_catalog(places, store)
        days = Days.of(store, places, window, rows_per_span=self.rows_per_part, erased=curated.erased)
        buckets = bucket_count(days.rows, self.rows_per_part)
        session = self._session()
        with spark_errors("building features"):
            totals, ranges = survey(session, days, rows_per_range=self.rows_per_part)
            shuffled = repartition_by_user(session, days, ranges)
            cached = run_and_cache(shuffled, FeatureKernel(window, buckets), _USER_TABLES)
            item_counts = sum_item_counts(cached.rows, buckets, catalog)
        items = make_item_features(item_counts, catalog, before=window.end_at)
        unknown = find_unknown_items(item_counts, catalog)
        users, counts = cached.row_count(base.USER_FEATURES), cached.report.counts
        outcomes = cached.report.outcomes
        range_outcomes = check_ranges(counts, users, totals)
        for table in _USER_TABLES:
            outcomes[table][FEATURES_MATCH_THE_EVENTS] = [*range_outcomes, *outcomes[table][FEATURES_MATCH_THE_EVENTS]]
        outcomes[base.ITEM_FEATURES] = check_items(items, totals, counts["pairs"])
        numbers: dict[str, dict[str, int | float]] = {
            base.USER_FEATURES: {"row_count": users, "interactions": totals.interactions},
            base.ITEM_FEATURES: {
                "row_count": items.num_rows,
                "interactions": totals.interactions,
                **unknown.numbers,
            },
            base.RECENT_INTERACTIONS: {"row_count": cached.row_count(base.RECENT_INTERACTIONS)},
        }
        built = SparkTables(store, cached, numbers, outcomes, table_output(base.ITEM_FEATURES, 0, item_source(items)))
        built.unknown_items = unknown
        return built

    def make_training_data(
        self, curated: base.CuratedWindow, rules: SamplingRules, store: ObjectStore, *, features: base.FeatureParts
    ) -> base.BuiltTables:
        """See base.InteractionEngine; also raises EngineError."""
        places, window = curated.places, curated.window
        items = read_catalog(places, store)
        user_parts = features[base.USER_FEATURES]
        item_features = read_parts(store, features[base.ITEM_FEATURES])
        user_schema = read_schema(store, user_parts[0], without="recent_items")
        is_available = (items["available_at"].is_null() | (items["available_at"] < window.end_at)).to_numpy()
        days = Days.of(store, places, curated.seen_window, rows_per_span=self.rows_per_part, erased=curated.erased)
        buckets = bucket_count(days.rows, self.rows_per_part)
        session = self._session()
        with spark_errors("building training data"):
            totals, ranges = survey(session, days, rows_per_range=self.rows_per_part)
            shuffled = repartition_by_user(session, days, ranges, user_parts if totals.interactions else []).persist()
            try:
                pairs = find_positive_pairs(
                    shuffled, rules, start=micros(window.start_at), buckets=buckets, max_on_driver=self.pairs_on_driver
                )
                require_candidates(pairs.count, int(is_available.sum()))
                catalog = Catalog.of(items, is_available, pairs.interactions)
                kernel = SampleKernel(
                    rules,
                    catalog,
                    pairs.items_below_minimum,
                    item_features,
                    user_schema,
                    micros(window.start_at),
                    micros(window.end_at),
                    buckets,
                )
                cached = run_and_cache(shuffled, kernel, (base.NEGATIVE_SAMPLES, base.WITH_FEATURES))
            finally:
                shuffled.unpersist()
            evidence = sum_evidence(cached, len(items), buckets)
        numbers = numbers_of(cached, pairs, int(is_available.sum()))
        weights = weigh_items(catalog.interactions, is_available, rules)
        checked = check_samples(evidence, weights, reported_shortfall=numbers["shortfall"])
        outcomes = cached.report.outcomes
        range_outcomes = check_shuffle(cached.report.counts, totals, pairs)
        checked[NEGATIVES_WERE_NEVER_INTERACTED] = [*range_outcomes, *checked[NEGATIVES_WERE_NEVER_INTERACTED]]
        outcomes[base.NEGATIVE_SAMPLES] |= checked
        valid = outcomes[base.WITH_FEATURES][WITH_FEATURES_ARE_VALID]
        outcomes[base.WITH_FEATURES][WITH_FEATURES_ARE_VALID] = [*valid, *check_features_of_items(item_features)]
        by_table = {base.NEGATIVE_SAMPLES: numbers, base.WITH_FEATURES: {"row_count": numbers["row_count"]}}
        return SparkTables(store, cached, by_table, outcomes)

    def _session(self) -> SparkSession:
        return open_session(
            master=self.master, remote=self.remote, settings=self.settings, wait_seconds=self.wait_seconds
        )
