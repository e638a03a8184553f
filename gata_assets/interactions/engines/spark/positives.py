"""Positives on Spark: the k-core over all ranges, and each item's interactions.

Whether a user or item is below its minimum depends on all ranges. A user's pairs are all in one range, so each range
can derive its users below the minimum from the items below the minimum: only those are exchanged between ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.interactions.engines.spark.shuffle import events_of, ids_frame
from gata_assets.interactions.engines.spark.task_outputs import (
    REPORT,
    TaskOutput,
    pack,
    pack_buckets,
    report_of,
    sum_reports,
    unpack_rows,
)
from gata_assets.interactions.engines.spark.tasks import collect_outputs, run_kernel, sum_rows
from gata_assets.interactions.rules import SamplingRules, SamplingStrategy
from gata_assets.interactions.sampling.empty_samples import MOST_OF_A_USER, MOST_OF_AN_ITEM
from gata_assets.interactions.sampling.positives import find_below_minimum, find_positives
from gata_assets.tables.columns.arrays import UInt64s

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PAIRS, _INTERACTIONS, _DEGREES, _LARGEST = "pairs", "interactions", "degrees", "largest"
_PAIR_COLUMNS = {"user_key": pl.UInt64, "item_key": pl.UInt64}
_BY_ITEM, _ROWS = {"item_key": pl.UInt64}, {"rows": pl.Int64}


@dataclass(frozen=True)
class PositivePairs:
    """The distinct (user, item) pairs of positive interactions in the window: how many are in the k-core, and not.

    `items_below_minimum` are the keys of the items that the k-core removes, ascending. `interactions` has `item_key,
    rows`, the window's interactions by item; it is empty if the strategy does not need them. If the k-core has no pair,
    `largest` has the pairs of the user and of the item with most.
    """

    items_below_minimum: UInt64s
    count: int
    left_out_by_minimum: int
    interactions: pl.DataFrame
    largest: Mapping[str, int] = field(default_factory=dict)


def find_positive_pairs(
    shuffled: DataFrame, rules: SamplingRules, *, start: int, buckets: int, max_on_driver: int
) -> PositivePairs:
    """Find the items below the minimum among a window's positives.

    Args:
        shuffled: The outputs of `repartition_by_user`.
        rules: What is positive, and the minimums.
        start: The window's start in microseconds since 1970.
        buckets: The number of buckets for sums by item.
        max_on_driver: Up to this number of pairs, their keys are collected (16 bytes each) and the driver computes the
            k-core; with more, the ranges do, in rounds.
    """
    outputs = run_kernel(shuffled, PairKernel(rules, start, buckets)).persist()
    try:
        pairs = outputs.where(outputs["name"] == _PAIRS)
        total = sum(row.rows for row in pairs.select("rows").collect())
        interactions = sum_rows(outputs, _INTERACTIONS, buckets, by=_BY_ITEM, values=_ROWS)
        if not total:
            largest = {MOST_OF_A_USER: 0, MOST_OF_AN_ITEM: 0}
            return PositivePairs(np.empty(0, dtype=np.uint64), 0, 0, interactions, largest)
        if max(rules.min_interactions_per_user, rules.min_interactions_per_item) <= 1:
            return PositivePairs(np.empty(0, dtype=np.uint64), total, 0, interactions)
        below, count = (
            _k_core_on_driver(pairs, rules) if total <= max_on_driver else _k_core_by_rounds(pairs, rules, buckets)
        )
        largest = {} if count else _count_largest(pairs, buckets)
    finally:
        outputs.unpersist()
    return PositivePairs(below, count, total - count, interactions, largest)


@dataclass(frozen=True)
class PairKernel:
    """Outputs a range's positive pairs, and the window's interactions by item if the strategy needs them."""

    rules: SamplingRules
    start: int
    buckets: int

    def __call__(self, part: int, parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
        """Process a range."""
        events = events_of(parts)
        first = int(np.searchsorted(events.timestamp, self.start))
        rows = find_positives(events, first, self.rules)
        pairs = np.unique((events.user[rows].astype(np.int64) << 32) | events.item[rows])
        keys = {"user_key": events.users.keys[pairs >> 32], "item_key": events.items.keys[pairs & 0xFFFFFFFF]}
        yield TaskOutput(_PAIRS, part, len(pairs), pack(pa.table(keys)))
        if self.rules.strategy is SamplingStrategy.POPULARITY:
            counts = np.bincount(events.item[first:], minlength=len(events.items))
            by_item = ids_frame("item", events.items).select("item_key", rows=pl.Series(counts))
            yield from pack_buckets(_INTERACTIONS, by_item, "item_key", self.buckets, part)


def _k_core_on_driver(pairs: DataFrame, rules: SamplingRules) -> tuple[UInt64s, int]:
    keys = unpack_rows(collect_outputs(pairs), _PAIRS, _PAIR_COLUMNS)
    _, items, count = find_below_minimum(keys["user_key"].to_numpy(), keys["item_key"].to_numpy(), rules)
    return items.astype(np.uint64, copy=False), count


def _k_core_by_rounds(pairs: DataFrame, rules: SamplingRules, buckets: int) -> tuple[UInt64s, int]:
    """Find the items below the minimum in rounds; the round that finds no new item is the last."""
    below = np.empty(0, dtype=np.uint64)
    while True:
        remaining = run_kernel(pairs, FilterRound(rules, below, buckets)).persist()
        try:
            reports = collect_outputs(remaining.where(remaining["name"] == REPORT))
            limit = rules.min_interactions_per_item - 1
            found = sum_rows(remaining, _DEGREES, buckets, by=_BY_ITEM, values=_ROWS, limit=limit)
        finally:
            remaining.unpersist()
        if found.is_empty():
            return below, int(sum_reports(report.content for report in reports).counts["pairs"])
        below = np.union1d(below, found["item_key"].to_numpy())


@dataclass(frozen=True)
class FilterRound:
    """Counts each item's remaining pairs in a range, after removing items and then users below the minimums.

    An item without remaining pairs is output with a count of 0.
    """

    rules: SamplingRules
    below: UInt64s
    buckets: int

    def __call__(self, part: int, parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
        """Process a range."""
        pairs = unpack_rows(parts, _PAIRS, _PAIR_COLUMNS)
        pairs = pairs.filter(~pl.Series(np.isin(pairs["item_key"].to_numpy(), self.below)))
        is_left = pl.len().over("user_key") >= self.rules.min_interactions_per_user
        degrees = pairs.with_columns(left=is_left).group_by("item_key").agg(rows=pl.sum("left").cast(pl.Int64))
        yield report_of(part, {}, {"pairs": int(degrees["rows"].sum())})
        yield from pack_buckets(_DEGREES, degrees, "item_key", self.buckets, part)


def _count_largest(pairs: DataFrame, buckets: int) -> dict[str, int]:
    """The pairs of the user and of the item with most."""
    counts = run_kernel(pairs, LargestKernel(buckets)).persist()
    try:
        of_users = unpack_rows(collect_outputs(counts.where(counts["name"] == _LARGEST)), _LARGEST, _ROWS)
        of_items = sum_rows(counts, _DEGREES, buckets, by=_BY_ITEM, values=_ROWS)
    finally:
        counts.unpersist()
    largest = {MOST_OF_A_USER: of_users, MOST_OF_AN_ITEM: of_items}
    return {name: int(rows["rows"].to_numpy().max(initial=0)) for name, rows in largest.items()}


@dataclass(frozen=True)
class LargestKernel:
    """Outputs the pairs of a range's user with most, and its pairs by item."""

    buckets: int

    def __call__(self, part: int, parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
        """Process a range."""
        pairs = unpack_rows(parts, _PAIRS, _PAIR_COLUMNS)
        by_user, by_item = (pairs.group_by(key).agg(rows=pl.len().cast(pl.Int64)) for key in ("user_key", "item_key"))
        yield TaskOutput(_LARGEST, part, 1, pack(by_user.select(pl.max("rows")).to_arrow()))
        yield from pack_buckets(_DEGREES, by_item, "item_key", self.buckets, part)
