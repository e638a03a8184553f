"""The survey of a window: totals by user, item and type, and ranges of users of about equal size.

It runs before the shuffle; the totals are compared with those of the ranges afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gata_assets.errors import DataRuleError
from gata_assets.interactions.engines.spark import task_outputs
from gata_assets.interactions.engines.spark.shuffle import Days, UserRanges, ids_frame
from gata_assets.interactions.engines.spark.task_outputs import REPORT, TaskOutput, report_of, sum_reports
from gata_assets.interactions.engines.spark.tasks import (
    bucket_count,
    collect_outputs,
    repartition_by_part,
    run_kernel,
    run_tasks,
)
from gata_assets.interactions.rules import InteractionType

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Ranges are chosen from a sample of users with about this many rows: 1 % error for a range of 500,000 rows.
_SAMPLED_ROWS = 1_000_000
_MAX_RANGES = 4_096

_USERS, _ITEMS, _SAMPLE = "users", "items", "sample"
_USER_COLUMNS = {"user_id": pl.String, "user_key": pl.UInt64, "rows": pl.Int64}
_ITEM_COLUMNS = {"item_id": pl.String, "item_key": pl.UInt64, "ratings": pl.Int64}
_SAMPLE_COLUMNS = {"user_id": pl.String, "rows": pl.Int64}


@dataclass(frozen=True)
class WindowTotals:
    """Totals over a window's interactions, counted without ranges: users, items, items with a rating, rows by type."""

    users: int
    items: int
    rated_items: int
    by_type: tuple[int, ...]

    @property
    def interactions(self) -> int:
        """The number of interactions."""
        return sum(self.by_type)


def survey(session: SparkSession, days: Days, *, rows_per_range: int) -> tuple[WindowTotals, UserRanges]:
    """Count interactions by user and item, and choose ranges of users with about `rows_per_range` interactions each.

    The ranges come from a sample of users, chosen by key.

    Raises:
        DataRuleError: If two users or two items have the same hash.
    """
    buckets = bucket_count(days.rows, rows_per_range)
    every = max(days.rows // _SAMPLED_ROWS, 1)
    tasks = run_tasks(session, SpanCounter(days, buckets), len(days.spans))
    parts = collect_outputs(run_kernel(repartition_by_part(tasks, buckets), BucketCounter(every)))
    counts = sum_reports(part.content for part in parts if part.name == REPORT).counts
    for kind in ("user", "item"):
        _require_own_keys(kind, counts[f"{kind}s"], counts[f"{kind}_keys"])
    by_type = tuple(counts[f"type_{code}"] for code in range(len(InteractionType)))
    totals = WindowTotals(counts["users"], counts["items"], counts["rated_items"], by_type)
    count = min(-(-totals.interactions // rows_per_range), _MAX_RANGES)
    return totals, _divide(task_outputs.unpack_rows(parts, _SAMPLE, _SAMPLE_COLUMNS).sort("user_id"), count)


def _require_own_keys(kind: str, ids: int, keys: int) -> None:
    if ids > keys:
        raise DataRuleError(
            f"{ids - keys:,} of {ids:,} {kind} ids have the same hash (XXH64) as another id: rename one of each pair."
        )


def _divide(sampled: pl.DataFrame, count: int) -> UserRanges:
    """Choose `count` ranges with about equally many rows each; `sampled` has `user_id` (ascending) and `rows`."""
    if sampled.is_empty() or count <= 1:
        return UserRanges(())
    ends = sampled["rows"].cum_sum().to_numpy()
    cuts = np.unique(np.searchsorted(ends, ends[-1] * np.arange(1, count) / count) + 1)
    return UserRanges(tuple(sampled["user_id"].gather(cuts[cuts < len(ends)]).to_list()))


@dataclass(frozen=True)
class SpanCounter:
    """Counts a span's interactions by user and by item in buckets of keys, and by type."""

    days: Days
    buckets: int

    def __call__(self, number: int) -> Iterator[TaskOutput]:
        """Process a span."""
        events = self.days.read(number)
        is_rated = ~np.isnan(events.rating)
        counts = np.bincount(events.type_code, minlength=len(InteractionType))
        yield report_of(0, {}, {f"type_{code}": int(count) for code, count in enumerate(counts)})
        users = ids_frame("user", events.users).with_columns(
            rows=pl.Series(np.bincount(events.user, minlength=len(events.users)))
        )
        items = ids_frame("item", events.items).with_columns(
            ratings=pl.Series(np.bincount(events.item[is_rated], minlength=len(events.items)))
        )
        items = items[np.unique(events.item)]
        yield from task_outputs.pack_buckets(_USERS, users, "user_key", self.buckets, number)
        yield from task_outputs.pack_buckets(_ITEMS, items, "item_key", self.buckets, number)


@dataclass(frozen=True)
class BucketCounter:
    """Counts a bucket's distinct users and items, and outputs the rows of a sample of its users."""

    every: int

    def __call__(self, part: int, parts: Sequence[TaskOutput]) -> Iterator[TaskOutput]:
        """Process a bucket."""
        yield from (output for output in parts if output.name == REPORT)
        users = (
            task_outputs.unpack_rows(parts, _USERS, _USER_COLUMNS).group_by("user_id", "user_key").agg(pl.sum("rows"))
        )
        items = task_outputs.unpack_rows(parts, _ITEMS, _ITEM_COLUMNS)
        items = items.group_by("item_id", "item_key").agg(pl.sum("ratings"))
        counts = {
            "users": len(users),
            "user_keys": users["user_key"].n_unique(),
            "items": len(items),
            "item_keys": items["item_key"].n_unique(),
            "rated_items": int((items["ratings"] > 0).sum()),
        }
        yield report_of(0, {}, counts)
        sampled = users.filter(pl.col("user_key") % self.every == 0).select("user_id", "rows")
        yield TaskOutput(_SAMPLE, part, len(sampled), task_outputs.pack(sampled.to_arrow()))
