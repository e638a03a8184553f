"""Rounds of upkeep: what is rolled up, what is removed, what is said of failures, and when there is something to do.

Real: roll-ups and sweeps over a directory, S3 over HTTP and memory. Faked: the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from gata_assets.errors import StoreError
from gata_assets.ingestion.keys.request_records import Answer, Started
from gata_assets.ingestion.keys.requests import REQUESTS, IdempotentRequests
from gata_assets.ingestion.segments.chain import Chain, segment_key
from gata_assets.ingestion.segments.cursor import cursor_key
from gata_assets.ingestion.segments.rollup import RolledUp
from gata_assets.ingestion.upkeep.rounds import SWEPT, Failed, Round, Upkeep
from gata_assets.ingestion.webhooks.delivered import DELIVERED, KEPT, delivered_events
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.event_worlds import OTHER, START, STREAM, event, rolled_up, segment_of
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore

HOUR = timedelta(hours=1)


@dataclass
class Clock:
    now: datetime = START + 10 * HOUR

    def __call__(self) -> datetime:
        return self.now


def put(store: ObjectStore, stream: str, number: int) -> None:
    chain = Chain(store, stream)
    assert chain.append(segment_of([event(number)], first=chain.end(), stream=stream)).is_own


def request(store: ObjectStore, clock: Clock, key: str) -> None:
    requests = IdempotentRequests(store, clock)
    begun = requests.begin("acme", "POST /v1/events", key, "f" * 64)
    assert isinstance(begun, Started)
    requests.finish(begun, Answer(202))


def round_of(store: ObjectStore, clock: Clock) -> Round:
    return Upkeep(store, clock).run(lambda _: None)


def test_a_round_says_in_numbers_what_it_did_and_what_waits(any_store: ObjectStore) -> None:
    clock = Clock(START + HOUR + timedelta(minutes=2))
    put(any_store, STREAM, 1)
    put(any_store, OTHER, 3_630)
    noted: list[RolledUp | Failed] = []
    done = Upkeep(any_store, clock).run(noted.append)
    assert tuple(noted) == done.streams
    assert done.numbers == {
        "streams": 2,
        "failed": 0,
        "events": 1,
        "files": 1,
        "oldest_waits_seconds": 90.0,
        "deleted_segments": 0,
        "deleted_requests": 0,
        "damaged_requests": 0,
    }
    clock.now += 3 * HOUR
    later = round_of(any_store, clock).numbers
    assert (later["events"], later["deleted_segments"]) == (1, 1)
    clock.now += 3 * HOUR
    assert round_of(any_store, clock).numbers["deleted_segments"] == 1
    assert round_of(any_store, clock).numbers["streams"] == 0


def test_requests_that_count_no_longer_are_removed_every_six_hours(any_store: ObjectStore) -> None:
    clock = Clock()
    request(any_store, clock, "old")
    clock.now += 23 * HOUR
    request(any_store, clock, "young")
    swept = round_of(any_store, clock).swept
    assert swept and (swept.deleted, swept.left) == (0, 2)
    clock.now += HOUR
    assert round_of(any_store, clock).swept is None
    clock.now += 5 * HOUR
    assert round_of(any_store, clock).numbers["deleted_requests"] == 1
    assert len(list(any_store.list_keys(REQUESTS))) == 1
    any_store.write(SWEPT, b"damaged")
    any_store.write(f"{REQUESTS}acme/{'0' * 64}.json", b"damaged")
    assert round_of(any_store, clock).numbers["damaged_requests"] == 1
    assert round_of(any_store, clock).swept is None


def test_webhook_events_are_removed_once_their_ids_count_no_longer() -> None:
    store, clock = MemoryStore(), Clock()
    events = delivered_events(store, clock)
    begun = events.begin("acme", "webhook/shop", "e1", "f" * 64)
    assert isinstance(begun, Started)
    events.finish(begun, Answer(202))
    for after, deleted in ((KEPT - HOUR, 0), (7 * HOUR, 1)):
        clock.now += after
        assert Upkeep(store, clock).find_due()
        assert round_of(store, clock).numbers["deleted_requests"] == deleted
    assert not list(store.list_keys(DELIVERED))


@pytest.mark.parametrize("damaged", [cursor_key(OTHER), segment_key(OTHER, 0)])
def test_a_damaged_stream_stops_no_other_and_is_named(damaged: str) -> None:
    store, clock = MemoryStore(), Clock()
    for stream in (STREAM, OTHER, "http/00000000000000cc"):
        put(store, stream, 1)
    store.write(damaged, b"damaged")
    done = round_of(store, clock)
    [failed] = done.failed
    assert (failed.what, failed.is_damaged, damaged in failed.reason) == (OTHER, True, True)
    assert (done.numbers["streams"], done.numbers["failed"], len(list(rolled_up(store)))) == (3, 1, 2)


def test_whatever_call_of_the_target_fails_the_next_round_does_the_rest() -> None:
    before = MemoryStore()
    clock = Clock()
    request(before, clock, "old")
    clock.now += 25 * HOUR
    put(before, STREAM, 1)
    put(before, OTHER, 2)
    rounds = 0
    for calls in range(1, 100):
        store = before.copy()
        failing = FailingStore(store, calls)
        try:
            is_whole = not round_of(failing, clock).failed
        except StoreError:
            is_whole = False
        assert not round_of(store, clock).failed
        assert len(list(rolled_up(store))) == 2
        assert list(store.list_keys(REQUESTS)) == []
        rounds += 1
        if is_whole:
            break
    assert 10 < rounds < 99


def test_no_stream_is_begun_once_the_round_is_to_end() -> None:
    store = MemoryStore()
    put(store, STREAM, 1)
    put(store, OTHER, 1)
    done: list[RolledUp | Failed] = []
    ended = Upkeep(store, Clock()).run(done.append, is_ended=lambda: bool(done))
    assert [one.stream for one in ended.streams] == [STREAM]
    assert ended.swept is None


def test_there_is_something_to_do_when_a_round_would_do_it(any_store: ObjectStore) -> None:
    clock = Clock(START)
    upkeep = Upkeep(any_store, clock)
    assert upkeep.find_due() is None
    put(any_store, STREAM, 1)
    assert upkeep.find_due() is None
    clock.now += HOUR + timedelta(minutes=2)
    first = upkeep.find_due()
    assert first and first == upkeep.find_due()
    put(any_store, OTHER, 2)
    both = upkeep.find_due()
    assert both not in (None, first)
    round_of(any_store, clock)
    assert upkeep.find_due() is None
    clock.now += 2 * HOUR
    assert upkeep.find_due() is None, "segments may stay an hour longer, for the round of the next events"
    clock.now += HOUR
    assert upkeep.find_due() not in (None, first, both)
    round_of(any_store, clock)
    assert upkeep.find_due() is None
    request(any_store, clock, "a")
    clock.now += 7 * HOUR
    assert upkeep.find_due()
    round_of(any_store, clock)
    assert upkeep.find_due() is None
    any_store.write(segment_key(STREAM, 1), b"damaged")
    assert upkeep.find_due()
