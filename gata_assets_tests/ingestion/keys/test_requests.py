"""Idempotent requests: begun once, answered again, taken over after a lease.

Real: a directory, S3 over HTTP on loopback (moto), threads. Faked: in tests of faults a store in memory that fails. The
clock is moved by hand.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import ConflictError, DamagedTableError, IdempotencyError, StoreError
from gata_assets.ingestion.keys.request_records import (
    MOST_BODY_BYTES,
    Answer,
    Begun,
    InProgress,
    OtherBody,
    Replayed,
    Started,
    digest_of_key,
    fingerprint,
)
from gata_assets.ingestion.keys.requests import IdempotentRequests, Swept
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.interleaving import run_in_turns
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.moved_clock import BEGIN, MovedClock

ROUTE = "POST /v1/events"
KEY = "canary-key-wqzxkfhvnplrtb"
SAME, OTHER = fingerprint(ROUTE, "a" * 64, {}), fingerprint(ROUTE, "b" * 64, {})
ANSWER = Answer(201, b'{"rows_accepted": 3}\xff', (("content-type", "application/json"),))


def begin(requests: IdempotentRequests, body: str = SAME, key: str = KEY) -> Begun:
    return requests.begin("acme", ROUTE, key, body)


def started(requests: IdempotentRequests, body: str = SAME, key: str = KEY) -> Started:
    begun = begin(requests, body, key)
    assert isinstance(begun, Started)
    return begun


def test_a_request_is_begun_once_and_answered_again(any_store: ObjectStore) -> None:
    clock = MovedClock()
    first, second = IdempotentRequests(any_store, clock), IdempotentRequests(any_store, clock)
    own = started(first)
    assert begin(second) == InProgress(BEGIN, BEGIN + timedelta(minutes=5))
    first.finish(own, ANSWER)
    assert begin(second) == begin(first) == Replayed(ANSWER)
    assert begin(second, OTHER) == OtherBody()
    first.finish(own, ANSWER)
    assert begin(second) == Replayed(ANSWER)


def test_another_tenant_route_or_key_is_another_request(any_store: ObjectStore) -> None:
    requests = IdempotentRequests(any_store, MovedClock())
    asked = [("acme", ROUTE, KEY), ("beta", ROUTE, KEY), ("acme", "POST /v1/other", KEY), ("acme", ROUTE, KEY + "x")]
    assert all(isinstance(requests.begin(*one, SAME), Started) for one in asked)
    assert all(isinstance(requests.begin(*one, SAME), InProgress) for one in asked)


def test_a_request_that_was_forgotten_can_be_sent_again_at_once(any_store: ObjectStore) -> None:
    requests = IdempotentRequests(any_store, MovedClock())
    requests.forget(started(requests))
    own = started(requests, OTHER)
    requests.finish(own, ANSWER)
    requests.forget(own)
    assert begin(requests, OTHER) == Replayed(ANSWER)


def test_a_dead_process_s_request_is_free_after_the_lease_and_it_comes_too_late(any_store: ObjectStore) -> None:
    clock = MovedClock()
    requests = IdempotentRequests(any_store, clock, lease=timedelta(seconds=30))
    late = started(requests)
    clock.move(29.9)
    assert isinstance(begin(requests), InProgress)
    clock.move(0.1)
    # Nobody knows whether the first was carried out: another body is none of its repetitions.
    assert begin(requests, OTHER) == OtherBody()
    own = started(requests)
    assert own.token != late.token
    with pytest.raises(ConflictError, match=r"taken over by another process after 0:00:30: its answer counts"):
        requests.finish(late, Answer(500))
    requests.forget(late)
    assert isinstance(begin(requests), InProgress)
    requests.finish(own, ANSWER)
    with pytest.raises(ConflictError):
        requests.finish(late, Answer(500))
    # Even with the same answer it is not its own.
    with pytest.raises(ConflictError):
        requests.finish(late, ANSWER)
    requests.forget(late)
    assert begin(requests) == Replayed(ANSWER)


def test_a_late_process_whose_request_nobody_took_over_still_answers(any_store: ObjectStore) -> None:
    clock = MovedClock()
    requests = IdempotentRequests(any_store, clock)
    own = started(requests)
    clock.move(3600)
    requests.finish(own, ANSWER)
    assert begin(requests) == Replayed(ANSWER)


def test_an_answer_expires_and_its_key_may_be_used_for_something_else(any_store: ObjectStore) -> None:
    clock = MovedClock()
    requests = IdempotentRequests(any_store, clock, kept=timedelta(hours=24))
    own = started(requests)
    clock.move(60)
    requests.finish(own, ANSWER)
    clock.move(86_399)
    assert begin(requests) == Replayed(ANSWER)
    clock.move(1)
    again = started(requests, OTHER)
    with pytest.raises(ConflictError):
        requests.finish(own, ANSWER)
    requests.finish(again, Answer(200))
    assert begin(requests, OTHER) == Replayed(Answer(200))


def test_of_threads_that_begin_the_same_request_exactly_one_has_it(any_store: ObjectStore) -> None:
    clock, threads, rounds = MovedClock(), 4, 6
    together = Barrier(threads)

    def ask(_: int) -> list[Begun]:
        requests, found = IdempotentRequests(any_store, clock, lease=timedelta(seconds=30)), []
        for number in range(rounds):
            together.wait(timeout=60)
            found.append(begin(requests, key=f"key {number % 3}"))
            together.wait(timeout=60)
            if number == 2 and together.wait(timeout=60) == 0:
                # From here on the requests that nobody has finished are taken over.
                clock.move(30)
        return found

    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(zip(*pool.map(ask, range(threads)), strict=True))
    for of_all in outcomes:
        assert sorted(type(one).__name__ for one in of_all) == ["InProgress"] * (threads - 1) + ["Started"]


@pytest.mark.parametrize("pause_second", [1, 2, 3, float("inf")])
@pytest.mark.parametrize("pause_first", range(1, 5))
def test_however_two_meet_at_an_expired_record_one_has_it(pause_first: int, pause_second: float) -> None:
    clock, store = MovedClock(), MemoryStore()
    started(IdempotentRequests(store, clock))
    clock.move(300)
    found: list[Begun] = []

    def ask(own: ObjectStore) -> None:
        found.append(begin(IdempotentRequests(own, clock)))

    run_in_turns(store, ask, ask, pause_first=pause_first, pause_second=pause_second, after_each=lambda ends: None)
    assert sorted(type(one).__name__ for one in found) == ["InProgress", "Started"]


@pytest.mark.parametrize("pause", range(1, 6))
def test_however_a_sweep_meets_a_request_that_begins_it_is_not_lost(pause: int) -> None:
    clock, store = MovedClock(), MemoryStore()
    started(IdempotentRequests(store, clock))
    clock.move(86_400)
    found: list[Begun] = []
    for first in (True, False):
        turns = [
            lambda own: found.append(begin(IdempotentRequests(own, clock), OTHER)),
            lambda own: IdempotentRequests(own, clock).sweep(),
        ]
        run_in_turns(store, *turns[:: 1 if first else -1], pause_first=pause, after_each=lambda ends: None)
        [begun] = found
        assert isinstance(begun, Started)
        assert isinstance(begin(IdempotentRequests(store, clock), OTHER), InProgress)
        found.clear()
        clock.move(86_400)


def test_a_sweep_deletes_what_counts_no_longer_and_leaves_the_rest(any_store: ObjectStore) -> None:
    clock = MovedClock()
    requests = IdempotentRequests(any_store, clock)
    requests.finish(started(requests, key="old"), ANSWER)
    started(requests, key="dead")
    clock.move(43_200)
    requests.finish(started(requests, key="new"), ANSWER)
    started(requests, key="at work")
    any_store.write(f"ingestion/requests/beta/{'0' * 64}.json", b"{")
    any_store.write("acme/raw/interactions/file.json", b"{}")
    clock.move(43_200)
    assert requests.sweep() == Swept(deleted=2, left=2, damaged=1)
    assert requests.sweep() == Swept(deleted=0, left=2, damaged=1)
    assert len(list(any_store.list_keys(""))) == 4
    assert begin(requests, key="new") == Replayed(ANSWER)


def test_a_record_has_digests_and_the_answer_and_nothing_of_the_request(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    requests = IdempotentRequests(store, MovedClock())
    headers = [("Content-Type", "application/json"), ("Set-Cookie", "canary"), ("Date", "now"), ("Location", "/x")]
    requests.finish(started(requests), Answer.of(201, b"{}", headers))
    [place] = store.list_keys("")
    assert place == f"ingestion/requests/acme/{digest_of_key(ROUTE, KEY)}.json"
    record = json.loads(store.read(place))
    assert len(record.pop("token")) == 32
    assert record == {
        "version": 1,
        "fingerprint": SAME,
        "begun_at": "2026-01-03T12:00:00Z",
        "begun_before": None,
        "free_at": "2026-01-03T12:05:00Z",
        "expires_at": "2026-01-04T12:00:00Z",
        "answer": {
            "status": 201,
            "headers": [["content-type", "application/json"], ["location", "/x"]],
            "body": "e30=",
        },
    }
    path = tmp_path / place
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("key", ["", "x" * 256, "é" * 256])
def test_a_key_that_is_empty_or_too_long_is_refused(key: str) -> None:
    store = MemoryStore()
    with pytest.raises(IdempotencyError, match=f"of {len(key)} characters: 1 to 255 are needed") as raised:
        begin(IdempotentRequests(store, MovedClock()), key=key)
    assert not key or key not in str(raised.value)
    assert list(store.list_keys("")) == []


@pytest.mark.parametrize("key", ["x" * 255, " ", "../../x", "ключ", "\ud800", '"8e03978e"', "\x00"])
def test_any_other_text_is_a_key(key: str, tmp_path: Path) -> None:
    requests = IdempotentRequests(LocalStore(str(tmp_path)), MovedClock())
    requests.finish(started(requests, key=key), ANSWER)
    assert begin(requests, key=key) == Replayed(ANSWER)


@pytest.mark.parametrize("tenant", ["", "../acme", "ingestion", "Acme", "a/b"])
def test_a_tenant_that_cannot_be_one_is_refused(tenant: str) -> None:
    with pytest.raises(IdempotencyError, match="No tenant has such a name"):
        IdempotentRequests(MemoryStore(), MovedClock()).begin(tenant, ROUTE, KEY, SAME)


def test_an_answer_that_is_too_large_is_refused_before_it_is_kept() -> None:
    Answer(200, b"x" * MOST_BODY_BYTES)
    with pytest.raises(IdempotencyError, match=r"65,537 bytes is too large to be kept: at most 65,536"):
        Answer(200, b"x" * (MOST_BODY_BYTES + 1))
    assert "canary" not in repr(Answer(200, b"canary"))


@pytest.mark.parametrize("lease", [timedelta(0), timedelta(hours=25)])
def test_a_lease_that_is_nothing_or_longer_than_records_count_is_refused(lease: timedelta) -> None:
    with pytest.raises(ValueError, match="A lease above 0 is needed"):
        IdempotentRequests(MemoryStore(), MovedClock(), lease=lease)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"fingerprint": "canary"},
        {"answer": {"status": 99, "headers": [], "body": ""}},
        {"answer": {"status": 200, "headers": [], "body": "canary!"}},
        {"free_at": "2026-01-03T12:00:00"},
        {"note": "canary"},
        {"expires_at": ...},
        None,
    ],
)
def test_a_damaged_record_is_an_error_and_neither_replayed_nor_replaced(change: dict[str, object] | None) -> None:
    store, clock = MemoryStore(), MovedClock()
    requests = IdempotentRequests(store, clock)
    started(requests)
    [place] = store.list_keys("")
    record = json.loads(store.read(place)) | (change or {})
    content = json.dumps({name: value for name, value in record.items() if value is not ...}).encode()
    store.write(place, content if change else b"\xff")
    clock.move(10**6)
    with pytest.raises(DamagedTableError, match=r"is damaged .*: delete it, and the request can be sent") as raised:
        begin(requests)
    assert raised.value.key == place
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("is_carried_out", [False, True])
def test_a_write_whose_answer_was_lost_leaves_a_request_that_can_be_sent_again(is_carried_out: bool) -> None:
    store, clock = MemoryStore(), MovedClock()
    requests = IdempotentRequests(store, clock)
    with pytest.raises(StoreError, match="away"):
        begin(IdempotentRequests(FailingStore(store, 1, is_carried_out=is_carried_out), clock))
    clock.move(300)
    own = started(requests)
    with pytest.raises(StoreError, match="away"):
        IdempotentRequests(FailingStore(store, 1, is_carried_out=is_carried_out), clock).finish(own, ANSWER)
    # Tried again by the same process, or begun again after the lease: the answer is one.
    requests.finish(own, ANSWER)
    clock.move(300)
    assert begin(requests) == Replayed(ANSWER)


TEXTS = st.text(st.characters(codec=None), max_size=4)
PARTS = st.tuples(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3))


@given(PARTS, PARTS)
def test_fingerprints_are_the_same_for_the_same_parts_alone(
    one: tuple[str, str, dict[str, str]], other: tuple[str, str, dict[str, str]]
) -> None:
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)
    turned = dict(reversed(one[2].items()))
    assert fingerprint(one[0], one[1], turned) == fingerprint(*one)


def test_a_fingerprint_stays_the_same_from_release_to_release() -> None:
    # What is stored for a day is compared with what a later release makes.
    assert fingerprint("POST /x", "ab", {"b": "2", "a": "é"}) == (
        "1499fbafc5c12f639d6f5fe3aa84c697a10848b2b9acbd002a623d5ae57bf269"
    )
