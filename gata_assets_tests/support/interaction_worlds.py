"""Small worlds of interactions and a catalogue as plain values, drawn by Hypothesis or written down, and the curated
tables made of them.

Values, strategies and what puts a world into a store: nothing here works out a feature or a sample, or asserts.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gata_assets.batches import Window, parse_batch_id
from gata_assets.curation.layout import (
    INTERACTIONS_FILE,
    ITEMS_FILE,
    MANIFEST_FILE,
    USERS_FILE,
    TenantLayout,
)
from gata_assets.interactions.engines.base import ITEM_FEATURES, USER_FEATURES, CuratedWindow, InteractionEngine
from gata_assets.interactions.engines.polars import PolarsEngine
from gata_assets.interactions.features.events import EventTable, code_events
from gata_assets.interactions.rules import InteractionType
from gata_assets.storage.files import WrittenFile
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.manifests import FileEntry, Manifest

BATCH_ID = "2026010203"
TENANT = "acme"
PERIOD_DAYS = 3
SEEN_PERIOD_DAYS = 5
B = parse_batch_id(BATCH_ID).starts_at
WINDOW = Window(B - timedelta(days=PERIOD_DAYS), B)
SEEN_WINDOW = Window(B - timedelta(days=SEEN_PERIOD_DAYS), B)
CURATED = CuratedWindow(TenantLayout(TENANT), WINDOW, SEEN_WINDOW)


@dataclass(frozen=True)
class Event:
    """An interaction; `at` is in UTC."""

    user: str
    item: str
    kind: InteractionType
    at: datetime
    rating: float | None = None


@dataclass(frozen=True)
class Item:
    """An item of the catalogue."""

    item: str
    category: str | None = None
    price: float | None = None
    available_at: datetime | None = None


@dataclass(frozen=True)
class World:
    """What happened, in any order, and what there is."""

    events: tuple[Event, ...]
    catalogue: tuple[Item, ...]


# Ids whose order is by bytes and not by alphabet, longer than what a string view holds, and beyond ASCII.
USERS = ("a", "B", "user-00000000000000000001", "ü", "z")
ITEMS = ("10", "9", "i", "item-00000000000000000001", "É", "é")

_instants = st.one_of(
    # Few instants, so that there are ties; the edges of the window and of days.
    st.sampled_from(
        [
            SEEN_WINDOW.start_at - timedelta(microseconds=1),
            SEEN_WINDOW.start_at,
            WINDOW.start_at - timedelta(microseconds=1),
            WINDOW.start_at,
            WINDOW.start_at.replace(hour=0) + timedelta(days=1),
            B - timedelta(days=1),
            B - timedelta(microseconds=1),
            B,
        ]
    ),
    st.datetimes(
        min_value=SEEN_WINDOW.start_at.replace(tzinfo=None),
        max_value=(B + timedelta(hours=3)).replace(tzinfo=None),
        timezones=st.just(UTC),
    ),
)

any_event = st.builds(
    Event,
    user=st.sampled_from(USERS),
    item=st.sampled_from(ITEMS),
    kind=st.sampled_from(list(InteractionType)),
    at=_instants,
    rating=st.none() | st.sampled_from([1.0, 2.5, 3.3, 4.7, 5.0]),
)

any_item = st.builds(
    Item,
    item=st.sampled_from((*ITEMS, "only in the catalogue", "another one there")),
    category=st.none() | st.sampled_from(["books", "toys"]),
    price=st.none() | st.sampled_from([0.0, 1.99, 250.0]),
    available_at=st.none() | _instants,
)

any_world = st.builds(
    World,
    events=st.lists(any_event, max_size=120).map(tuple),
    catalogue=st.lists(any_item, max_size=8, unique_by=lambda item: item.item).map(tuple),
)


def joined(worlds: Sequence[World]) -> World:
    """Worlds side by side, as users and items that have nothing to do with one another; a single one as it is."""
    if len(worlds) == 1:
        return worlds[0]
    return World(
        tuple(
            replace(event, user=f"{number} {event.user}", item=f"{number} {event.item}")
            for number, world in enumerate(worlds)
            for event in world.events
        ),
        tuple(
            replace(item, item=f"{number} {item.item}")
            for number, world in enumerate(worlds)
            for item in world.catalogue
        ),
    )


def for_each_world(engine: InteractionEngine, hold: Callable[..., None], **others: st.SearchStrategy[object]) -> None:
    """Have `hold(world, ...)` tried with worlds that Hypothesis draws, and values of other strategies.

    40 of them: one by one where an engine takes milliseconds, twenty side by side where it takes seconds.
    """
    is_slow = not isinstance(engine, PolarsEngine)
    beside, phases = (20, [Phase.generate]) if is_slow else (1, list(Phase))

    @settings(max_examples=40 // beside, phases=phases, suppress_health_check=list(HealthCheck))
    @given(worlds=st.lists(any_world, min_size=beside, max_size=beside), others=st.fixed_dictionaries(others))
    def each(worlds: list[World], others: dict[str, object]) -> None:
        hold(joined(worlds), **others)

    each()


def inside(events: Sequence[Event], window: Window = WINDOW) -> list[Event]:
    """The events of a window."""
    return [event for event in events if window.start_at <= event.at < window.end_at]


def interactions_frame(events: Sequence[Event]) -> pl.DataFrame:
    """Rows of CuratedInteractions, in the order of the events."""
    frame = pl.DataFrame(
        [(event.user, event.item, event.kind.value, event.at, event.rating) for event in events],
        schema={
            "user_id": pl.String,
            "item_id": pl.String,
            "interaction_type": pl.String,
            "timestamp": pl.Datetime("us", "UTC"),
            "rating": pl.Float32,
        },
        orient="row",
    )
    return frame.with_columns(
        device_type=pl.lit(None, pl.String),
        location=pl.lit(None, pl.String),
        session_id=pl.lit(None, pl.String),
        type_code=pl.Series([event.kind.code for event in events], dtype=pl.UInt8),
        user_key=hash_ids(frame["user_id"]),
        item_key=hash_ids(frame["item_id"]),
    )


def catalogue_frame(catalogue: Sequence[Item]) -> pl.DataFrame:
    """Rows of CuratedItems, by item_id."""
    frame = pl.DataFrame(
        [(item.item, f"Title of {item.item}", item.category, item.price, item.available_at) for item in catalogue],
        schema={
            "item_id": pl.String,
            "title": pl.String,
            "category": pl.String,
            "price": pl.Float64,
            "available_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    ).sort("item_id")
    return frame.select(
        "item_id",
        "title",
        "category",
        "price",
        brand=pl.lit(None, pl.String),
        description=pl.lit(None, pl.String),
        available_at="available_at",
        item_key=hash_ids(frame["item_id"]),
    )


def event_table(events: Sequence[Event], catalogue: Sequence[Item] = ()) -> EventTable:
    """Events with codes, and codes for the catalogue's items."""
    frame = interactions_frame(events)
    items = pl.concat([frame.select("item_id", "item_key"), catalogue_frame(catalogue).select("item_id", "item_key")])
    return code_events(frame, frame.select("user_id", "user_key").unique(), items.unique())


def write_curated(world: World, store: ObjectStore, curated: CuratedWindow = CURATED) -> None:
    """Put a world into a store as the curated days that the windows touch, and the catalogue."""
    places, window = curated.places, curated.seen_window
    days = (window.end_at.date() - window.start_at.date()).days
    for day in (window.start_at.date() + timedelta(days=n) for n in range(days + 1)):
        _write_day(day, [event for event in world.events if event.at.date() == day], store, places)
    _write_tables(places.curated("items"), {ITEMS_FILE: catalogue_frame(world.catalogue)}, store, ITEMS_FILE)


def _write_day(day: date, events: Sequence[Event], store: ObjectStore, places: TenantLayout) -> None:
    frame = interactions_frame(events).sort("timestamp", "user_id", "item_id", "type_code", maintain_order=True)
    tables = {
        INTERACTIONS_FILE: frame,
        USERS_FILE: frame.select("user_id", "user_key").unique().sort("user_id"),
        ITEMS_FILE: frame.select("item_id", "item_key").unique().sort("item_id"),
    }
    _write_tables(places.curated("interactions", day), tables, store, INTERACTIONS_FILE)


def _write_tables(folder: str, tables: dict[str, pl.DataFrame], store: ObjectStore, counted: str) -> None:
    for name, table in tables.items():
        content = io.BytesIO()
        table.write_parquet(content)
        store.write(folder + name, content.getvalue())
    write_manifest(store, folder, len(tables[counted]), list(tables))


def write_manifest(store: ObjectStore, folder: str, rows: int, names: Sequence[str]) -> None:
    """Write the manifest that goes with the files in a folder of the curated layer."""
    files = {name: FileEntry.of(store.read(folder + name), rows) for name in names}
    store.write(folder + MANIFEST_FILE, Manifest("curated", files).encode())


def parts_below(store: ObjectStore, prefix: str) -> dict[str, list[str]]:
    """The keys of the parts of features below a prefix, by table."""
    parts: dict[str, list[str]] = {USER_FEATURES: [], ITEM_FEATURES: []}
    for key in store.list_keys(prefix):
        parts.setdefault(key.split("/")[-2], []).append(key)
    return parts


def read_back(store: ObjectStore, files: Sequence[WrittenFile]) -> pl.DataFrame:
    """A table that an engine has written."""
    frames = []
    for file in files:
        with store.local_copy(file.key) as path:
            frames.append(pl.read_parquet(path, memory_map=False))
    return pl.concat(frames)
