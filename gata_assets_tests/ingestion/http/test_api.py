"""The whole API holds what its OpenAPI document says, for requests that the document allows and for those it does not.

Real: the service on a port, and `schemathesis`, which makes up requests by a seed that is the same in every run. Faked:
the target is in memory, and away when a test says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import ScenarioFinished

from gata_assets.ingestion.http.service_rules import ServiceRules
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.ingestion.keys.scopes import SCOPES
from gata_assets.ingestion.keys.secret_text import new_prefix, new_secret
from gata_assets_tests.support.http_service import TENANT, RunningService
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.raw_worlds import NOW
from gata_assets_tests.support.signed_webhooks import VARIABLES, registered

OPEN = {"GET /health", "GET /metrics"}
SIGNED = "POST /webhooks/{source}"
TRUSTING = ServiceRules(trusts_network=True, requests_per_second=1e6, burst=1e6)
# How many requests of a path are made up, besides those for each limit of its parameters; and by which seed.
COUNTS = [
    pytest.param(2, 1, id="few"),
    pytest.param(300, 2, id="many", marks=pytest.mark.soak),
    pytest.param(300, 3, id="many more", marks=pytest.mark.soak),
]


@dataclass
class Answers:
    """Which statuses each operation answered with, and what was wrong."""

    statuses: dict[str, set[int]] = field(default_factory=dict)
    faults: set[str] = field(default_factory=set)

    def of(self, *, besides: set[str]) -> set[int]:
        """All statuses of other operations, but for methods that there are not."""
        return {status for name, found in self.statuses.items() if name not in besides for status in found} - {405}


def asked(service: RunningService, count: int, seed: int, *, besides: str = "-", **checks: dict[str, Any]) -> Answers:
    """Make up requests to a running service but for a path, each with its key, and check the answers."""
    document = service.ask("GET", "/openapi.json").json
    # The key is given: what is made up in its place is refused, and shows nothing else.
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)
    settings = {
        "seed": seed,
        "base-url": f"http://127.0.0.1:{service.port}",
        "headers": {"X-API-Key": service.secret} if service.secret else {},
        "parameters": {"path.source": "shop", "query.tenant_id": TENANT},
        "continue-on-failure": True,
        "generation": {"max-examples": count, "database": "none", "deterministic": True},
        "checks": {
            # What the document allows is never malformed, too large or of a wrong type; rows may lack columns.
            "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "422", "503"]},
            **checks,
        },
    }
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(settings))
    found = Answers()
    for event in from_schema(schema.exclude(path=besides)).execute():
        assert not type(event).__name__.endswith("Error"), event
        if isinstance(event, ScenarioFinished):
            own = found.statuses.setdefault(event.recorder.label, set())
            own |= {sent.response.status_code for sent in event.recorder.interactions.values() if sent.response}
            found.faults |= {
                f"{event.recorder.label}: {check.name}: {check.failure_info.failure}"
                for checks_of in event.recorder.checks.values()
                for check in checks_of
                if check.failure_info
            }
    return found


def target() -> MemoryStore:
    """A target with a source of webhooks."""
    store = MemoryStore()
    registered(store)
    return store


def secret_of(store: MemoryStore, scope: str) -> str:
    """The secret of a new key."""
    return KeyStore(store, lambda: NOW).create(TENANT, [scope])[0]


@pytest.mark.parametrize(("count", "seed"), COUNTS)
@pytest.mark.parametrize("scope", SCOPES)
def test_each_answer_is_declared_for_a_key_of_each_scope(scope: str, count: int, seed: int) -> None:
    store = target()
    with RunningService(store, secret=secret_of(store, scope), webhook_secrets=VARIABLES) as service:
        found = asked(service, count, seed)
    assert found.faults == set()
    allowed = {status for statuses in found.statuses.values() for status in statuses}
    assert 500 not in allowed
    expected = {
        "ingest": {200, 202, 403, 422},
        "validate": {200, 403, 422},
        "read": {403},
        "privacy": {202, 403, 404, 422},
        "admin": {200, 202, 422},
    }
    assert expected[scope] <= found.of(besides={*OPEN, SIGNED})
    assert found.statuses[SIGNED] <= {401, 405, 404, 415}


@pytest.mark.parametrize(("count", "seed"), COUNTS)
def test_each_answer_is_declared_where_the_network_is_trusted(count: int, seed: int) -> None:
    with RunningService(target(), TRUSTING, webhook_secrets=VARIABLES) as service:
        found = asked(service, count, seed)
    assert found.faults == set()
    assert {200, 202, 422} <= found.of(besides=OPEN)


@pytest.mark.parametrize(("count", "seed"), COUNTS)
def test_a_wrong_key_is_refused_everywhere_whatever_is_sent(count: int, seed: int) -> None:
    with RunningService(target(), secret=new_secret(new_prefix()), webhook_secrets=VARIABLES) as service:
        found = asked(service, count, seed)
    assert found.faults == set()
    assert found.of(besides={*OPEN, SIGNED}) == {401}


@pytest.mark.parametrize(("count", "seed"), COUNTS)
@pytest.mark.parametrize("fails_at", [1, 9])
def test_a_target_that_fails_is_never_a_fault_of_the_service(fails_at: int, count: int, seed: int) -> None:
    store = target()
    with RunningService(
        FailingStore(store, fails_at), secret=secret_of(store, "admin"), webhook_secrets=VARIABLES
    ) as service:
        # Once a key is known, events wait half a minute for the target.
        waits = "/v1/events" if fails_at > 1 else "-"
        answered = {"expected-statuses": ["2xx", "4xx", "503"]}
        found = asked(service, count, seed, besides=waits, not_a_server_error=answered)
    assert found.faults == set()
    statuses = found.of(besides=OPEN)
    assert statuses == {503} if fails_at == 1 else {200, 503} <= statuses


@pytest.mark.soak
def test_events_that_cannot_be_stored_are_refused_as_those_that_may_be_sent_again() -> None:
    store = target()
    with RunningService(FailingStore(store, 3), secret=secret_of(store, "ingest")) as service:
        answer = service.post("/v1/events?table=items", {})
    assert (answer.status, answer.kind, answer.headers["retry-after"]) == (503, "unavailable", "5")


pytestmark = pytest.mark.server
