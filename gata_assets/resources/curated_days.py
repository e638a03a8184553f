"""Reads the curated days and the catalogue of a tenant from a store: the columns that a batch needs, and no ids of
interactions, whose keys are enough.

Days are read in groups of some hundred thousand rows: what a file costs besides its rows is then seldom paid in Python.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl

from gata_assets.batches import Window
from gata_assets.core.compiling import load_compiler
from gata_assets.core.event_table import EventCoder, EventTable
from gata_assets.core.interaction_places import INTERACTIONS_FILE, ITEMS_FILE, MANIFEST_FILE, USERS_FILE, TenantPlaces
from gata_assets.core.interaction_windows import days_of
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.resources.object_store import ObjectStore

_INSTANT = pl.Datetime("us", "UTC")
_EVENT_COLUMNS = {
    "user_key": pl.UInt64(),
    "item_key": pl.UInt64(),
    "timestamp": _INSTANT,
    "type_code": pl.UInt8(),
    "rating": pl.Float32(),
}
_DAY_FILES: Mapping[str, Mapping[str, pl.DataType]] = {
    INTERACTIONS_FILE: _EVENT_COLUMNS,
    USERS_FILE: {"user_id": pl.String(), "user_key": pl.UInt64()},
    ITEMS_FILE: {"item_id": pl.String(), "item_key": pl.UInt64()},
}
_CATALOGUE_COLUMNS = {
    "item_id": pl.String(),
    "item_key": pl.UInt64(),
    "category": pl.String(),
    "price": pl.Float64(),
    "available_at": _INSTANT,
}

# A file of a day takes Arrow 0.5 ms and Polars alone 0.8 ms, but 0.3 ms as one of many in a plan of Polars, where no
# thread waits for Python. Groups four times as large take 43 MB more and are no faster.
_ROWS_OF_A_GROUP = 1 << 16
# A store far away answers so many requests at once.
_FETCHERS = 8


class EventsOfDays(NamedTuple):
    """The interactions of some days within the window, and their ids, which come again for each day."""

    events: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame


def read_catalogue(places: TenantPlaces, store: ObjectStore) -> pl.DataFrame:
    """The catalogue: `item_id, item_key, category, price, available_at`, by item_id."""
    key = places.curated_items() + ITEMS_FILE
    try:
        with store.local_copy(key) as path:
            return _read(store, [(key, path)], _CATALOGUE_COLUMNS, "curated_items")
    except ObjectNotFoundError:
        raise _missing(store, key, "curated_items") from None


def read_events(
    places: TenantPlaces,
    window: Window,
    catalogue: pl.DataFrame,
    store: ObjectStore,
    *,
    rows_at_once: int = _ROWS_OF_A_GROUP,
) -> EventTable:
    """The interactions of a window, with codes for the items of the catalogue too.

    Days are read together up to so many rows, which changes nothing of what comes out. Raises ObjectNotFoundError for a
    day that was not curated, DamagedTableError, or DataRuleError.
    """
    coder = EventCoder()
    with ThreadPoolExecutor(_FETCHERS) as fetchers, ThreadPoolExecutor(1) as reader:
        groups = _groups(places, window, store, fetchers, rows_at_once)
        # One group ahead of the one that gets its codes, and the first of them while Python gets ready.
        reads = (reader.submit(_read_days, places, days, window, store, fetchers) for days in groups)
        coming = next(reads, None)
        load_compiler()
        coder.add_items(catalogue)
        while coming is not None:
            days, coming = coming.result(), next(reads, None)
            coder.add(*days)
    return coder.finish()


def _groups(
    places: TenantPlaces, window: Window, store: ObjectStore, fetchers: Executor, most: int
) -> list[dict[date, int]]:
    """The days with their rows, in groups of not too many; those without are left out: their files say nothing."""
    days = days_of(window)
    groups: list[dict[date, int]] = []
    room = 0
    for day, rows in zip(days, fetchers.map(lambda day: rows_of_day(store, places, day), days), strict=True):
        if not rows:
            continue
        if not groups or rows > room:
            groups.append({})
            room = most
        groups[-1][day] = rows
        room -= rows
    return groups


def rows_of_day(store: ObjectStore, places: TenantPlaces, day: date) -> int:
    """The rows of a curated day; raises ObjectNotFoundError for one that was not curated, or DamagedTableError."""
    key = places.curated_day(day) + MANIFEST_FILE
    try:
        return int(json.loads(store.read(key))["rows"])
    except ObjectNotFoundError:
        raise _missing(store, key, "curated_interactions") from None
    except (ValueError, KeyError, TypeError):
        raise _damaged(store, key, "curated_interactions") from None


def _read_days(
    places: TenantPlaces, rows: Mapping[date, int], window: Window, store: ObjectStore, fetchers: Executor
) -> EventsOfDays:
    days = list(rows)
    midnight = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC)
    end_at = datetime(days[-1].year, days[-1].month, days[-1].day, tzinfo=UTC) + timedelta(days=1)
    with ExitStack() as copies:
        fetched = [
            fetchers.submit(_fetch, store, [places.curated_day(day) + name for name in _DAY_FILES], copies)
            for day in days
        ]
        wait(fetched)
        files = [day.result() for day in fetched]
        events, users, items = (
            _read(store, [day[at] for day in files], columns, "curated_interactions")
            for at, columns in enumerate(_DAY_FILES.values())
        )
    if len(events) != sum(rows.values()):
        raise DamagedTableError(
            f"{store.uri(places.curated_day())}: {len(events):,} interactions from {days[0]} to {days[-1]}, and "
            f"{sum(rows.values()):,} by their manifests: curate these days again."
        )
    if midnight < window.start_at or end_at > window.end_at:
        events = events.filter(pl.col("timestamp").is_between(window.start_at, window.end_at, closed="left"))
    return EventsOfDays(events, users, items)


def _fetch(store: ObjectStore, keys: Sequence[str], copies: ExitStack) -> list[tuple[str, Path]]:
    """The files of a day, which stay until the copies are let go."""
    files = []
    for key in keys:
        try:
            files.append((key, copies.enter_context(store.local_copy(key))))
        except ObjectNotFoundError:
            raise _missing(store, key, "curated_interactions") from None
    return files


def _read(
    store: ObjectStore, files: Sequence[tuple[str, Path]], columns: Mapping[str, pl.DataType], asset: str
) -> pl.DataFrame:
    """Columns of files as one table; a file that has not these columns, or is not whole, is told by its key."""
    try:
        frame = pl.scan_parquet([path for _, path in files], glob=False, cache=False).select(*columns).collect()
        if dict(frame.schema) == columns:
            return frame
    # What Polars itself did not expect of a damaged file is a panic, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        pass
    if len(files) > 1:
        for file in files:
            _read(store, [file], columns, asset)
    raise _damaged(store, files[0][0], asset)


def _missing(store: ObjectStore, key: str, asset: str) -> ObjectNotFoundError:
    return ObjectNotFoundError(f"There is no {store.uri(key)}: materialize `{asset}` first.")


def _damaged(store: ObjectStore, key: str, asset: str) -> DamagedTableError:
    return DamagedTableError(
        f"{store.uri(key)} is not what this project wrote, or not whole: materialize `{asset}` again."
    )
