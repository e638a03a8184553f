"""Events, samples, schemas, health, metrics, and requests that are sent again.

Real: the service on a port, a directory and S3 over HTTP on loopback (moto). Faked: a curator that waits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Event as Flag

import pytest

from gata_assets.errors import StoreError
from gata_assets.ingestion.http.service_rules import ServiceRules
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.ingestion.keys.request_records import digest_of_key
from gata_assets.ingestion.keys.requests import LEASE, REQUESTS
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.event import Event, NewEvent
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import TABLES
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.http_service import TENANT, RunningService
from gata_assets_tests.support.moved_clock import MovedClock
from gata_assets_tests.support.raw_worlds import NOW, RULES, encode, interaction, item

ROWS, EVENTS, VALIDATE = "/internal/data/interactions", "/v1/events?table=interactions", "/api/validation/validate"


def secret_of(store: ObjectStore) -> str:
    """The secret of a new key that may do all."""
    return KeyStore(store, lambda: NOW).create(TENANT, ["admin"])[0]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A directory."""
    return LocalStore(str(tmp_path / "target"))


@pytest.fixture
def service(store: LocalStore) -> Iterator[RunningService]:
    """A service on a directory."""
    with RunningService(store, secret=secret_of(store)) as found:
        yield found


def events_in(store: ObjectStore, stream: str) -> list[Event]:
    """The events that another process finds."""
    return [event for segment in Chain(store, stream).segments(0) for event in segment.events]


def test_events_are_durable_when_they_are_answered(any_store: ObjectStore) -> None:
    with RunningService(any_store, secret=secret_of(any_store)) as service:
        first = service.post(EVENTS, interaction(), {"X-Request-ID": "mine"})
        assert (first.status, first.json["status"], first.json["offsets"]) == (202, "accepted", [0])
        assert service.post(EVENTS, [interaction(user_id="u2"), interaction(user_id="u3")]).json["offsets"] == [1, 2]
        events = events_in(any_store, first.json["stream"])
        assert [json.loads(event.payload)["user_id"] for event in events] == ["u1", "u2", "u3"]
        assert {(event.tenant, event.table, event.source) for event in events} == {(TENANT, "interactions", "http")}
        assert (events[0].request_id, events[0].received_at) == ("mine", NOW)


def test_many_events_at_once_share_segments(service: RunningService, store: LocalStore) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: service.post(EVENTS, interaction(user_id=f"u{n}")), range(100)))
    assert sorted(offset for answer in answers for offset in answer.json["offsets"]) == list(range(100))
    events = events_in(store, answers[0].json["stream"])
    assert {json.loads(event.payload)["user_id"] for event in events} == {f"u{n}" for n in range(100)}
    assert len(service.keys_below("ingestion/segments/")) < 60


def test_what_is_no_event_is_refused_and_none_of_its_array_is_taken(store: LocalStore) -> None:
    with RunningService(store, ServiceRules(max_events=2), secret=secret_of(store)) as service:
        for content, kind in (([], "no-object"), ([{}, 1], "no-object"), ("x", "no-object"), ([{}] * 3, "too-large")):
            assert service.post(EVENTS, content).kind == kind
        assert service.ask("POST", EVENTS, b'{"a": 1} {"b": 2}').kind == "malformed"
        assert service.post("/v1/events", {}).kind == "parameter"
        assert service.keys_below("ingestion/segments/") == []


def test_events_that_wait_are_stored_when_the_service_ends(store: LocalStore) -> None:
    with RunningService(store, secret=secret_of(store)) as service, ThreadPoolExecutor(1) as threads:
        service.post(EVENTS, interaction())
        last = threads.submit(service.post, EVENTS, interaction(user_id="last"))
        while service.service.log.waiting_bytes == 0 and not last.done():
            pass
    assert last.result().status == 202
    assert len(events_in(store, last.result().json["stream"])) == 2
    with pytest.raises(StoreError, match="is closed"):
        service.service.log.append([NewEvent(TENANT, "items", b"{}", NOW, "http", "")])


def test_a_sample_is_validated_row_by_row_and_nothing_is_stored(service: RunningService) -> None:
    rows = [interaction(), interaction(rating="9"), interaction(user_id="", rating="0"), {"unknown": "x"}]
    found = service.post(VALIDATE, {"data_type": "interactions", "sample_data": rows}).json
    assert (found["is_valid"], found["rows"], found["valid"], found["invalid"]) == (False, 4, 1, 3)
    assert [error["row"] for error in found["errors"]] == [2, 3, 4]
    assert found["errors"][0]["rules"] == ["rating_is_1_to_5"]
    assert {"user_id_is_given", "rating_is_1_to_5"} <= set(found["errors"][1]["rules"])
    assert {"rule": "rating_is_1_to_5", "rows": 2} in found["validation_errors"]
    assert found["errors_left_out"] == 0
    assert service.post(VALIDATE, {"data_type": "items", "sample_data": [item()]}).json["is_valid"]
    assert service.post(VALIDATE, {"data_type": "items", "sample_data": []}).json["rows"] == 0
    assert service.keys_below(f"{TENANT}/") == []


def test_a_sample_with_many_wrong_rows_counts_all_and_lists_some(service: RunningService) -> None:
    asked = {"data_type": "interactions", "sample_data": [interaction(rating="9")] * 1_200}
    found = service.post(VALIDATE, asked).json
    assert (found["invalid"], len(found["errors"]), found["errors_left_out"]) == (1_200, 1_000, 200)


def test_a_schema_says_what_a_row_is(service: RunningService) -> None:
    for name, spec in TABLES.items():
        found = service.ask("GET", f"/api/validation/schema/{name}").json
        assert set(found["required"]) == set(spec.required)
        assert set(found["properties"]) == {column.name for column in spec.raw_columns}
    rating = service.ask("GET", "/api/validation/schema/interactions").json["properties"]["rating"]
    assert (rating["type"], rating["minimum"], rating["maximum"]) == (["number", "null"], 1, 5)
    assert service.ask("GET", "/api/validation/schema/nothing").kind == "no-such-table"


def test_health_and_metrics_need_no_key(service: RunningService) -> None:
    service.post(ROWS, [interaction(), interaction(rating="9")])
    service.post(EVENTS, interaction())
    service.upload(encode([interaction(user_id="u9")], "csv"))
    service.secret = None
    health = service.ask("GET", "/health").json
    assert {name: health[name] for name in ("status", "service", "version")} == {
        "status": "healthy",
        "service": "data-pipeline",
        "version": "1.2.3",
    }
    assert (health["kafka_connected"], health["s3_connected"]) == (False, True)
    assert health["timestamp"] == "2026-01-10T12:00:00Z"
    text = service.ask("GET", "/metrics").body.decode()
    for line in (
        'gata_rows_accepted_total{table="interactions"} 2.0',
        'gata_rows_rejected_total{table="interactions"} 1.0',
        'gata_rows_broke_rule_total{rule="rating_is_1_to_5",table="interactions"} 1.0',
        'gata_events_accepted_total{table="interactions"} 1.0',
        'gata_uploads_total{table="interactions"} 1.0',
        'gata_http_requests_total{method="POST",route="/internal/data/{table}",status="200"} 1.0',
        'gata_http_request_seconds_count{route="/v1/events"} 1.0',
    ):
        assert line in text, line


def test_every_answer_of_openapi_is_declared_with_its_paths(service: RunningService) -> None:
    found = service.ask("GET", "/openapi.json").json
    assert set(found["paths"]) == {
        "/health",
        "/metrics",
        "/internal/data/upload-csv",
        "/internal/data/{table}",
        "/v1/events",
        "/v1/privacy/erasures",
        "/v1/privacy/erasures/{name}",
        "/webhooks/{source}",
        "/api/validation/validate",
        "/api/validation/schema/{table}",
    }
    assert "413" in found["paths"]["/v1/events"]["post"]["responses"]
    # Its examples are taken.
    for path in ("/internal/data/{table}", "/v1/events", "/api/validation/validate"):
        example = found["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        sent = service.post(path.replace("{table}", "interactions") + "?table=interactions", example)
        assert sent.status in (200, 202), path


def test_a_request_that_is_sent_again_is_answered_the_same(any_store: ObjectStore) -> None:
    with RunningService(any_store, secret=secret_of(any_store)) as service:
        key = {"Idempotency-Key": "once"}
        first, again = service.post(EVENTS, interaction(), key), service.post(EVENTS, interaction(), key)
        assert (first.status, first.body) == (again.status, again.body)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert len(events_in(any_store, first.json["stream"])) == 1
        # Another route is another request.
        landed = [service.post(ROWS, [interaction()], key) for _ in range(2)]
        assert [answer.json["was_there"] for answer in landed] == [False, False]
        other = service.post(EVENTS, interaction(user_id="u2"), key)
        assert (other.status, other.kind) == (422, "other-request")
        assert service.post("/v1/events?table=items", interaction(), key).kind == "other-request"
        assert service.post(EVENTS, interaction(), {"Idempotency-Key": "x" * 300}).kind == "idempotency-key"


def test_a_request_in_progress_is_not_carried_out_twice(store: LocalStore) -> None:
    begun, go_on = Flag(), Flag()

    def waiting_curator(tenant: str, now: datetime) -> Curator:
        begun.set()
        assert go_on.wait(20)
        return Curator(store, tenant, RULES, now)

    key = {"Idempotency-Key": "once"}
    with (
        RunningService(store, secret=secret_of(store), curator_of=waiting_curator) as service,
        ThreadPoolExecutor(1) as threads,
    ):
        first = threads.submit(service.post, ROWS, [interaction()], key)
        assert begun.wait(20)
        second = service.post(ROWS, [interaction()], key)
        assert (second.status, second.kind, second.headers["retry-after"]) == (409, "in-progress", "1")
        go_on.set()
        assert first.result().status == 200
        assert service.post(ROWS, [interaction()], key).body == first.result().body


def test_a_request_that_failed_can_be_sent_again_with_its_key(store: LocalStore) -> None:
    fails = [True]

    def failing_once(tenant: str, now: datetime) -> Curator:
        if fails.pop() if fails else False:
            raise RuntimeError("once")
        return Curator(store, tenant, RULES, now)

    with RunningService(store, secret=secret_of(store), curator_of=failing_once) as service:
        answers = [service.post(ROWS, [interaction()], {"Idempotency-Key": "k"}) for _ in range(2)]
        assert [answer.status for answer in answers] == [500, 200]


def test_events_whose_service_died_are_stored_once_for_the_same_key_and_request_id(store: LocalStore) -> None:
    clock = MovedClock(NOW)
    events = [interaction(user_id="u1"), interaction(user_id="u2")]
    key = {"Idempotency-Key": "k", "X-Request-ID": "mine"}
    with RunningService(store, clock=clock, secret=secret_of(store)) as service:
        first = service.post(EVENTS, events, key)
        # As a process leaves it that died before its answer was kept.
        place = f"{REQUESTS}{TENANT}/{digest_of_key('POST /v1/events', 'k')}.json"
        unanswered = json.dumps(json.loads(store.read(place)) | {"answer": None}).encode()
        for again, offsets in ((key, [0, 1]), ({**key, "X-Request-ID": "other"}, [2, 3])):
            store.write(place, unanswered)
            clock.move(LEASE.total_seconds())
            assert service.post(EVENTS, events, again).json["offsets"] == offsets
        assert len(events_in(store, first.json["stream"])) == 4


pytestmark = pytest.mark.server
