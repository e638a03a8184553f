"""The engine of a Spark cluster: Spark deals interactions out by ranges of users, and each range runs our own loops.

Rows are those of the one-machine engine. What has the size of the catalogue is on the driver and in every executor;
what has the size of the interactions is nowhere in one place, but for keys of positives while they are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gata_assets.errors import DataRuleError
from gata_assets.interactions.curated.reader import read_catalogue
from gata_assets.interactions.engines.base import (
    ITEM_FEATURES,
    NEGATIVE_SAMPLES,
    RECENT_INTERACTIONS,
    USER_FEATURES,
    WITH_FEATURES,
    BuiltTables,
    CuratedWindow,
    InteractionEngine,
)
from gata_assets.interactions.engines.polars import source_of_items
from gata_assets.interactions.engines.spark.features import FeatureKernel, check_items, check_ranges, sum_item_counts
from gata_assets.interactions.engines.spark.positives import choose_pairs
from gata_assets.interactions.engines.spark.samples import (
    WITH_FEATURES_ARE_VALID,
    Catalogue,
    SampleKernel,
    check_dealing,
    gather_evidence,
    numbers_of,
)
from gata_assets.interactions.engines.spark.session import open_session, spark_errors
from gata_assets.interactions.engines.spark.shuffle import Days, deal, survey
from gata_assets.interactions.engines.spark.tasks import PARTS, PerPart, SparkTables, as_part, bucket_count, hold
from gata_assets.interactions.features.checks import FEATURES_MATCH_THE_EVENTS
from gata_assets.interactions.features.tables import make_item_features
from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling.evidence import NEGATIVES_WERE_NEVER_INTERACTED, check_samples, weigh_items
from gata_assets.interactions.sampling.join import check_features_of_items
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import part_keys, read_parts, read_schema
from gata_assets.tables.columns.arrow_buffers import micros
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class SparkEngine(InteractionEngine):
    """Makes a batch's tables on a Spark cluster.

    `master` or `remote` says which; `settings` are Spark's own, by name. A part of a table is made from about
    `rows_a_part` interactions, which one task has in memory (about 200 bytes each).
    Thin users and items are found in the driver's memory where the positives are no more than `pairs_on_driver` (about
    60 bytes each), else by the cluster, round by round. A cluster that runs nothing for `wait_seconds` is an error.
    """

    master: str | None = None
    remote: str | None = None
    settings: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    rows_a_part: int = 500_000
    pairs_on_driver: int = 20_000_000
    wait_seconds: float = 300

    def make_features(self, curated: CuratedWindow, store: ObjectStore) -> BuiltTables:
        """See InteractionEngine; raises EngineError too."""
        places, window = curated.places, curated.window
        catalogue = read_catalogue(places, store)
        days = Days.of(store, places, window, rows_a_span=self.rows_a_part)
        buckets = bucket_count(days.rows, self.rows_a_part)
        session = self._session()
        with spark_errors("making features"):
            facts, ranges = survey(session, days, rows_a_range=self.rows_a_part)
            dealt = deal(session, days, ranges)
            kernel = FeatureKernel(window, buckets)
            made = dealt.mapInArrow(PerPart(kernel), PARTS)
            held = hold(made, (USER_FEATURES, RECENT_INTERACTIONS), kernel.parts_of_nothing)
            item_counts = sum_item_counts(held.rows, buckets, catalogue)
        items = make_item_features(item_counts, catalogue, before=window.end_at)
        users, counted = held.row_count(USER_FEATURES), held.report.counts
        outcomes: dict[str, dict[str, Sequence[Outcome]]] = {
            table: dict(checks) for table, checks in held.report.outcomes.items()
        }
        in_ranges = check_ranges(counted, users, facts)
        for table in (USER_FEATURES, RECENT_INTERACTIONS):
            outcomes[table][FEATURES_MATCH_THE_EVENTS] = [*in_ranges, *outcomes[table][FEATURES_MATCH_THE_EVENTS]]
        outcomes[ITEM_FEATURES] = dict(check_items(items, facts, counted["pairs"]))
        numbers: dict[str, dict[str, int | float]] = {
            USER_FEATURES: {"row_count": users, "interactions": facts.total},
            ITEM_FEATURES: {"row_count": items.num_rows, "interactions": facts.total},
            RECENT_INTERACTIONS: {"row_count": held.row_count(RECENT_INTERACTIONS)},
        }
        here = {ITEM_FEATURES: as_part(ITEM_FEATURES, 0, source_of_items(items)).content}
        return SparkTables(store, held, (USER_FEATURES, RECENT_INTERACTIONS), here, numbers, outcomes)

    def make_training_data(
        self, curated: CuratedWindow, rules: SamplingRules, store: ObjectStore, *, features: str
    ) -> BuiltTables:
        """See InteractionEngine; raises EngineError too."""
        places, window = curated.places, curated.window
        items = read_catalogue(places, store)
        user_parts = part_keys(store, f"{features}{USER_FEATURES}/")
        item_features = read_parts(store, f"{features}{ITEM_FEATURES}/")
        user_schema = read_schema(store, user_parts[0], without="recent_items")
        is_available = (items["available_at"].is_null() | (items["available_at"] < window.end_at)).to_numpy()
        days = Days.of(store, places, curated.seen_window, rows_a_span=self.rows_a_part)
        buckets = bucket_count(days.rows, self.rows_a_part)
        session = self._session()
        with spark_errors("making training data"):
            facts, ranges = survey(session, days, rows_a_range=self.rows_a_part)
            dealt = deal(session, days, ranges, user_parts if facts.total else []).persist()
            try:
                pairs = choose_pairs(
                    dealt, rules, start=micros(window.start_at), buckets=buckets, most_here=self.pairs_on_driver
                )
                if pairs.count and not is_available.any():
                    raise DataRuleError(
                        f"{pairs.count:,} positives, and no item of the catalogue that was available before the batch: "
                        "ingest the items, or look at their available_at."
                    )
                catalogue = Catalogue.of(items, is_available, pairs.met)
                kernel = SampleKernel(
                    rules,
                    catalogue,
                    pairs.thin_items,
                    item_features,
                    user_schema,
                    micros(window.start_at),
                    micros(window.end_at),
                    buckets,
                )
                made = dealt.mapInArrow(PerPart(kernel), PARTS)
                held = hold(made, (NEGATIVE_SAMPLES, WITH_FEATURES), kernel.parts_of_nothing)
            finally:
                dealt.unpersist()
            evidence = gather_evidence(held, len(items), buckets)
        numbers = numbers_of(held, pairs, int(is_available.sum()))
        weights = weigh_items(catalogue.interactions, is_available, rules)
        checked = check_samples(evidence, weights, reported_shortfall=numbers["shortfall"])
        said = held.report.outcomes
        valid = [*said[WITH_FEATURES][WITH_FEATURES_ARE_VALID], *check_features_of_items(item_features)]
        in_ranges = check_dealing(held.report.counts, facts, pairs)
        checked[NEGATIVES_WERE_NEVER_INTERACTED] = [*in_ranges, *checked[NEGATIVES_WERE_NEVER_INTERACTED]]
        outcomes: dict[str, dict[str, Sequence[Outcome]]] = {
            NEGATIVE_SAMPLES: {**said[NEGATIVE_SAMPLES], **checked},
            WITH_FEATURES: {WITH_FEATURES_ARE_VALID: valid},
        }
        of_tables = {NEGATIVE_SAMPLES: numbers, WITH_FEATURES: {"row_count": numbers["row_count"]}}
        return SparkTables(store, held, (NEGATIVE_SAMPLES, WITH_FEATURES), {}, of_tables, outcomes)

    def _session(self) -> SparkSession:
        return open_session(
            master=self.master, remote=self.remote, settings=self.settings, wait_seconds=self.wait_seconds
        )
