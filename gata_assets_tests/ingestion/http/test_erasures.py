"""`/v1/privacy/erasures`: what is answered is durable, the same request again is the same, and nobody is named.

Real: the service on a port, AES-GCM. Faked: the target is in memory, and fails when a test says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from gata_assets.governance.privacy.requests.record import LONGEST_ID, MOST_PEOPLE
from gata_assets.governance.retention.holds import Holds
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.tables.people.privacy_keys import NO_PRIVACY_KEYS
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.erasures import PRIVACY_KEYS, erasure_requests
from gata_assets_tests.support.http_service import FAST, TENANT, Reply, RunningService
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.raw_worlds import NOW, interaction

pytestmark = pytest.mark.server

PATH = "/v1/privacy/erasures"
PERSON, OTHER = canary("who is erased"), canary("another")


def key_of(store: MemoryStore, scope: str = "privacy", tenant: str = TENANT) -> str:
    """The secret of a new key."""
    return KeyStore(store, lambda: NOW).create(tenant, [scope])[0]


@pytest.fixture
def service() -> Iterator[RunningService]:
    """A service, and a key that may do all."""
    store = MemoryStore()
    with RunningService(store, secret=key_of(store, "admin")) as found:
        yield found
        content = b"".join(store.read(key) for key in store.list_keys("")) + "".join(found.lines).encode()
        assert not any(one.encode() in content for one in (PERSON, OTHER)), "somebody is named"


def ask(service: RunningService, *subjects: str, request: str | None = "letter-1", **headers: str) -> Reply:
    """Ask for people to be erased."""
    return service.post(PATH, {"subjects": subjects, "request": request}, headers)


def refused(reply: Reply) -> tuple[int, str]:
    assert PERSON.encode() not in reply.body
    return reply.status, reply.kind


def test_what_is_answered_is_durable_and_the_same_again_is_the_same(service: RunningService) -> None:
    expected = {
        "request": "letter-1",
        "state": "open",
        "people": 2,
        "erased_at": NOW.isoformat(),
        "deadline_at": (NOW + timedelta(days=1)).isoformat(),
        "is_overdue": False,
        "completed_at": None,
    }
    for subjects in ((PERSON, OTHER), (OTHER, PERSON, OTHER)):
        taken = ask(service, *subjects)
        assert (taken.status, taken.json, taken.headers["location"]) == (202, expected, f"{PATH}/letter-1")
    assert service.ask("GET", f"{PATH}/letter-1").json == expected
    requests = erasure_requests(service.store, lambda: NOW)
    stored = requests.find(TENANT, "letter-1")
    assert stored
    assert stored.by == f"http:{str(service.secret)[5:13]}"
    assert set(requests.ids_of(stored)) == {PERSON, OTHER}
    # From that moment on their rows count no more.
    rows = [interaction(user_id=PERSON), interaction(user_id="u1")]
    assert (
        service.post("/api/validation/validate", {"data_type": "interactions", "sample_data": rows}).json["valid"] == 1
    )
    requests.note_completed(stored)
    assert service.ask("GET", f"{PATH}/letter-1").json["state"] == "completed"
    assert ask(service, PERSON, OTHER).json["completed_at"] == NOW.isoformat()


def test_a_name_of_other_people_is_refused_and_without_a_name_each_is_a_request_of_its_own(
    service: RunningService,
) -> None:
    assert ask(service, PERSON).status == 202
    assert refused(ask(service, PERSON, OTHER)) == (409, "other-people")
    names = {ask(service, PERSON, request=None).json["request"] for _ in range(2)}
    assert len(names) == 2
    assert len(erasure_requests(service.store, lambda: NOW).read_all(TENANT).open) == 3


def test_who_is_held_and_who_may_not_ask_is_refused() -> None:
    store = MemoryStore()
    Holds(store, PRIVACY_KEYS.every_digest).add(TENANT, PERSON, "litigation", NOW)
    usual, theirs = key_of(store, "ingest"), key_of(store, tenant="globex")
    with RunningService(store, secret=key_of(store)) as service:
        assert refused(ask(service, PERSON, OTHER)) == (403, "held")
        assert refused(ask(service, OTHER, **{"X-API-Key": usual})) == (403, "scope")
        assert refused(service.ask("GET", f"{PATH}/letter-1", headers={"X-API-Key": usual})) == (403, "scope")
        assert ask(service, OTHER).status == 202
        found = service.ask("GET", f"{PATH}/letter-1", headers={"X-API-Key": theirs})
        assert refused(found) == (404, "no-such-request")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"subjects": []}, (422, "malformed")),
        ({"subjects": [PERSON, ""]}, (422, "malformed")),
        ({"subjects": [PERSON, "x" * (LONGEST_ID + 1)]}, (422, "malformed")),
        ({"subjects": [PERSON, 1]}, (422, "malformed")),
        ({"subjects": [PERSON], "reason": "x"}, (422, "malformed")),
        ({"subjects": [PERSON], "request": "no/name"}, (422, "parameter")),
        ({"subjects": [f"{number}" for number in range(MOST_PEOPLE + 1)]}, (413, "too-large")),
    ],
    ids=["nobody", "empty", "long", "a number", "unknown", "name", "too many"],
)
def test_what_cannot_be_asked_is_refused(
    content: dict[str, Any], expected: tuple[int, str], service: RunningService
) -> None:
    assert refused(service.post(PATH, content)) == expected
    assert service.keys_below(f"{TENANT}/") == []


@pytest.mark.parametrize("body", [b'{"subjects": ["\\ud800"]}', b'{"subjects": ["a\xff"]}', b'{"subjects"'])
def test_what_is_no_json_is_refused(body: bytes, service: RunningService) -> None:
    assert refused(service.ask("POST", PATH, body)) == (400, "malformed")


def test_without_keys_of_its_own_the_service_erases_nobody() -> None:
    store = MemoryStore()
    with RunningService(store, secret=key_of(store), privacy_keys=NO_PRIVACY_KEYS) as service:
        assert refused(ask(service, PERSON)) == (503, "unavailable")
    with RunningService(store, replace(FAST, trusts_network=True)) as service:
        assert refused(service.post(f"{PATH}?tenant_id={TENANT}", {"subjects": [PERSON]})) == (403, "scope")
    assert list(store.list_keys(f"{TENANT}/")) == []


def test_a_target_that_fails_at_any_call_is_503_and_the_same_request_again_is_taken() -> None:
    for number in count(2):
        store = MemoryStore()
        secret = key_of(store)
        with RunningService(FailingStore(store, number), secret=secret) as service:
            first = ask(service, PERSON)
        with RunningService(store, secret=secret) as service:
            assert ask(service, PERSON).status == 202
        assert set(erasure_requests(store, lambda: NOW).read_all(TENANT).open[0].request) == set("letter-1")
        if first.status == 202:
            break
        assert refused(first) == (503, "unavailable")
    assert number > 6
