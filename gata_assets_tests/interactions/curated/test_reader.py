"""Reading curated days: together or one by one, and files that are damaged, missing or of another kind.

Real: Parquet files, a local directory, and S3 over HTTP on loopback (an S3 server for tests). Nothing is faked.
"""

from __future__ import annotations

import io
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gata_assets.curation.layout import INTERACTIONS_FILE, ITEMS_FILE, USERS_FILE
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.interactions.curated.reader import read_catalog, read_events
from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import InteractionType
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.interaction_worlds import (
    CURATED,
    WINDOW,
    B,
    Event,
    Item,
    World,
    any_world,
    write_curated,
    write_manifest,
)

PLACES = CURATED.places
LAST = B.date()
DAY_FILES = (INTERACTIONS_FILE, USERS_FILE, ITEMS_FILE)
DAYS = [LAST - timedelta(days=n) for n in (3, 2, 1, 0)]
A_WORLD = World(
    tuple(
        Event(user, item, InteractionType.VIEW, B - timedelta(days=days, minutes=1), 3.0)
        for days in (0, 1, 2)
        for user, item in (("u", "i"), ("v", "j"))
    ),
    (Item("i"), Item("k")),
)


def events_of(store: ObjectStore, rows_at_once: int = 1 << 16) -> EventTable:
    return read_events(PLACES, WINDOW, read_catalog(PLACES, store), store, rows_at_once=rows_at_once)


def replace_file(store: ObjectStore, key: str, frame: pl.DataFrame) -> None:
    """Write another file and a manifest that says so, as another version of the project might."""
    content = io.BytesIO()
    frame.write_parquet(content)
    store.write(key, content.getvalue())
    write_manifest(store, key.rpartition("/")[0] + "/", len(A_WORLD.events), list(DAY_FILES))


def frame_of(store: ObjectStore, key: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(store.read(key)))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=any_world, rows_at_once=st.integers(1, 60))
def test_days_read_together_are_those_read_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, world: World, rows_at_once: int
) -> None:
    store = LocalStoreResource(directory=str(tmp_path_factory.mktemp("target")))
    write_curated(world, store)
    one, other = events_of(store, 1), events_of(store, rows_at_once)
    for column in ("user", "item", "timestamp", "type_code", "rating"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    assert one.users.ids.to_list() == other.users.ids.to_list()
    assert one.items.ids.to_list() == other.items.ids.to_list()


@pytest.mark.parametrize("rows_at_once", [1, 1 << 16])
@pytest.mark.parametrize("name", DAY_FILES)
@pytest.mark.parametrize("content", [b"", b"no Parquet file", None])
def test_a_damaged_file_is_reported_by_its_key(
    any_store: ObjectStore, name: str, content: bytes | None, rows_at_once: int
) -> None:
    write_curated(A_WORLD, any_store)
    key = PLACES.curated("interactions", DAYS[2]) + name
    any_store.write(key, any_store.read(key)[:-9] if content is None else content)
    with pytest.raises(DamagedTableError) as caught:
        events_of(any_store, rows_at_once)
    assert any_store.uri(key) in str(caught.value)
    assert "materialize `curated_interactions` again" in str(caught.value)


def test_a_column_of_another_type_is_reported_by_the_key_of_its_file(any_store: ObjectStore) -> None:
    write_curated(A_WORLD, any_store)
    key = PLACES.curated("interactions", DAYS[2]) + USERS_FILE
    replace_file(any_store, key, frame_of(any_store, key).with_columns(pl.col("user_key").cast(pl.Float64)))
    with pytest.raises(DamagedTableError) as caught:
        events_of(any_store)
    assert any_store.uri(key) in str(caught.value)


def test_a_column_that_lacks_is_reported_by_the_key_of_its_file(any_store: ObjectStore) -> None:
    write_curated(A_WORLD, any_store)
    key = PLACES.curated("interactions", DAYS[3]) + INTERACTIONS_FILE
    replace_file(any_store, key, frame_of(any_store, key).drop("rating"))
    with pytest.raises(DamagedTableError) as caught:
        events_of(any_store)
    assert any_store.uri(key) in str(caught.value)


def test_a_changed_byte_anywhere_is_reported(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = LocalStoreResource(directory=str(tmp_path_factory.mktemp("target")))
    write_curated(A_WORLD, store)
    key = PLACES.curated("items") + ITEMS_FILE
    whole = store.read(key)
    for at in range(0, len(whole), 7):
        store.write(key, whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with pytest.raises(DamagedTableError, match="curated/items"):
            read_catalog(PLACES, store)


@pytest.mark.parametrize("name", DAY_FILES)
def test_a_whole_file_of_another_writing_than_the_manifest_is_reported_by_its_key(
    any_store: ObjectStore, name: str
) -> None:
    write_curated(A_WORLD, any_store)
    key = PLACES.curated("interactions", DAYS[2]) + name
    rows = len(frame_of(any_store, key))
    frame = frame_of(any_store, key)
    ids = next(column for column in frame.columns if column.endswith("_id"))
    other = io.BytesIO()
    frame.with_columns(pl.col(ids) + "-x").write_parquet(other)
    any_store.write(key, other.getvalue())
    assert len(frame_of(any_store, key)) == rows, "it has as many rows as the manifest says"
    with pytest.raises(DamagedTableError) as caught:
        events_of(any_store)
    assert any_store.uri(key) in str(caught.value)


def test_a_file_that_the_manifest_does_not_name_is_reported(any_store: ObjectStore) -> None:
    write_curated(A_WORLD, any_store)
    write_manifest(any_store, PLACES.curated("items"), 2, [])
    with pytest.raises(DamagedTableError, match="materialize `curated_items` again"):
        events_of(any_store)


@pytest.mark.parametrize("name", DAY_FILES)
def test_a_file_that_is_not_there_is_reported(any_store: ObjectStore, name: str) -> None:
    write_curated(A_WORLD, any_store)
    key = PLACES.curated("interactions", DAYS[2]) + name
    any_store.delete(key)
    with pytest.raises(ObjectNotFoundError) as caught:
        events_of(any_store)
    assert str(caught.value) == f"There is no {any_store.uri(key)}: materialize `curated_interactions` first."


def test_the_files_of_a_day_without_rows_are_not_read(any_store: ObjectStore) -> None:
    write_curated(A_WORLD, any_store)
    empty: date = DAYS[0]
    for name in DAY_FILES:
        any_store.delete(PLACES.curated("interactions", empty) + name)
    assert len(events_of(any_store)) == len(A_WORLD.events)
