"""Interactions with their ids as codes, at once and a day at a time. All real, nothing is faked."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given

from gata_assets.errors import DataRuleError
from gata_assets.interactions.features.events import EventCoder, EventTable, code_events
from gata_assets.interactions.rules import InteractionType
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.interaction_worlds import B, Event, World, any_world, event_table, interactions_frame

VIEW = InteractionType.VIEW
COLUMNS = ("user", "item", "timestamp", "type_code", "rating")


def ids(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    return frame.select(f"{kind}_id", f"{kind}_key").unique(maintain_order=True)


def coded(frame: pl.DataFrame) -> EventTable:
    return code_events(frame, ids(frame, "user"), ids(frame, "item"))


@given(world=any_world)
def test_codes_are_for_the_ids_in_the_order_of_their_bytes(world: World) -> None:
    table = event_table(world.events, world.catalogue)
    by_time = sorted(world.events, key=lambda event: event.at)
    assert table.users.ids.gather(table.user).to_list() == [event.user for event in by_time]
    assert table.items.ids.gather(table.item).to_list() == [event.item for event in by_time]
    assert table.users.ids.to_list() == sorted({event.user for event in world.events}, key=str.encode)
    known = {event.item for event in world.events} | {item.item for item in world.catalogue}
    assert table.items.ids.to_list() == sorted(known, key=str.encode)


@given(world=any_world)
def test_days_one_after_another_give_what_all_at_once_gives(world: World) -> None:
    frame = interactions_frame(world.events).sort("timestamp", maintain_order=True)
    coder = EventCoder()
    for _, day in frame.group_by(pl.col("timestamp").dt.date(), maintain_order=True):
        coder.add(day, ids(day, "user"), ids(day, "item"))
    table, expected = coder.finish(), coded(frame)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))
        assert getattr(table, name).dtype == getattr(expected, name).dtype
    for one, other in ((table.users, expected.users), (table.items, expected.items)):
        assert one.ids.to_list() == other.ids.to_list()
        np.testing.assert_array_equal(one.keys, other.keys)


def test_thousands_of_ids_keep_their_keys() -> None:
    frame = interactions_frame([Event(f"u{n}", f"i{n % 977}", VIEW, B) for n in range(20_000)])
    table = coded(frame)
    assert table.users.ids.gather(table.user).to_list() == frame["user_id"].to_list()
    np.testing.assert_array_equal(table.users.keys[table.user], frame["user_key"].to_numpy())
    np.testing.assert_array_equal(table.items.keys[table.item], frame["item_key"].to_numpy())


def test_users_without_an_interaction_get_no_code_and_items_do() -> None:
    frame = interactions_frame([Event("u", "i", VIEW, B), Event("a", "a", VIEW, B)])
    table = code_events(frame.head(1), ids(frame, "user"), ids(frame, "item"))
    assert table.users.ids.to_list() == ["u"]
    assert table.items.ids.to_list() == ["a", "i"]


def test_two_ids_with_one_key_are_reported_by_number() -> None:
    secret = canary("a user")
    frame = interactions_frame([Event(f"{secret}1", "i", VIEW, B), Event(f"{secret}2", "i", VIEW, B)])
    users = ids(frame, "user").with_columns(user_key=pl.lit(frame["user_key"][0], pl.UInt64))
    with pytest.raises(DataRuleError, match="1 of 2 user ids have the same hash") as error:
        code_events(frame, users, ids(frame, "item"))
    assert secret not in str(error.value)


def test_two_ids_with_one_key_on_two_days_are_reported() -> None:
    frame = interactions_frame([Event("u", "i", VIEW, B), Event("v", "i", VIEW, B + timedelta(days=1))])
    frame = frame.with_columns(user_key=pl.lit(frame["user_key"][0], pl.UInt64))
    coder = EventCoder()
    coder.add(frame[:1], ids(frame[:1], "user"), ids(frame[:1], "item"))
    with pytest.raises(DataRuleError, match="1 of 1 user ids have the same hash"):
        coder.add(frame[1:], ids(frame[1:], "user"), ids(frame[1:], "item"))


@pytest.mark.parametrize("kind", ["user", "item"])
def test_a_key_without_an_id_is_reported(kind: str) -> None:
    frame = interactions_frame([Event("u", "i", VIEW, B), Event("v", "j", VIEW, B)])
    known = {"user": ids(frame, "user"), "item": ids(frame, "item")}
    known[kind] = known[kind].head(1)
    with pytest.raises(DataRuleError, match=f"1 of 2 curated interactions have a {kind} hash without an id"):
        code_events(frame, known["user"], known["item"])


def test_interactions_that_are_not_in_order_of_time_are_reported() -> None:
    frame = interactions_frame([Event("u", "i", VIEW, B), Event("u", "i", VIEW, B - timedelta(hours=1))])
    with pytest.raises(DataRuleError, match="1 of 2 curated interactions are earlier"):
        EventCoder().add(frame, ids(frame, "user"), ids(frame, "item"))
    coder = EventCoder()
    coder.add(frame[:1], ids(frame, "user"), ids(frame, "item"))
    with pytest.raises(DataRuleError, match="1 of 1 curated interactions are earlier"):
        coder.add(frame[1:], ids(frame, "user"), ids(frame, "item"))


def test_interactions_of_one_instant_may_come_in_two_pieces() -> None:
    frame = interactions_frame([Event("u", "i", VIEW, B), Event("v", "j", VIEW, B)])
    coder = EventCoder()
    for piece in (frame[:1], frame[1:]):
        coder.add(piece, ids(piece, "user"), ids(piece, "item"))
    assert coder.finish().timestamp.tolist() == coded(frame).timestamp.tolist()


def test_a_type_that_is_not_known_is_reported() -> None:
    frame = interactions_frame([Event("u", "i", VIEW, B)]).with_columns(type_code=pl.lit(6, pl.UInt8))
    with pytest.raises(DataRuleError, match="1 of 1 curated interactions have an unknown type_code"):
        coded(frame)
