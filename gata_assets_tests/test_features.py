"""Features from coded interactions, against an oracle in plain Python, for all worlds that Hypothesis thinks of.

All real, nothing is faked.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.core.event_table import EventTable
from gata_assets.core.feature_quality import check_features
from gata_assets.core.features import FeatureTables, make_features
from gata_assets.core.interaction_rules import InteractionType
from gata_assets.core.quality import Outcome, broken
from gata_assets_tests.feature_oracle import item_rows, recent_rows, user_rows
from gata_assets_tests.interaction_worlds import (
    WINDOW,
    B,
    World,
    any_world,
    catalogue_frame,
    event_table,
    inside,
)

VIEW, CLICK, BUY = InteractionType.VIEW, InteractionType.CLICK, InteractionType.PURCHASE


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
