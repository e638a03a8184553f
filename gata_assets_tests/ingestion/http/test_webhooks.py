"""Webhooks: who may send, what is taken once, and what becomes of it when a process dies or the target is away.

Real: the service on a port, a directory and S3 over HTTP on loopback (moto), signatures. The clock is given, and a
store fails when a test says so.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from gata_assets.curation.mappings.mapping_store import MappingStore, SavedMapping
from gata_assets.errors import StoreError
from gata_assets.ingestion.http.service_rules import ServiceRules
from gata_assets.ingestion.keys.request_records import digest_of_key
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.cursor import find_streams
from gata_assets.ingestion.segments.event import Event
from gata_assets.ingestion.segments.rollup import RollUp
from gata_assets.ingestion.webhooks.delivered import DELIVERED, KEPT, LEASE
from gata_assets.ingestion.webhooks.schemes import REPLAY_WINDOW
from gata_assets.ingestion.webhooks.source_store import CACHED_SECONDS, WebhookStore
from gata_assets.interactions.curated.curator import Curator
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.tables.raw_mapping import RawMapping
from gata_assets_tests.support.http_service import TENANT, RunningService
from gata_assets_tests.support.moved_clock import MovedClock
from gata_assets_tests.support.raw_worlds import NOW, RULES, interaction
from gata_assets_tests.support.signed_webhooks import SECRET, VARIABLE, VARIABLES, post, registered, send, signed

SECONDS = timedelta(seconds=1)
_COUNTED = re.compile(r"^gata_webhook_(\w+)_total(\{.*\}) (.*)$", re.MULTILINE)


class FailingStore(LocalStore):
    """A directory in which objects of some prefixes cannot be written, or are written and say that they were not."""

    fails: tuple[str, ...] = ()
    lies: tuple[str, ...] = ()

    def write(self, key: str, content: bytes, **how: object) -> Version:
        if key.startswith(self.fails):
            raise StoreError("The target is away.")
        version: Version = super().write(key, content, **how)  # type: ignore[arg-type]
        if key.startswith(self.lies):
            raise RuntimeError("The answer of the target was lost.")
        return version


class KillingStore(LocalStore):
    """A directory whose process is killed when it is to note that an event was taken."""

    def write(self, key: str, content: bytes, **how: object) -> Version:
        if key.startswith(DELIVERED) and json.loads(content)["answer"]:
            os.kill(os.getpid(), signal.SIGKILL)
        version: Version = super().write(key, content, **how)  # type: ignore[arg-type]
        return version


@pytest.fixture
def store(tmp_path: Path) -> FailingStore:
    """A directory with a registered source."""
    found = FailingStore(str(tmp_path / "target"))
    registered(found)
    return found


@pytest.fixture
def service(store: FailingStore) -> Iterator[RunningService]:
    """A service on it."""
    with RunningService(store, webhook_secrets=VARIABLES) as found:
        yield found


def events_in(store: ObjectStore) -> list[Event]:
    """The events of all segments, as another process finds them."""
    return [
        event
        for stream in find_streams(store)
        for segment in Chain(store, stream).segments(0)
        for event in segment.events
    ]


def test_an_event_is_durable_when_it_is_answered_and_is_taken_once(any_store: ObjectStore) -> None:
    registered(any_store)
    with RunningService(any_store, webhook_secrets=VARIABLES) as service:
        first = send(service, interaction())
        assert (first.status, first.json["status"], first.json["offsets"]) == (202, "accepted", [0])
        # Another attempt has another instant, and so another signature.
        again = send(service, interaction(), at=NOW + 60 * SECONDS)
        assert (again.status, again.body, again.headers["idempotency-replayed"]) == (202, first.body, "true")
        other = send(service, interaction(user_id="u2"))
        assert (other.status, other.kind) == (422, "other-request")
        assert send(service, interaction(), "e2").json["offsets"] == [1]
        [event, _] = events_in(any_store)
        assert json.loads(event.payload) == interaction()
        assert (event.tenant, event.table, event.source) == (TENANT, "interactions", "webhook/shop")
        assert (event.request_id, event.received_at) == ("e1", NOW)
        assert json.loads(service.logged(4)[0])["tenant"] == TENANT


def test_the_same_event_that_comes_many_times_at_once_is_taken_once(service: RunningService) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: send(service, interaction()), range(24)))
    assert {answer.status for answer in answers} <= {202, 409}
    assert len(events_in(service.store)) == 1
    assert send(service, interaction()).status == 202


def test_what_is_not_signed_now_by_its_secret_is_refused_and_stored_nowhere(service: RunningService) -> None:
    body = json.dumps(interaction()).encode()
    late = REPLAY_WINDOW + SECONDS
    for headers, kind in (
        ({}, "signature"),
        (signed(body + b" "), "signature"),
        (signed(body, secret="whsec_b3RoZXI="), "signature"),
        (signed(body, at=NOW - late), "stale"),
        (signed(body, at=NOW + late), "stale"),
    ):
        answer = post(service, body, headers)
        assert (answer.status, answer.kind) == (401, kind)
        assert SECRET.encode() not in answer.body
    unknown = post(service, body, signed(body), name="other")
    assert (unknown.status, unknown.kind) == (404, "no-such-source")
    assert service.ask("GET", "/webhooks/shop").status == 405
    assert service.keys_below("ingestion/segments/") == service.keys_below(DELIVERED) == []
    assert not any(SECRET in line or "u1" in line for line in service.logged(7))


def test_what_became_of_events_is_counted_by_source_and_of_no_name_that_a_caller_made_up(store: FailingStore) -> None:
    registered(store, "empty", secrets=("WEBHOOK_SECRET_GONE",))
    with RunningService(store, webhook_secrets=VARIABLES) as service:
        for event_id in ("e1", "e1", "e1", "e2"):
            send(service, interaction(), event_id)
        send(service, interaction(user_id="u2"))
        body = json.dumps(interaction()).encode()
        post(service, body, {})
        post(service, body, signed(body, at=NOW - REPLAY_WINDOW - SECONDS))
        post(service, b"[]", signed(b"[]", "e3"))
        post(service, body, {}, name="empty")
        for name in ("canary-a", "canary-b"):
            post(service, body, {}, name=name)
        text = service.ask("GET", "/metrics").body.decode()
    counted = {f"{name}{labels}": value for name, labels, value in _COUNTED.findall(text)}
    refused = 'requests_refused{reason="%s",source="%s"}'
    assert counted == {
        'events_accepted{source="shop"}': "2.0",
        'events_repeated{source="shop"}': "2.0",
        refused % ("other-request", "shop"): "1.0",
        refused % ("signature", "shop"): "1.0",
        refused % ("stale", "shop"): "1.0",
        refused % ("no-object", "shop"): "1.0",
        refused % ("unavailable", "empty"): "1.0",
        refused % ("no-such-source", ""): "2.0",
    }
    assert "canary" not in text


@pytest.mark.parametrize("body", [b"[]", b'[{"a": 1}]', b"1", b"{", b"", b"\xff{}", b'{"a":' * 5_000])
def test_a_signed_body_that_is_no_event_is_refused(body: bytes, service: RunningService) -> None:
    answer = post(service, body, signed(body))
    # What is no UTF-8 cannot be signed by the standard.
    assert answer.status in (400, 422) or (answer.status, body[:1]) == (401, b"\xff")
    assert events_in(service.store) == []


def test_larger_bodies_and_more_requests_than_are_taken_are_refused(store: FailingStore) -> None:
    rules = ServiceRules(requests_per_second=0.01, burst=2)
    with RunningService(store, rules, webhook_secrets=VARIABLES) as service:
        large = json.dumps({"a": "x" * 1_000_000}).encode()
        assert post(service, large, signed(large)).kind == "too-large"
        # Who has no secret does not use up the requests of the sender.
        assert {post(service, b"{}", {}).status for _ in range(5)} == {401}
        answers = [send(service, interaction(), f"e{n}") for n in range(3)]
        assert [answer.status for answer in answers] == [202, 202, 429]
        assert int(answers[2].headers["retry-after"]) > 60


def test_sources_are_added_and_removed_while_the_service_runs(store: FailingStore) -> None:
    clock = MovedClock(NOW)
    with RunningService(store, clock=clock, webhook_secrets={**VARIABLES, "WEBHOOK_SECRET_B": "It's"}) as service:
        assert send(service, interaction()).status == 202
        registered(store, "b", scheme="github", secrets=("WEBHOOK_SECRET_B", "WEBHOOK_SECRET_GONE"))
        WebhookStore(store, clock).remove("shop")
        clock.move(CACHED_SECONDS)
        assert send(service, interaction(), "e2", at=clock()).kind == "no-such-source"
        # The operator's fault is no reason for the sender to give up.
        lacking = post(service, b"{}", {}, name="b")
        assert (lacking.status, lacking.kind, lacking.headers["retry-after"]) == (503, "unavailable", "60")
        assert b"WEBHOOK_SECRET" not in lacking.body


def test_a_damaged_source_keeps_no_other_one_from_working(store: FailingStore) -> None:
    store.write("ingestion/webhooks/b.json", b"{}")
    with RunningService(store, webhook_secrets=VARIABLES) as service:
        assert send(service, interaction()).status == 202
        assert post(service, b"{}", {}, name="b").status == 503


def serve_and_die(directory: str) -> None:
    """A service that kills itself once an event is durable, before that is noted or answered."""
    with RunningService(KillingStore(directory), webhook_secrets=VARIABLES) as service:
        print(service.port, flush=True)
        signal.pause()


@pytest.mark.process
def test_a_service_that_is_killed_before_it_answers_has_the_event_once_when_it_comes_again(store: FailingStore) -> None:
    code = f"from {__name__} import serve_and_die\nimport sys\nserve_and_die(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", code, store.directory], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        connection = HTTPConnection("127.0.0.1", int(process.stdout.readline()), timeout=60)
        body = json.dumps(interaction()).encode()
        connection.request("POST", "/webhooks/shop", body, signed(body))
        with pytest.raises(ConnectionError):
            connection.getresponse()
        connection.close()
    assert process.returncode == -signal.SIGKILL
    [event] = events_in(store)
    clock = MovedClock(NOW)
    with RunningService(store, clock=clock, webhook_secrets=VARIABLES) as service:
        assert send(service, interaction()).kind == "in-progress"
        clock.move(LEASE.total_seconds())
        again = send(service, interaction(), at=clock())
        assert (again.status, again.json["offsets"]) == (202, [event.offset])
        assert again.json["stream"] != service.service.log.stream
        assert send(service, interaction(), at=clock()).headers["idempotency-replayed"] == "true"
    assert events_in(store) == [event]


@pytest.mark.parametrize(("hours", "places"), [(0, "segment"), (1, "segment and file"), (5, "file")])
def test_an_event_whose_answer_nobody_kept_is_found_wherever_it_went(
    hours: int, places: str, store: FailingStore
) -> None:
    clock = MovedClock(NOW)
    with RunningService(store, clock=clock, webhook_secrets=VARIABLES) as service:
        for number in range(3):
            send(service, interaction(user_id=f"u{number}"), f"e{number}")
        stream = service.service.log.stream
    place = f"{DELIVERED}{TENANT}/{digest_of_key('webhook/shop', 'e1')}.json"
    store.write(place, json.dumps(json.loads(store.read(place)) | {"answer": None}).encode())
    clock.move(3_600 * 1.1)
    for _ in range(2 if hours else 0):
        list(RollUp(store, clock).run())
        clock.move(3_600 * hours)
    has_segment = any(key.endswith(".arrow") for key in store.list_keys("ingestion/segments/"))
    has_file = any(store.list_keys("acme/raw/"))
    assert (has_segment, has_file) == ("segment" in places, "file" in places)
    with RunningService(store, clock=clock, webhook_secrets=VARIABLES) as service:
        again = send(service, interaction(user_id="u1"), "e1", at=clock())
        assert (again.status, again.json["stream"], again.json["offsets"]) == (202, stream, [1])
        assert "idempotency-replayed" not in again.headers
        assert list(Chain(store, service.service.log.stream).segments(0)) == []


def test_an_event_that_may_be_stored_though_the_service_failed_is_stored_once(store: FailingStore) -> None:
    clock = MovedClock(NOW)
    with RunningService(store, clock=clock, webhook_secrets=VARIABLES) as service:
        store.lies = ("ingestion/segments/",)
        assert send(service, interaction()).status == 500
        store.lies = ()
        # At the same instant the segment would be the same, and so be found anyway.
        clock.move(1)
        assert send(service, interaction()).status == 202
        assert send(service, interaction()).headers["idempotency-replayed"] == "true"
        assert len(events_in(store)) == 1


def test_while_the_target_is_away_the_sender_is_told_to_come_again(store: FailingStore) -> None:
    with RunningService(store, webhook_secrets=VARIABLES) as service:
        store.fails = ("ingestion/",)
        away = send(service, interaction())
        assert (away.status, away.headers["retry-after"]) == (503, "5")
        store.fails = ()
        assert send(service, interaction()).status == 202


def test_an_event_is_taken_once_for_as_long_as_senders_send_it_again(store: FailingStore) -> None:
    clock = MovedClock(NOW)
    with RunningService(store, clock=clock, webhook_secrets=VARIABLES) as service:
        send(service, interaction())
        clock.move(KEPT.total_seconds() - 1)
        assert send(service, interaction(), at=clock()).headers["idempotency-replayed"] == "true"
    assert KEPT > REPLAY_WINDOW


def test_the_example_of_openapi_is_taken(store: FailingStore) -> None:
    with RunningService(store, webhook_secrets=VARIABLES) as service:
        described = service.ask("GET", "/openapi.json").json["paths"]["/webhooks/{source}"]["post"]
    headers = {one["name"]: one["example"] for one in described["parameters"] if one["in"] == "header"}
    [secret] = {one["description"].split()[-1].rstrip(".") for one in described["parameters"] if one["in"] == "header"}
    body = json.dumps(described["requestBody"]["content"]["application/json"]["example"]).encode()
    clock = MovedClock(datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC))
    with RunningService(store, clock=clock, webhook_secrets={VARIABLE: secret}) as service:
        answer = post(service, body, headers)
        assert (answer.status, str(answer.status) in described["responses"]) == (202, True)
    assert {"401", "409", "413", "429", "503"} <= set(described["responses"])


def test_nested_events_become_rows_by_the_mapping_of_their_source(store: FailingStore) -> None:
    registered(store, "crm", is_flattened=True)
    curator = Curator(store, TENANT, RULES, NOW)
    mapping = RawMapping(
        columns={
            "user_id": ("data.customer.id",),
            "item_id": ("data.sku",),
            "interaction_type": ("type",),
            "timestamp": ("at",),
        },
        words={"interaction_type": {"order.paid": "purchase"}},
        ignores_unknown=True,
    )
    MappingStore(store, curator.places).save("interactions", SavedMapping("crm", mapping, "events-webhook-crm-*"))
    content = {
        "type": "order.paid",
        "at": "2026-01-09T10:00:00Z",
        "data": {"customer": {"id": "u9", "plan": "x"}, "sku": "i9", "lines": [{"n": 1}]},
    }
    with RunningService(store, webhook_secrets=VARIABLES) as service:
        assert send(service, content, "e1", name="crm").status == 202
        assert send(service, interaction()).status == 202
    list(RollUp(store, lambda: NOW + timedelta(hours=2)).run())
    reports = Curator(store, TENANT, RULES, NOW).validate_new("interactions")
    assert sorted((report.valid, report.rejected, report.refused) for report in reports) == [(1, 0, None)] * 2


pytestmark = pytest.mark.server
