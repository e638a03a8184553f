"""`gata retention`: what it shows, deletes, holds and refuses.

Real: the commands, reports and manifests in a directory, S3 over HTTP (moto) for rules. Ages are by names of long ago.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from gata_assets.governance.retention.holds import HOLDS
from gata_assets.storage.local import LocalStore
from gata_assets_tests.governance.retention.worlds import PLACES, File, StoredBatch, World, put
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import Ran, gata

KEY = "0123456789abcdef" * 4
ON = {"RETENTION": "on", "TENANTS": "acme", "RETENTION_RAW": "7/30/60/100", "RETENTION_TRAINING": "7/30/60/200"}


@pytest.fixture
def target(tmp_path: Path) -> LocalStore:
    """A tenant with an old batch, and tickets of an old batch that failed."""
    store = LocalStore(str(tmp_path / "gata-data"))
    put(store, World(files=(File(1, frozenset({1})),), batches=(StoredBatch(390, 30),), curated=frozenset({1})))
    store.write("intermediate/tickets/2024010203.parquet", b"texts")
    return store


def lines(ran: Ran, *, code: int = 0) -> list[dict[str, Any]]:
    assert ran.returncode == code, ran.stderr[-2_000:]
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_plan_shows_what_goes_and_deletes_nothing(target: LocalStore, tmp_path: Path) -> None:
    before = list(target.list_versions(""))
    *found, ended = lines(gata(tmp_path, "retention", "plan", "--json", **ON))
    going = {(one["scope"], one["what"], one["name"]) for one in found if one["event"] == "RETENTION_GOES"}
    [batch_id] = target.list_folders(PLACES.features("").removesuffix("/"))
    assert going == {
        ("acme", "batch", f"acme/interactions/{batch_id}"),
        ("training", "batch", "training/tickets/2024010203"),
    }
    assert (ended["event"], ended["is_on"]) == ("RETENTION_PLANNED", True)
    assert ended["going"]["training"]["items"] == 2
    assert list(target.list_versions("")) == before


def test_people_are_shown_the_same(target: LocalStore, tmp_path: Path) -> None:
    shown = gata(tmp_path, "retention", "plan", "--summary", "table", **ON).stdout
    assert "goes   training: batch training/tickets/2024010203: its hour is more than 200 days ago" in shown
    assert "To be deleted: 2 of training (" in shown
    assert "`gata retention apply` deletes it." in shown
    off = gata(tmp_path, "retention", "plan", "--summary", "table", **(ON | {"RETENTION": "off"})).stdout
    assert "RETENTION is off: nothing is deleted." in off


def test_nothing_is_deleted_while_it_is_off(target: LocalStore, tmp_path: Path) -> None:
    before = list(target.list_versions(""))
    ran = gata(tmp_path, "retention", "apply", "--yes", TENANTS="acme")
    assert (ran.returncode, "RETENTION is off: nothing is deleted" in ran.stderr) == (2, True)
    assert list(target.list_versions("")) == before


def test_what_the_plan_shows_is_deleted_once_it_is_confirmed(target: LocalStore, tmp_path: Path) -> None:
    planned = lines(gata(tmp_path, "retention", "plan", "--json", **ON))[-1]
    before = list(target.list_versions(""))
    refused = gata(tmp_path, "retention", "apply", stdin=b"n\n", **ON)
    assert refused.returncode == 1
    assert "Delete" in refused.stderr
    assert list(target.list_versions("")) == before
    *deleted, ended = lines(gata(tmp_path, "retention", "apply", "--yes", "--json", **ON))
    assert {one["event"] for one in deleted} == {"RETENTION_DELETED"}
    assert (ended["deleted"], ended["left"], ended["failures"]) == (planned["going"], 0, [])
    assert not target.exists("intermediate/tickets/2024010203.parquet")
    shown = gata(tmp_path, "retention", "apply", "--yes", "--summary", "table", **ON)
    assert (shown.returncode, shown.stdout) == (0, "Deleted nothing.\n")


def test_a_tenant_alone_is_planned_and_one_that_there_is_not_refused(target: LocalStore, tmp_path: Path) -> None:
    found = lines(gata(tmp_path, "retention", "plan", "--tenant", "acme", "--json", **ON))
    assert {one["scope"] for one in found if "scope" in one} == {"acme"}
    ran = gata(tmp_path, "retention", "plan", "--tenant", "globex", **ON)
    assert (ran.returncode, "nothing of globex" in ran.stderr) == (2, True)


def test_tenants_are_found_that_have_no_raw_files_by_now(target: LocalStore, tmp_path: Path) -> None:
    for key in list(target.list_keys(PLACES.raw_files)):
        target.delete(key)
    found = lines(gata(tmp_path, "retention", "plan", "--json", **{**ON, "TENANTS": ""}))
    assert "acme" in {one.get("scope") for one in found}


def test_a_report_that_cannot_be_read_fails_the_command_and_is_named(target: LocalStore, tmp_path: Path) -> None:
    key = PLACES.report("interactions", "2024-01-02-a-0123")
    target.write(key, b"{")
    ran = gata(tmp_path, "retention", "apply", "--yes", **ON)
    assert (ran.returncode, key in ran.stderr) == (1, True)
    assert target.exists("intermediate/tickets/2024010203.parquet"), "nothing is deleted before all is known"


@pytest.mark.parametrize("words", [("--tenant", "acme"), ("--tenant", "acme", "--subject", "SUBJECT"), ("--tickets",)])
def test_a_hold_keeps_data_until_it_is_removed(words: tuple[str, ...], target: LocalStore, tmp_path: Path) -> None:
    person = canary("held person")
    given = [person if word == "SUBJECT" else word for word in words]
    hold = ("retention", "hold")
    with_key = {**ON, "PRIVACY_KEYS": f"1:{KEY}"}
    [added] = lines(gata(tmp_path, *hold, "add", *given, "--reason", "litigation 7", "--json", **with_key))
    assert (added["event"], added["reason"]) == ("HOLD_ADDED", "litigation 7")
    again = gata(tmp_path, *hold, "add", *given, "--reason", "litigation 7", **with_key)
    assert (again.returncode, "such a hold" in again.stderr) == (1, True)
    scope = added["scope"]
    found = lines(gata(tmp_path, "retention", "plan", "--json", **ON))
    assert {one["event"] for one in found if one.get("scope") == scope} == {"RETENTION_STAYS"}
    listed = gata(tmp_path, *hold, "list", "--json", **ON)
    assert [one["scope"] for one in lines(listed)[:-1]] == [scope]
    assert "litigation 7" in gata(tmp_path, *hold, "list", "--summary", "table", **ON).stdout
    stored = [key + target.read(key).decode() for key in target.list_keys(HOLDS)]
    assert [text for text in (*stored, listed.stdout) if person in text] == []
    removed = lines(gata(tmp_path, *hold, "remove", *given, "--reason", "settled", "--json", **with_key))
    assert [one["event"] for one in removed] == ["HOLD_REMOVED"]
    gone = gata(tmp_path, *hold, "remove", *given, "--reason", "settled", **with_key)
    assert (gone.returncode, "no such hold" in gone.stderr) == (1, True)
    assert lines(gata(tmp_path, "retention", "plan", "--json", **ON))[-1]["going"]["training"]["items"] == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--tenant", "acme", "--subject", "u1"), 2, "PRIVACY_KEYS has no key"),
        (("--tenant", "acne"), 1, "has nothing of acne"),
        ((), 2, "Either --tenant or --tickets"),
        (("--tenant", "acme", "--tickets"), 2, "Either --tenant or --tickets"),
        (("--tickets", "--subject", "u1"), 2, "have no subjects"),
    ],
)
def test_a_hold_that_would_hold_nothing_is_refused(
    words: tuple[str, ...], code: int, message: str, target: LocalStore, tmp_path: Path
) -> None:
    ran = gata(tmp_path, "retention", "hold", "add", *words, "--reason", "litigation", **ON)
    assert (ran.returncode, message in ran.stderr) == (code, True), ran.stderr
    assert list(target.list_keys(HOLDS)) == []


@pytest.mark.server
def test_the_rules_of_a_bucket_are_taken_by_s3(bucket: str, tmp_path: Path) -> None:
    client = boto3.client("s3")
    given = {"TARGET_BUCKET": bucket, "TENANTS": "acme", "RETENTION_MODEL_PREFIXES": "models/"}
    ran = gata(tmp_path, "retention", "rules", **given)
    assert ran.returncode == 0, ran.stderr
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=json.loads(ran.stdout))
    found = {rule["ID"] for rule in client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert found >= {"training training/", "raw acme/raw/interactions/", "training acme/features/", "models models/"}
    terraform = json.loads(gata(tmp_path, "retention", "rules", "--format", "terraform", **given).stdout)
    resource = terraform["resource"]["aws_s3_bucket_lifecycle_configuration"]["target"]
    assert (resource["bucket"], {rule["id"] for rule in resource["rule"]}) == (bucket, found)


def test_a_directory_has_no_rules(tmp_path: Path) -> None:
    ran = gata(tmp_path, "retention", "rules", TENANTS="acme")
    assert (ran.returncode, "TARGET_BUCKET is unset" in ran.stderr) == (2, True)
