"""Rounds again and again: how long each pause is, and what is said at the end.

Faked: the clock, the waiting, which only counts, and the store, in memory, whose calls fail.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gata_assets.errors import StoreError
from gata_assets.ingestion.segments.chain import segment_key
from gata_assets.ingestion.segments.group_commit import EventLog
from gata_assets.ingestion.segments.rollup import RolledUp
from gata_assets.ingestion.upkeep.repeat import Rounds
from gata_assets.ingestion.upkeep.rounds import Failed, Round, Upkeep
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.event_worlds import OTHER, START, STREAM, event, rolled_up
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore


class Ended:
    """The end of a process after so many pauses."""

    def __init__(self, pauses: int) -> None:
        self._pauses = pauses
        self.waited: list[float] = []
        self.noted: list[RolledUp | Failed] = []
        self.rounds: list[Round] = []

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return len(self.waited) > self._pauses

    def repeat(self, store: ObjectStore, seconds: float) -> bool:
        rounds = Rounds(self.noted.append, self.rounds.append, self.wait, lambda: False)
        return rounds.repeat(Upkeep(store, lambda: START + timedelta(hours=10)), seconds)


class StoreThatComesBack(FailingStore):
    """Fails up to the n-th call."""

    def _call(self, number: int, call: Callable[[], Any]) -> Any:
        if number <= self._fails_at:
            raise StoreError("The target is away.")
        return call()


def store_with_an_event() -> MemoryStore:
    store = MemoryStore()
    with EventLog(store, STREAM, at_most_seconds=0) as log:
        log.append([event(1)]).result(20)
    return store


def test_rounds_have_the_pause_between_them() -> None:
    ended = Ended(3)
    assert ended.repeat(store_with_an_event(), 60)
    assert ended.waited == [0, 60, 60, 60]
    assert [one.numbers["events"] for one in ended.rounds] == [1, 0, 0]


@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_target_that_is_away_is_tried_again_sooner_and_at_last_as_often_as_usual(fails_at: int) -> None:
    """Whether the streams cannot be listed, or one of them not be rolled up."""
    store = store_with_an_event()
    ended = Ended(6)
    assert not ended.repeat(FailingStore(store, fails_at), 10)
    assert ended.waited == [0, 1, 2, 4, 8, 10, 10]
    assert all(isinstance(one, Failed) and not one.is_damaged for one in ended.noted)
    assert list(rolled_up(store)) == []
    assert Ended(1).repeat(store, 10)
    assert len(list(rolled_up(store))) == 1


def test_after_a_failure_the_pause_is_the_usual_one_again() -> None:
    ended = Ended(3)
    assert ended.repeat(StoreThatComesBack(store_with_an_event(), 1), 10)
    assert ended.waited == [0, 1, 10, 10]


def test_what_is_damaged_is_not_tried_sooner_and_counts_in_the_end() -> None:
    store = store_with_an_event()
    store.write(segment_key(OTHER, 0), b"damaged")
    ended = Ended(2)
    assert not ended.repeat(store, 60)
    assert ended.waited == [0, 60, 60]
    assert len(list(rolled_up(store))) == 1
