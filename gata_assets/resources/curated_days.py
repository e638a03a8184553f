"""Reads the curated days and the catalogue of a tenant from a store: the columns that a batch needs, and no ids of
interactions, whose keys are enough.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.batches import Window
from gata_assets.core.event_table import EventCoder, EventTable
from gata_assets.core.interaction_places import INTERACTIONS_FILE, ITEMS_FILE, MANIFEST_FILE, USERS_FILE, TenantPlaces
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.resources.object_store import ObjectStore

_EVENT_COLUMNS = ("user_key", "item_key", "timestamp", "type_code", "rating")
_ITEM_COLUMNS = ("item_id", "item_key", "category", "price", "available_at")

# Days are read ahead of the one that gets its codes: a store far away answers in the meantime.
_READ_AHEAD = 4


class CuratedDay(NamedTuple):
    """A day's interactions within the window, and its ids."""

    events: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame


def read_catalogue(places: TenantPlaces, store: ObjectStore) -> pl.DataFrame:
    """The catalogue: `item_id, item_key, category, price, available_at`, by item_id."""
    return _read(store, places.curated_items(), ITEMS_FILE, _ITEM_COLUMNS, "curated_items")


def read_events(places: TenantPlaces, window: Window, catalogue: pl.DataFrame, store: ObjectStore) -> EventTable:
    """The interactions of a window, with codes for the items of the catalogue too.

    Raises ObjectNotFoundError for a day that was not curated, DamagedTableError, or DataRuleError.
    """
    coder = EventCoder()
    for day in _read_days(places, window, store):
        coder.add(*day)
    coder.add_items(catalogue)
    return coder.finish()


def days_of(window: Window) -> list[date]:
    """The days (UTC) that a window touches."""
    first, last = window.start_at.date(), (window.end_at - timedelta(microseconds=1)).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _read_days(places: TenantPlaces, window: Window, store: ObjectStore) -> Iterator[CuratedDay]:
    with ThreadPoolExecutor(_READ_AHEAD) as pool:
        coming: deque[Future[CuratedDay | None]] = deque()
        for day in days_of(window):
            coming.append(pool.submit(_read_day, places.curated_day(day), day, window, store))
            if len(coming) > _READ_AHEAD:
                yield from _done(coming)
        while coming:
            yield from _done(coming)


def _done(coming: deque[Future[CuratedDay | None]]) -> Iterator[CuratedDay]:
    day = coming.popleft().result()
    if day is not None:
        yield day


def _read_day(folder: str, day: date, window: Window, store: ObjectStore) -> CuratedDay | None:
    """A day without interactions is none: its files have nothing to say."""
    if not _rows(store, folder):
        return None
    events = _read(store, folder, INTERACTIONS_FILE, _EVENT_COLUMNS, "curated_interactions")
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if midnight < window.start_at or midnight + timedelta(days=1) > window.end_at:
        events = events.filter(pl.col("timestamp").is_between(window.start_at, window.end_at, closed="left"))
    return CuratedDay(
        events,
        _read(store, folder, USERS_FILE, ("user_id", "user_key"), "curated_interactions"),
        _read(store, folder, ITEMS_FILE, ("item_id", "item_key"), "curated_interactions"),
    )


def rows_of_day(store: ObjectStore, places: TenantPlaces, day: date) -> int:
    """The rows of a curated day; raises ObjectNotFoundError for one that was not curated, or DamagedTableError."""
    return _rows(store, places.curated_day(day))


def _rows(store: ObjectStore, folder: str) -> int:
    asset, key = "curated_interactions", folder + MANIFEST_FILE
    try:
        return int(json.loads(store.read(key))["rows"])
    except ObjectNotFoundError:
        raise ObjectNotFoundError(f"There is no {store.uri(key)}: materialize `{asset}` first.") from None
    except (ValueError, KeyError, TypeError):
        raise _damaged(store, key, asset) from None


def _read(store: ObjectStore, folder: str, name: str, columns: Sequence[str], asset: str) -> pl.DataFrame:
    key = folder + name
    try:
        # Half the time that Polars takes for files of a day: it has to begin with a plan for each.
        with store.local_copy(key) as path, pq.ParquetFile(path) as file:
            frame = pl.from_arrow(file.read(columns=list(columns), use_threads=False))
    except ObjectNotFoundError:
        raise ObjectNotFoundError(f"There is no {store.uri(key)}: materialize `{asset}` first.") from None
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError):
        raise _damaged(store, key, asset) from None
    assert isinstance(frame, pl.DataFrame)
    if frame.columns != list(columns):
        raise _damaged(store, key, asset)
    return frame


def _damaged(store: ObjectStore, key: str, asset: str) -> DamagedTableError:
    return DamagedTableError(
        f"{store.uri(key)} is not what this project wrote, or not whole: materialize `{asset}` again."
    )
