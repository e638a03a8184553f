"""The contract of an interaction engine for training rows, held by each: what it writes for small worlds.

Real: engines (Spark on a standalone master with two workers), Parquet files, a local directory, and S3 over HTTP on
loopback (an S3 server for tests). Oracles in plain Python say what the rows and the features are.
"""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st

from gata_assets.errors import DamagedTableError, DataRuleError, ObjectNotFoundError
from gata_assets.interactions.engines.base import (
    ITEM_FEATURES,
    NEGATIVE_SAMPLES,
    USER_FEATURES,
    WITH_FEATURES,
    BuiltTables,
    InteractionEngine,
)
from gata_assets.interactions.rules import InteractionType, SamplingRules
from gata_assets.interactions.sampling.candidates import AliasTable, choose_candidates
from gata_assets.interactions.sampling.empty_samples import MOST_OF_A_USER, MOST_OF_AN_ITEM
from gata_assets.interactions.schema import NegativeSamples, WithFeatures
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.outcomes import broken
from gata_assets_tests.support import sampling_oracle
from gata_assets_tests.support.feature_oracle import item_rows, user_rows
from gata_assets_tests.support.interaction_worlds import (
    BATCH_ID,
    CURATED,
    SEEN_WINDOW,
    WINDOW,
    B,
    Event,
    Item,
    World,
    for_each_world,
    inside,
    parts_below,
    read_back,
    write_curated,
)
from gata_assets_tests.support.sampling_oracle import rules_of

FEATURES, TRAINING_DATA = CURATED.places.features(BATCH_ID), CURATED.places.training_data(BATCH_ID)
CLICK, VIEW = InteractionType.CLICK, InteractionType.VIEW

SMALL = World(
    events=(
        Event("u1", "i1", CLICK, B - timedelta(hours=2), 4.0),
        Event("u1", "i2", VIEW, B - timedelta(hours=1)),
        Event("u1", "i3", VIEW, SEEN_WINDOW.start_at),
        Event("u2", "i2", CLICK, B - timedelta(days=2)),
        Event("u3", "i2", VIEW, B - timedelta(days=2)),
    ),
    catalogue=(*(Item(f"i{n}", f"category {n}", n / 2) for n in range(1, 9)), Item("later", available_at=B)),
)


@st.composite
def any_rules(draw: st.DrawFn) -> SamplingRules:
    return rules_of(
        types=draw(st.sampled_from([[CLICK], [VIEW, CLICK], list(InteractionType)])),
        least=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        most=draw(st.sampled_from([1, 2, 50])),
        ratio=draw(st.integers(1, 3)),
        power=draw(st.sampled_from([None, 0.75])),
        seed=draw(st.integers(0, 2**32)),
    )


def expected_samples(world: World, rules: SamplingRules) -> list[dict[str, object]]:
    """`NegativeSamples` by the oracle."""
    seen = [(one.user, one.item, _microseconds(one), one.kind) for one in inside(world.events, SEEN_WINDOW)]
    catalogue = [one.item for one in world.catalogue if one.available_at is None or one.available_at < B]
    users = sorted({user for user, *_ in seen})
    keys = dict(zip(users, hash_ids(pl.Series(users, dtype=pl.String)).to_list(), strict=True))
    start = WINDOW.start * 1_000_000
    rows = sampling_oracle.training_rows(
        seen, start, catalogue, rules, keys=keys, table=_alias_table(world, catalogue, rules)
    )
    names = ("user_id", "item_id", "label", "sampling_probability")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _alias_table(world: World, catalogue: list[str], rules: SamplingRules) -> AliasTable | None:
    met = [event.item for event in inside(world.events)]
    interactions = np.array([met.count(item) for item in sorted(catalogue)], dtype=np.int64)
    return choose_candidates(np.ones(len(catalogue), dtype=np.bool_), interactions, rules).table


def _microseconds(event: Event) -> int:
    return (event.at - B) // timedelta(microseconds=1) + int(B.timestamp()) * 1_000_000


def make_all(
    engine: InteractionEngine, world: World, rules: SamplingRules, store: ObjectStore
) -> tuple[BuiltTables, dict[str, pl.DataFrame]]:
    """Features and training rows, written; gives the training rows as they were made and as they are read back."""
    write_curated(world, store)
    engine.make_features(CURATED, store).write(FEATURES, "token")
    made = engine.make_training_data(CURATED, rules, store, features=parts_below(store, FEATURES))
    written = made.write(TRAINING_DATA, "token")
    assert {file.key for files in written.values() for file in files} == set(store.list_keys(TRAINING_DATA))
    return made, {name: read_back(store, files) for name, files in written.items()}


def assert_rows_are_those_of(
    world: World, rules: SamplingRules, made: BuiltTables, tables: dict[str, pl.DataFrame]
) -> None:
    expected = expected_samples(world, rules)
    samples, joined = tables[NEGATIVE_SAMPLES].to_dicts(), tables[WITH_FEATURES].to_dicts()
    for row in (*samples, *expected):
        # Weights are summed in another order by another engine.
        row["sampling_probability"] = pytest.approx(row["sampling_probability"]) if row["label"] == 0.0 else None
    assert samples == expected
    users = {row["user_id"]: row for row in user_rows(inside(world.events))}
    items = {row["item_id"]: row for row in item_rows(inside(world.events), world.catalogue, B)}
    for row, sample in zip(joined, tables[NEGATIVE_SAMPLES].to_dicts(), strict=True):
        user, item = users[sample["user_id"]], items[sample["item_id"]]
        assert row == {
            **sample,
            **{f"user_{name}": value for name, value in user.items() if name not in ("user_id", "recent_items")},
            **{f"item_{name}": value for name, value in item.items() if name != "item_id"},
        }
    NegativeSamples.validate(tables[NEGATIVE_SAMPLES])
    WithFeatures.validate(tables[WITH_FEATURES])
    for name in (NEGATIVE_SAMPLES, WITH_FEATURES):
        assert made.numbers[name]["row_count"] == len(expected)
        assert broken(outcome for outcomes in made.outcomes[name].values() for outcome in outcomes) == []


@pytest.mark.every_engine
@pytest.mark.slow
def test_training_rows_are_those_of_the_oracle(
    interaction_engine: InteractionEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def hold(world: World, rules: SamplingRules) -> None:
        # Without an item there is nothing to draw from; a test of its own says what happens then.
        world = replace(world, catalogue=(*world.catalogue, Item("always there")))
        store = LocalStoreResource(directory=str(tmp_path_factory.mktemp("target")))
        made, tables = make_all(interaction_engine, world, rules, store)
        assert_rows_are_those_of(world, rules, made, tables)

    for_each_world(interaction_engine, hold, rules=any_rules())


@pytest.mark.every_engine(store="s3")
def test_training_rows_go_through_each_store(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    made, tables = make_all(interaction_engine, SMALL, rules_of(), any_store)
    assert_rows_are_those_of(SMALL, rules_of(), made, tables)
    assert len(tables[NEGATIVE_SAMPLES]) == 2 + 2 * 4


def test_what_was_seen_before_the_window_is_no_negative(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    _, tables = make_all(interaction_engine, SMALL, rules_of(ratio=9), any_store)
    samples = tables[NEGATIVE_SAMPLES].filter(pl.col("label") == 0.0)
    of_first = set(samples.filter(pl.col("user_id") == "u1")["item_id"])
    assert of_first == {"i4", "i5", "i6", "i7", "i8"}


def test_what_falls_short_is_counted(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    made, _ = make_all(interaction_engine, SMALL, rules_of(ratio=9), any_store)
    assert made.numbers[NEGATIVE_SAMPLES]["shortfall"] == (9 - 5) + (9 - 7)


def test_a_window_without_interactions_gives_tables_without_rows(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    world = replace(SMALL, events=())
    made, tables = make_all(interaction_engine, world, rules_of(), any_store)
    assert_rows_are_those_of(world, rules_of(), made, tables)


def test_positives_without_any_item_are_reported(interaction_engine: InteractionEngine, any_store: ObjectStore) -> None:
    with pytest.raises(DataRuleError, match="no catalog item was available"):
        make_all(interaction_engine, replace(SMALL, catalogue=()), rules_of(), any_store)


def test_where_no_row_is_left_the_largest_user_and_item_are_counted(
    interaction_engine: InteractionEngine, tmp_path: Path
) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    events = [Event(user, item, CLICK, B - timedelta(hours=1)) for user, item in ("ai", "aj", "ak", "bi", "ci", "ci")]
    make_all(interaction_engine, replace(SMALL, events=tuple(events)), rules_of(), store)
    parts = parts_below(store, FEATURES)
    for rules, expected in (
        (rules_of(least=(4, 1)), (5, 3, 3)),
        (rules_of(least=(2, 2)), (5, 3, 3)),
        (rules_of(types=[VIEW]), (0, 0, 0)),
    ):
        made = interaction_engine.make_training_data(CURATED, rules, store, features=parts)
        numbers = made.numbers[NEGATIVE_SAMPLES]
        assert numbers["row_count"] == 0
        assert (numbers["left_out_by_minimum"], numbers[MOST_OF_A_USER], numbers[MOST_OF_AN_ITEM]) == expected


def test_a_part_of_the_features_that_is_gone_is_reported(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    make_all(interaction_engine, SMALL, rules_of(), any_store)
    parts = parts_below(any_store, FEATURES)
    any_store.delete(parts[ITEM_FEATURES][0])
    with pytest.raises(ObjectNotFoundError, match=r"item_features/part-00000-token\.parquet, which its manifest lists"):
        interaction_engine.make_training_data(CURATED, rules_of(), any_store, features=parts)


@pytest.mark.every_engine
@pytest.mark.parametrize("name", [USER_FEATURES, ITEM_FEATURES])
def test_a_damaged_part_of_the_features_is_reported(
    interaction_engine: InteractionEngine, any_store: ObjectStore, name: str
) -> None:
    make_all(interaction_engine, SMALL, rules_of(), any_store)
    any_store.write(f"{FEATURES}{name}/part-00001-token.parquet", b"no Parquet")
    parts = parts_below(any_store, FEATURES)
    with pytest.raises(DamagedTableError, match=rf"{name}/part-00001-token\.parquet is no complete Parquet file"):
        interaction_engine.make_training_data(CURATED, rules_of(), any_store, features=parts)


def test_one_user_who_has_seen_everything_has_positives_alone(
    interaction_engine: InteractionEngine, any_store: ObjectStore
) -> None:
    world = World(SMALL.events[:2], (Item("i1"), Item("i2")))
    made, tables = make_all(interaction_engine, world, rules_of(), any_store)
    assert_rows_are_those_of(world, rules_of(), made, tables)
    assert tables[NEGATIVE_SAMPLES]["label"].to_list() == [1.0]


@pytest.mark.parametrize(("stale", "what"), [(USER_FEATURES, "1 of 2 users"), (ITEM_FEATURES, "1 of 8 items")])
def test_features_of_other_interactions_are_reported(
    interaction_engine: InteractionEngine, any_store: ObjectStore, stale: str, what: str
) -> None:
    make_all(interaction_engine, SMALL, rules_of(ratio=9), any_store)
    parts = parts_below(any_store, FEATURES)
    [key] = parts[stale]
    with any_store.local_copy(key) as path:
        table = pl.read_parquet(path, memory_map=False)
    fewer = io.BytesIO()
    table.slice(1).write_parquet(fewer)
    any_store.write(key, fewer.getvalue())
    with pytest.raises(DataRuleError, match=f"{what} of the training rows have no features"):
        interaction_engine.make_training_data(CURATED, rules_of(ratio=9), any_store, features=parts)


def test_the_order_in_which_a_day_was_curated_and_other_users_change_no_row(
    interaction_engine: InteractionEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shuffled = list(SMALL.events)
    Random(7).shuffle(shuffled)
    tables = []
    for events in (SMALL.events, tuple(shuffled), tuple(event for event in SMALL.events if event.user != "u2")):
        store = LocalStoreResource(directory=str(tmp_path_factory.mktemp("target")))
        _, made = make_all(interaction_engine, replace(SMALL, events=events), rules_of(), store)
        tables.append(made[NEGATIVE_SAMPLES])
    assert tables[0].equals(tables[1])
    assert tables[0].filter(pl.col("user_id") == "u1").equals(tables[2])
