"""Rows and files by HTTP: what lands, what the answer says, and what leaves nothing.

Real: the service on a port, a directory and S3 over HTTP on loopback (moto), validation and quarantine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.http_service import MULTIPART, TENANT, RunningService, multipart
from gata_assets_tests.support.raw_worlds import NOW, encode, interaction, item

ROWS = "/internal/data/interactions"
VALID, WRONG = interaction(rating="4"), interaction(rating="9")


@contextmanager
def running(store: ObjectStore) -> Iterator[RunningService]:
    """A service with a key of the tenant."""
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest", "validate"])
    with RunningService(store, secret=secret) as service:
        yield service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service on a directory."""
    with running(LocalStore(str(tmp_path / "target"))) as found:
        yield found


def test_rows_and_files_land_and_rejected_rows_are_in_quarantine(any_store: ObjectStore) -> None:
    with running(any_store) as service:
        answers = [service.post(ROWS, [VALID, WRONG]), service.upload(encode([WRONG, VALID], "csv"), "January 26.csv")]
        for answer, name in zip(answers, ("http", "january-26"), strict=True):
            assert answer.status == 200
            found = answer.json
            assert (found["status"], found["rows_accepted"], found["rows_rejected"]) == ("partial", 1, 1)
            assert found["validation_errors"] == [{"rule": "rating_is_1_to_5", "rows": 1}]
            assert f"{TENANT}/raw/interactions/2026-01-10/{name}-" in found["s3_path"]
            raw, quarantined = (
                next(key for key in service.keys_below(f"{TENANT}/") if any_store.uri(key) == found[place])
                for place in ("s3_path", "quarantine_path")
            )
            assert any_store.read(raw)
            assert pl.read_parquet(BytesIO(any_store.read(quarantined)))["rating"].to_list() == ["9"]


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_damaged_table_that_rows_refer_to_is_written_anew(service: RunningService, is_gone: bool) -> None:
    assert service.post("/internal/data/items", [item()]).status == 200
    assert service.post(ROWS, [VALID]).json["warnings"] == []
    [curated] = [key for key in service.keys_below(f"{TENANT}/curated/items/") if key.endswith(".parquet")]
    if is_gone:
        service.store.delete(curated)
    else:
        service.store.write(curated, b"damaged")
    assert service.post(ROWS, [interaction(rating="3")]).json["warnings"] == []


def test_an_array_and_lines_are_the_same_file(service: RunningService) -> None:
    pretty = json.dumps([VALID, interaction(user_id="ü\n2")], indent=2, ensure_ascii=False).encode()
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in (VALID, VALID | {"user_id": "ü2"}))
    answers = [
        service.ask("POST", ROWS, pretty, {"Content-Type": "application/json"}),
        service.ask("POST", ROWS, lines, {"Content-Type": "application/x-ndjson"}),
        # As some clients send lines without saying so.
        service.ask("POST", ROWS, lines.rstrip(b"\n") + b"\n\n", {"Content-Type": "application/json"}),
    ]
    assert [(answer.status, answer.json["rows_accepted"]) for answer in answers] == [(200, 2)] * 3


def test_every_table_takes_rows_and_items_are_known_to_interactions_at_once(service: RunningService) -> None:
    assert service.post("/internal/data/items", [item()]).json["status"] == "success"
    assert service.post(ROWS, [VALID]).json["warnings"] == []
    assert service.post(ROWS, [interaction(item_id="i2")]).json["warnings"] == [{"rule": "item_is_known", "rows": 1}]


def test_the_same_content_lands_once(service: RunningService) -> None:
    first, again = service.post(ROWS, [VALID]), service.post(ROWS, [VALID])
    assert (first.json["was_there"], again.json["was_there"]) == (False, True)
    assert first.json | {"was_there": True} == again.json
    content = encode([VALID], "csv")
    uploads = [service.upload(content, name) for name in ("a.csv", "b.csv")]
    assert len({answer.json["s3_path"] for answer in uploads}) == 1
    assert len(service.keys_below(f"{TENANT}/raw/")) == 2


def test_the_same_content_twice_at_once_lands_once(service: RunningService) -> None:
    content = encode([VALID] * 500, "csv")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: service.upload(content, f"part-{n}.csv"), range(8)))
    assert {answer.status for answer in answers} == {200}
    assert sum(not answer.json["was_there"] for answer in answers) == 1
    assert len(service.keys_below(f"{TENANT}/raw/")) == len(service.keys_below(f"{TENANT}/reports/interactions/")) == 1
    assert b'gata_rows_accepted_total{table="interactions"} 500.0' in service.ask("GET", "/metrics").body


def test_two_services_that_receive_the_same_at_once_land_it_once(any_store: ObjectStore) -> None:
    secret, _ = KeyStore(any_store, lambda: NOW).create(TENANT, ["ingest"])
    with RunningService(any_store, secret=secret) as first, RunningService(any_store, secret=secret) as second:
        # From here on neither lists the raw files.
        assert {service.post(ROWS, [interaction(rating="1")]).status for service in (first, second)} == {200}
        rows = [[interaction(user_id=f"u{number}")] for number in range(4)]
        files = [encode([interaction(item_id=f"i{number}")], "csv") for number in range(4)]
        with ThreadPoolExecutor(8) as threads:
            bodies = [threads.submit(service.post, ROWS, body) for body in rows for service in (first, second)]
            uploads = [
                threads.submit(service.upload, content, f"{service.port}.csv")
                for content in files
                for service in (first, second)
            ]
        answers = [sent.result() for sent in (*bodies, *uploads)]
        assert {(answer.status, answer.json["rows_accepted"]) for answer in answers} == {(200, 1)}
        assert len({answer.json["s3_path"] for answer in answers}) == 8
        assert len(first.keys_below(f"{TENANT}/raw/")) == 9
        assert len(first.keys_below(f"{TENANT}/reports/interactions/")) == 9


def test_what_another_process_changes_of_the_catalog_is_known_to_the_next_body(any_store: ObjectStore) -> None:
    secret, _ = KeyStore(any_store, lambda: NOW).create(TENANT, ["ingest"])

    def warnings_of(service: RunningService, user: str) -> list[str]:
        rows = [interaction(user_id=user, item_id=name) for name in ("i1", "i2")]
        return [f"{found['rows']} {found['rule']}" for found in service.post(ROWS, rows).json["warnings"]]

    with RunningService(any_store, secret=secret) as first, RunningService(any_store, secret=secret) as second:
        assert warnings_of(first, "u1") == warnings_of(first, "u2") == ["2 item_is_known"]
        assert second.post("/internal/data/items", [item(item_id="i1")]).status == 200
        assert warnings_of(first, "u3") == warnings_of(first, "u4") == ["1 item_is_known"]
        assert second.post("/internal/data/items", [item(item_id="i2")]).status == 200
        assert warnings_of(second, "u5") == warnings_of(first, "u6") == []


def test_files_of_every_format_are_taken_by_their_name(service: RunningService) -> None:
    for ending in ("csv", "csv.gz", "jsonl.zst", "parquet"):
        answer = service.upload(encode([interaction(user_id=ending)], ending), f"rows.{ending}")
        assert (answer.status, answer.json["rows_accepted"]) == (200, 1), ending
    assert service.upload(encode([VALID], "csv"), "export").json["s3_path"].endswith(".csv")


def test_fields_of_an_upload_may_repeat_the_query_and_say_nothing_else(service: RunningService) -> None:
    path = f"/internal/data/upload-csv?data_type=interactions&tenant_id={TENANT}"

    def upload(**fields: str) -> int:
        return service.ask("POST", path, multipart(encode([VALID], "csv"), fields=fields), MULTIPART).status

    assert upload(tenant_id=TENANT, data_type="interactions", note="x") == 200
    assert upload(tenant_id="globex") == 403
    assert upload(data_type="items") == 422


def test_what_cannot_be_read_does_not_land(service: RunningService) -> None:
    wrong_columns = service.upload(b"a,b\n1,2\n")
    assert (wrong_columns.status, wrong_columns.kind) == (422, "unreadable")
    assert service.post(ROWS, []).kind == "unreadable"
    assert service.post(ROWS, [VALID, 7]).kind == "no-object"
    assert service.ask("POST", ROWS, b'[{"a": 1}').kind == "malformed"
    assert service.ask("POST", ROWS, b"[" * 200_000).kind == "malformed"
    assert service.post("/internal/data/nothing", [VALID]).kind == "no-such-table"
    assert service.ask("POST", "/internal/data/upload-csv?data_type=items", b"a", {}).kind == "no-multipart"
    assert service.ask("POST", "/internal/data/upload-csv?data_type=items", b"a", MULTIPART).kind == "malformed"
    assert service.upload(b"a", query="tenant_id=acme").kind == "parameter"
    assert service.keys_below(f"{TENANT}/raw/") == service.keys_below(f"{TENANT}/reports/") == []


def test_rows_that_are_all_invalid_are_said_to_be_rejected(service: RunningService) -> None:
    found = service.post(ROWS, [WRONG]).json
    assert (found["status"], found["rows_accepted"], found["rows_rejected"]) == ("rejected", 0, 1)


def test_a_body_without_its_last_boundary_leaves_nothing(service: RunningService) -> None:
    body = multipart(encode([VALID], "csv"))[:-20]
    answer = service.ask("POST", "/internal/data/upload-csv?data_type=interactions", body, MULTIPART)
    assert (answer.status, answer.kind) == (400, "cut-off")
    assert service.keys_below(f"{TENANT}/") == []


pytestmark = pytest.mark.server
