"""Curated tables as Spark's DataFrames, and how rows are dealt out by ranges of users.

A range holds whole users in the order of their ids, so that a table made of it is a part of the table, and no row is
moved again before it is written. Ranges depend on the rows alone: the same rows give the same parts on every cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.core.batch_tables import CURATED_INTERACTIONS
from gata_assets.core.curated_manifests import CuratedFile, CuratedManifest
from gata_assets.core.interaction_places import INTERACTIONS_FILE, TenantPlaces
from gata_assets.core.interaction_rules import InteractionType
from gata_assets.core.interaction_windows import days_of
from gata_assets.errors import DataRuleError
from gata_assets.resources.curated_days import damaged, manifest_of_day
from gata_assets.resources.object_store import ObjectStore

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# What is read of a curated day. The keys are made anew: Spark reads an unsigned number of 64 bits as a decimal, which
# takes longer than hashing the ids.
EVENTS = "user_id string, item_id string, timestamp timestamp, type_code smallint, rating float"
# A table of ranges is made from a sample of the users of about so many rows: 1 % of a range of 500,000 rows.
_SAMPLED_ROWS = 1_000_000
_MOST_RANGES = 4_096
# A task holds a whole file to hash it: some million interactions.
_MOST_HASHED = 64 << 20
_ROWS_OF_A_SHUFFLE = 500_000
_LEAST_SHUFFLES = 4


def read_manifests(store: ObjectStore, places: TenantPlaces, window: Window) -> dict[date, CuratedManifest]:
    """What the curated days that a window touches have to be; raises as `manifest_of_day`."""
    return {day: manifest_of_day(store, places, day) for day in days_of(window)}


def read_events(
    session: SparkSession,
    store: ObjectStore,
    places: TenantPlaces,
    window: Window,
    manifests: Mapping[date, CuratedManifest],
) -> DataFrame:
    """The interactions of a window (EVENTS), from its days that have rows; raises DamagedTableError."""
    days = [day for day in days_of(window) if manifests[day].rows]
    if not days:
        return session.createDataFrame([], EVENTS)
    keys = {day: places.curated_day(day) + INTERACTIONS_FILE for day in days}
    files = {str(day): manifests[day].files.get(INTERACTIONS_FILE) for day in days}
    found = _look_at(session, {str(day): store.spark_uri(key) for day, key in keys.items()}, files)
    for day, key in keys.items():
        file = files[str(day)]
        if file is None or found[str(day)] not in {(file.size, file.sha256), (file.size, None)}:
            raise damaged(store, key, CURATED_INTERACTIONS)
    return session.read.schema(EVENTS).parquet(*map(store.spark_uri, keys.values())).where(inside(window))


def _look_at(
    session: SparkSession, uris: Mapping[str, str], files: Mapping[str, CuratedFile | None]
) -> dict[str, tuple[int, str | None]]:
    """The size of each day's file as it stands and its SHA-256, which the executors work out; of a large one the size
    alone, since a file is one value of theirs.
    """
    from pyspark.sql import functions as sf

    is_large = {day: file is not None and file.size > _MOST_HASHED for day, file in files.items()}
    found: dict[str, tuple[int, str | None]] = {}
    for large, digest in ((False, sf.sha2("content", 256)), (True, sf.lit(None).cast("string"))):
        paths = [uri for day, uri in uris.items() if is_large[day] is large]
        if paths:
            rows = session.read.format("binaryFile").load(paths).select("path", "length", digest).collect()
            found.update({path.split("/")[-2]: (length, sha256) for path, length, sha256 in rows})
    return found


def inside(window: Window) -> Column:
    """Whether `timestamp` is in a window."""
    from pyspark.sql import functions as sf

    start, end = (sf.timestamp_micros(sf.lit(micros(at))) for at in (window.start_at, window.end_at))
    return (sf.col("timestamp") >= start) & (sf.col("timestamp") < end)


def micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return int(np.datetime64(at.replace(tzinfo=None), "us").astype(np.int64))


def require_own_keys(kind: str, ids: int, keys: int) -> None:
    """Raises DataRuleError where there are fewer keys than ids."""
    if ids > keys:
        raise DataRuleError(
            f"{ids - keys:,} of {ids:,} {kind} ids have the key of another (XXH64): rename one of each pair."
        )


@dataclass(frozen=True)
class UserRanges:
    """Ranges of user ids: `firsts` are the first ids of all ranges but the first, ascending."""

    firsts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.firsts) + 1

    def deal(self, rows: DataFrame) -> DataFrame:
        """The rows, each in the partition of its user's range, with that range as `part`.

        The ids stand in a table of their own, since plans are logged. They are searched by halves.
        """
        from pyspark.sql import functions as sf

        halves = max(len(self.firsts), 1).bit_length()
        firsts: Sequence[str | None] = [*self.firsts, *[None] * ((1 << halves) - len(self.firsts))]
        table = rows.sparkSession.createDataFrame([(list(firsts),)], "firsts array<string>").scalar()
        rows = rows.withColumn("part", sf.lit(0))
        for step in (1 << half for half in reversed(range(halves))):
            is_beyond = sf.element_at(table, sf.col("part") + step) <= sf.col("user_id")
            rows = rows.withColumn("part", sf.col("part") + sf.when(is_beyond, step).otherwise(0))
        return rows.repartitionById(len(self), "part")


@dataclass(frozen=True)
class UserFacts:
    """What Spark itself counts in interactions: their users, and how many there are of each type (by its code)."""

    users: int
    by_type: tuple[int, ...]

    @property
    def total(self) -> int:
        """All interactions."""
        return sum(self.by_type)


def survey_users(events: DataFrame, *, rows_a_range: int) -> tuple[UserFacts, UserRanges]:
    """Count interactions (EVENTS) by user, once: what they are, and ranges of users with about so many of them each.

    Raises DataRuleError where two users have one key. Ranges come from a sample of users, taken by their keys.
    """
    from pyspark.sql import functions as sf

    types = [f"type_{code}" for code in range(len(InteractionType))]
    of_type = [sf.count_if(sf.col("type_code") == code).alias(name) for code, name in enumerate(types)]
    counts = events.groupBy("user_id").agg(*of_type, sf.count("*").alias("rows")).persist()
    try:
        key = sf.xxhash64("user_id")
        sums = [sf.coalesce(sf.sum(name), sf.lit(0)) for name in types]
        users, keys, *by_type = counts.agg(sf.count("*"), sf.count_distinct(key), *sums).collect()[0]
        require_own_keys("user", users, keys)
        facts = UserFacts(users, tuple(by_type))
        wanted = min(-(-facts.total // rows_a_range), _MOST_RANGES)
        if wanted <= 1:
            return facts, UserRanges(())
        every = max(facts.total // _SAMPLED_ROWS, 1)
        sampled = frame_of(counts.where(sf.pmod(key, sf.lit(every)) == 0).select("user_id", "rows"))
        return facts, _divide(sampled.sort("user_id"), wanted)
    finally:
        counts.unpersist()


def _divide(sampled: pl.DataFrame, wanted: int) -> UserRanges:
    """So many ranges with about as many rows each; `sampled` has `user_id` (ascending) and `rows`."""
    if sampled.is_empty():
        return UserRanges(())
    ends = sampled["rows"].cum_sum().to_numpy()
    cuts = np.unique(np.searchsorted(ends, ends[-1] * np.arange(1, wanted) / wanted) + 1)
    return UserRanges(tuple(sampled["user_id"].gather(cuts[cuts < len(ends)]).to_list()))


def frame_of(rows: DataFrame) -> pl.DataFrame:
    """All rows, here: for what is no larger than a catalogue."""
    table: pa.Table = rows.toArrow()
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def set_shuffles(session: SparkSession, rows: int) -> None:
    """Let a shuffle have partitions of about so many rows as a range has, and no more than a small table needs.

    Spark joins partitions that turn out small, and divides none that turn out large.
    """
    partitions = min(max(-(-rows // _ROWS_OF_A_SHUFFLE), _LEAST_SHUFFLES), _MOST_RANGES)
    session.conf.set("spark.sql.shuffle.partitions", str(partitions))


def cut(rows: DataFrame) -> DataFrame:
    """The same rows without the plan that led to them, kept when they are first worked out: loops would let it grow.

    On reliable storage where the cluster has a place for it (spark.checkpoint.dir), else with the executors.
    """
    has_place = rows.sparkSession.conf.get("spark.checkpoint.dir", None)
    return rows.checkpoint() if has_place else rows.localCheckpoint(eager=False)
