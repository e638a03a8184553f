"""The shuffle of a window's interactions to ranges of users, read by tasks of whole days.

A range contains all rows of its users, in the order of their ids, so that a range's table is a part of the whole table
and no row moves again before it is written. Ranges depend only on the rows: the parts are the same on every cluster.
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

from gata_assets.batches import Window, days_of
from gata_assets.curation.layout import TenantLayout
from gata_assets.interactions.curated.reader import manifest_of_day, read_events, rows_of_day
from gata_assets.interactions.engines.spark.task_outputs import TaskOutput, pack, unpack
from gata_assets.interactions.engines.spark.tasks import repartition_by_part, run_tasks
from gata_assets.interactions.features.events import EventCoder, EventTable, Ids
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import read_part
from gata_assets.tables.columns.arrays import Int64s
from gata_assets.tables.people.erased_people import ErasedPeople

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Parallel requests, for a store with high latency.
_FETCHERS = 8

EVENTS, FEATURES = "events", "features"

_NO_ITEMS = pl.DataFrame(schema={"item_id": pl.String, "item_key": pl.UInt64})


@dataclass(frozen=True)
class Days:
    """A window's curated days in spans, each read by one task; `rows` is their total from the manifests. Rows of people
    `erased` are left out.
    """

    store: ObjectStore
    places: TenantLayout
    spans: tuple[Window, ...]
    rows: int
    erased: ErasedPeople | None = None

    @classmethod
    def of(
        cls,
        store: ObjectStore,
        places: TenantLayout,
        window: Window,
        *,
        rows_per_span: int,
        erased: ErasedPeople | None = None,
    ) -> Days:
        """Group the window's days with rows into spans of about `rows_per_span` rows; a day is never divided.

        Raises the errors of `manifest_of_day`.
        """
        spans: list[Window] = []
        room = 0
        days = days_of(window)
        with ThreadPoolExecutor(_FETCHERS) as fetchers:
            counted = list(fetchers.map(lambda day: rows_of_day(manifest_of_day(store, places, day)), days))
        for day, rows in zip(days, counted, strict=True):
            if not rows:
                continue
            inside = _span(day, window)
            if spans and rows <= room:
                spans[-1], room = Window(spans[-1].start_at, inside.end_at), room - rows
            else:
                spans.append(inside)
                room = rows_per_span - rows
        return cls(store, places, tuple(spans), sum(counted), erased)

    def read(self, number: int) -> EventTable:
        """Read a span's interactions; raises the errors of `read_events`."""
        return read_events(self.places, self.spans[number], _NO_ITEMS, self.store, erased=self.erased)


def _span(day: date, window: Window) -> Window:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(max(midnight, window.start_at), min(midnight + timedelta(days=1), window.end_at))


@dataclass(frozen=True)
class UserRanges:
    """Ranges of user ids: `firsts` are the first ids of all ranges except the first, ascending."""

    firsts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.firsts) + 1

    def of(self, ids: pl.Series) -> Int64s:
        """Each id's range."""
        if not self.firsts:
            return np.zeros(len(ids), dtype=np.int64)
        return pl.Series(self.firsts, dtype=pl.String).search_sorted(ids, side="right").to_numpy().astype(np.int64)


def repartition_by_user(
    session: SparkSession, days: Days, ranges: UserRanges, features: Sequence[str] = ()
) -> DataFrame:
    """Shuffle interactions and user features to ranges of users: the only shuffle of data of the interactions' size.

    Args:
        session: The Spark session.
        days: The interactions.
        ranges: The ranges of users.
        features: The keys of parts of UserFeatures.

    Returns:
        OUTPUT_COLUMNS with a partition per range: EVENTS are packed interactions, FEATURES packed rows of UserFeatures
        without `recent_items`.
    """
    tasks = run_tasks(session, UserShuffle(days, ranges, tuple(features)), len(days.spans) + len(features))
    return repartition_by_part(tasks, len(ranges))


@dataclass(frozen=True)
class UserShuffle:
    """Divides a span's interactions, or a part of UserFeatures, by ranges of users."""

    days: Days
    ranges: UserRanges
    features: tuple[str, ...]

    def __call__(self, number: int) -> Iterator[TaskOutput]:
        """Process a span, or, for numbers after the spans, a part of UserFeatures."""
        part = number - len(self.days.spans)
        return self._shuffle_features(part) if part >= 0 else self._shuffle_events(number)

    def _shuffle_events(self, number: int) -> Iterator[TaskOutput]:
        events = self.days.read(number)
        user_ranges = self.ranges.of(events.users.ids)
        row_ranges = user_ranges[events.user]
        order = np.argsort(row_ranges, kind="stable")
        ids = ids_frame("user", events.users), ids_frame("item", events.items)
        for part, (start, end), users in _range_slices(row_ranges[order], user_ranges):
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
            yield TaskOutput(EVENTS, part, len(rows), pack(*pieces), number)

    def _shuffle_features(self, number: int) -> Iterator[TaskOutput]:
        table = read_part(self.days.store, self.features[number], without="recent_items")
        ids = pl.Series(table["user_id"].cast(pa.large_string()))
        user_ranges = self.ranges.of(ids)
        order = np.argsort(user_ranges, kind="stable")
        for part, (start, end), _ in _range_slices(user_ranges[order], user_ranges[order]):
            yield TaskOutput(FEATURES, part, end - start, pack(table.take(pa.array(order[start:end]))), number)


def _range_slices(row_ranges: Int64s, user_ranges: Int64s) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Each range that occurs, with its bounds among rows and among users, both sorted by range."""
    for part in np.unique(user_ranges):
        rows, users = (np.searchsorted(ranges, [part, part + 1]) for ranges in (row_ranges, user_ranges))
        yield int(part), (int(rows[0]), int(rows[1])), (int(users[0]), int(users[1]))


def events_of(parts: Sequence[TaskOutput], items: pl.DataFrame = _NO_ITEMS) -> EventTable:
    """Encode a range's interactions in order of time; `items` (`item_id, item_key`) get a code in any case."""
    coder = EventCoder()
    coder.add_items(items)
    for part in parts:
        if part.name != EVENTS:
            continue
        rows, users, part_items = map(pl.DataFrame, unpack(part.content))
        coder.add(
            rows.select(
                "timestamp",
                "type_code",
                "rating",
                user_key=users["user_key"].gather(rows["user"]),
                item_key=part_items["item_key"].gather(rows["item"]),
            ),
            users,
            part_items,
        )
    return coder.finish()


def ids_frame(kind: str, ids: Ids) -> pl.DataFrame:
    """Ids and their keys as a frame."""
    return pl.DataFrame({f"{kind}_id": ids.ids, f"{kind}_key": pl.Series(ids.keys)})
