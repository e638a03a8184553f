"""How a window's interactions are dealt out to ranges of users: read, surveyed and dealt by tasks of whole days.

A range holds whole users in the order of their ids, so that a table made of it is a part of the table, and no row is
moved again before it is written. Ranges depend on the rows alone: the same rows give the same parts on every cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.batches import Window, days_of
from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import DataRuleError
from gata_assets.interactions.curated.reader import manifest_of_day, read_events
from gata_assets.interactions.engines.spark.tasks import (
    REPORT,
    Part,
    PerPart,
    add_up,
    bucket_count,
    by_part,
    collect_parts,
    pack,
    report_of,
    run_tasks,
    unpack,
)
from gata_assets.interactions.features.events import EventCoder, EventTable, Ids
from gata_assets.interactions.rules import InteractionType
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import read_part

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Ranges are made from a sample of the users of about so many rows: 1 % of a range of 500,000 rows.
_SAMPLED_ROWS = 1_000_000
_MOST_RANGES = 4_096
# A store far away answers so many requests at once.
_FETCHERS = 8

_SURVEY, _SAMPLE = "survey", "sample"
EVENTS, FEATURES = "events", "features"

_NO_ITEMS = pl.DataFrame(schema={"item_id": pl.String, "item_key": pl.UInt64})


@dataclass(frozen=True)
class Days:
    """The curated days of a window in spans, each of which one task reads through the store; `rows` by manifests."""

    store: ObjectStore
    places: TenantLayout
    spans: tuple[Window, ...]
    rows: int

    @classmethod
    def of(cls, store: ObjectStore, places: TenantLayout, window: Window, *, rows_a_span: int) -> Days:
        """The days that a window touches and that have rows, in spans of about so many rows; a day is not divided.

        Raises as `manifest_of_day`.
        """
        spans: list[Window] = []
        total = room = 0
        days = days_of(window)
        with ThreadPoolExecutor(_FETCHERS) as fetchers:
            counted = list(fetchers.map(lambda day: manifest_of_day(store, places, day).rows, days))
        for day, rows in zip(days, counted, strict=True):
            total += rows
            if not rows:
                continue
            inside = _span(day, window)
            if spans and rows <= room:
                spans[-1], room = Window(spans[-1].start_at, inside.end_at), room - rows
            else:
                spans.append(inside)
                room = rows_a_span - rows
        return cls(store, places, tuple(spans), total)

    def read(self, number: int) -> EventTable:
        """The interactions of a span; raises as `read_events` of the one-machine engine, which it is."""
        return read_events(self.places, self.spans[number], _NO_ITEMS, self.store)


def _span(day: date, window: Window) -> Window:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(max(midnight, window.start_at), min(midnight + timedelta(days=1), window.end_at))


@dataclass(frozen=True)
class UserRanges:
    """Ranges of user ids: `firsts` are the first ids of all ranges but the first, ascending."""

    firsts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.firsts) + 1

    def of(self, ids: pl.Series) -> NDArray[np.int64]:
        """The range of each id."""
        if not self.firsts:
            return np.zeros(len(ids), dtype=np.int64)
        return pl.Series(self.firsts, dtype=pl.String).search_sorted(ids, side="right").to_numpy().astype(np.int64)


@dataclass(frozen=True)
class Facts:
    """What is counted in interactions apart from ranges: users, items (and those with a rating), and rows by type."""

    users: int
    items: int
    rated_items: int
    by_type: tuple[int, ...]

    @property
    def total(self) -> int:
        """All interactions."""
        return sum(self.by_type)


def survey(session: SparkSession, days: Days, *, rows_a_range: int) -> tuple[Facts, UserRanges]:
    """Count interactions by users and items: what they are, and ranges of users with about so many of them each.

    Raises DataRuleError where two users or two items have one key. Ranges come from a sample of users, by their keys.
    """
    buckets = bucket_count(days.rows, rows_a_range)
    every = max(days.rows // _SAMPLED_ROWS, 1)
    tasks = run_tasks(session, Surveyor(days, buckets), len(days.spans))
    parts = collect_parts(by_part(tasks, buckets).mapInArrow(PerPart(Census(every)), tasks.schema))
    counts = add_up(part.content for part in parts if part.name == REPORT).counts
    for kind in ("user", "item"):
        _require_own_keys(kind, counts[f"{kind}s"], counts[f"{kind}_keys"])
    by_type = tuple(counts[f"type_{code}"] for code in range(len(InteractionType)))
    facts = Facts(counts["users"], counts["items"], counts["rated_items"], by_type)
    sampled = [frame_of(table) for part in parts if part.name == _SAMPLE for table in unpack(part.content)]
    wanted = min(-(-facts.total // rows_a_range), _MOST_RANGES)
    if wanted <= 1 or not sampled:
        return facts, UserRanges(())
    return facts, _divide(pl.concat(sampled).sort("user_id"), wanted)


def _require_own_keys(kind: str, ids: int, keys: int) -> None:
    if ids > keys:
        raise DataRuleError(
            f"{ids - keys:,} of {ids:,} {kind} ids have the key of another (XXH64): rename one of each pair."
        )


def _divide(sampled: pl.DataFrame, wanted: int) -> UserRanges:
    """So many ranges with about as many rows each; `sampled` has `user_id` (ascending) and `rows`."""
    if sampled.is_empty():
        return UserRanges(())
    ends = sampled["rows"].cum_sum().to_numpy()
    cuts = np.unique(np.searchsorted(ends, ends[-1] * np.arange(1, wanted) / wanted) + 1)
    return UserRanges(tuple(sampled["user_id"].gather(cuts[cuts < len(ends)]).to_list()))


@dataclass(frozen=True)
class Surveyor:
    """Counts a span's interactions by user and by item, for each bucket of keys; types for all."""

    days: Days
    buckets: int

    def __call__(self, number: int) -> Iterator[Part]:
        """The task of a span."""
        events = self.days.read(number)
        is_rated = ~np.isnan(events.rating)
        counts = np.bincount(events.type_code, minlength=len(InteractionType))
        yield report_of(0, {}, {f"type_{code}": int(count) for code, count in enumerate(counts)})
        users = ids_frame("user", events.users).with_columns(
            rows=pl.Series(np.bincount(events.user, minlength=len(events.users)))
        )
        items = (
            ids_frame("item", events.items)
            .with_columns(
                rows=pl.Series(np.bincount(events.item, minlength=len(events.items))),
                ratings=pl.Series(np.bincount(events.item[is_rated], minlength=len(events.items))),
            )
            .filter(pl.col("rows") > 0)
        )
        of_users, of_items = in_buckets(users, "user_key", self.buckets), in_buckets(items, "item_key", self.buckets)
        for bucket in range(self.buckets):
            pieces = of_users.get(bucket, users.clear()), of_items.get(bucket, items.clear())
            yield Part(_SURVEY, bucket, 0, pack(*(piece.to_arrow() for piece in pieces)), number)


@dataclass(frozen=True)
class Census:
    """Counts the distinct users and items of a bucket, and gives the rows of the users of a sample."""

    every: int

    def __call__(self, parts: Sequence[Part]) -> Iterator[Part]:
        """The task of a bucket."""
        yield from (part for part in parts if part.name == REPORT)
        pieces = [tuple(map(frame_of, unpack(part.content))) for part in parts if part.name == _SURVEY]
        if not pieces:
            return
        users = pl.concat([of_users for of_users, _ in pieces]).group_by("user_id", "user_key").agg(pl.sum("rows"))
        items = pl.concat([of_items for _, of_items in pieces]).group_by("item_id", "item_key").agg(pl.sum("ratings"))
        counts = {
            "users": len(users),
            "user_keys": users["user_key"].n_unique(),
            "items": len(items),
            "item_keys": items["item_key"].n_unique(),
            "rated_items": int((items["ratings"] > 0).sum()),
        }
        yield report_of(0, {}, counts)
        sampled = users.filter(pl.col("user_key") % self.every == 0).select("user_id", "rows")
        yield Part(_SAMPLE, parts[0].part, len(sampled), pack(sampled.to_arrow()))


def deal(session: SparkSession, days: Days, ranges: UserRanges, features: Sequence[str] = ()) -> DataFrame:
    """PARTS with what each range needs of its users, packed, a range in a partition of its own.

    EVENTS are their interactions, FEATURES their rows of UserFeatures without `recent_items`, from the parts under the
    keys `features`. This is the one shuffle of what has the size of the interactions.
    """
    tasks = run_tasks(session, Dealer(days, ranges, tuple(features)), len(days.spans) + len(features))
    return by_part(tasks, len(ranges))


@dataclass(frozen=True)
class Dealer:
    """Divides a span's interactions, or a part of the users' features, by ranges of users."""

    days: Days
    ranges: UserRanges
    features: tuple[str, ...]

    def __call__(self, number: int) -> Iterator[Part]:
        """The task of a span, or, after these, of a part."""
        beyond = number - len(self.days.spans)
        return self._deal_features(beyond) if beyond >= 0 else self._deal_events(number)

    def _deal_events(self, number: int) -> Iterator[Part]:
        events = self.days.read(number)
        of_user = self.ranges.of(events.users.ids)
        of_row = of_user[events.user]
        order = np.argsort(of_row, kind="stable")
        ids = ids_frame("user", events.users), ids_frame("item", events.items)
        for part, (start, end), users in _stretches(of_row[order], of_user):
            rows = order[start:end]
            items, item = np.unique(events.item[rows], return_inverse=True)
            table = pa.table(
                {
                    "user": events.user[rows] - users[0],
                    "item": item.astype(np.int32),
                    "timestamp": events.timestamp[rows],
                    "type_code": events.type_code[rows],
                    "rating": events.rating[rows],
                }
            )
            pieces = table, ids[0][users[0] : users[1]].to_arrow(), ids[1][items].to_arrow()
            yield Part(EVENTS, part, len(rows), pack(*pieces), number)

    def _deal_features(self, number: int) -> Iterator[Part]:
        table = read_part(self.days.store, self.features[number], without="recent_items")
        ids = pl.Series(table["user_id"].cast(pa.large_string()))
        of_user = self.ranges.of(ids)
        order = np.argsort(of_user, kind="stable")
        for part, (start, end), _ in _stretches(of_user[order], of_user[order]):
            yield Part(FEATURES, part, end - start, pack(table.take(pa.array(order[start:end]))), number)


def _stretches(
    of_row: NDArray[np.int64], of_user: NDArray[np.int64]
) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Each range that occurs, and where it begins and ends among rows and users, both by their ranges."""
    for part in np.unique(of_user):
        rows, users = (np.searchsorted(of, [part, part + 1]) for of in (of_row, of_user))
        yield int(part), (int(rows[0]), int(rows[1])), (int(users[0]), int(users[1]))


def events_of(parts: Sequence[Part], items: pl.DataFrame = _NO_ITEMS) -> EventTable:
    """The interactions of a range in order of time; `items` (`item_id, item_key`) are those that get a code anyway."""
    coder = EventCoder()
    coder.add_items(items)
    for part in parts:
        if part.name != EVENTS:
            continue
        rows, users, met = map(frame_of, unpack(part.content))
        coder.add(
            rows.select(
                "timestamp",
                "type_code",
                "rating",
                user_key=users["user_key"].gather(rows["user"]),
                item_key=met["item_key"].gather(rows["item"]),
            ),
            users,
            met,
        )
    return coder.finish()


def ids_frame(kind: str, ids: Ids) -> pl.DataFrame:
    """Ids and their keys as columns."""
    return pl.DataFrame({f"{kind}_id": ids.ids, f"{kind}_key": pl.Series(ids.keys)})


def in_buckets(rows: pl.DataFrame, key: str, buckets: int) -> dict[int, pl.DataFrame]:
    """Rows by bucket of a key, which are those of the key on every machine; empty ones are left out."""
    if buckets == 1:
        return {0: rows}
    divided = rows.with_columns(bucket=pl.col(key) % buckets).partition_by("bucket", as_dict=True, include_key=False)
    return {int(bucket): piece for (bucket,), piece in divided.items()}


def frame_of(table: pa.Table) -> pl.DataFrame:
    """A table as Polars has it."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - Polars' type is wider
    return frame
