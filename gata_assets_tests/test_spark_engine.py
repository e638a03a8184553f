"""The engine on Spark gives what one machine gives, row for row, and moves rows as it says.

Real: a standalone master with two workers on loopback, a Connect server, Parquet files in a local directory.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gata_assets.core.interaction_places import INTERACTIONS_FILE, MANIFEST_FILE
from gata_assets.core.interaction_rules import InteractionType, SamplingRules, SamplingStrategy
from gata_assets.core.outcomes import broken
from gata_assets.errors import DamagedTableError, DataRuleError, ObjectNotFoundError
from gata_assets.resources.interaction_engine import NEGATIVE_SAMPLES, USER_FEATURES, MadeTables, WrittenFile
from gata_assets.resources.object_store import LocalObjectStore, ObjectStore
from gata_assets.resources.polars_engine import PolarsEngine
from gata_assets.resources.spark_engine import SparkEngine
from gata_assets.resources.spark_parts import add_up, report_of
from gata_assets.resources.spark_samples import Pairs, check_dealing, choose_pairs
from gata_assets.resources.spark_session import open_session
from gata_assets.resources.spark_tables import EVENTS, UserFacts
from gata_assets_tests.interaction_worlds import (
    BATCH_ID,
    CURATED,
    SEEN_WINDOW,
    WINDOW,
    B,
    Event,
    Item,
    World,
    any_world,
    write_curated,
)
from gata_assets_tests.spark_cluster import BRIEF_JAVA, connect_server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

FEATURES = CURATED.places.features(BATCH_ID)
RULES = SamplingRules(
    positive_types=frozenset({InteractionType.CLICK, InteractionType.PURCHASE}),
    min_interactions_per_user=3,
    min_interactions_per_item=5,
    max_interactions_per_user=6,
    ratio=4,
    strategy=SamplingStrategy.UNIFORM,
    power=0.75,
    seed=42,
)


def large_world() -> World:
    """Users and items by Zipf's law, ties, ratings, times on both sides of the windows, items that nobody knows."""
    draw = random.Random(7)
    span = int((SEEN_WINDOW.end_at - SEEN_WINDOW.start_at).total_seconds()) + 7_200
    events = []
    for _ in range(6_000):
        user, item = int(200 * draw.random() ** 2), int(90 * draw.random() ** 2)
        at = SEEN_WINDOW.start_at - timedelta(hours=1) + timedelta(seconds=draw.randrange(0, span, 600))
        rating = draw.choice([None, 1.0, 2.5, 3.3, 4.7])
        events.append(Event(f"user {user:03d}é", f"item {item}", draw.choice(list(InteractionType)), at, rating))
    catalogue = [
        Item(f"item {number}", "books", 1.5, None if number % 3 else B + timedelta(hours=number - 60))
        for number in range(120)
        if number % 11
    ]
    return World(tuple(events), tuple(catalogue))


@pytest.fixture(scope="module")
def engine(spark_master: str) -> SparkEngine:
    settings = {"spark.driver.extraJavaOptions": BRIEF_JAVA}
    return SparkEngine(master=spark_master, rows_a_part=1_200, settings=settings)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    """The large world as curated days, and the features that one machine makes of it."""
    store = LocalObjectStore(directory=str(tmp_path_factory.mktemp("target")))
    put(large_world(), store)
    return store


def put(world: World, store: ObjectStore) -> None:
    """A world as curated days, and its features, which one machine made."""
    write_curated(world, store)
    PolarsEngine().make_features(CURATED, store).write(FEATURES)


def rows_of(store: ObjectStore, files: tuple[WrittenFile, ...]) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(store.read(file.key)) for file in files])


def failed(made: MadeTables) -> list[str]:
    return [str(one) for checks in made.outcomes.values() for outcomes in checks.values() for one in broken(outcomes)]


def on_one_machine(store: ObjectStore, rules: SamplingRules) -> MadeTables:
    return PolarsEngine().make_training_data(CURATED, rules, store, features=FEATURES)


def assert_same_tables(
    ours: MadeTables, theirs: MadeTables, store: ObjectStore
) -> Mapping[str, tuple[WrittenFile, ...]]:
    """What was made on Spark is what one machine makes: rows in their order, types, numbers, and what is checked."""
    assert failed(ours) == []
    assert ours.numbers == theirs.numbers
    assert {table: set(checks) for table, checks in ours.outcomes.items()} == {
        table: set(checks) for table, checks in theirs.outcomes.items()
    }
    written, expected = ours.write("spark/"), theirs.write("one/")
    for table, files in written.items():
        rows, of_one = rows_of(store, files), rows_of(store, expected[table])
        assert rows.schema == of_one.schema
        assert rows.equals(of_one), table
        assert [file.key for file in files] == sorted(store.list_keys(f"spark/{table}/"))
    return written


@pytest.fixture(scope="module")
def written(engine: SparkEngine, store: ObjectStore) -> Mapping[str, tuple[WrittenFile, ...]]:
    """Features and training rows of the large world, made on the cluster, and found to be those of one machine."""
    features = engine.make_features(CURATED, store)
    made = engine.make_training_data(CURATED, RULES, store, features=FEATURES)
    return {
        **assert_same_tables(features, PolarsEngine().make_features(CURATED, store), store),
        **assert_same_tables(made, on_one_machine(store, RULES), store),
    }


def test_tables_are_those_of_one_machine_in_parts(
    engine: SparkEngine, store: ObjectStore, written: Mapping[str, tuple[WrittenFile, ...]]
) -> None:
    assert len(written[USER_FEATURES]) > 1
    assert len(written[NEGATIVE_SAMPLES]) > 1
    numbers = on_one_machine(store, RULES).numbers[NEGATIVE_SAMPLES]
    assert numbers["left_out_by_minimum"] > 0
    assert numbers["left_out_by_maximum"] > 0


def test_negatives_by_popularity_are_those_of_one_machine_and_the_core_is_found_by_the_cluster(
    engine: SparkEngine, store: ObjectStore, written: Mapping[str, tuple[WrittenFile, ...]]
) -> None:
    """After the tables of `written`: plans of all kinds have then run."""
    rules = replace(RULES, strategy=SamplingStrategy.POPULARITY)
    by_rounds = engine.model_copy(update={"pairs_on_driver": 0})
    made = by_rounds.make_training_data(CURATED, rules, store, features=FEATURES)
    assert_same_tables(made, on_one_machine(store, rules), store)
    run = list(plans(engine))
    assert any("Join" in plan for plan in run)
    assert [plan for plan in run if "CartesianProduct" in plan or "NestedLoop" in plan] == []
    assert [plan for plan in run if "user 0" in plan or "item 1" in plan] == []


@pytest.mark.parametrize("most_here", [19, 18])
def test_a_core_that_takes_many_rounds_is_found_here_and_by_the_cluster(engine: SparkEngine, most_here: int) -> None:
    """A chain, of which each round takes the ends alone, beside a block that stays; 19 pairs."""
    chain = [(f"c{number}", f"d{number + step}") for number in range(5) for step in range(2)]
    block = [(f"u{user}", f"i{item}") for user in range(3) for item in range(3)]
    click = InteractionType.CLICK.code
    rows = [(user, item, B, click, None) for user, item in (*chain, *block) for _ in range(2)]
    events = session_of(engine).createDataFrame(rows, EVENTS)
    rules = replace(RULES, min_interactions_per_user=2, min_interactions_per_item=2)
    pairs = choose_pairs(events, rules, most_here=most_here)
    assert (pairs.count, pairs.left_out_by_minimum) == (9, 10)
    assert sorted((row.user_id, row.item_id) for row in pairs.rows.collect()) == block


def joined(worlds: list[World]) -> World:
    """Worlds side by side, as users and items that have nothing to do with one another."""
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


@settings(max_examples=1, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(worlds=st.lists(any_world, min_size=4, max_size=4), least=st.integers(2, 3))
def test_worlds_side_by_side_are_those_of_one_machine(
    engine: SparkEngine, tmp_path_factory: pytest.TempPathFactory, worlds: list[World], least: int
) -> None:
    store = LocalObjectStore(directory=str(tmp_path_factory.mktemp("target")))
    write_curated(joined(worlds), store)
    engine = engine.model_copy(update={"rows_a_part": 20})
    theirs = PolarsEngine().make_features(CURATED, store)
    assert_same_tables(engine.make_features(CURATED, store), theirs, store)
    theirs.write(FEATURES)
    rules = replace(RULES, min_interactions_per_user=least, min_interactions_per_item=least)
    made = engine.make_training_data(CURATED, rules, store, features=FEATURES)
    assert_same_tables(made, on_one_machine(store, rules), store)


def test_without_positives_there_is_a_table_without_rows(engine: SparkEngine, tmp_path: Path) -> None:
    store = LocalObjectStore(directory=str(tmp_path))
    put(World((), (Item("i"),)), store)
    made = engine.make_training_data(CURATED, RULES, store, features=FEATURES)
    [file] = assert_same_tables(made, on_one_machine(store, RULES), store)[NEGATIVE_SAMPLES]
    assert (file.key, file.rows) == (f"spark/{NEGATIVE_SAMPLES}/part-00000.parquet", 0)


def test_positives_without_a_catalogue_are_told(engine: SparkEngine, tmp_path: Path) -> None:
    events = tuple(Event("u", f"i{number}", InteractionType.CLICK, B - timedelta(hours=1)) for number in range(3))
    store = LocalObjectStore(directory=str(tmp_path))
    put(World(events, ()), store)
    with pytest.raises(DataRuleError, match="3 positives, and no item of the catalogue"):
        engine.make_training_data(CURATED, replace(RULES, min_interactions_per_item=1), store, features=FEATURES)


def test_a_day_that_is_gone_is_told(engine: SparkEngine, tmp_path: Path) -> None:
    store = LocalObjectStore(directory=str(tmp_path))
    write_curated(World((Event("u", "i", InteractionType.VIEW, B - timedelta(days=1)),), ()), store)
    store.delete(CURATED.places.curated_day((B - timedelta(days=1)).date()) + INTERACTIONS_FILE)
    with pytest.raises(ObjectNotFoundError, match="curated day"):
        engine.make_features(CURATED, store)


@pytest.mark.parametrize("is_large", [False, True], ids=["digest", "size alone"])
def test_a_file_of_another_writing_than_its_manifest_is_told_by_its_key(
    is_large: bool, engine: SparkEngine, tmp_path: Path
) -> None:
    store = LocalObjectStore(directory=str(tmp_path / "a target"))
    put(large_world(), store)
    folder = CURATED.places.curated_day(B.date())
    key = folder + INTERACTIONS_FILE
    if is_large:
        manifest = json.loads(store.read(folder + MANIFEST_FILE))
        manifest["files"][INTERACTIONS_FILE]["size"] = 1 << 40
        store.write(folder + MANIFEST_FILE, json.dumps(manifest).encode())
    else:
        content = store.read(key)
        store.write(key, content[:40] + bytes([content[40] ^ 1]) + content[41:])
    with pytest.raises(DamagedTableError) as caught:
        engine.make_features(CURATED, store)
    assert store.uri(key) in str(caught.value)


def session_of(engine: SparkEngine) -> SparkSession:
    return open_session(master=engine.master, remote=None, settings=engine.settings)


def plans(engine: SparkEngine) -> Iterator[str]:
    """The physical plans of all that this process's session has run."""
    executions = session_of(engine)._jsparkSession.sharedState().statusStore().executionsList()  # type: ignore[attr-defined]
    for place in range(executions.size()):
        yield executions.apply(place).physicalPlanDescription()


def test_a_user_who_is_dealt_out_to_two_ranges_is_noticed(engine: SparkEngine) -> None:
    """What two ranges say of three users, of whom both have one."""
    facts = UserFacts(3, (30, 0, 0, 0, 0, 0))
    pairs = Pairs(session_of(engine).createDataFrame([], EVENTS), 9, 0)
    ranges = [{"seen": 12, "seen_by": 2, "pairs": 4}, {"seen": 18, "seen_by": 2, "pairs": 5}]
    counted = add_up(report_of(part, {}, counts).content for part, counts in enumerate(ranges)).counts
    assert [one.rule for one in broken(check_dealing(counted, facts, pairs))] == ["no user is in two ranges"]


def test_the_keys_of_the_curated_layer_are_those_of_spark(engine: SparkEngine, store: ObjectStore) -> None:
    from pyspark.sql import functions as sf

    session = session_of(engine)
    day = CURATED.places.curated_day(WINDOW.start_at.date()) + INTERACTIONS_FILE
    rows = session.read.parquet(store.spark_uri(day))
    unsigned = sf.xxhash64("user_id").cast("decimal(20,0)")
    key = sf.when(unsigned < 0, unsigned + sf.lit(str(2**64)).cast("decimal(20,0)")).otherwise(unsigned)
    assert rows.count() > 500
    assert rows.where(key != sf.col("user_key")).count() == 0


def test_a_connect_server_gives_the_same_bytes(
    store: ObjectStore, written: Mapping[str, tuple[WrittenFile, ...]], tmp_path: Path
) -> None:
    """The server runs by itself: the cluster's two cores are the other session's."""
    with connect_server(tmp_path, "local[1]") as url:
        done = subprocess.run(
            [sys.executable, "-c", _ON_CONNECT, url, store.uri("x").removesuffix("x")],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        table: [file.sha256 for file in files] for table, files in written.items()
    }


_ON_CONNECT = """
import json, sys
from gata_assets.resources.object_store import LocalObjectStore
from gata_assets.resources.spark_engine import SparkEngine
from gata_assets_tests.test_spark_engine import CURATED, FEATURES, RULES
engine = SparkEngine(remote=sys.argv[1], rows_a_part=1_200)
store = LocalObjectStore(directory=sys.argv[2])
written = {
    **engine.make_features(CURATED, store).write("connect/"),
    **engine.make_training_data(CURATED, RULES, store, features=FEATURES).write("connect/"),
}
print(json.dumps({table: [file.sha256 for file in files] for table, files in written.items()}))
"""
