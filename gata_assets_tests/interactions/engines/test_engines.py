"""The contract of an interaction engine, held by each: what it writes for small worlds, through a real store.

Real: engines (Spark on a standalone master with two workers), Parquet files, a local directory, and S3 over HTTP on
loopback (an S3 server for tests). An oracle in plain Python says what the features are.
"""

from __future__ import annotations

import io
from datetime import timedelta
from hashlib import sha256

import polars as pl
import pytest

from gata_assets.curation.layout import INTERACTIONS_FILE, ITEMS_FILE, MANIFEST_FILE, USERS_FILE
from gata_assets.errors import DamagedTableError, DataRuleError, ObjectNotFoundError
from gata_assets.interactions.engines.base import (
    ITEM_FEATURES,
    RECENT_INTERACTIONS,
    USER_FEATURES,
    BuiltTables,
    InteractionEngine,
)
from gata_assets.interactions.rules import InteractionType
from gata_assets.interactions.schema import ItemFeatures, RecentInteractions, UserFeatures
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.outcomes import broken
from gata_assets_tests.support.feature_oracle import item_rows, recent_rows, user_rows
from gata_assets_tests.support.interaction_worlds import (
    BATCH_ID,
    CURATED,
    TENANT,
    WINDOW,
    B,
    Event,
    Item,
    World,
    for_each_world,
    inside,
    read_back,
    write_curated,
    write_manifest,
)

FEATURES = CURATED.places.features(BATCH_ID)
# The day before the batch's, on which two of the small world's interactions are.
LAST_DAY = CURATED.places.curated("interactions", (B - timedelta(hours=1)).date())
MODELS = {USER_FEATURES: UserFeatures, ITEM_FEATURES: ItemFeatures, RECENT_INTERACTIONS: RecentInteractions}

SMALL = World(
    events=(
        Event("u1", "i1", InteractionType.VIEW, B - timedelta(hours=2), 4.0),
        Event("u1", "i2", InteractionType.CLICK, B - timedelta(hours=1)),
        Event("u2", "i1", InteractionType.PURCHASE, B - timedelta(days=2)),
    ),
    catalogue=(Item("i1", "books", 9.5), Item("i3", available_at=B - timedelta(days=9)), Item("i4", available_at=B)),
)


def assert_features_are_those_of(world: World, made: BuiltTables, store: ObjectStore) -> None:
    written = made.write(FEATURES, "token")
    events = inside(world.events)
    expected = {
        USER_FEATURES: user_rows(events),
        ITEM_FEATURES: item_rows(events, world.catalogue, B),
        RECENT_INTERACTIONS: recent_rows(events),
    }
    for name, rows in expected.items():
        table = read_back(store, written[name])
        assert table.to_dicts() == rows
        MODELS[name].validate(table)
        assert made.numbers[name]["row_count"] == len(rows) == sum(file.rows for file in written[name])
        assert broken(outcome for outcomes in made.outcomes[name].values() for outcome in outcomes) == []


@pytest.mark.every_engine
@pytest.mark.slow
def test_features_are_those_of_the_oracle(
    interaction_engine: InteractionEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def hold(world: World) -> None:
        store = LocalStoreResource(directory=str(tmp_path_factory.mktemp("target")))
        write_curated(world, store)
        assert_features_are_those_of(world, interaction_engine.make_features(CURATED, store), store)

    for_each_world(interaction_engine, hold)


@pytest.mark.every_engine(store="s3")
def test_features_go_through_each_store(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    assert_features_are_those_of(SMALL, interaction_engine.make_features(CURATED, any_store), any_store)


def test_what_is_said_of_a_written_file_is_true(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    written = interaction_engine.make_features(CURATED, any_store).write(FEATURES, "token")
    assert {file.key for files in written.values() for file in files} == set(any_store.list_keys(FEATURES))
    for name, files in written.items():
        for file in files:
            assert file.key.startswith(f"{FEATURES}{name}/part-0000")
            content = any_store.read(file.key)
            assert (len(content), sha256(content).hexdigest()) == (file.size, file.sha256)


@pytest.mark.every_engine
def test_the_same_input_gives_the_same_bytes(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    first = interaction_engine.make_features(CURATED, any_store).write(FEATURES, "token")
    assert interaction_engine.make_features(CURATED, any_store).write(FEATURES, "token") == first


def test_parts_of_another_write_are_left_alone(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    others = interaction_engine.make_features(CURATED, any_store).write(FEATURES, "other")
    written = interaction_engine.make_features(CURATED, any_store).write(FEATURES, "token")
    both = [file for tables in (others, written) for files in tables.values() for file in files]
    assert {file.key for file in both} == set(any_store.list_keys(FEATURES))
    assert len({file.sha256 for file in both}) * 2 == len(both), "the same bytes under other names"


def test_a_window_without_interactions_gives_tables_without_users(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    world = World(events=(), catalogue=SMALL.catalogue)
    write_curated(world, any_store)
    assert_features_are_those_of(world, interaction_engine.make_features(CURATED, any_store), any_store)


def test_an_empty_catalog_and_no_interactions_give_tables_without_rows(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    write_curated(World((), ()), any_store)
    assert_features_are_those_of(World((), ()), interaction_engine.make_features(CURATED, any_store), any_store)


def test_a_day_that_was_not_curated_is_reported(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    any_store.delete(CURATED.places.curated("interactions", WINDOW.start_at.date()) + MANIFEST_FILE)
    with pytest.raises(ObjectNotFoundError, match=r"manifest\.json: materialize `curated_interactions` first"):
        interaction_engine.make_features(CURATED, any_store)


@pytest.mark.parametrize("content", [b"{}", b"no JSON", b'{"files": null}'])
def test_a_damaged_manifest_is_reported(
    interaction_engine: InteractionEngine, any_store: ObjectStore, content: bytes
) -> None:
    write_curated(SMALL, any_store)
    any_store.write(CURATED.places.curated("interactions", WINDOW.start_at.date()) + MANIFEST_FILE, content)
    with pytest.raises(DamagedTableError, match="materialize `curated_interactions` again"):
        interaction_engine.make_features(CURATED, any_store)


@pytest.mark.parametrize("name", [INTERACTIONS_FILE, USERS_FILE, ITEMS_FILE])
def test_a_file_of_a_day_that_is_gone_is_reported(
    interaction_engine: InteractionEngine, any_store: ObjectStore, name: str
) -> None:
    write_curated(SMALL, any_store)
    any_store.delete(LAST_DAY + name)
    with pytest.raises(ObjectNotFoundError, match=rf"{name}: materialize `curated_interactions` first"):
        interaction_engine.make_features(CURATED, any_store)


@pytest.mark.parametrize("name", [INTERACTIONS_FILE, USERS_FILE, ITEMS_FILE])
def test_a_damaged_file_of_a_day_is_reported(
    interaction_engine: InteractionEngine, any_store: ObjectStore, name: str
) -> None:
    write_curated(SMALL, any_store)
    any_store.write(LAST_DAY + name, any_store.read(LAST_DAY + name)[:-9])
    with pytest.raises(DamagedTableError, match=rf"{name} is damaged, .* materialize .curated_interactions. again"):
        interaction_engine.make_features(CURATED, any_store)


def test_interactions_of_another_writing_than_their_manifest_are_reported_by_their_key(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    write_curated(SMALL, any_store)
    key = LAST_DAY + INTERACTIONS_FILE
    content = any_store.read(key)
    middle = len(content) // 2
    any_store.write(key, content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(DamagedTableError, match=r"interactions\.parquet .* materialize .* again") as caught:
        interaction_engine.make_features(CURATED, any_store)
    assert caught.value.key == key


def test_a_damaged_catalog_is_reported(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    any_store.write(CURATED.places.curated("items") + ITEMS_FILE, b"no Parquet")
    with pytest.raises(DamagedTableError, match="materialize `curated_items` again"):
        interaction_engine.make_features(CURATED, any_store)


@pytest.mark.parametrize(("kind", "name"), [("user", USERS_FILE), ("item", ITEMS_FILE)])
def test_two_ids_with_one_key_on_two_days_are_reported(
    interaction_engine: InteractionEngine, any_store: ObjectStore, kind: str, name: str
) -> None:
    """A user (and an item) of the first day gets the key of another of the last."""
    write_curated(SMALL, any_store)
    folder = CURATED.places.curated("interactions", (B - timedelta(days=2)).date())
    other = "u1" if kind == "user" else "i2"
    key = pl.lit(hash_ids(pl.Series([other]))[0], pl.UInt64)
    for file in (INTERACTIONS_FILE, name):
        table = pl.read_parquet(any_store.read(folder + file)).with_columns(key.alias(f"{kind}_key"))
        content = io.BytesIO()
        table.write_parquet(content)
        any_store.write(folder + file, content.getvalue())
    write_manifest(any_store, folder, 1, [INTERACTIONS_FILE, USERS_FILE, ITEMS_FILE])
    with pytest.raises(DataRuleError, match=f"1 of [0-9]+ {kind} ids have the same hash"):
        interaction_engine.make_features(CURATED, any_store)


def test_one_user_has_features(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    world = World(SMALL.events[:1], ())
    write_curated(world, any_store)
    assert_features_are_those_of(world, interaction_engine.make_features(CURATED, any_store), any_store)


def test_other_tenants_are_not_read(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    any_store.write(f"{TENANT}-2/curated/items/items.parquet", b"of somebody else")
    assert_features_are_those_of(SMALL, interaction_engine.make_features(CURATED, any_store), any_store)
