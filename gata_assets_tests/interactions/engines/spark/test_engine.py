"""The engine on Spark gives what one machine gives, row for row and in parts, and moves rows as it says.

What it gives for small worlds, and what it says of broken input, is the contract's matter. Real: a standalone master
with two workers on loopback, a Connect server, Parquet files in a local directory.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from gata_assets.curation.layout import INTERACTIONS_FILE
from gata_assets.interactions.curated.reader import read_catalog
from gata_assets.interactions.engines.base import ITEM_FEATURES, NEGATIVE_SAMPLES, USER_FEATURES, BuiltTables
from gata_assets.interactions.engines.polars import PolarsEngine
from gata_assets.interactions.engines.spark.engine import SparkEngine
from gata_assets.interactions.engines.spark.features import FeatureKernel, check_ranges
from gata_assets.interactions.engines.spark.positives import find_positive_pairs
from gata_assets.interactions.engines.spark.samples import Catalog, SampleKernel, check_shuffle
from gata_assets.interactions.engines.spark.session import open_session
from gata_assets.interactions.engines.spark.shuffle import Days, repartition_by_user
from gata_assets.interactions.engines.spark.survey import survey
from gata_assets.interactions.engines.spark.tasks import repartition_by_part, run_and_cache
from gata_assets.interactions.rules import InteractionType, SamplingRules, SamplingStrategy
from gata_assets.storage.files import WrittenFile
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import read_parts, read_schema
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.columns.arrow_buffers import micros
from gata_assets.tables.outcomes import broken
from gata_assets_tests.support.interaction_worlds import (
    BATCH_ID,
    CURATED,
    SEEN_WINDOW,
    WINDOW,
    B,
    Event,
    Item,
    World,
    parts_below,
    write_curated,
)
from gata_assets_tests.support.spark_cluster import connect_server

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

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
def engine(spark_engine: SparkEngine) -> SparkEngine:
    return spark_engine.model_copy(update={"rows_per_part": 1_200})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    """The large world as curated days, and the features that one machine makes of it."""
    store = LocalStoreResource(directory=str(tmp_path_factory.mktemp("target")))
    put(large_world(), store)
    return store


def put(world: World, store: ObjectStore) -> None:
    """A world as curated days, and its features, which one machine made."""
    write_curated(world, store)
    PolarsEngine().make_features(CURATED, store).write(FEATURES, "token")


def rows_of(store: ObjectStore, files: tuple[WrittenFile, ...]) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(store.read(file.key)) for file in files])


def failed(made: BuiltTables) -> list[str]:
    return [str(one) for checks in made.outcomes.values() for outcomes in checks.values() for one in broken(outcomes)]


def on_one_machine(store: ObjectStore, rules: SamplingRules) -> BuiltTables:
    return PolarsEngine().make_training_data(CURATED, rules, store, features=parts_below(store, FEATURES))


def assert_same_tables(
    ours: BuiltTables, theirs: BuiltTables, store: ObjectStore
) -> Mapping[str, tuple[WrittenFile, ...]]:
    """What was made on Spark is what one machine makes: rows in their order, types, numbers, and what is checked."""
    assert failed(ours) == []
    assert ours.numbers == theirs.numbers
    assert {table: set(checks) for table, checks in ours.outcomes.items()} == {
        table: set(checks) for table, checks in theirs.outcomes.items()
    }
    written, expected = ours.write("spark/", "token"), theirs.write("one/", "token")
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
    made = engine.make_training_data(CURATED, RULES, store, features=parts_below(store, FEATURES))
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
    made = by_rounds.make_training_data(CURATED, rules, store, features=parts_below(store, FEATURES))
    assert_same_tables(made, on_one_machine(store, rules), store)
    run = list(plans(engine))
    assert any("MapInArrow" in plan for plan in run)
    assert [plan for plan in run if "Join" in plan or "CartesianProduct" in plan] == []
    assert [plan for plan in run if "user 0" in plan or "item 1" in plan] == []


@pytest.mark.parametrize("max_on_driver", [pytest.param(19, marks=pytest.mark.soak), 18])
def test_a_core_that_takes_many_rounds_is_found_here_and_by_the_cluster(
    engine: SparkEngine, tmp_path: Path, max_on_driver: int
) -> None:
    """A chain, of which each round takes the ends alone, beside a block that stays; 19 pairs."""
    chain = [(f"c{number}", f"d{number + step}") for number in range(5) for step in range(2)]
    block = [(f"u{user}", f"i{item}") for user in range(3) for item in range(3)]
    at = B - timedelta(hours=1)
    events = tuple(Event(user, item, InteractionType.CLICK, at) for user, item in (*chain, *block) for _ in range(2))
    store = LocalStoreResource(directory=str(tmp_path))
    put(World(events, tuple(Item(f"e{number}") for number in range(9))), store)
    rules = replace(RULES, min_interactions_per_user=2, min_interactions_per_item=2)
    in_ranges = engine.model_copy(update={"pairs_on_driver": max_on_driver, "rows_per_part": 10})
    made = in_ranges.make_training_data(CURATED, rules, store, features=parts_below(store, FEATURES))
    numbers = made.numbers[NEGATIVE_SAMPLES]
    assert (numbers["positives"], numbers["left_out_by_minimum"]) == (9, 10)
    assert_same_tables(made, on_one_machine(store, rules), store)
    none = replace(rules, min_interactions_per_user=4)
    made = in_ranges.make_training_data(CURATED, none, store, features=parts_below(store, FEATURES))
    assert made.numbers == on_one_machine(store, none).numbers, "also the largest of what was left out"


def session_of(engine: SparkEngine) -> SparkSession:
    return open_session(master=engine.master, remote=None, settings=engine.settings)


def plans(engine: SparkEngine) -> Iterator[str]:
    """The physical plans of all that this process's session has run."""
    executions = session_of(engine)._jsparkSession.sharedState().statusStore().executionsList()  # type: ignore[attr-defined]
    for place in range(executions.size()):
        yield executions.apply(place).physicalPlanDescription()


def as_it_is(shuffled: DataFrame) -> DataFrame:
    return shuffled


def with_users_in_two_ranges(shuffled: DataFrame) -> DataFrame:
    """A user's interactions of one span in one range, and those of the next in another; features in both."""
    from pyspark.sql import functions as sf

    events = shuffled.where("name = 'events'").withColumn("part", sf.pmod("place", sf.lit(2)).cast("int"))
    features = [shuffled.where("name = 'features'").withColumn("part", sf.lit(part)) for part in range(2)]
    return repartition_by_part(events.union(features[0]).union(features[1]), 2)


def without_a_span(shuffled: DataFrame) -> DataFrame:
    return shuffled.where("place != 1 or name != 'events'")


@pytest.mark.parametrize(
    ("deal_it", "of_features", "of_rows"),
    [
        (as_it_is, [], []),
        (with_users_in_two_ranges, ["every user has one row"], ["no user is in two ranges"]),
        pytest.param(
            without_a_span,
            ["every interaction is in one range of users"],
            ["every seen interaction is in one range of users"],
            marks=pytest.mark.soak,
        ),
    ],
)
def test_rows_that_are_dealt_out_wrongly_are_noticed(
    engine: SparkEngine,
    store: ObjectStore,
    deal_it: Callable[[DataFrame], DataFrame],
    of_features: list[str],
    of_rows: list[str],
) -> None:
    """The engine's own steps, with a fault between the dealing and the kernels."""
    session = session_of(engine)
    days = Days.of(store, CURATED.places, WINDOW, rows_per_span=1_200)
    # One range: pieces of several that came into one would not stand in order of time, which alone would be told.
    totals, ranges = survey(session, days, rows_per_range=100_000)
    shuffled = deal_it(
        repartition_by_user(session, days, ranges, parts_below(store, FEATURES)[USER_FEATURES])
    ).persist()
    start, end = micros(WINDOW.start_at), micros(WINDOW.end_at)

    cached = run_and_cache(shuffled, FeatureKernel(WINDOW, 1), [USER_FEATURES])
    found = broken(check_ranges(cached.report.counts, cached.row_count(USER_FEATURES), totals))
    assert [one.rule for one in found][: len(of_features) or 1] == of_features

    rules = replace(RULES, min_interactions_per_user=1, min_interactions_per_item=1)
    pairs = find_positive_pairs(shuffled, rules, start=start, buckets=1, max_on_driver=0)
    items = read_catalog(CURATED.places, store)
    catalogue = Catalog.of(items, items["available_at"].is_null().to_numpy(), pairs.interactions)
    schema = read_schema(store, parts_below(store, FEATURES)[USER_FEATURES][0], without="recent_items")
    features = read_parts(store, parts_below(store, FEATURES)[ITEM_FEATURES])
    samples = SampleKernel(rules, catalogue, pairs.items_below_minimum, features, schema, start, end, 1)
    cached = run_and_cache(shuffled, samples, [NEGATIVE_SAMPLES])
    found = broken(check_shuffle(cached.report.counts, totals, pairs))
    assert [one.rule for one in found][: len(of_rows) or 1] == of_rows


def test_the_keys_of_the_curated_layer_are_those_of_spark(engine: SparkEngine, store: ObjectStore) -> None:
    from pyspark.sql import functions as sf

    session = session_of(engine)
    day = CURATED.places.curated("interactions", WINDOW.start_at.date()) + INTERACTIONS_FILE
    rows = session.read.parquet(store.uri(day))
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
            timeout=600,
        )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        table: [file.sha256 for file in files] for table, files in written.items()
    }


_ON_CONNECT = """
import json, sys
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.interactions.engines.spark.engine import SparkEngine
from gata_assets_tests.interactions.engines.spark.test_engine import CURATED, FEATURES, RULES, parts_below
engine = SparkEngine(remote=sys.argv[1], rows_per_part=1_200)
store = LocalStoreResource(directory=sys.argv[2])
parts = parts_below(store, FEATURES)
written = {
    **engine.make_features(CURATED, store).write("connect/", "token"),
    **engine.make_training_data(CURATED, RULES, store, features=parts).write("connect/", "token"),
}
print(json.dumps({table: [file.sha256 for file in files] for table, files in written.items()}))
"""
