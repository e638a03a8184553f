"""Dead letters processed again, and no event lost whatever call fails.

Real: the processor and the replay. Faked: the engine, the queue and the channels (in memory, failing at every n-th
call, before or after doing it), clock and sleep.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gata_assets.errors import QueueError, StoreError
from gata_assets.shop.events.event import ObjectEvent
from gata_assets.shop.events.process import Result
from gata_assets.shop.events.replay import Replayed, list_letters, replay
from gata_assets.shop.events.stages import StageOutcome
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.shop_events import PLACES, RAW_EVENT, FailingCalls, KeptAlerts, KeptQueue, World

SECRET = canary("a message that nobody can read")


def events(number: int) -> list[ObjectEvent]:
    return [
        replace(RAW_EVENT, key=RAW_EVENT.key.replace("00000001", f"{one:08}"), event_id=f"request-{one}")
        for one in range(number)
    ]


def filled(number: int) -> World:
    """A world with so many dead letters, whose engine works again."""
    world = World()
    world.stages.ends = [StoreError("an outage")]
    for event in events(number):
        world.processor.process(event)
    world.stages.ends = [StageOutcome(rows=1)]
    assert len(world.queue.bodies) == number
    return world


def replayed(world: World, most: int | None = None) -> tuple[Replayed, list[Result]]:
    done, results = Replayed(), list[Result]()
    replay(world.queue, world.processor, done, most=most, on_result=results.append)
    return done, results


@pytest.mark.parametrize("number", [0, 1, 10, 23])
def test_all_letters_are_processed_and_deleted(number: int) -> None:
    world = filled(number)
    done, results = replayed(world)
    assert (done, world.queue.bodies) == (Replayed(processed=number), {})
    assert {result.subject.request_id for result in results} == {event.event_id for event in events(number)}
    assert {work.key.removeprefix("shop/raw/") for work in world.stages.done} == {event.key for event in events(number)}


def test_it_stops_after_so_many() -> None:
    world = filled(23)
    done, _ = replayed(world, most=12)
    assert (done.processed, len(world.queue.bodies)) == (12, 11)
    assert len(set(world.queue.bodies) - world.queue.hidden) == 11, "and holds no other back"


def test_what_fails_again_stays_is_not_queued_twice_and_ends_the_replay() -> None:
    world = filled(3)
    world.stages.ends = [StageOutcome(rows=1), StoreError("x"), StoreError("x"), StoreError("x"), StageOutcome(rows=1)]
    done, _ = replayed(world)
    assert (done.processed, done.failed, done.is_complete) == (2, 1, False)
    assert len(world.queue.bodies) == 1
    world.queue.show_all()
    assert replayed(world)[0] == Replayed(processed=1)


def test_a_message_that_comes_again_at_once_ends_the_replay() -> None:
    class Forgetful(KeptQueue):
        """A queue that hides nothing."""

        def receive(self, most: int, *, hidden_seconds: int):  # type: ignore[no-untyped-def]
            self.show_all()
            return super().receive(most, hidden_seconds=hidden_seconds)

    world = filled(2)
    world.queue = Forgetful(bodies=world.queue.bodies)
    world.stages.ends = [StoreError("x")]
    assert replayed(world)[0].failed == 2


def test_a_message_that_cannot_be_read_is_left_and_counted() -> None:
    world = filled(1)
    for body in (SECRET, json.dumps({"event": {"bucket": SECRET}}), "{}"):
        world.queue.send(body)
    done, _ = replayed(world)
    assert (done.processed, done.unreadable, done.is_complete) == (1, 3, False)
    assert len(world.queue.bodies) == 3
    assert SECRET not in "".join(json.dumps(line) for line in world.lines)


def test_a_letter_whose_object_is_ignored_today_is_done() -> None:
    world = World()
    world.queue.send(json.dumps({"event": replace(RAW_EVENT, bucket="prod-bucket").as_fields()}))
    assert replayed(world)[0] == Replayed(ignored=1)
    assert world.queue.bodies == {}


def test_a_letter_whose_notification_is_lost_stays() -> None:
    world = filled(1)
    world.stages.ends = [StageOutcome(rows=1, rejected=1)]
    world.data = KeptAlerts(calls=FailingCalls(frozenset({1})))
    assert replayed(world)[0] == Replayed(undelivered=1)
    world.queue.show_all()
    assert replayed(world)[0] == Replayed(processed=1)


def test_a_listing_counts_by_stage_and_error_and_leaves_everything() -> None:
    world = filled(12)
    world.stages.ends = [ValueError("x")]
    world.processor.process(RAW_EVENT)
    world.queue.send(SECRET)
    world.queue.send(json.dumps({"bucket": "raw-bucket", "key": "x", "error": f"{SECRET} {SECRET}"}))
    before = dict(world.queue.bodies)
    listed = list_letters(world.queue, PLACES, most=None)
    assert listed.by_stage_and_error == {
        ("raw-to-curated", "StoreError"): 12,
        ("raw-to-curated", "ValueError"): 1,
        ("unknown", "unknown"): 1,
    }
    assert listed.unreadable == 1
    assert (world.queue.bodies, world.queue.hidden) == (before, set())
    assert list_letters(world.queue, PLACES, most=3).by_stage_and_error.total() == 3


ENDS = {
    "it works": [StageOutcome(rows=1)],
    "it works with rejected rows": [StageOutcome(rows=2, rejected=1)],
    "it fails": [StoreError("an outage")],
    "it fails unforeseen": [ValueError(SECRET)],
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS.keys())
def test_no_event_is_lost_whatever_call_fails(ends: list[StageOutcome | BaseException], after: bool) -> None:
    for number in range(1, 10):
        world = World()
        world.stages.ends = list(ends)
        calls = FailingCalls(frozenset({number}), after=after)
        world.queue.calls = calls
        world.data.calls = world.operations.calls = calls
        result = world.processor.process(RAW_EVENT)
        is_done, is_queued = bool(world.stages.done), bool(world.queue.bodies)
        assert is_done or is_queued or result.undelivered
        if number <= calls.calls:
            assert result.undelivered, "the exit code says that something was not delivered"
        # What Batch does: the same again, now without a fault; and then a replay after the outage.
        if result.undelivered:
            world.processor.process(RAW_EVENT)
        world.stages.ends = [StageOutcome(rows=1)]
        world.queue.calls.failing = frozenset()
        replayed(world)
        assert world.stages.done and world.queue.bodies == {}
        if number > calls.calls:
            return
    pytest.fail("more calls than were tried")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_replay_that_fails_at_any_call_loses_nothing(after: bool) -> None:
    number = 0
    while True:
        number += 1
        world = filled(3)
        world.queue.calls = FailingCalls(frozenset({number}), after=after)
        try:
            replayed(world)
        except QueueError:
            done = {work.key for work in world.stages.done}
            queued = {"shop/raw/" + json.loads(body)["event"]["key"] for body in world.queue.bodies.values()}
            assert {f"shop/raw/{event.key}" for event in events(3)} <= done | queued
            world.queue.show_all()
            replayed(world)
            assert world.queue.bodies == {} and len({work.key for work in world.stages.done}) == 3
        else:
            assert number > world.queue.calls.calls
            assert number > 8
            return
