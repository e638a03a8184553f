"""Many uploads at once, of clients that break off or are slow, into a target that fails, also while the service ends.

Every answer is a declared one, no fault of the code is logged, and each file lands once when it is sent again.

Real: the service on a port, sockets, S3 over HTTP (moto) behind a proxy that fails calls. Nothing is faked.
"""

from __future__ import annotations

import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from time import sleep

import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.fault_proxy import S3_ERROR, FaultProxy, Faults, Manner
from gata_assets_tests.support.http_service import FAST, MULTIPART, TENANT, RunningService, multipart
from gata_assets_tests.support.raw_worlds import NOW, encode, interaction

pytestmark = pytest.mark.server
_PATH = "/internal/data/upload-csv?data_type=interactions"
# The largest is stored in several parts.
_SIZES = (1, 50, 3_000, 3_000, 150_000)
_BROKEN_OFF = 0


@dataclass
class EveryNth(Faults):
    """Fails every n-th call while `every` is not 0, each time in another manner."""

    every: int = 0

    def judge(self, service: str, method: str, path: str) -> Manner | None:
        number = len(self.calls) + 1
        if self.every and number % self.every == 0:
            self.manner = list(Manner)[number // self.every % len(Manner)]
            self.first, self.last = number, number
        return super().judge(service, method, path)


@dataclass
class Storm:
    """Uploads of clients; `answers` counts their statuses, with 0 for none."""

    service: RunningService
    seed: int
    answers: Counter[int] = field(default_factory=Counter)

    def contents(self, files: int) -> list[bytes]:
        """Files of mixed sizes that differ."""
        chance = random.Random(self.seed)
        return [
            encode([interaction(user_id=f"u{self.seed}x{number}")] * chance.choice(_SIZES), "csv")
            for number in range(files)
        ]

    def send(self, contents: list[bytes], clients: int) -> None:
        """Send each file from one of so many clients, which behave in different ways."""
        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(self._send, range(len(contents)), contents))

    def _send(self, number: int, content: bytes) -> None:
        chance = random.Random(f"{self.seed}/{number}")
        body = multipart(content)
        match chance.choice(["whole", "whole", "keyed", "cut", "cut", "slow"]):
            case "cut":
                self._cut(body, chance.random())
            case "slow":
                self._ask(slowly(body), {"Content-Length": str(len(body))})
            case "keyed":
                for _ in range(2):
                    self._ask(body, {"Idempotency-Key": f"{self.seed}/{number}"})
            case _:
                self._ask(body, {})

    def _ask(self, body: bytes | Iterator[bytes], headers: dict[str, str]) -> None:
        connection = HTTPConnection("127.0.0.1", self.service.port, timeout=120)
        try:
            connection.request("POST", _PATH, body, {**MULTIPART, "X-API-Key": self.service.secret or "", **headers})
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
            if status >= 400:
                # Also the answers of a service that ends are problems.
                assert json.loads(content)["status"] == status
        except (OSError, HTTPException):
            status = _BROKEN_OFF
        finally:
            connection.close()
        self.answers[status] += 1

    def _cut(self, body: bytes, kept: float) -> None:
        own = f"X-API-Key: {self.service.secret}\r\nContent-Type: {MULTIPART['Content-Type']}"
        head = f"POST {_PATH} HTTP/1.1\r\nHost: x\r\n{own}\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self.service.port), timeout=120) as connection:
                connection.sendall(head.encode() + body[: int((len(body) - 1) * kept)])
        except OSError:
            self.answers[_BROKEN_OFF] += 1

    def faults(self) -> list[str]:
        """The lines of the log about requests that failed by another fault than the target's."""
        lines = [json.loads(line) for line in self.service.lines]
        known = (0, 200, 408, 409, 499, 503)
        return [json.dumps(line) for line in lines if line["event"] == "HTTP_REQUEST" and line["status"] not in known]


def slowly(body: bytes) -> Iterator[bytes]:
    """A body in a few pieces, with waits between them."""
    step = len(body) // 4 + 1
    for start in range(0, len(body), step):
        yield body[start : start + step]
        sleep(0.05)


def storm(bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch, *, files: int, every: int, seed: int) -> None:
    """Uploads into a target that fails at every n-th call; then all of them again, into one that works."""
    faults = EveryNth()
    with FaultProxy("s3", moto_url, faults, S3_ERROR) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        store = S3StoreResource(bucket=bucket, s3=S3Resource(max_attempts=1))
        secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest"])
        with RunningService(store, FAST, secret=secret) as service:
            found = Storm(service, seed)
            contents = found.contents(files)
            faults.every = every
            found.send(contents, 30)
            faults.every = 0
            faults.begin()
            assert found.faults() == []
            assert set(found.answers) <= {200, 409, 503}
            assert found.answers[503], "no failure of the target was met"
            send_all_again(service, store, contents)


def send_all_again(service: RunningService, store: ObjectStore, contents: list[bytes]) -> None:
    """Send all files to a target that works: each lands now, or has."""
    for content in contents:
        assert service.upload(content).status == 200
    raw = service.keys_below(f"{TENANT}/raw/interactions/")
    assert sorted(map(store.read, raw)) == sorted(contents)


def end_in_a_storm(bucket: str, *, files: int, seed: int, after_seconds: float, patience_seconds: float) -> None:
    """End a service while it is at work, and send all files to the next one."""
    store = S3StoreResource(bucket=bucket, s3=S3Resource(max_attempts=1))
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest"])
    with ThreadPoolExecutor(1) as thread:
        with RunningService(store, FAST, secret=secret, seconds_to_end=patience_seconds) as service:
            found = Storm(service, seed)
            contents = found.contents(files)
            sending = thread.submit(found.send, contents, 30)
            sleep(after_seconds)
        sending.result()
    assert found.faults() == []
    assert set(found.answers) <= {_BROKEN_OFF, 200, 409, 503}
    with RunningService(store, FAST, secret=secret) as service:
        send_all_again(service, store, contents)


@pytest.mark.parametrize("seed", [1])
def test_uploads_into_a_target_that_fails_are_answered_as_declared_and_land_once(
    seed: int, bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm(bucket, moto_url, monkeypatch, files=12, every=9, seed=seed)


@pytest.mark.parametrize("patience_seconds", [0, 25])
def test_uploads_while_the_service_ends_are_answered_as_declared_and_land_once(
    patience_seconds: float, bucket: str
) -> None:
    end_in_a_storm(bucket, files=12, seed=1, after_seconds=0.7, patience_seconds=patience_seconds)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_many_uploads_into_a_target_that_fails_are_answered_as_declared_and_land_once(
    seed: int, bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm(bucket, moto_url, monkeypatch, files=60, every=5 + 4 * seed, seed=seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(6))
def test_many_uploads_while_the_service_ends_are_answered_as_declared_and_land_once(seed: int, bucket: str) -> None:
    end_in_a_storm(bucket, files=60, seed=seed, after_seconds=0.2 + 0.3 * seed, patience_seconds=seed % 3)
