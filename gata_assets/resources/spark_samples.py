"""Training rows on Spark: positives by joins and counts of the whole, then our own loops on each range of users.

A range has all that its users have seen, so that what is drawn for them is what one machine draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gata_assets.core.candidates import choose_candidates
from gata_assets.core.event_table import EventTable
from gata_assets.core.interaction_rules import InteractionType, SamplingRules, SamplingStrategy
from gata_assets.core.joined_rows import JoinedRows, check_features_of_users
from gata_assets.core.negatives import gather_histories, sample_negatives
from gata_assets.core.outcomes import Outcome
from gata_assets.core.positives import choose_positives, find_thin
from gata_assets.core.sample_checks import pieces_of
from gata_assets.core.sampled_rows import SampledRows
from gata_assets.core.sampling_quality import (
    NOTHING_AFTER_THE_BATCH,
    Evidence,
    check_times,
    count_evidence,
    group_by_user,
    weigh_items,
)
from gata_assets.core.table_rules import check_arrow_tables
from gata_assets.resources.interaction_engine import NEGATIVE_SAMPLES, WITH_FEATURES
from gata_assets.resources.polars_engine import sources_of_rows
from gata_assets.resources.spark_features import NO_EVENTS, code_rows
from gata_assets.resources.spark_parts import Held, Part, as_batch, as_part, pack, report_of, unpack
from gata_assets.resources.spark_tables import UserFacts, cut, frame_of
from gata_assets.schemas.interactions import NegativeSamples

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# How rows that are dealt out say what they are, in the place of their type.
_SEEN, _POSITIVE, _FEATURES = InteractionType.VIEW, InteractionType.CLICK, InteractionType.PURCHASE

WITH_FEATURES_ARE_VALID = "with_features_are_valid"

# What the kernel gives besides parts of tables: of items of the catalogue, how often each was drawn, and the like.
DRAWS = "draws"
_DRAWS_DDL = "item int, drawn bigint, withheld double"


@dataclass(frozen=True)
class Pairs:
    """Positives before the limit of each user: `rows` are `user_id, item_id, timestamp` (of the last interaction)."""

    rows: DataFrame
    count: int
    left_out_by_minimum: int


def choose_pairs(events: DataFrame, rules: SamplingRules, *, most_here: int) -> Pairs:
    """The distinct (user, item) of the window's positive interactions, without thin users and items.

    Where there are at most so many, their keys come here (16 bytes each) and the loop of one machine finds the thin.
    """
    from pyspark.sql import functions as sf

    codes = sorted(kind.code for kind in rules.positive_types)
    pairs = cut(
        events.where(sf.col("type_code").isin(codes))
        .groupBy("user_id", "item_id")
        .agg(sf.max("timestamp").alias("timestamp"))
        .withColumns({"user_key": sf.xxhash64("user_id"), "item_key": sf.xxhash64("item_id")})
    )
    total = count = pairs.count()
    if count and max(rules.min_interactions_per_user, rules.min_interactions_per_item) > 1:
        leave = _leave_core_here if count <= most_here else _leave_core_by_rounds
        pairs, count = leave(pairs, count, rules)
    return Pairs(pairs.select("user_id", "item_id", "timestamp"), count, total - count)


def _leave_core_here(pairs: DataFrame, _: int, rules: SamplingRules) -> tuple[DataFrame, int]:
    keys = frame_of(pairs.select("user_key", "item_key"))
    users, items, count = find_thin(keys["user_key"].to_numpy(), keys["item_key"].to_numpy(), rules)
    for key, thin in (("user_key", users), ("item_key", items)):
        if len(thin):
            pairs = pairs.join(pairs.sparkSession.createDataFrame(pa.table({key: thin})), key, "left_anti")
    return pairs, count


def _leave_core_by_rounds(pairs: DataFrame, count: int, rules: SamplingRules) -> tuple[DataFrame, int]:
    """Each round is worked out before the next, so that no plan grows; one that changes nothing is the last."""
    from pyspark.sql import functions as sf

    least = {"user_key": rules.min_interactions_per_user, "item_key": rules.min_interactions_per_item}
    before = count + 1
    while 0 < count < before:
        before = count
        for key, fewest in least.items():
            thin = pairs.groupBy(key).count().where(sf.col("count") < fewest).select(key)
            pairs = pairs.join(thin, key, "left_anti")
        pairs = cut(pairs)
        count = pairs.count()
    return pairs, count


def lay_together(seen: DataFrame, pairs: Pairs, users: DataFrame) -> DataFrame:
    """What a range needs of its users: all that they have seen, their positives, and their features.

    The columns of EVENTS, and `features`, a struct of UserFeatures without `recent_items`, where the row is that.
    """
    from pyspark.sql import functions as sf

    columns = [name for name in users.columns if name != "recent_items"]
    features = users.select("user_id", sf.struct(*columns).alias("features"))

    def as_rows(rows: DataFrame, kind: InteractionType) -> DataFrame:
        return rows.withColumn("type_code", sf.lit(kind.code).cast("smallint"))

    chosen = ("user_id", "item_id", "timestamp")
    return (
        as_rows(seen.select(*chosen), _SEEN)
        .union(as_rows(pairs.rows.select(*chosen), _POSITIVE))
        .withColumn("rating", sf.lit(None).cast("float"))
        .unionByName(as_rows(features, _FEATURES), allowMissingColumns=True)
    )


def count_interactions(events: DataFrame, catalogue: pl.DataFrame, rules: SamplingRules) -> NDArray[np.int64]:
    """The window's interactions with each item of the catalogue, in its order; zero where they do not matter."""
    if rules.strategy is SamplingStrategy.UNIFORM:
        return np.zeros(len(catalogue), dtype=np.int64)
    counts = frame_of(events.groupBy("item_id").count())
    joined = catalogue.join(counts, on="item_id", how="left", maintain_order="left")
    return joined["count"].fill_null(0).cast(pl.Int64).to_numpy()


@dataclass(frozen=True)
class Catalogue:
    """Of the catalogue's items, by item_id: whether each was available before the batch, and its interactions.

    `items` has `item_id, item_key`. It goes to every executor: 30 bytes an item, or 40 MB for a million.
    """

    items: pl.DataFrame
    is_available: NDArray[np.bool_]
    interactions: NDArray[np.int64]

    def places(self, events: EventTable) -> NDArray[np.int64]:
        """The code of each item."""
        by_key = np.argsort(events.items.keys)
        found = np.searchsorted(events.items.keys, self.items["item_key"].to_numpy(), sorter=by_key)
        return by_key[found]


@dataclass(frozen=True)
class SampleKernel:
    """Draws the negatives of a range's users, and joins the rows to the features.

    `user_schema` is that of the users' features as they were written, without `recent_items`; `end` is that of the
    window, in microseconds since 1970.
    """

    rules: SamplingRules
    catalogue: Catalogue
    item_features: pa.Table
    user_schema: pa.Schema
    end: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The function of mapInArrow, from the columns of EVENTS and `part` to PARTS."""
        held = [batch for batch in batches if batch.num_rows]
        if held:
            rows = pa.Table.from_batches(held)
            is_features = pc.equal(rows["type_code"], _FEATURES.code)
            users = pa.Table.from_struct_array(rows.filter(is_features)["features"]).cast(self.user_schema)
            of_users = self.parts_of(rows["part"][0].as_py(), rows.filter(pc.invert(is_features)), users)
            yield from map(as_batch, of_users)

    def parts_of_nothing(self) -> Iterator[Part]:
        """The same where there are no interactions, and so no range."""
        return self.parts_of(0, NO_EVENTS.to_arrow(), self.user_schema.empty_table())

    def parts_of(self, part: int, table: pa.Table, users: pa.Table) -> Iterator[Part]:
        """Everything that is made of a range: rows, what was drawn of the catalogue, and what is said of them."""
        events = code_rows(table, self.catalogue.items)
        is_positive = events.type_code == _POSITIVE.code
        seen = _only(events, ~is_positive)
        places = self.catalogue.places(events)
        is_available = np.zeros(len(events.items), dtype=np.bool_)
        is_available[places] = self.catalogue.is_available
        interactions = np.zeros(len(events.items), dtype=np.int64)
        interactions[places] = self.catalogue.interactions
        rows = self._sample(events, _only(events, is_positive), seen, is_available, interactions)
        weights = weigh_items(interactions, is_available, self.rules)
        evidence = self._evidence(rows, seen, weights)
        joined = JoinedRows(rows, users, self.item_features)
        yield report_of(
            part,
            {
                NEGATIVE_SAMPLES: {
                    "negative_samples_are_valid": check_arrow_tables(NegativeSamples.to_schema(), pieces_of(rows)),
                    NOTHING_AFTER_THE_BATCH: check_times([events.timestamp], self.end, evidence),
                },
                WITH_FEATURES: {WITH_FEATURES_ARE_VALID: check_features_of_users(users)},
            },
            {
                "seen": len(seen),
                "seen_by": len(np.unique(seen.user)),
                "pairs": int(is_positive.sum()),
                **{f"numbers.{name}": value for name, value in rows.numbers.items()},
                **{
                    f"evidence.{name}": value
                    for name, value in vars(evidence).items()
                    if isinstance(value, int | float)
                },
            },
        )
        for name, source in sources_of_rows(rows, joined).items():
            yield as_part(name, part, source)
        draws = pa.table(
            {
                "item": np.arange(len(places), dtype=np.int32),
                "drawn": evidence.drawn[places],
                "withheld": evidence.withheld[places],
            }
        )
        yield pack(DRAWS, part, draws)

    def _sample(
        self,
        events: EventTable,
        pairs: EventTable,
        seen: EventTable,
        is_available: NDArray[np.bool_],
        interactions: NDArray[np.int64],
    ) -> SampledRows:
        # Thin users and items are out already; what is left to do is the order and the limit of each user.
        left = replace(
            self.rules,
            positive_types=frozenset({_POSITIVE}),
            min_interactions_per_user=1,
            min_interactions_per_item=1,
        )
        positives = choose_positives(pairs, first=0, rules=left)
        candidates = choose_candidates(is_available, interactions, self.rules)
        place = np.full(len(events.users), -1, dtype=np.int32)
        place[positives.users] = np.arange(len(positives.users), dtype=np.int32)
        histories = gather_histories(
            place[seen.user],
            seen.item,
            candidates,
            keys=events.users.keys[positives.users],
            wanted=np.diff(positives.starts) * self.rules.ratio,
        )
        negatives = sample_negatives(histories, candidates, self.rules)
        return SampledRows(events.users, events.items, positives, negatives, candidates)

    def _evidence(self, rows: SampledRows, seen: EventTable, weights: NDArray[np.float64]) -> Evidence:
        starts, items = group_by_user(seen.user, seen.item, len(seen.users))

        def of(first: int, last: int) -> Evidence:
            users = rows.positives.users[first:last]
            return count_evidence(rows.columns(first, last), users, starts, items, weights, self.rules.ratio)

        return sum((of(*bounds) for bounds in rows.ranges()), of(0, 0))


def _only(events: EventTable, chosen: NDArray[np.bool_]) -> EventTable:
    columns = ("user", "item", "timestamp", "type_code", "rating")
    return replace(events, **{name: getattr(events, name)[chosen] for name in columns})


def numbers_of(held: Held, pairs: Pairs, candidates: int) -> dict[str, int]:
    """The counts of `SampledRows.numbers`, of all ranges."""
    counts = held.report.counts
    sums = {name.removeprefix("numbers."): value for name, value in counts.items() if name.startswith("numbers.")}
    return {**sums, "candidates": candidates, "left_out_by_minimum": pairs.left_out_by_minimum}


def sum_draws(held: DataFrame, items: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each item of the catalogue what all ranges have drawn, and what is withheld."""
    from pyspark.sql import functions as sf

    rows = held.mapInArrow(partial(unpack, DRAWS), _DRAWS_DDL)
    sums = frame_of(rows.groupBy("item").agg(sf.sum("drawn").alias("drawn"), sf.sum("withheld").alias("withheld")))
    drawn, withheld = np.zeros(items, dtype=np.int64), np.zeros(items, dtype=np.float64)
    drawn[sums["item"].to_numpy()] = sums["drawn"].to_numpy()
    withheld[sums["item"].to_numpy()] = sums["withheld"].to_numpy()
    return drawn, withheld


def gather_evidence(held: Held, items: int) -> Evidence:
    """The evidence of all ranges, by the catalogue's items."""
    drawn, withheld = sum_draws(held.rows, items)
    scalars = {
        name.removeprefix("evidence."): value for name, value in held.report.counts.items() if name.startswith("evid")
    }
    return Evidence(**scalars, drawn=drawn, withheld=withheld)


def check_dealing(counted: Mapping[str, int], facts: UserFacts, pairs: Pairs) -> list[Outcome]:
    """What the ranges have is what Spark counted apart from them, so that their evidence is that of the whole.

    A user who was dealt out to two ranges counts in both.
    """
    return [
        Outcome("all that was seen is in one range of users", abs(counted["seen"] - facts.total), facts.total, _DEFECT),
        Outcome("no user is in two ranges", abs(counted["seen_by"] - facts.users), facts.users, _DEFECT, unit="users"),
        Outcome("every pair is in one range of users", abs(counted["pairs"] - pairs.count), pairs.count, _DEFECT),
    ]


_DEFECT = "This is a defect of the dealing; please report it."
