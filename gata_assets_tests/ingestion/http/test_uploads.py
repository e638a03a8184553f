"""Uploads that are cut off, refused, or fail midway: nothing is lost, nothing lands twice, nothing is left.

Real: the service on a port, sockets that close, a directory and S3 over HTTP (moto), behind a proxy that fails calls.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.ingestion.http.bodies.uploads import FOLDER, Uploads
from gata_assets.ingestion.http.service_rules import ServiceRules
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.fault_proxy import S3_ERROR, FaultProxy, Faults, Manner
from gata_assets_tests.support.http_service import MULTIPART, TENANT, RunningService, multipart
from gata_assets_tests.support.raw_worlds import NOW, encode, interaction

pytestmark = pytest.mark.server
_PATH = "/internal/data/upload-csv?data_type=interactions"
# More than a part of an upload to S3.
_LARGE_ROWS, _ROWS = 200_000, 2_000


def running(store: ObjectStore, **rules: Any) -> RunningService:
    """A service with a key of the tenant."""
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest"])
    return RunningService(store, ServiceRules(requests_per_second=1e6, burst=1e6, **rules), secret=secret)


def content_of(number: int, rows: int = _ROWS) -> bytes:
    """A CSV file that no other number has."""
    return encode([interaction(user_id=f"u{number}")] * rows, "csv")


def cut_off(service: RunningService, content: bytes, kept: float) -> None:
    """Begin an upload, and close the connection after a part of it; returns once the service has noticed."""
    body = multipart(content)
    head = (
        f"POST {_PATH} HTTP/1.1\r\nHost: x\r\nX-API-Key: {service.secret}\r\n"
        f"Content-Type: {MULTIPART['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    logged = len(service.lines)
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(head.encode() + body[: int((len(body) - 1) * kept)])
    assert json.loads(service.logged(logged + 1)[-1])["status"] == 499


def left_over(store: ObjectStore) -> list[str]:
    """What uploads left in the target besides raw files, also what is not listed as objects."""
    left = list(store.list_keys(FOLDER))
    if isinstance(store, S3StoreResource):
        found = boto3.client("s3").list_multipart_uploads(Bucket=store.bucket)
        return left + [upload["Key"] for upload in found.get("Uploads", [])]
    return left + [path.name for path in Path(store.uri("a")).parent.glob(".staging/*") if path.name != "lock"]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files, empty."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def cut_off_and_send_again(store: ObjectStore, scratch: Path, files: int) -> None:
    chance = random.Random(1)
    with running(store) as service:
        for number in range(files):
            # Each tenth in several parts.
            content = content_of(number, _LARGE_ROWS if number % 10 == 3 else _ROWS)
            cut_off(service, content, chance.choice([0.0, chance.random(), chance.random(), 1.0]))
            assert not left_over(store) + [path.name for path in scratch.iterdir()]
            assert len(service.keys_below(f"{TENANT}/raw/")) == number
            answer = service.upload(content).json
            assert (answer["rows_accepted"], answer["was_there"]) == (content.count(b"\n") - 1, False)
            service.logged(len(service.lines))
            # An answer that was lost: the same again.
            assert service.upload(content).json["was_there"]
        assert not left_over(store) + [path.name for path in scratch.iterdir()]
        raw = service.keys_below(f"{TENANT}/raw/")
        assert sorted(map(store.read, raw)) == sorted(
            content_of(number, _LARGE_ROWS if number % 10 == 3 else _ROWS) for number in range(files)
        )


def test_uploads_that_are_cut_off_and_sent_again_land_once_and_leave_nothing(
    any_store: ObjectStore, scratch: Path
) -> None:
    cut_off_and_send_again(any_store, scratch, 5)


@pytest.mark.soak
def test_fifty_uploads_that_are_cut_off_and_sent_again_land_once_and_leave_nothing(
    any_store: ObjectStore, scratch: Path
) -> None:
    cut_off_and_send_again(any_store, scratch, 50)


def in_pieces(body: bytes) -> Iterator[bytes]:
    """A body whose length nobody knows before."""
    yield from (body[start : start + 50_000] for start in range(0, len(body), 50_000))


@pytest.mark.parametrize("rules", [{"max_upload_bytes": 10_000}, {"max_upload_rows": 100}])
def test_a_file_over_a_limit_is_refused_and_leaves_nothing(
    any_store: ObjectStore, scratch: Path, rules: dict[str, int]
) -> None:
    body = multipart(content_of(1))
    with running(any_store, **rules) as service:
        for sent in (body, in_pieces(body)):
            assert service.ask("POST", _PATH, sent, MULTIPART).kind == "too-large"
        assert not service.keys_below(f"{TENANT}/") + left_over(any_store) + [path.name for path in scratch.iterdir()]


def fail_each_call(bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Fail every step-th call of an upload in parts, until none is left to fail; each is sent again."""
    faults = Faults()
    with FaultProxy("s3", moto_url, faults, S3_ERROR) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        store = S3StoreResource(bucket=bucket, s3=S3Resource(max_attempts=1))
        with running(store) as service:
            # The key is known from then on.
            service.upload(content_of(0))
            for tried, number in enumerate(range(1, 1_000, step), start=1):
                content = content_of(number, _LARGE_ROWS)
                faults.begin(Manner.ERROR, first=number, last=number + 1)
                first = service.upload(content)
                is_failed = bool(faults.failed)
                faults.begin()
                assert first.status in ((200, 503) if is_failed else (200,))
                again = service.upload(content)
                assert (again.status, again.json.get("rows_accepted")) == (200, _LARGE_ROWS), (number, again.json)
                assert len(service.keys_below(f"{TENANT}/raw/")) == tried + 1
                if not is_failed:
                    break
            assert tried > 2
            uploads = boto3.client("s3").list_multipart_uploads(Bucket=bucket)
            assert uploads.get("Uploads", []) == []


def test_an_upload_whose_target_fails_at_some_calls_lands_once_when_it_is_sent_again(
    bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_each_call(bucket, moto_url, monkeypatch, 12)


@pytest.mark.soak
def test_an_upload_whose_target_fails_at_any_call_lands_once_when_it_is_sent_again(
    bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_each_call(bucket, moto_url, monkeypatch, 1)


def test_what_a_killed_process_left_is_removed_after_a_day(any_store: ObjectStore) -> None:
    now = [NOW - timedelta(days=2)]
    uploads = Uploads(any_store, lambda: now[0])
    any_store.write(uploads.new_key(), b"old")
    now[0] = NOW
    new = uploads.new_key()
    any_store.write(new, os.urandom(9))
    uploads.sweep()
    assert list(any_store.list_keys(FOLDER)) == [new]
    any_store.write(f"{FOLDER}20000101T000000-x", b"old")
    now[0] += timedelta(minutes=59)
    uploads.sweep()
    assert len(list(any_store.list_keys(FOLDER))) == 2, "it looks once an hour"
    now[0] += timedelta(minutes=2)
    uploads.sweep()
    assert list(any_store.list_keys(FOLDER)) == [new]


@pytest.mark.parametrize("ending", ["csv.gz", "jsonl.zst", "parquet"])
def test_packed_files_and_parquet_are_read_from_where_they_were_stored(any_store: ObjectStore, ending: str) -> None:
    rows = [interaction(user_id=f"u{number}") for number in range(5_000)]
    with running(any_store) as service:
        answer = service.upload(encode(rows, ending), f"rows.{ending}")
    assert (answer.status, answer.json["rows_accepted"]) == (200, len(rows))


def test_a_directory_keeps_what_it_had_when_an_upload_is_cut_off(tmp_path: Path, scratch: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    with running(store) as service:
        before = service.upload(content_of(1)).json["s3_path"]
        cut_off(service, content_of(1), 0.9)
        assert service.upload(content_of(1)).json["s3_path"] == before


def test_the_rules_for_buckets_are_taken_and_name_the_folder_of_uploads(bucket: str) -> None:
    rules = json.loads((Path(__file__).parents[3] / "deploy" / "s3-lifecycle.json").read_text())
    client = boto3.client("s3")
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules)
    found = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert [rule["Filter"]["Prefix"] for rule in found if "Expiration" in rule] == [FOLDER]
    assert [rule["Filter"]["Prefix"] for rule in found if "AbortIncompleteMultipartUpload" in rule] == [""]
