"""Positives of the whole on Spark: which items are thin, and how often each item was met.

A thin user or item can only be told from the whole. Users are whole in a range, so that who is thin among them follows
there from the thin items: those alone are what ranges have to be told of one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.interactions.engines.spark.shuffle import events_of, frame_of, ids_frame, in_buckets
from gata_assets.interactions.engines.spark.tasks import (
    REPORT,
    Part,
    PerPart,
    add_up,
    by_part,
    collect_parts,
    pack,
    report_of,
    unpack,
)
from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import SamplingRules, SamplingStrategy
from gata_assets.interactions.sampling.positives import find_below_minimum

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PAIRS, _MET, _DEGREES = "pairs", "met", "degrees"
_NO_KEYS = pl.DataFrame(schema={"user_key": pl.UInt64, "item_key": pl.UInt64})


@dataclass(frozen=True)
class Pairs:
    """The distinct (user, item) of positive interactions in the window: how many stay of them, and how many do not.

    `thin_items` are the keys of items that the minimums leave out, ascending. `met` has `item_key, rows`: the window's
    interactions with items; without rows where they do not matter.
    """

    thin_items: NDArray[np.uint64]
    count: int
    left_out_by_minimum: int
    met: pl.DataFrame


def choose_pairs(dealt: DataFrame, rules: SamplingRules, *, start: int, buckets: int, most_here: int) -> Pairs:
    """Find the thin items among the positives of a window that begins at `start` (microseconds since 1970).

    Where there are at most so many pairs, their keys come here (16 bytes each) and the loop of one machine finds the
    thin; else the ranges do, round by round.
    """
    made = dealt.mapInArrow(PerPart(PairKernel(rules, start, buckets)), dealt.schema).persist()
    try:
        total = sum(row.rows for row in made.where(made["name"] == _PAIRS).select("rows").collect())
        met = _sum_rows(made, _MET, buckets)
        none = np.empty(0, dtype=np.uint64)
        if not total or max(rules.min_interactions_per_user, rules.min_interactions_per_item) <= 1:
            return Pairs(none, total, 0, met)
        pairs = made.where(made["name"] == _PAIRS)
        thin, count = (
            _find_thin_here(pairs, rules) if total <= most_here else _find_thin_by_rounds(pairs, rules, buckets)
        )
    finally:
        made.unpersist()
    return Pairs(thin, count, total - count, met)


def is_positive(events: EventTable, rules: SamplingRules, start: int) -> NDArray[np.bool_]:
    """Of each interaction whether it is of a positive type and in the window."""
    codes = [kind.code for kind in rules.positive_types]
    return np.isin(events.type_code, codes) & (events.timestamp >= start)


@dataclass(frozen=True)
class PairKernel:
    """Gives the positive pairs of a range, and how often each item was met in the window where it matters."""

    rules: SamplingRules
    start: int
    buckets: int

    def __call__(self, parts: Sequence[Part]) -> Iterator[Part]:
        """The task of a range."""
        part, events = parts[0].part, events_of(parts)
        rows = is_positive(events, self.rules, self.start)
        pairs = np.unique((events.user[rows].astype(np.int64) << 32) | events.item[rows])
        keys = {"user_key": events.users.keys[pairs >> 32], "item_key": events.items.keys[pairs & 0xFFFFFFFF]}
        yield Part(_PAIRS, part, len(pairs), pack(pa.table(keys)))
        if self.rules.strategy is SamplingStrategy.POPULARITY:
            counts = np.bincount(events.item[events.timestamp >= self.start], minlength=len(events.items))
            met = ids_frame("item", events.items).select("item_key", rows=pl.Series(counts))
            for bucket, piece in in_buckets(met, "item_key", self.buckets).items():
                yield Part(_MET, bucket, len(piece), pack(piece.to_arrow()), part)


def _find_thin_here(pairs: DataFrame, rules: SamplingRules) -> tuple[NDArray[np.uint64], int]:
    keys = _keys_of(collect_parts(pairs))
    _, items, count = find_below_minimum(keys["user_key"].to_numpy(), keys["item_key"].to_numpy(), rules)
    return items.astype(np.uint64, copy=False), count


def _keys_of(parts: Sequence[Part]) -> pl.DataFrame:
    return pl.concat([_NO_KEYS, *(frame_of(table) for part in parts for table in unpack(part.content))])


def _find_thin_by_rounds(pairs: DataFrame, rules: SamplingRules, buckets: int) -> tuple[NDArray[np.uint64], int]:
    """Each round knows the items that were thin before it; one that finds no other is the last."""
    thin = np.empty(0, dtype=np.uint64)
    while True:
        left = pairs.mapInArrow(PerPart(Round(rules, thin, buckets)), pairs.schema).persist()
        try:
            reports = collect_parts(left.where(left["name"] == REPORT))
            found = _sum_rows(left, _DEGREES, buckets, most=rules.min_interactions_per_item - 1)
        finally:
            left.unpersist()
        if found.is_empty():
            return thin, int(add_up(part.content for part in reports).counts["pairs"])
        thin = np.union1d(thin, found["item_key"].to_numpy())


@dataclass(frozen=True)
class Round:
    """Counts of each item the pairs that are left in a range without thin items, and then without thin users.

    An item that has no pair left is counted too, with none.
    """

    rules: SamplingRules
    thin: NDArray[np.uint64]
    buckets: int

    def __call__(self, parts: Sequence[Part]) -> Iterator[Part]:
        """The task of a range."""
        pairs = _keys_of(parts)
        pairs = pairs.filter(~pl.Series(np.isin(pairs["item_key"].to_numpy(), self.thin)))
        is_left = pl.len().over("user_key") >= self.rules.min_interactions_per_user
        degrees = pairs.with_columns(left=is_left).group_by("item_key").agg(rows=pl.sum("left").cast(pl.Int64))
        yield report_of(parts[0].part, {}, {"pairs": int(degrees["rows"].sum())})
        for bucket, piece in in_buckets(degrees, "item_key", self.buckets).items():
            yield Part(_DEGREES, bucket, len(piece), pack(piece.to_arrow()), parts[0].part)


def _sum_rows(made: DataFrame, name: str, buckets: int, *, most: int | None = None) -> pl.DataFrame:
    """The sums `item_key, rows` over all ranges, up to `most`."""
    named = by_part(made.where(made["name"] == name), buckets)
    parts = collect_parts(named.mapInArrow(PerPart(Sums(most)), made.schema))
    none = pl.DataFrame(schema={"item_key": pl.UInt64, "rows": pl.Int64})
    return pl.concat([none, *(frame_of(table) for part in parts for table in unpack(part.content))])


@dataclass(frozen=True)
class Sums:
    """Adds up `rows` by item in a bucket, and gives the sums that are no greater than `most`."""

    most: int | None

    def __call__(self, parts: Sequence[Part]) -> Iterator[Part]:
        """The task of a bucket."""
        rows = pl.concat([frame_of(table) for part in parts for table in unpack(part.content)])
        sums = rows.group_by("item_key").agg(pl.sum("rows"))
        if self.most is not None:
            sums = sums.filter(pl.col("rows") <= self.most)
        yield Part(parts[0].name, parts[0].part, len(sums), pack(sums.to_arrow()))
