"""The contract of an interaction engine, held by each: what it writes for small worlds, through a real store.

Real: engines, Parquet files, a local directory, and S3 over HTTP on loopback (an S3 server for tests). An oracle in
plain Python says what the features are.
"""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
from dagster_aws.s3 import S3Resource
from hypothesis import HealthCheck, given, settings

from gata_assets.core.interaction_places import MANIFEST_FILE
from gata_assets.core.interaction_rules import InteractionType
from gata_assets.core.quality import broken
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.resources.interaction_engine import (
    ITEM_FEATURES,
    RECENT_INTERACTIONS,
    USER_FEATURES,
    InteractionEngine,
    MadeTables,
    WrittenFile,
)
from gata_assets.resources.object_store import LocalObjectStore, ObjectStore
from gata_assets.resources.polars_engine import PolarsEngine
from gata_assets.resources.s3_store import S3ObjectStore
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


@pytest.fixture(params=["polars"], scope="module")
def engine(request: pytest.FixtureRequest) -> InteractionEngine:
    """Each engine in turn; another one is another parameter."""
    engines = {"polars": PolarsEngine}
    return engines[request.param]()


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return LocalObjectStore(directory=str(tmp_path / "target"))
    return S3ObjectStore(bucket=request.getfixturevalue("bucket"), s3=S3Resource())


def read_back(store: ObjectStore, files: tuple[WrittenFile, ...]) -> pl.DataFrame:
    frames = []
    for file in files:
        with store.local_copy(file.key) as path:
            frames.append(pl.read_parquet(path, memory_map=False))
    return pl.concat(frames)


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
    engine: InteractionEngine, tmp_path_factory: pytest.TempPathFactory, world: World
) -> None:
    store = LocalObjectStore(directory=str(tmp_path_factory.mktemp("target")))
    write_curated(world, store)
    assert_features_are_those_of(world, engine.make_features(CURATED, store), store)


def test_features_go_through_each_store(engine: InteractionEngine, store: ObjectStore) -> None:
    write_curated(SMALL, store)
    assert_features_are_those_of(SMALL, engine.make_features(CURATED, store), store)


def test_what_is_said_of_a_written_file_is_true(engine: InteractionEngine, store: ObjectStore) -> None:
    write_curated(SMALL, store)
    written = engine.make_features(CURATED, store).write(FEATURES)
    assert {file.key for files in written.values() for file in files} == set(store.list_keys(FEATURES))
    for name, files in written.items():
        for file in files:
            assert file.key.startswith(f"{FEATURES}{name}/part-0000")
            content = store.read(file.key)
            assert (len(content), sha256(content).hexdigest()) == (file.size, file.sha256)


def test_the_same_input_gives_the_same_bytes(engine: InteractionEngine, store: ObjectStore) -> None:
    write_curated(SMALL, store)
    first = engine.make_features(CURATED, store).write(FEATURES)
    assert engine.make_features(CURATED, store).write(FEATURES) == first


def test_parts_of_an_earlier_run_are_deleted(engine: InteractionEngine, store: ObjectStore) -> None:
    write_curated(SMALL, store)
    store.write(f"{FEATURES}{USER_FEATURES}/part-00007.parquet", b"of an earlier run")
    store.write(f"{FEATURES}{MANIFEST_FILE}", b"{}")
    engine.make_features(CURATED, store).write(FEATURES)
    assert not store.exists(f"{FEATURES}{USER_FEATURES}/part-00007.parquet")
    assert store.exists(f"{FEATURES}{MANIFEST_FILE}")


def test_a_window_without_interactions_gives_tables_without_users(
    engine: InteractionEngine, store: ObjectStore
) -> None:
    world = World(events=(), catalogue=SMALL.catalogue)
    write_curated(world, store)
    assert_features_are_those_of(world, engine.make_features(CURATED, store), store)


def test_an_empty_catalogue_and_no_interactions_give_tables_without_rows(
    engine: InteractionEngine, store: ObjectStore
) -> None:
    write_curated(World((), ()), store)
    assert_features_are_those_of(World((), ()), engine.make_features(CURATED, store), store)


def test_a_day_that_was_not_curated_is_told(engine: InteractionEngine, store: ObjectStore) -> None:
    write_curated(SMALL, store)
    store.delete(CURATED.places.curated_day(WINDOW.start_at.date()) + MANIFEST_FILE)
    with pytest.raises(ObjectNotFoundError, match=r"manifest\.json: materialize `curated_interactions` first"):
        engine.make_features(CURATED, store)


@pytest.mark.parametrize("content", [b"{}", b"no JSON", json.dumps({"rows": None}).encode()])
def test_a_damaged_manifest_is_told(engine: InteractionEngine, store: ObjectStore, content: bytes) -> None:
    write_curated(SMALL, store)
    store.write(CURATED.places.curated_day(WINDOW.start_at.date()) + MANIFEST_FILE, content)
    with pytest.raises(DamagedTableError, match="materialize `curated_interactions` again"):
        engine.make_features(CURATED, store)


def test_other_tenants_are_not_read(engine: InteractionEngine, store: ObjectStore) -> None:
    write_curated(SMALL, store)
    store.write(f"{TENANT}-2/curated/items/items.parquet", b"of somebody else")
    assert_features_are_those_of(SMALL, engine.make_features(CURATED, store), store)
