"""The contract of an interaction engine, held by each: what it writes for small worlds, through a real store.

Real: engines, Parquet files, a local directory, and S3 over HTTP on loopback (an S3 server for tests). An oracle in
plain Python says what the features are.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings

from gata_assets.core.interaction_places import INTERACTIONS_FILE, MANIFEST_FILE
from gata_assets.core.interaction_rules import InteractionType
from gata_assets.core.outcomes import broken
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.resources.interaction_engine import (
    ITEM_FEATURES,
    RECENT_INTERACTIONS,
    USER_FEATURES,
    InteractionEngine,
    MadeTables,
)
from gata_assets.resources.object_store import LocalObjectStore, ObjectStore
from gata_assets.schemas.interactions import ItemFeatures, RecentInteractions, UserFeatures
from gata_assets_tests.feature_oracle import item_rows, recent_rows, user_rows
from gata_assets_tests.interaction_worlds import (
    BATCH_ID,
    CURATED,
    TENANT,
    WINDOW,
    B,
    Event,
    Item,
    World,
    any_world,
    inside,
    read_back,
    write_curated,
)

FEATURES = CURATED.places.features(BATCH_ID)
MODELS = {USER_FEATURES: UserFeatures, ITEM_FEATURES: ItemFeatures, RECENT_INTERACTIONS: RecentInteractions}

SMALL = World(
    events=(
        Event("u1", "i1", InteractionType.VIEW, B - timedelta(hours=2), 4.0),
        Event("u1", "i2", InteractionType.CLICK, B - timedelta(hours=1)),
        Event("u2", "i1", InteractionType.PURCHASE, B - timedelta(days=2)),
    ),
    catalogue=(Item("i1", "books", 9.5), Item("i3", available_at=B - timedelta(days=9)), Item("i4", available_at=B)),
)


def assert_features_are_those_of(world: World, made: MadeTables, store: ObjectStore) -> None:
    written = made.write(FEATURES)
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


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=any_world)
def test_features_are_those_of_the_oracle(
    interaction_engine: InteractionEngine, tmp_path_factory: pytest.TempPathFactory, world: World
) -> None:
    store = LocalObjectStore(directory=str(tmp_path_factory.mktemp("target")))
    write_curated(world, store)
    assert_features_are_those_of(world, interaction_engine.make_features(CURATED, store), store)


def test_features_go_through_each_store(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    assert_features_are_those_of(SMALL, interaction_engine.make_features(CURATED, any_store), any_store)


def test_what_is_said_of_a_written_file_is_true(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    written = interaction_engine.make_features(CURATED, any_store).write(FEATURES)
    assert {file.key for files in written.values() for file in files} == set(any_store.list_keys(FEATURES))
    for name, files in written.items():
        for file in files:
            assert file.key.startswith(f"{FEATURES}{name}/part-0000")
            content = any_store.read(file.key)
            assert (len(content), sha256(content).hexdigest()) == (file.size, file.sha256)


def test_the_same_input_gives_the_same_bytes(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    first = interaction_engine.make_features(CURATED, any_store).write(FEATURES)
    assert interaction_engine.make_features(CURATED, any_store).write(FEATURES) == first


def test_parts_of_an_earlier_run_are_deleted(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    any_store.write(f"{FEATURES}{USER_FEATURES}/part-00007.parquet", b"of an earlier run")
    any_store.write(f"{FEATURES}{MANIFEST_FILE}", b"{}")
    interaction_engine.make_features(CURATED, any_store).write(FEATURES)
    assert not any_store.exists(f"{FEATURES}{USER_FEATURES}/part-00007.parquet")
    assert any_store.exists(f"{FEATURES}{MANIFEST_FILE}")


def test_a_window_without_interactions_gives_tables_without_users(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    world = World(events=(), catalogue=SMALL.catalogue)
    write_curated(world, any_store)
    assert_features_are_those_of(world, interaction_engine.make_features(CURATED, any_store), any_store)


def test_an_empty_catalogue_and_no_interactions_give_tables_without_rows(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    write_curated(World((), ()), any_store)
    assert_features_are_those_of(World((), ()), interaction_engine.make_features(CURATED, any_store), any_store)


def test_a_day_that_was_not_curated_is_told(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    any_store.delete(CURATED.places.curated_day(WINDOW.start_at.date()) + MANIFEST_FILE)
    with pytest.raises(ObjectNotFoundError, match=r"manifest\.json: materialize `curated_interactions` first"):
        interaction_engine.make_features(CURATED, any_store)


@pytest.mark.parametrize("content", [b"{}", b"no JSON", b'{"rows": null}'])
def test_a_damaged_manifest_is_told(
    interaction_engine: InteractionEngine, any_store: ObjectStore, content: bytes
) -> None:
    write_curated(SMALL, any_store)
    any_store.write(CURATED.places.curated_day(WINDOW.start_at.date()) + MANIFEST_FILE, content)
    with pytest.raises(DamagedTableError, match="materialize `curated_interactions` again"):
        interaction_engine.make_features(CURATED, any_store)


def test_interactions_of_another_writing_than_their_manifest_are_told_by_their_key(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    write_curated(SMALL, any_store)
    key = CURATED.places.curated_day(WINDOW.end_at.date()) + INTERACTIONS_FILE
    content = any_store.read(key)
    middle = len(content) // 2
    any_store.write(key, content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(DamagedTableError, match=r"interactions\.parquet .* materialize `curated_interactions` again"):
        interaction_engine.make_features(CURATED, any_store)


def test_other_tenants_are_not_read(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    write_curated(SMALL, any_store)
    any_store.write(f"{TENANT}-2/curated/items/items.parquet", b"of somebody else")
    assert_features_are_those_of(SMALL, interaction_engine.make_features(CURATED, any_store), any_store)
