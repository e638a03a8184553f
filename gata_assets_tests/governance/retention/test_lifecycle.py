"""The days of each type of data, and the rules of a bucket. Real: S3's API over HTTP (moto) takes the rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from gata_assets.errors import DataRuleError
from gata_assets.governance.retention.lifecycle import as_configuration, as_terraform, lifecycle_rules
from gata_assets.governance.retention.rules import DEFAULT_DAYS, ColdClass, DataType, RetentionRules, StorageDays
from gata_assets.governance.retention.scopes import MovedPrefix

MOVED = [
    MovedPrefix("training/", DataType.TRAINING),
    MovedPrefix("acme/raw/interactions/", DataType.RAW, is_read=False),
    MovedPrefix("models/", DataType.MODELS, is_read=False),
    MovedPrefix("logs/", DataType.LOGS, is_read=False),
]
# The reference's table: hot, warm (Standard-IA), cold (Glacier) days, and those until deletion.
TABLE = {"raw": "7/30/90/365", "training": "30/90/365/730", "models": "30/180/365/730", "logs": "7/30/90/365"}


def classes(rule: dict[str, Any]) -> list[tuple[int, str]]:
    return [(to["Days"], to["StorageClass"]) for to in rule.get("Transitions", ())]


def by_id(rules: RetentionRules) -> dict[str, dict[str, Any]]:
    return {rule["ID"]: rule for rule in lifecycle_rules(rules, MOVED)}


def test_the_default_days_are_those_of_the_table() -> None:
    assert {of.value: str(days) for of, days in DEFAULT_DAYS.items()} == TABLE
    assert all(days.fault is None for days in DEFAULT_DAYS.values())
    assert RetentionRules().is_on is False


@pytest.mark.parametrize(
    ("days", "fault"),
    [
        ((7, 30, 60, 90), None),
        ((0, 30, 60, 90), "not ascending"),
        ((30, 30, 90, 365), "not ascending"),
        ((7, 30, 400, 365), "not ascending"),
        ((7, 29, 90, 365), "nothing to Standard-IA before 30 days"),
        ((7, 30, 59, 365), "less than 30 days between warm and cold"),
    ],
)
def test_days_that_s3_would_not_take_are_a_fault(days: tuple[int, int, int, int], fault: str | None) -> None:
    found = StorageDays(*days).fault
    assert (found is None) == (fault is None)
    assert (fault or "") in (found or "")


def test_data_of_ours_is_moved_and_never_expires_by_a_rule() -> None:
    rules = by_id(RetentionRules())
    assert classes(rules["raw acme/raw/interactions/"]) == [(30, "STANDARD_IA"), (90, "GLACIER_IR")]
    assert classes(rules["training training/"]) == [(90, "STANDARD_IA"), (365, "GLACIER_IR")]
    ours = [rule for rule in rules.values() if "raw/" in str(rule["Filter"]) or "training/" in str(rule["Filter"])]
    assert len(ours) == 2
    assert [rule["ID"] for rule in ours if "Expiration" in rule] == []


def test_models_and_logs_which_no_manifest_names_expire_by_rules() -> None:
    rules = by_id(RetentionRules())
    assert classes(rules["models models/"]) == [(180, "STANDARD_IA"), (365, "GLACIER")]
    assert rules["models models/"]["Expiration"] == {"Days": 730}
    assert classes(rules["logs logs/"]) == [(30, "STANDARD_IA"), (90, "GLACIER")]
    assert rules["logs logs/"]["Expiration"] == {"Days": 365}


def test_only_raw_files_are_archived_where_that_is_asked_for() -> None:
    rules = by_id(RetentionRules(cold_class=ColdClass.ARCHIVE))
    assert classes(rules["raw acme/raw/interactions/"])[-1] == (90, "GLACIER")
    assert classes(rules["training training/"])[-1] == (365, "GLACIER_IR")


def test_versions_that_were_deleted_and_uploads_that_were_cut_off_are_cleaned_up() -> None:
    rules = by_id(RetentionRules(noncurrent_days=3))
    versions = rules["versions that were deleted or replaced"]
    assert versions["NoncurrentVersionExpiration"] == {"NoncurrentDays": 3}
    assert versions["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    deployed = json.loads((Path(__file__).parents[3] / "deploy" / "s3-lifecycle.json").read_text())["Rules"]
    # S3 replaces all rules of a bucket: those that every bucket should have are among ours.
    assert [rule for rule in deployed if rule not in rules.values()] == []


@pytest.mark.server
def test_s3_takes_the_rules_and_has_them_afterwards(bucket: str) -> None:
    client = boto3.client("s3")
    configuration = json.loads(as_configuration(lifecycle_rules(RetentionRules(), MOVED)))
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=configuration)
    found = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert {rule["ID"]: classes(dict(rule)) for rule in found} == {
        name: classes(rule) for name, rule in by_id(RetentionRules()).items()
    }


def test_the_file_for_terraform_says_the_same_as_that_for_s3() -> None:
    rules = lifecycle_rules(RetentionRules(), MOVED)
    found = json.loads(as_terraform(rules, "my-bucket"))
    resource = found["resource"]["aws_s3_bucket_lifecycle_configuration"]["target"]
    assert resource["bucket"] == "my-bucket"
    for ours, theirs in zip(rules, resource["rule"], strict=True):
        assert (theirs["id"], theirs["status"]) == (ours["ID"], "Enabled")
        assert [(to["days"], to["storage_class"]) for to in theirs.get("transition", ())] == classes(ours)
        names = {"Expiration": "expiration", "NoncurrentVersionExpiration": "noncurrent_version_expiration"}
        names |= {"AbortIncompleteMultipartUpload": "abort_incomplete_multipart_upload"}
        for name, named in names.items():
            assert list(theirs.get(named, {}).values()) == list(ours.get(name, {}).values())
        assert str(ours["Filter"].get("And", ours["Filter"])["Prefix"]) in json.dumps(theirs["filter"])


def test_more_rules_than_a_bucket_takes_are_refused() -> None:
    many = [MovedPrefix(f"t{number}/raw/", DataType.RAW) for number in range(1_000)]
    with pytest.raises(DataRuleError, match="1,003 rules are needed"):
        lifecycle_rules(RetentionRules(), many)
