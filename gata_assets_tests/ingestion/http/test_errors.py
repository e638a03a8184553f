"""Errors are problem details, and neither they nor the log have a value, a key or a query.

Real: the service on a port, a directory. Faked: a curator that fails as nobody foresaw.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.interactions.curated.curator import Curator
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.http_service import MULTIPART, TENANT, RunningService, multipart
from gata_assets_tests.support.raw_worlds import NOW, interaction

ROWS, UPLOAD = "/internal/data/interactions", "/internal/data/upload-csv?data_type=items"
VALUE = canary("a value of a row")


def failing_curator(tenant: str, now: datetime) -> Curator:
    """Fails with a value in its message, as libraries do."""
    raise RuntimeError(f"cannot parse {VALUE} of {tenant} at {now}")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A directory."""
    return LocalStore(str(tmp_path / "target"))


@pytest.fixture
def service(store: LocalStore) -> Iterator[RunningService]:
    """A service with a key that may do all."""
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["admin"])
    with RunningService(store, secret=secret) as found:
        yield found


def test_unknown_paths_and_methods_are_problems(service: RunningService) -> None:
    assert service.ask("GET", "/nothing").kind == "no-such-path"
    assert service.ask("GET", "/health/").kind == "no-such-path"
    refused = service.ask("PUT", "/health")
    assert (refused.status, refused.kind, refused.headers["allow"]) == (405, "method", "GET")
    assert service.ask("GET", ROWS).status == 405


def test_a_fault_of_the_service_says_nothing_of_itself(store: LocalStore) -> None:
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["admin"])
    with RunningService(store, secret=secret, curator_of=failing_curator) as service:
        answer = service.post(ROWS, [interaction(user_id=VALUE)])
        assert (answer.status, answer.kind) == (500, "internal")
        (line,) = service.logged(1)
        assert VALUE not in answer.body.decode() + line
        noted = json.loads(line)
        assert (noted["status"], noted["fault"]) == (500, "RuntimeError")
        assert noted["fault_at"].startswith("test_errors.py:")
        # It goes on.
        assert service.ask("GET", "/health").status == 200


def test_no_answer_and_no_line_has_a_value_a_key_or_a_query(service: RunningService) -> None:
    wrong = [
        interaction(user_id=VALUE, rating=VALUE),
        interaction(interaction_type=VALUE),
        {**interaction(), VALUE: VALUE},
    ]
    answers = [service.post(f"{ROWS}?note={VALUE}", [row]) for row in wrong]
    answers += [
        service.post(ROWS, [VALUE]),
        service.ask("POST", ROWS, f'[{{"user_id": "{VALUE}"'.encode()),
        service.post("/v1/events?table=interactions", VALUE),
        service.post("/v1/events?table=interactions", {"user_id": VALUE}, {"Idempotency-Key": VALUE}),
        service.post(f"/v1/events?table={VALUE}", {"user_id": VALUE}),
        service.post("/api/validation/validate", {"data_type": "interactions", "sample_data": wrong}),
        service.post("/api/validation/validate", {"data_type": VALUE, "sample_data": wrong}),
        service.post("/api/validation/validate", {VALUE: wrong}),
        service.upload(f"user_id,item_id,interaction_type,timestamp\n{VALUE},{VALUE},{VALUE},{VALUE}\n".encode()),
        service.upload(f'user_id,item_id,interaction_type,timestamp\n"{VALUE}\n'.encode()),
        service.ask("POST", f"/internal/data/{VALUE}", b"[]"),
        service.ask("POST", f"/{VALUE}", b"[]", {"X-API-Key": VALUE, "Authorization": VALUE}),
        service.ask("POST", ROWS, b"[]", {"X-API-Key": VALUE}),
        service.ask("POST", UPLOAD, multipart(b"x", fields={"a": VALUE}), MULTIPART),
        service.ask("POST", UPLOAD, multipart(b"x"), {"Content-Type": VALUE}),
    ]
    assert {answer.status for answer in answers} == {200, 202, 400, 401, 404, 415, 422}
    for answer, line in zip(answers, service.logged(len(answers)), strict=True):
        assert VALUE not in answer.body.decode()
        assert VALUE not in "".join(answer.headers.values())
        assert VALUE not in line
        assert str(service.secret) not in line
        assert json.loads(line)["request_id"] == answer.headers["x-request-id"]
    assert VALUE not in service.ask("GET", "/metrics").body.decode()


def test_a_request_keeps_a_well_formed_id_and_gets_one_else(service: RunningService) -> None:
    kept = service.ask("GET", "/health", headers={"X-Request-ID": "order-17.a_B"})
    assert kept.headers["x-request-id"] == "order-17.a_B"
    for wrong in ("", "a b", "x" * 101, "a\tb", '{"a":1}'):
        made = service.ask("GET", "/health", headers={"X-Request-ID": wrong}).headers["x-request-id"]
        assert made != wrong
        assert len(made) == 32
    assert json.loads(service.logged(6)[0])["request_id"] == "order-17.a_B"


pytestmark = pytest.mark.server
