"""Who is let in: keys, tenants, scopes, rates, limits, and the target that is away.

Real: the service on a port, a directory. The clock is moved by hand; the target is away when a test says so.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gata_assets.errors import StoreError
from gata_assets.ingestion.http.service import MOST_HELD_BYTES
from gata_assets.ingestion.http.service_rules import ServiceRules, is_private_address
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.ingestion.keys.secret_text import new_prefix, new_secret
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import Version
from gata_assets_tests.support.http_service import TENANT, RunningService
from gata_assets_tests.support.moved_clock import MovedClock
from gata_assets_tests.support.raw_worlds import interaction

ROWS = "/internal/data/interactions"


class SwitchedStore(LocalStore):
    """A directory that is away while `is_away`."""

    is_away = False

    def _require_present(self) -> None:
        if self.is_away:
            raise StoreError("The target secret-bucket is away.")

    def list_keys(self, prefix: str) -> Iterator[str]:
        self._require_present()
        return super().list_keys(prefix)

    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        self._require_present()
        return super().read_versioned(key)

    def version(self, key: str) -> Version:
        self._require_present()
        return super().version(key)


@pytest.fixture
def store(tmp_path: Path) -> SwitchedStore:
    """A directory."""
    return SwitchedStore(str(tmp_path / "target"))


def key_of(store: LocalStore, clock: MovedClock, scopes: Collection[str] = ("ingest",), tenant: str = TENANT) -> str:
    """The secret of a new key."""
    return KeyStore(store, clock).create(tenant, scopes, timedelta(days=1))[0]


def test_a_key_is_taken_from_either_header_and_any_other_is_refused(store: SwitchedStore) -> None:
    clock = MovedClock()
    secret = key_of(store, clock)
    row = [interaction()]
    with RunningService(store, clock=clock) as service:
        for headers in (
            {"Authorization": f"Bearer {secret}"},
            {"X-API-Key": secret},
            {"Authorization": f"bearer {secret}"},
        ):
            assert service.post(ROWS, row, headers).status == 200
        missing = service.post(ROWS, row)
        assert (missing.status, missing.kind) == (401, "no-key")
        assert missing.headers["www-authenticate"].startswith("Bearer")
        for wrong in (secret[:-1] + "_", new_secret(new_prefix()), "ü" * 20):
            assert service.post(ROWS, row, {"X-API-Key": wrong.encode().decode("latin-1")}).kind == "unknown-key"
        clock.move(86_400)
        assert service.post(ROWS, row, {"X-API-Key": secret}).kind == "unknown-key"


def test_the_tenant_is_that_of_the_key_and_another_one_is_refused(store: SwitchedStore) -> None:
    clock = MovedClock()
    secret = key_of(store, clock)
    with RunningService(store, clock=clock, secret=secret) as service:
        assert service.post(f"{ROWS}?tenant_id={TENANT}", [interaction()]).status == 200
        for query in ("tenant_id=globex", f"tenant_id={TENANT}&tenant_id=globex", "tenant_id="):
            answer = service.post(f"{ROWS}?{query}", [interaction(user_id="u2")])
            assert (answer.status, answer.kind) == (403, "other-tenant"), query
        assert {key.partition("/")[0] for key in service.keys_below("")} == {TENANT, "ingestion"}


def test_a_scope_allows_its_routes_alone(store: SwitchedStore) -> None:
    clock = MovedClock()
    sends, validates = key_of(store, clock, ["ingest"]), key_of(store, clock, ["validate"])
    with RunningService(store, clock=clock) as service:
        asked = {"data_type": "interactions", "sample_data": [interaction()]}
        for path, content, secret, status in (
            (ROWS, [interaction()], sends, 200),
            (ROWS, [interaction()], validates, 403),
            ("/v1/events?table=interactions", interaction(), validates, 403),
            ("/internal/data/upload-csv?data_type=items", {}, validates, 403),
            ("/api/validation/validate", asked, validates, 200),
            ("/api/validation/validate", asked, sends, 403),
        ):
            assert service.post(path, content, {"X-API-Key": secret}).status == status, path
        assert service.ask("GET", "/api/validation/schema/items").status == 401


def test_a_key_that_asks_too_often_is_told_when_to_come_again(store: SwitchedStore) -> None:
    clock = MovedClock()
    secret, other = key_of(store, clock), key_of(store, clock, tenant="globex")
    with RunningService(store, ServiceRules(requests_per_second=0.01, burst=2), clock=clock) as service:
        answers = [service.post(ROWS, [interaction()], {"X-API-Key": secret}) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert 90 <= int(answers[2].headers["retry-after"]) <= 100
        assert service.post(ROWS, [interaction()], {"X-API-Key": other}).status == 200


def test_while_the_target_is_away_nobody_is_told_that_their_key_is_wrong(store: SwitchedStore) -> None:
    clock = MovedClock()
    secret = key_of(store, clock)
    with RunningService(store, clock=clock) as service:
        store.is_away = True
        answer = service.post(ROWS, [interaction()], {"X-API-Key": secret})
        assert (answer.status, answer.kind) == (503, "unavailable")
        assert answer.headers["retry-after"]
        assert b"secret-bucket" not in answer.body
        assert service.ask("GET", "/health").json["status"] == "degraded"
        store.is_away = False
        clock.move(2)
        assert service.post(ROWS, [interaction()], {"X-API-Key": secret}).status == 200


def test_a_trusted_network_says_itself_whose_data_it_is(store: SwitchedStore) -> None:
    with RunningService(store, ServiceRules(trusts_network=True)) as service:
        assert service.post(f"{ROWS}?tenant_id=globex", [interaction()]).status == 200
        for query in ("", "?tenant_id=..%2Fx", "?tenant_id=ingestion", "?tenant_id=a&tenant_id=b"):
            assert service.post(ROWS + query, [interaction()]).kind == "no-tenant", query
        # As the reference has it, without a tenant.
        asked = {"data_type": "interactions", "sample_data": [interaction(), interaction(rating="9")]}
        assert service.post("/api/validation/validate", asked).json["invalid"] == 1
        assert service.ask("GET", "/api/validation/schema/items").status == 200
        assert {key.partition("/")[0] for key in service.keys_below("")} == {"globex"}


@pytest.mark.parametrize(
    ("path", "size", "has_key", "status"),
    [
        (ROWS, 10**12, False, 401),
        (ROWS, 10**12, True, 413),
        ("/internal/data/upload-csv?data_type=items", 10**12, True, 413),
        ("/v1/events?table=items", 10**12, True, 413),
        ("/api/validation/validate", 10**30, True, 413),
    ],
)
def test_what_is_not_taken_is_refused_before_any_of_it_is_sent(
    store: SwitchedStore, path: str, size: int, has_key: bool, status: int
) -> None:
    clock = MovedClock()
    secret = key_of(store, clock, ["admin"])
    with RunningService(store, clock=clock) as service:
        key = f"X-API-Key: {secret}\r\n" if has_key else ""
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{key}Content-Length: {size}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(head.encode())
            answer = connection.recv(1000)
        # A number that no machine has is refused by the server itself.
        assert answer.startswith(b"HTTP/1.1 %d" % status) or (size > 2**64 and answer.startswith(b"HTTP/1.1 400"))


def test_a_body_without_a_length_is_refused_once_it_is_too_large(store: SwitchedStore) -> None:
    clock = MovedClock()
    secret = key_of(store, clock)
    rules = ServiceRules(max_body_bytes=1_000, max_body_rows=10, max_upload_bytes=1_000, max_upload_rows=10)
    with RunningService(store, rules, clock=clock, secret=secret) as service:
        answer = service.ask("POST", ROWS, iter([b"x" * 600] * 4))
        assert (answer.status, answer.kind) == (413, "too-large")
        assert service.post(ROWS, [{} for _ in range(11)]).kind == "too-large"
        assert service.ask("POST", ROWS, b"{}\n" * 11).kind == "too-large"
        assert service.upload(b"\n" * 11).kind == "too-large"
        assert service.upload(b"x" * 1_001).kind == "too-large"
        encoded = service.ask("POST", ROWS, b"x", {"Content-Encoding": "gzip"})
        assert (encoded.status, encoded.kind) == (415, "encoding")
        assert service.keys_below(f"{TENANT}/") == []


def test_no_more_bodies_are_held_in_memory_than_it_has_room_for(store: SwitchedStore) -> None:
    clock = MovedClock()
    secret = key_of(store, clock)
    with RunningService(store, clock=clock, secret=secret) as service:
        with service.service.room() as hold:
            hold(MOST_HELD_BYTES - 100)
            refused = service.post(ROWS, [interaction()])
            assert (refused.status, refused.kind, refused.headers["retry-after"]) == (503, "unavailable", "5")
        assert service.post(ROWS, [interaction()]).status == 200
        with service.service.room() as hold:
            hold(MOST_HELD_BYTES - 10_000)
            assert service.post(ROWS, [interaction(user_id="u2")]).status == 200


def test_private_addresses_are_those_that_no_stranger_reaches() -> None:
    private = ("127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "172.16.0.9", "fd00::1", "localhost")
    assert all(map(is_private_address, private))
    assert not any(map(is_private_address, ("0.0.0.0", "::", "8.8.8.8", "2001:4860:4860::8888", "example.com")))  # noqa: S104


pytestmark = pytest.mark.server
