"""Features from coded interactions, against an oracle in plain Python, for all worlds that Hypothesis thinks of.

All real, nothing is faked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from types import FrameType
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.interactions.features.checks import check_features
from gata_assets.interactions.features.events import EventTable, code_events
from gata_assets.interactions.features.kernel import choose_recent
from gata_assets.interactions.features.tables import FeatureTables, make_features
from gata_assets.interactions.rules import InteractionType
from gata_assets.tables.outcomes import Outcome, broken
from gata_assets_tests.support.feature_oracle import item_rows, recent_rows, user_rows
from gata_assets_tests.support.interaction_worlds import (
    WINDOW,
    B,
    Event,
    Item,
    World,
    any_world,
    catalogue_frame,
    event_table,
    inside,
    interactions_frame,
)

TraceFunction = Callable[[FrameType, str, object], Any]
VIEW, CLICK, BUY = InteractionType.VIEW, InteractionType.CLICK, InteractionType.PURCHASE
NOON = B.replace(hour=0) - timedelta(hours=12)
A_WORLD = World((Event("u", "i", VIEW, NOON, 3.0), Event("u", "i", CLICK, NOON)), (Item("i"), Item("j", "toys", 2.0)))


def features_of(world: World) -> FeatureTables:
    table = event_table(inside(world.events), world.catalogue)
    return make_features(table, catalogue_frame(world.catalogue), before=B)


def rows_of(table: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


def outcomes_of(tables: FeatureTables, events: EventTable) -> list[Outcome]:
    checks = check_features(tables, events, WINDOW)
    return [outcome for table in checks.values() for outcomes in table.values() for outcome in outcomes]


@given(world=any_world)
def test_every_column_is_what_plain_python_says(world: World) -> None:
    features = features_of(world)
    events = inside(world.events)
    assert rows_of(features.user_features) == user_rows(events)
    assert rows_of(features.item_features) == item_rows(events, world.catalogue, B)
    assert rows_of(features.recent_interactions) == recent_rows(events)


@given(world=any_world, seed=st.integers(0, 1_000))
def test_interactions_in_another_order_change_nothing(world: World, seed: int) -> None:
    shuffled = list(world.events)
    Random(seed).shuffle(shuffled)
    assert features_of(replace(world, events=tuple(shuffled))) == features_of(world)


@given(world=any_world)
def test_all_checks_hold_and_the_input_is_left_as_it_was(world: World) -> None:
    events = event_table(inside(world.events), world.catalogue)
    before = [getattr(events, name).copy() for name in ("user", "item", "timestamp", "type_code", "rating")]
    tables = make_features(events, catalogue_frame(world.catalogue), before=B)
    assert broken(outcomes_of(tables, events)) == []
    for name, column in zip(("user", "item", "timestamp", "type_code", "rating"), before, strict=True):
        np.testing.assert_array_equal(getattr(events, name), column)


def the_only(table: pa.Table) -> dict[str, object]:
    [row] = rows_of(table)
    return row


def test_a_window_without_interactions_has_the_items_of_the_catalog_with_zeros_and_nulls() -> None:
    features = features_of(World((), (Item("i", "books", 9.5),)))
    assert features.user_features.num_rows == features.recent_interactions.num_rows == 0
    assert the_only(features.item_features) == {
        "item_id": "i",
        "total_interactions": 0,
        "unique_users": 0,
        "avg_rating": None,
        "popularity_score": None,
        "engagement_score": None,
        "purchase_rate": None,
        "click_through_rate": None,
        "category": "books",
        "price": 9.5,
    }


def test_the_formulas_of_one_user_and_one_item() -> None:
    events = (
        Event("u", "i", VIEW, NOON - timedelta(days=1), 4.0),
        Event("u", "i", VIEW, NOON, 5.0),
        Event("u", "i", CLICK, NOON),
        Event("u", "i", BUY, NOON + timedelta(hours=1)),
    )
    features = features_of(World(events, ()))
    user, item = the_only(features.user_features), the_only(features.item_features)
    assert (user["total_interactions"], user["unique_items"], user["days_active"]) == (4, 1, 2)
    assert (user["interactions_per_day"], user["conversion_rate"], user["avg_rating"]) == (2.0, 0.25, 4.5)
    assert (item["popularity_score"], item["engagement_score"]) == (1.0, (1 + 1 + 2 + 5) / 4)
    assert (item["purchase_rate"], item["click_through_rate"]) == (0.25, 0.5)
    assert (item["category"], item["price"]) == (None, None)


def test_the_popularity_is_zero_of_an_item_without_interactions_beside_one_that_has_some() -> None:
    items = {row["item_id"]: row for row in rows_of(features_of(A_WORLD).item_features)}
    assert (items["i"]["popularity_score"], items["j"]["popularity_score"]) == (1.0, 0.0)
    assert items["j"]["engagement_score"] is None


def test_a_rating_that_is_missing_or_not_a_number_is_none() -> None:
    frame = interactions_frame(
        [Event("u", "i", VIEW, NOON, 2.0), Event("u", "i", VIEW, NOON), Event("u", "i", BUY, NOON)]
    )
    frame = frame.with_columns(rating=pl.Series([2.0, None, float("nan")], dtype=pl.Float32))
    events = code_events(frame, frame.select("user_id", "user_key"), frame.select("item_id", "item_key"))
    features = make_features(events, catalogue_frame([]), before=B)
    assert the_only(features.user_features)["avg_rating"] == 2.0
    assert [row["rating"] for row in rows_of(features.recent_interactions)] == [2.0, None, None]


def test_of_more_than_fifty_the_newest_are_kept() -> None:
    events = tuple(Event("u", f"i{n:03}", VIEW, NOON - timedelta(minutes=n)) for n in range(120))
    features = features_of(World(events, ()))
    newest = [f"i{n:03}" for n in range(50)]
    assert the_only(features.user_features)["recent_items"] == newest
    recent = rows_of(features.recent_interactions)
    assert [row["item_id"] for row in recent] == newest
    assert [row["position"] for row in recent] == list(range(1, 51))


@given(count=st.integers(45, 140), seed=st.integers(0, 1_000))
def test_of_many_at_one_instant_those_go_first_that_the_ties_say(count: int, seed: int) -> None:
    random = Random(seed)
    kinds, ratings = list(InteractionType), (None, 1.0, 2.5, 5.0)
    events = [
        Event("u", f"i{random.randrange(9)}", random.choice(kinds), NOON, random.choice(ratings)) for _ in range(count)
    ] + [Event("u", "newer", VIEW, B - timedelta(hours=1)), Event("u", "older", VIEW, NOON - timedelta(hours=1))]
    random.shuffle(events)
    assert rows_of(features_of(World(tuple(events), ())).recent_interactions) == recent_rows(events)


def test_of_very_many_at_one_instant_the_fifty_that_go_first_are_kept() -> None:
    codes = np.arange(200_000, dtype=np.uint64)[::-1] % 5_000
    ids = pl.Series([f"i{n:05}" for n in range(5_000)])
    frame = pl.DataFrame(
        {
            "user_key": pl.repeat(7, len(codes), dtype=pl.UInt64, eager=True),
            "item_key": codes,
            "timestamp": pl.repeat(NOON, len(codes), dtype=pl.Datetime("us", "UTC"), eager=True),
            "type_code": pl.repeat(0, len(codes), dtype=pl.UInt8, eager=True),
            "rating": pl.repeat(None, len(codes), dtype=pl.Float32, eager=True),
        }
    )
    users = pl.DataFrame({"user_id": ["u"], "user_key": pl.Series([7], dtype=pl.UInt64)})
    items = pl.DataFrame({"item_id": ids, "item_key": pl.arange(5_000, dtype=pl.UInt64, eager=True)})
    features = make_features(code_events(frame, users, items), catalogue_frame([]), before=B)
    # Each item forty times: the fifty that go first are of the first two.
    assert the_only(features.user_features)["recent_items"] == ["i00000"] * 40 + ["i00001"] * 10


def steps_of_choosing(interactions: int, instants: int) -> int:
    """Lines of the loop that run, uncompiled, for a user whose every interaction goes before those met so far."""
    choose = choose_recent.py_func  # type: ignore[attr-defined]
    steps = 0

    def count(frame: FrameType, event: str, _argument: object) -> TraceFunction | None:
        nonlocal steps
        steps += event == "line"
        return count if frame.f_code is choose.__code__ else None

    rows = np.arange(interactions, dtype=np.uint32)
    before = sys.gettrace()
    sys.settrace(count)
    try:
        choose(
            np.array([0, interactions]),
            rows,
            np.sort(rows.astype(np.int64) % instants),
            rows[::-1].astype(np.int32),
            np.zeros(interactions, dtype=np.uint8),
            np.full(interactions, np.nan, dtype=np.float32),
            5,
        )
    finally:
        sys.settrace(before)
    return steps


def test_choosing_the_last_of_many_at_one_instant_takes_steps_in_proportion_and_of_older_ones_none() -> None:
    some, many = steps_of_choosing(300, instants=1), steps_of_choosing(1_200, instants=1)
    assert 3.5 * some < many < 4.5 * some
    assert steps_of_choosing(300, instants=60) == steps_of_choosing(1_200, instants=240) < some


@pytest.mark.parametrize("at", [WINDOW.start_at, B - timedelta(microseconds=1)])
def test_every_instant_of_the_window_is_in_it(at: datetime) -> None:
    events = event_table([Event("u", "i", VIEW, at)])
    tables = make_features(events, catalogue_frame([]), before=B)
    assert broken(outcomes_of(tables, events)) == []


@pytest.mark.parametrize("at", [WINDOW.start_at - timedelta(microseconds=1), B])
def test_an_interaction_of_another_time_is_found(at: datetime) -> None:
    events = event_table([Event("u", "i", VIEW, at), Event("u", "i", VIEW, NOON)])
    checks = check_features(make_features(events, catalogue_frame([]), before=B), events, WINDOW)
    assert [str(outcome) for outcome in broken(checks["recent_interactions"]["nothing_after_the_batch"])] == [
        "timestamp is in the window: 1 of 2 rows. This is a bug in reading days; please report it."
    ]


def replaced(table: pa.Table, column: str, change: Callable[[list[Any]], list[Any]]) -> pa.Table:
    values = pa.array(change(table[column].to_pylist()), table[column].type)
    return table.set_column(table.column_names.index(column), column, values)


@pytest.mark.parametrize(
    ("table", "column", "change"),
    [
        ("user_features", "total_interactions", lambda values: [values[0] + 1, *values[1:]]),
        ("user_features", "num_clicks", lambda values: [values[0] + 1, *values[1:]]),
        ("user_features", "avg_rating", lambda values: [None, *values[1:]]),
        ("user_features", "recent_items", lambda values: [values[0][1:], *values[1:]]),
        ("user_features", "last_interaction", lambda values: [value - timedelta(seconds=1) for value in values]),
        ("item_features", "total_interactions", lambda values: [values[0] + 1, *values[1:]]),
        ("item_features", "unique_users", lambda values: [values[0] + 1, *values[1:]]),
        ("item_features", "avg_rating", lambda values: [None, *values[1:]]),
        ("recent_interactions", "position", lambda values: [2, *values[1:]]),
        ("recent_interactions", "timestamp", lambda values: [values[1], values[0], *values[2:]]),
        ("recent_interactions", "timestamp", lambda values: [value - timedelta(seconds=1) for value in values]),
        ("user_features", "avg_rating", lambda values: [3.5, *values[1:]]),
        ("item_features", "avg_rating", lambda values: [3.5, *values[1:]]),
    ],
)
def test_a_table_that_does_not_match_the_events_is_found(
    table: str, column: str, change: Callable[[list[Any]], list[Any]]
) -> None:
    events = event_table(
        [Event("u", "i", VIEW, NOON, 3.0), Event("u", "j", CLICK, NOON + timedelta(1)), Event("v", "i", BUY, NOON)]
    )
    tables = make_features(events, catalogue_frame([]), before=B)
    spoilt = replace(tables, **{table: replaced(getattr(tables, table), column, change)})
    checks = check_features(spoilt, events, WINDOW)
    assert broken(outcome for checked in checks.values() for outcome in checked["features_match_the_events"])


@pytest.mark.parametrize(
    ("table", "column", "change", "rules"),
    [
        ("user_features", "avg_rating", lambda values: [2.5, *values[1:]], {"averages of users sum to the ratings"}),
        ("item_features", "avg_rating", lambda values: [2.5, *values[1:]], {"averages of items sum to the ratings"}),
        (
            "user_features",
            "last_interaction",
            lambda values: [values[0], values[1] - timedelta(seconds=1)],
            {"the first recent interaction is the user's last"},
        ),
        (
            "recent_interactions",
            "position",
            lambda _: [1, 2, 3],
            {"every user has a latest interaction", "the first recent interaction is the user's last"},
        ),
        ("recent_interactions", "position", lambda _: [1, 3, 1], {"recent interactions are newest first"}),
    ],
)
def test_what_does_not_match_breaks_the_rules_that_say_so(
    table: str, column: str, change: Callable[[list[Any]], list[Any]], rules: set[str]
) -> None:
    events = event_table(
        [
            Event("u", "i", VIEW, NOON, 3.0),
            Event("u", "j", CLICK, NOON + timedelta(hours=1)),
            Event("v", "i", BUY, NOON),
        ]
    )
    tables = make_features(events, catalogue_frame([]), before=B)
    spoilt = replace(tables, **{table: replaced(getattr(tables, table), column, change)})
    assert {outcome.rule for outcome in broken(outcomes_of(spoilt, events))} == rules


def test_ratings_are_held_against_their_items_though_items_before_them_have_no_row() -> None:
    catalogue = (Item("a", available_at=B), Item("i"), Item("j"))
    events = event_table([Event("u", "i", VIEW, NOON, 2.0), Event("u", "j", VIEW, NOON, 5.0)], catalogue)
    tables = make_features(events, catalogue_frame(catalogue), before=B)
    assert tables.item_features["item_id"].to_pylist() == ["i", "j"]
    assert broken(outcomes_of(tables, events)) == []


def test_a_row_that_is_left_out_is_found() -> None:
    events = event_table(A_WORLD.events, A_WORLD.catalogue)
    tables = make_features(events, catalogue_frame(A_WORLD.catalogue), before=B)
    for name in ("user_features", "item_features", "recent_interactions"):
        spoilt = replace(tables, **{name: getattr(tables, name).slice(1)})
        assert broken(check_features(spoilt, events, WINDOW)[name]["features_match_the_events"]), name


def test_a_value_that_breaks_its_schema_is_counted_and_not_reported() -> None:
    events = event_table(A_WORLD.events)
    tables = make_features(events, catalogue_frame([]), before=B)
    spoilt = replace(tables, user_features=replaced(tables.user_features, "avg_rating", lambda _: [7_261_943.5]))
    [outcome] = broken(check_features(spoilt, events, WINDOW)["user_features"]["user_features_are_valid"])
    assert "avg_rating" in outcome.rule and outcome.failed == outcome.checked == 1
    assert "7261943" not in str(outcome)
