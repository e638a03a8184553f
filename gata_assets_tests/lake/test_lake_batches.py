"""Batches of several IDs from a lake, with late versions between, in a directory and in a bucket; and the slice of it.

Real: the commands in this process, S3 over HTTP on loopback (moto), a Valkey. Nothing is faked.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from gata_assets.sandbox.lake.pages import export_pages
from gata_assets.sandbox.lake.stories import LakeParameters
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.lake.offline import oracle
from gata_assets_tests.support.command import gata
from gata_assets_tests.support.redis_servers import RedisServer

TENANT, FIRST, LAST = "acme", "2026010900", "2026011300"
PARAMETERS = LakeParameters(tickets=60, days=6, sentences=1)
FROM_LAKE = {
    "TICKETS_URL": f"lake://{TENANT}",
    "FIRST_BATCH_ID": "2026010100",
    "LOW_VOLUME_FALLBACK_LABEL": "360001",
    "TRAINING_PERIOD": "8",
}


def run(directory: Path, *words: str, **variables: str) -> list[dict[str, Any]]:
    ran = gata(directory, *words, "--json", **FROM_LAKE, **variables)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def backfill(directory: Path, *words: str, last: str = LAST, **variables: str) -> dict[str, Any]:
    """What is said of the batches of tickets."""
    found = run(directory, "backfill", FIRST, last, "--every", "2d", *words, **variables)
    (planned,) = (one for one in found if one["event"] == "BACKFILL_PLANNED" and one["pipeline"] == "tickets")
    return planned


def training_files(store: ObjectStore) -> dict[str, bytes]:
    return {key: store.read(key) for key in store.list_keys("training/") if key.endswith("data.json")}


def write_pages(directory: Path, parameters: LakeParameters = PARAMETERS) -> list[dict[str, Any]]:
    """Pages and a later file: a version that solves, one that deletes, and a ticket of an early day. Gives its rows."""
    rows: list[dict[str, Any]] = []
    for number, content in enumerate(export_pages(parameters, 100)):
        (directory / f"page-{number}.json").write_bytes(content)
        page = json.loads(content)
        metrics = {found["ticket_id"]: found for found in page["metric_sets"]}
        rows += [{**row, "metric_set": metrics.get(row["id"])} for row in page["tickets"]]
    newest = {row["id"]: row for row in sorted(rows, key=lambda row: row["generated_timestamp"])}
    closed = [row for row in newest.values() if row["status"] == "closed"]
    late = [
        {**closed[0], "generated_timestamp": closed[0]["generated_timestamp"] + 60, "status": "deleted"},
        {**closed[1], "generated_timestamp": closed[1]["generated_timestamp"] + 60, "group_id": 360002},
        {**closed[2], "id": 990_001, "description": "A ticket that came late."},
    ]
    (directory / "late.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in late))
    return [*rows, *late]


def expected_labels(rows: list[dict[str, Any]], batch_id: str) -> Counter[str]:
    """The labels of current tickets that ended in the eight days before a batch."""
    end = datetime.strptime(batch_id, "%Y%m%d%H").replace(tzinfo=UTC)
    versions = oracle.kept(rows)
    current = {row["id"]: (row, ending) for row, ending in zip(versions, oracle.endings(versions), strict=True)}
    return Counter(
        ending["ended_group_id"]
        for row, ending in current.values()
        if row["status"] != "deleted" and ending["ended_at"] and end - timedelta(days=8) <= ending["ended_at"] < end
    )


def stored_labels(directory: Path, batch_id: str, **variables: str) -> Counter[str]:
    shown = run(directory, "batches", "show", batch_id, **variables)
    (found,) = (one for one in shown[0]["datasets"] if one["dataset"] == "gata-general")
    return Counter({label: sum(counts.values()) for label, counts in found["labels"].items()})


def test_batches_of_a_lake_are_those_of_its_versions_when_they_are_prepared(tmp_path: Path) -> None:
    rows = write_pages(tmp_path)
    pages = [path.name for path in sorted(tmp_path.glob("page-*.json"))]
    store = LocalStore(str(tmp_path / "gata-data"))
    run(tmp_path, "ingest", "tickets", *pages)
    assert backfill(tmp_path, last="2026011100")["due"] == 2
    before = training_files(store)
    run(tmp_path, "ingest", "tickets", "late.jsonl")
    planned = backfill(tmp_path)
    # A batch that is there stays as it is, as with other sources of tickets.
    assert (planned["complete"], planned["due"]) == (2, 1)
    found = training_files(store)
    assert {key: found[key] for key in before} == before
    assert stored_labels(tmp_path, FIRST) == expected_labels(rows[:-3], FIRST)
    assert stored_labels(tmp_path, LAST) == expected_labels(rows, LAST)
    assert backfill(tmp_path, "--again")["due"] == 3
    for batch_id in (FIRST, "2026011100", LAST):
        assert stored_labels(tmp_path, batch_id) == expected_labels(rows, batch_id), batch_id
    # The same files at once, in another order, are the same bytes.
    other = tmp_path / "other"
    other.mkdir()
    write_pages(other)
    run(other, "ingest", "tickets", "late.jsonl", *reversed(pages))
    backfill(other)
    assert training_files(LocalStore(str(other / "gata-data"))) == training_files(store) != found


@pytest.mark.server
def test_all_of_it_is_the_same_in_a_bucket(tmp_path: Path, bucket: str, valkey: RedisServer) -> None:
    write_pages(tmp_path, LakeParameters(tickets=30, days=2, sentences=1))
    pages = [path.name for path in sorted(tmp_path.glob("page-*.json"))]
    in_bucket = {"TARGET_BUCKET": bucket, "REDIS_URL": valkey.url}
    for words in (("ingest", "tickets", *pages, "late.jsonl"), ("prepare", FIRST)):
        for variables in ({}, in_bucket):
            run(tmp_path, *words, **variables)
    local = LocalStore(str(tmp_path / "gata-data"))
    client = boto3.client("s3")
    keys = [found["Key"] for found in client.list_objects_v2(Bucket=bucket, Prefix="training/")["Contents"]]
    objects = {
        key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys if key.endswith("data.json")
    }
    assert objects == training_files(local) != {}
    (ticket,) = run(tmp_path, "lake", "get", "--tenant", TENANT, **in_bucket)
    assert run(tmp_path, "lake", "get", "--tenant", TENANT) == [ticket]
    (online,) = run(tmp_path, "online", "get", str(ticket["ticket"]["id"]), "--tenant", TENANT, **in_bucket)
    assert online["ticket"] == ticket["ticket"]
    assert run(tmp_path, "online", "verify", "--tenant", TENANT, **in_bucket)
    key = ("--table", "tickets", "--key", f"id={ticket['ticket']['id']}")
    *_, last = run(tmp_path, "trace", "--tenant", TENANT, *key, **in_bucket)
    assert (last["is_current"], last["rows"] > 0) == (True, True)
