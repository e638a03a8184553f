"""`gata privacy erase` beyond the present objects: tickets in Redis, old versions in a bucket, raw files in an archive.

Real: the commands, settings, a lake in a directory, Valkey, and S3 over HTTP (moto, which restores when the test says).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from gata_assets.curation.erasure.raw_rewriting import Mentions
from gata_assets.definitions.lake import publish_online
from gata_assets.definitions.privacy.places import find_places
from gata_assets.definitions.stores import build_store
from gata_assets.governance.privacy.actors import command_actor
from gata_assets.online import OnlineReader
from gata_assets.settings.model import load_settings
from gata_assets_tests.cli.privacy.test_erase import NAMESAKE, PERSON, gata, ingest, lines, staged_and_curated
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.raw_worlds import encode, interaction, item
from gata_assets_tests.support.redis_servers import RedisServer
from gata_assets_tests.support.s3_server import restores_underway


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TARGET_DIR", str(tmp_path / "target"))
    monkeypatch.setenv("PRIVACY_KEYS", f"1:{canary('a key of the tests')}{canary('and more of it')}")


def erase() -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Erase the person: the exit code, what was removed by place, and what is said at the end, or of an error."""
    done = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--request", "letter-1")
    assert PERSON not in done.output
    found = lines(done)
    places = {str(line["place"]): line for line in found if "place" in line}
    return done.exit_code, places, found[-1] if "people" in found[-1] else {"error": done.stderr}


def tickets(*requesters: str, first: int = 1) -> bytes:
    """Tickets, one of each requester."""
    rows = [
        {"id": number, "created_at": "2026-01-01T00:00:00Z", "generated_timestamp": 1768000000, "requester_id": name}
        for number, name in enumerate(requesters, first)
    ]
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def publish() -> None:
    settings = load_settings()
    publish_online(settings, build_store(settings), "acme")


def ask() -> None:
    """What a request begins with: whoever carried it out was killed then."""
    settings = load_settings()
    places = find_places(settings, build_store(settings))
    places.requests.ask("acme", [PERSON], "letter-1", command_actor())


def test_tickets_in_redis_go_once_it_is_there_and_do_not_come_back(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setenv("ONLINE_PATIENCE_SECONDS", "0")
    ingest("tickets", "a.jsonl", tickets(PERSON, NAMESAKE, "u1"))
    assert gata("prepare", "2026011100", "--only", "lake").exit_code == 0
    publish()
    reader = OnlineReader(valkey.client(), "acme")
    assert {ticket.id for ticket in reader} == {1, 2, 3}
    # From the tombstone on, though the lake's days have the ticket still and say of nobody who asked.
    ask()
    publish()
    assert {ticket.id for ticket in reader} == {2, 3}
    monkeypatch.setenv("REDIS_URL", f"unix://{valkey.directory}/none.sock")
    code, _, last = erase()
    assert (code, "it cannot be reached" in str(last.get("error"))) == (1, True)
    monkeypatch.setenv("REDIS_URL", valkey.url)
    code, places, last = erase()
    assert (code, places["tickets in Redis"]["removed"], last["left"]) == (0, {"versions": 1}, [])
    assert {ticket.id for ticket in reader} == {2, 3}
    # Another delivery, and another publish.
    ingest("tickets", "late.jsonl", tickets(PERSON, "u2", first=11))
    assert gata("prepare", "2026011100", "--only", "lake").exit_code == 0
    publish()
    assert {ticket.id for ticket in reader} == {2, 3, 12}


@pytest.mark.server
def test_old_versions_go_and_archived_files_once_they_are_restored(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_BUCKET", bucket)
    s3 = boto3.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ingest("items", "items.csv", encode([item()], "csv"))
    rows = [interaction(user_id=user) for user in (PERSON, NAMESAKE, "u1")]
    ingest("interactions", "a.csv", encode(rows, "csv"))
    ingest("interactions", "b.csv", encode([*rows, interaction(user_id=PERSON, interaction_type="stare")], "csv"))
    store = build_store(load_settings())
    (archived,) = (key for key in store.list_keys("acme/raw/interactions/") if "/b-" in key)
    s3.put_object(Bucket=bucket, Key=archived, Body=store.read(archived), StorageClass="GLACIER")
    with restores_underway(bucket, archived):
        code, places, last = erase()
        assert code == 1
        assert "1 objects cannot be read before they" in str(places["archived objects"]["remains"])
        # All else is done: rows that were read of the archived file too.
        assert [(left["key"], "in an archive" in left["fault"]) for left in last["left"]] == [(archived, True)]
        assert not any(map(Mentions([PERSON]), staged_and_curated(store)))
    code, places, last = erase()
    assert (code, last["left"]) == (0, [])
    assert places["interactions: raw files, staged and rejected rows"]["removed"]["records"] == 2
    everything = [
        s3.get_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])["Body"].read()
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for found in page["Versions"]
    ]
    assert not any(PERSON in content.decode(errors="replace").replace(NAMESAKE, "") for content in everything)
    assert NAMESAKE.encode() in store.read(archived)
