"""The client against a service that fails, answers late and is cut off: nothing is lost, and nothing is there twice.

Real: the client, sockets, a proxy with faults, the service on a port, a directory. Nothing is faked.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gata_assets.client import (
    BatchesFailedError,
    BatchRules,
    GataClient,
    ServiceAwayError,
    ServiceRefusedError,
)
from gata_assets.ingestion.http.service_rules import ServiceRules
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.faulty_proxy import Fault, FaultyProxy
from gata_assets_tests.support.http_service import FAST, TENANT, RunningService
from gata_assets_tests.support.raw_worlds import NOW, encode, interaction

EVERY_FAULT: tuple[Fault, ...] = ("cut", "cut the answer", "late", "busy", "many", "progress", "cut in the body")
SMALL = BatchRules(most_events=20, most_rows=20, most_seconds=0.05)
CANARY = "canary-7f3a9c-canary-7f3a9c"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service with a key that may send and validate."""
    store = LocalStore(str(tmp_path / "target"))
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest", "validate"])
    with RunningService(store, secret=secret) as found:
        yield found


def client_of(url: str, service: RunningService, rules: BatchRules = SMALL, patience: float = 20) -> GataClient:
    seconds = {"patience_seconds": patience, "timeout_seconds": 0.5, "longest_pause_seconds": 0.05}
    return GataClient(url, service.secret, rules=rules, **seconds)


def users_of_events(service: RunningService) -> Counter[str]:
    segments = Chain(service.store, service.service.log.stream).segments(0)
    return Counter(json.loads(event.payload)["user_id"] for segment in segments for event in segment.events)


def users_of_rows(service: RunningService) -> Counter[str]:
    keys = service.keys_below(f"{TENANT}/raw/interactions/")
    return Counter(json.loads(line)["user_id"] for key in keys for line in service.store.read(key).splitlines())


@pytest.mark.parametrize("kind", ["events", "rows"])
def test_whatever_happens_on_the_way_everything_arrives_once(kind: str, service: RunningService) -> None:
    # Each fault first, between others, and twice in a row.
    faults: list[Fault] = [*EVERY_FAULT, "none", *(fault for one in EVERY_FAULT for fault in (one, one, "none"))]
    with FaultyProxy(service.port, faults) as proxy, client_of(proxy.url, service) as client:

        def send(thread: int) -> None:
            give = client.send_events if kind == "events" else client.send_rows
            for call in range(10):
                give("interactions", [interaction(user_id=f"u{thread}-{call}-{n}") for n in range(8)])

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(send, range(4)))
        client.flush()
        found = users_of_events(service) if kind == "events" else users_of_rows(service)
        assert found == Counter(f"u{thread}-{call}-{n}" for thread in range(4) for call in range(10) for n in range(8))
        counts = client.counts
        assert (counts.events, counts.rows_accepted) == ((320, 0) if kind == "events" else (0, 320))
        assert (counts.rows_rejected, counts.failed_batches) == (0, 0)
        # All tries of a batch had its key, and no other batch did.
        keys = [key for key, _ in proxy.requests]
        assert None not in keys
        assert len(keys) - len(set(keys)) >= len([fault for fault in faults if fault != "none"]) - len(proxy.faults)


def test_a_service_that_is_away_loses_nothing_and_can_be_sent_the_same_later(service: RunningService) -> None:
    with FaultyProxy(service.port, ["cut the answer", "busy"]) as proxy:
        client = client_of(proxy.url, service, patience=0)
        client.send_events("interactions", [interaction(user_id="u1")])
        with pytest.raises(BatchesFailedError, match="1 batches with 1 rows or events failed") as failed:
            client.flush()
        assert CANARY not in str(failed.value)
        # Until the caller has taken it back, nothing more is taken.
        with pytest.raises(BatchesFailedError):
            client.send_events("interactions", [interaction(user_id="u2")])
        [lost] = client.take_failed()
        assert isinstance(lost.error, ServiceAwayError)
        # It was carried out, and nobody learned so.
        assert users_of_events(service) == {"u1": 1}
        client.send_again([lost.batch])
        with pytest.raises(BatchesFailedError):
            client.flush()
        client.send_again([one.batch for one in client.take_failed()])
        client.send_events("interactions", [interaction(user_id="u2")])
        client.close()
        assert users_of_events(service) == {"u1": 1, "u2": 1}
        with pytest.raises(ValueError, match="is closed"):
            client.send_events("interactions", [])


def test_what_is_refused_is_not_tried_again_and_says_why(service: RunningService) -> None:
    with FaultyProxy(service.port) as proxy:
        stranger = GataClient(proxy.url, "gata_" + CANARY, rules=SMALL)
        with pytest.raises(ServiceRefusedError, match="401 unknown-key: The API key is unknown") as refused:
            stranger.validate("interactions", [interaction(user_id=CANARY)])
        assert (refused.value.status, refused.value.kind) == (401, "unknown-key")
        assert refused.value.problem["title"] == "Unauthorized"
        stranger.send_rows("nothing", [interaction(user_id=CANARY)])
        with pytest.raises(BatchesFailedError, match="unknown-key"):
            stranger.close()
        assert len(proxy.requests) == 2
        assert CANARY not in repr(stranger) + repr(stranger.take_failed()) + str(refused.value)
        with client_of(proxy.url, service) as client:
            client.send_rows("no/table?", [interaction()])
            with pytest.raises(BatchesFailedError, match="404 no-such-"):
                client.flush()
            client.take_failed()


def test_an_answer_of_something_else_is_no_success(service: RunningService) -> None:
    with FaultyProxy(service.port, ["page"]) as proxy:
        client = client_of(proxy.url, service)
        client.send_events("interactions", [interaction()])
        with pytest.raises(BatchesFailedError, match="none of the service"):
            client.close()
        assert len(client.take_failed()) == 1


def test_it_waits_as_long_as_the_service_asks(service: RunningService) -> None:
    with FaultyProxy(service.port, ["many"], retry_after="1") as proxy, client_of(proxy.url, service) as client:
        client.validate("interactions", [interaction()])
        (_, first), (_, second) = proxy.requests
        assert 1 <= second - first < 3
        # Longer than its patience is not worth waiting for.
        proxy.faults.extend(["busy"])
        hasty = client_of(proxy.url, service, patience=0.9)
        with pytest.raises(ServiceAwayError, match="1 tries, the last one with 503"):
            hasty.validate("interactions", [interaction()])


def test_a_caller_that_is_faster_than_the_service_waits_and_memory_is_bounded(service: RunningService) -> None:
    rules = BatchRules(most_events=5, most_seconds=0.01, most_waiting_bytes=5_000)
    with (
        FaultyProxy(service.port, ["held"]) as proxy,
        GataClient(proxy.url, service.secret, rules=rules) as client,
        ThreadPoolExecutor(1) as threads,
    ):

        def send() -> int:
            most = 0
            for n in range(100):
                client.send_events("interactions", [interaction(user_id=f"u{n}")])
                most = max(most, client._sender._held_bytes)
            return most

        sending = threads.submit(send)
        with pytest.raises(TimeoutError):
            client.flush(0.3)
        assert not sending.done()
        proxy.go_on.set()
        assert sending.result() <= rules.most_waiting_bytes
        client.flush()
        assert users_of_events(service) == {f"u{n}": 1 for n in range(100)}


def test_one_call_may_be_larger_than_all_that_waits(service: RunningService) -> None:
    rules = BatchRules(most_rows=3, most_bytes=300, most_waiting_bytes=500)
    with GataClient(f"http://127.0.0.1:{service.port}/", service.secret, rules=rules) as client:
        client.send_rows("interactions", (interaction(user_id=f"u{n}") for n in range(30)))
    assert users_of_rows(service) == {f"u{n}": 1 for n in range(30)}


def test_values_that_json_has_not_are_refused_before_any_row_is_taken(service: RunningService) -> None:
    with client_of(f"http://127.0.0.1:{service.port}", service) as client:
        for wrong, error in (
            (interaction() | {"rating": float("nan")}, ValueError),
            (interaction() | {"rating": object()}, TypeError),
            (interaction() | {"timestamp": NOW.replace(tzinfo=None)}, TypeError),
            ([1], TypeError),
        ):
            with pytest.raises(error) as refused:
                client.send_rows("interactions", [interaction(user_id=CANARY), wrong])  # type: ignore[list-item]
            assert CANARY not in str(refused.value)
        client.send_rows("interactions", [interaction() | {"timestamp": datetime(2026, 1, 9, tzinfo=UTC)}])
    assert users_of_rows(service) == {"u1": 1}


@pytest.mark.parametrize("fault", ["cut in the body", "cut the answer", "busy", "progress", "none"])
def test_a_file_is_uploaded_once_whatever_happens(fault: Fault, service: RunningService, tmp_path: Path) -> None:
    file = tmp_path / 'a "b".csv'
    file.write_bytes(encode([interaction(user_id=f"u{n}") for n in range(2_000)], "csv"))
    with FaultyProxy(service.port, [fault]) as proxy:
        client = GataClient(proxy.url, service.secret, patience_seconds=20)
        answer = client.upload("interactions", file)
        assert (answer["rows_accepted"], answer["was_there"]) == (2_000, False)
        assert len(proxy.requests) == (1 if fault == "none" else 2)
        client.close()
    [landed] = service.keys_below(f"{TENANT}/raw/interactions/")
    assert service.store.read(landed) == file.read_bytes()


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest"])
    file = tmp_path / "large.csv"
    with file.open("wb") as sparse:
        sparse.truncate(10**11)
    rules = ServiceRules(max_upload_bytes=1_000, requests_per_second=1e6, burst=1e6)
    with RunningService(store, rules, secret=secret) as service:
        client = GataClient(f"http://127.0.0.1:{service.port}", secret, patience_seconds=5)
        with pytest.raises(ServiceRefusedError, match="413 too-large"):
            client.upload("interactions", file)
        # Its connection is not used for the next request, which would be taken for the rest of the file.
        client.send_rows("interactions", [interaction()])
        client.flush()
        with pytest.raises(FileNotFoundError):
            client.upload("interactions", tmp_path / "none.csv")
    assert FAST.max_upload_bytes > 1_000


def test_a_sample_is_validated(service: RunningService) -> None:
    with client_of(f"http://127.0.0.1:{service.port}", service) as client:
        found = client.validate("interactions", [interaction(), interaction() | {"rating": 9}])
    assert (found["valid"], found["errors"]) == (1, [{"row": 2, "rules": ["rating_is_1_to_5"]}])


def test_people_are_asked_for_once_whatever_happens_on_the_way(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["privacy"])
    with RunningService(store, secret=secret) as service, FaultyProxy(service.port, ["cut the answer"]) as proxy:
        with client_of(proxy.url, service) as client:
            asked = client.ask_erasure([CANARY, "u1"], "letter-1")
        assert len(proxy.requests) >= 2
        with client_of(f"http://127.0.0.1:{service.port}", service) as client:
            assert client.find_erasure("letter-1") == asked
            with pytest.raises(ServiceRefusedError, match="is of other people") as refused:
                client.ask_erasure([CANARY], "letter-1")
    assert (asked["people"], refused.value.kind) == (2, "other-people")
    assert len(service.keys_below(f"{TENANT}/privacy/requests/")) == 1


def test_an_error_in_the_block_is_seen_and_waits_for_no_service() -> None:
    client = GataClient("http://127.0.0.1:1", patience_seconds=600)

    def fail() -> None:
        with client:
            client.send_events("interactions", [interaction()])
            raise KeyError("mine")

    with pytest.raises(KeyError) as seen:
        fail()
    assert any("1 batches" in note for note in seen.value.__notes__)
    assert len(client.take_failed()) == 1


def test_neither_keys_nor_values_are_logged(service: RunningService, caplog: pytest.LogCaptureFixture) -> None:
    assert service.secret
    with caplog.at_level(logging.DEBUG), FaultyProxy(service.port, ["cut", "busy"]) as proxy:
        with client_of(proxy.url, service) as client:
            client.send_events("interactions", [interaction(user_id=CANARY)])
        assert users_of_events(service) == {CANARY: 1}
    assert CANARY not in caplog.text and service.secret not in caplog.text and service.secret not in repr(client)


@pytest.mark.parametrize("url", ["", "ftp://x", "127.0.0.1:8002", "http://user:pass@x", "http://x/?a=b", "http://"])
def test_what_is_no_url_of_a_service_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="The URL of a service is needed"):
        GataClient(url, CANARY)


@pytest.mark.process
def test_the_client_is_light_to_import() -> None:
    code = "import sys, gata_assets.client; print(*{name.split('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    heavy = {"polars", "dagster", "numpy", "pyarrow", "boto3", "botocore", "msgspec", "pydantic", "fastapi"}
    assert heavy & set(ran.stdout.split()) == set()


pytestmark = pytest.mark.server
