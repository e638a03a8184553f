"""Requests to erase people are taken once, wait with their ids sealed, and are never forgotten.

Real: a directory and S3 over HTTP, AES-GCM. Elsewhere the target is in memory, and each call of it fails in turn.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import msgspec
import pytest

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import (
    DamagedTableError,
    DataRuleError,
    HeldPeopleError,
    OtherPeopleError,
    PrivacyKeyError,
    StoreError,
)
from gata_assets.governance.privacy.actors import Actor
from gata_assets.governance.privacy.privacy_log import log_of
from gata_assets.governance.privacy.requests.backlog import NEAR, BacklogReader, read_backlog
from gata_assets.governance.privacy.requests.record import StoredRequest
from gata_assets.governance.retention.holds import Holds
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.people.privacy_keys import PrivacyKeys
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.erasures import PRIVACY_KEYS, erasure_requests
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.moved_clock import MovedClock

IDS = [canary("one"), canary("two"), f"{canary('three')}\0é\U0001f600"]
BY = Actor("cli:anna")
FOLDER = TenantLayout("acme").erasure_requests


def kinds(store: ObjectStore) -> list[str]:
    return [entry.kind for entry in log_of(store, TenantLayout("acme"), MovedClock()).read()]


def contents(store: ObjectStore) -> bytes:
    return b"".join(store.read(key) for key in store.list_keys(""))


def test_a_request_is_taken_once_and_waits_with_its_ids_sealed(any_store: ObjectStore) -> None:
    clock = MovedClock()
    requests = erasure_requests(any_store, clock)
    asked = requests.ask("acme", [*IDS, IDS[0]], "letter-1", BY)
    assert (asked.people, asked.by, asked.state) == (3, BY, "open")
    assert asked.deadline_at == clock() + timedelta(days=1)
    clock.move(3_600)
    other = erasure_requests(any_store, clock)
    assert other.ask("acme", IDS[::-1], "letter-1", Actor("http:1a2b3c4d")) == asked
    with pytest.raises(OtherPeopleError, match="letter-1 is of other people"):
        other.ask("acme", IDS[:2], "letter-1", BY)
    assert requests.ask("globex", IDS[:2], "letter-1", BY).people == 2
    assert sorted(other.ids_of(asked)) == sorted(IDS)
    assert not any(one.encode() in contents(any_store) for one in IDS)
    [entry] = log_of(any_store, TenantLayout("acme"), clock).read()
    assert entry.content == {"request": "letter-1", "people": 3, "key_version": 1, "by": BY}


def test_a_request_that_is_completed_has_no_ids_and_stays_completed(any_store: ObjectStore) -> None:
    clock = MovedClock()
    requests = erasure_requests(any_store, clock)
    asked = requests.ask("acme", IDS, "a", BY)
    requests.note_failed(asked, "StoreError")
    clock.move(60)
    requests.note_completed(asked)
    requests.note_failed(asked, "StoreError")
    found = requests.ask("acme", IDS, "a", BY)
    assert (found.state, found.sealed, found.failures, found.completed_at) == ("completed", None, 1, clock())
    with pytest.raises(DataRuleError, match="is complete: nobody's ids are stored"):
        requests.ids_of(found)
    assert requests.read_all("acme").open == ()


def test_sealed_ids_open_for_their_own_request_alone() -> None:
    store = MemoryStore()
    requests = erasure_requests(store, MovedClock())
    one, other = requests.ask("acme", IDS[:1], "a", BY), requests.ask("acme", IDS[1:], "b", BY)
    for moved in (
        msgspec.structs.replace(one, sealed=other.sealed),
        msgspec.structs.replace(one, tenant="globex"),
        msgspec.structs.replace(one, sealed=one.sealed[:-1] if one.sealed else None),
        msgspec.structs.replace(one, sealed=b""),
    ):
        with pytest.raises(DamagedTableError, match="is not the request that was stored there"):
            requests.ids_of(moved)
    with pytest.raises(PrivacyKeyError):
        erasure_requests(store, MovedClock(), PrivacyKeys({2: b"n" * 32})).ids_of(one)
    # A record in the place of another one.
    store.write(f"{FOLDER}a.json", store.read(f"{FOLDER}b.json"))
    store.write(f"{FOLDER}c.json", b"{")
    found = requests.read_all("acme")
    assert ([one.request for one in found.requests], len(found.damaged)) == (["b"], 2)
    assert read_backlog(requests, "acme", MovedClock()()).damaged == 2


def test_a_newer_key_changes_no_request_of_before() -> None:
    store = MemoryStore()
    asked = erasure_requests(store, MovedClock()).ask("acme", IDS, "a", BY)
    rotated = erasure_requests(store, MovedClock(), PrivacyKeys({1: b"k" * 32, 2: b"n" * 32}))
    assert rotated.ask("acme", IDS, "a", BY) == asked
    assert sorted(rotated.ids_of(asked)) == sorted(IDS)
    assert rotated.ask("acme", IDS, "b", BY).key_version == 2


def test_who_is_held_is_not_asked_for() -> None:
    store = MemoryStore()
    requests = erasure_requests(store, MovedClock())
    Holds(store, PRIVACY_KEYS.every_digest).add("acme", IDS[1], "litigation", MovedClock()())
    with pytest.raises(HeldPeopleError, match="1 of 3 people of acme"):
        requests.ask("acme", IDS, "a", BY)
    assert list(store.list_keys("acme/")) == []


def test_whoever_is_cut_off_at_any_call_is_found_and_goes_on() -> None:
    states = set()
    for number in count(1):
        for is_carried_out in (False, True):
            store, clock = MemoryStore(), MovedClock()
            failing = FailingStore(store, number, is_carried_out=is_carried_out)
            try:
                erasure_requests(failing, clock).ask("acme", IDS, "a", BY)
            except StoreError:
                pass
            else:
                if not is_carried_out:
                    assert states == {"open", "without ids", "-"}
                    return
                continue
            requests = erasure_requests(store, clock)
            found = requests.read_all("acme").requests
            states.add(found[0].state if found else "-")
            if found and found[0].state == "without ids":
                assert found[0].deadline_at == clock() + timedelta(days=1)
            clock.move(5)
            asked = requests.ask("acme", IDS, "a", BY)
            assert sorted(requests.ids_of(asked)) == sorted(IDS)
            assert "requested" in kinds(store)


def test_a_backlog_says_what_is_near_and_overdue_and_keeps_what_cannot_be_read() -> None:
    store, clock = MemoryStore(), MovedClock()
    requests = erasure_requests(store, clock)
    for name in ("first", "second"):
        requests.ask("acme", IDS, name, BY)
        clock.move(3_600)
    seconds = 0.0
    reader = BacklogReader(requests, clock, lambda: seconds)
    [found] = reader.read()
    assert [one.request for one in found.open] == ["first", "second"]
    at = found.open[0].deadline_at
    assert found.next_deadline_at == at
    assert found.oldest_asked_at == found.open[0].asked_at
    assert names(found.near(at - NEAR)) == []
    assert names(found.near(at - NEAR + timedelta(seconds=1))) == ["first"]
    later = at + timedelta(seconds=1)
    assert (names(found.overdue(later)), names(found.near(later))) == (["first"], ["second"])
    requests.note_completed(found.open[0])
    assert reader.read() == [found], "it was read less than a minute ago"
    seconds = 61.0
    assert [names(one.open) for one in reader.read()] == [["second"]]


def names(requests: tuple[StoredRequest, ...]) -> list[str]:
    return [one.request for one in requests]
