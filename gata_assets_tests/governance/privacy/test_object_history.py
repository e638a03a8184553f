"""Old versions of objects and archived objects: what has something of theirs goes, all else stays, and nothing that
could not be read is passed over.

Real: S3 over HTTP (moto, whose restores wait as long as a test says). Faked: an S3 that refuses, by the SDK's errors.
"""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import boto3
import polars as pl
import pytest
from botocore.exceptions import ClientError
from dagster_aws.s3 import S3Resource

from gata_assets.errors import ArchivedError, StoreError
from gata_assets.governance.privacy.locators import Cleared, Erasure, People
from gata_assets.governance.privacy.object_history import Archives, OldVersions
from gata_assets.governance.privacy.scanning import Scan, TargetObjects, scan
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.tables.people.erased_people import ErasedPeople
from gata_assets.tables.people.privacy_keys import PrivacyKeys
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.s3_server import restores_underway

pytestmark = pytest.mark.server

PERSON = f"user-{canary('who is erased from old versions')}"
NAMESAKE = f"{PERSON}-2"
ERASURE = Erasure("acme", (PERSON,), "request-1", ErasedPeople("acme", PrivacyKeys({}), []))
NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def store(bucket: str) -> S3StoreResource:
    return S3StoreResource(bucket=bucket, s3=S3Resource())


@pytest.fixture
def versioned(store: S3StoreResource) -> S3StoreResource:
    """A bucket that keeps versions, though not from its beginning on."""
    store.write("acme/raw/early.csv", f"who\n{PERSON}\n".encode())
    boto3.client("s3").put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    return store


def concerns(tenant: str, key: str) -> bool:
    return key.startswith(f"{tenant}/")


def old(store: S3StoreResource) -> OldVersions:
    return OldVersions(store.history(), concerns)


def archives(store: S3StoreResource) -> Archives:
    return Archives(store.history(), concerns, lambda: NOW)


def erased(place: OldVersions | Archives) -> Cleared:
    (cleared,) = place.erase(ERASURE)
    return cleared


def scanned(store: S3StoreResource) -> Scan:
    return scan([TargetObjects(store, concerns), old(store)], ERASURE)


def found_in(store: S3StoreResource) -> dict[str, tuple[int, bool]]:
    """How many values are found in each object, and whether it could not be searched."""
    return {finding.key: (finding.values, bool(finding.fault)) for finding in scanned(store).findings}


def of(*people: str) -> bytes:
    """A Parquet file."""
    content = BytesIO()
    pl.DataFrame({"user_id": people}).write_parquet(content)
    return content.getvalue()


def test_old_versions_with_something_of_theirs_go_and_others_stay(versioned: S3StoreResource) -> None:
    both, other = f"who\n{PERSON}\n{NAMESAKE}\n".encode(), f"who\n{NAMESAKE}\n".encode()
    histories: dict[str, list[bytes | None]] = {
        "acme/raw/early.csv": [other],
        "acme/raw/a.csv": [both, other, b"who\nu1\n"],
        "acme/raw/b.csv.gz": [gzip.compress(both), gzip.compress(other)],
        "acme/curated/c.parquet": [of(PERSON, NAMESAKE), of(NAMESAKE)],
        "acme/raw/deleted.csv": [other, both, None],
        "globex/raw/a.csv": [both, other],
    }
    for key, contents in histories.items():
        for content in contents:
            if content is None:
                versioned.delete(key)
            else:
                versioned.write(key, content)
    before = {finding.key.partition("?")[0] for finding in scanned(versioned).findings}
    assert before == set(histories) - {"globex/raw/a.csv"}
    given = {one.key.partition("?")[0]: list(one.rows) for one in old(versioned).export(ERASURE)}
    assert (set(given), given["acme/raw/a.csv"][0]["values"]) == (before, 1)
    assert erased(old(versioned)) == Cleared("old versions of objects", 5, {"versions": 5})
    assert scanned(versioned).findings == ()
    kept = list(versioned.history().old_versions())
    assert sorted(version.key for version in kept) == ["acme/raw/a.csv", "acme/raw/deleted.csv", "globex/raw/a.csv"]
    for version in kept:
        with versioned.history().open_read(version) as file:
            assert file.read() == (both if version.key.startswith("globex/") else other)
    assert erased(old(versioned)).objects == 0


def test_a_bucket_without_versions_costs_one_call(store: S3StoreResource) -> None:
    for number in range(3):
        store.write("acme/a.csv", f"who\n{PERSON}\n{number}\n".encode())
    calls: list[str] = []
    store._client.meta.events.register("before-call.s3", lambda model, **_: calls.append(model.name))
    assert erased(old(store)) == Cleared("old versions of objects", 0, {"versions": 0})
    assert calls == ["GetBucketVersioning"]


@pytest.mark.parametrize(
    ("call", "right"),
    [
        ("GetBucketVersioning", "s3:GetBucketVersioning"),
        ("ListObjectVersions", "s3:ListBucketVersions"),
        ("GetObject", "s3:GetObjectVersion"),
        ("DeleteObject", "s3:DeleteObjectVersion"),
        ("RestoreObject", "s3:RestoreObject"),
    ],
)
def test_a_missing_right_is_named(call: str, right: str, versioned: S3StoreResource) -> None:
    versioned.write("acme/raw/early.csv", b"who\nu1\n")
    put_archived(versioned, "acme/raw/cold.csv")

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, call)

    versioned._client.meta.events.register(f"before-call.s3.{call}", refuse)
    place = archives(versioned) if call == "RestoreObject" else old(versioned)
    if call in ("DeleteObject", "RestoreObject"):
        # Everything else goes on.
        assert right in erased(place).remains
    else:
        with pytest.raises(StoreError, match=right):
            erased(place)


def put_archived(store: S3StoreResource, key: str, storage_class: Any = "GLACIER") -> None:
    content = f"who\n{PERSON}\n".encode()
    boto3.client("s3").put_object(Bucket=store.bucket, Key=key, Body=content, StorageClass=storage_class)


def test_archived_objects_are_restored_and_listed_until_they_can_be_read(store: S3StoreResource) -> None:
    cold, ice, instant = (f"acme/raw/{name}.csv" for name in ("cold", "ice", "instant"))
    put_archived(store, cold)
    put_archived(store, ice, "DEEP_ARCHIVE")
    put_archived(store, instant, "GLACIER_IR")
    put_archived(store, "globex/raw/cold.csv")
    with restores_underway(store.bucket, cold, ice):
        with pytest.raises(ArchivedError, match=r"acme/raw/cold\.csv could not be read: it is in an archive"):
            store.read(cold)
        # Begun, and underway.
        for _ in range(2):
            assert erased(archives(store)) == Cleared(
                "archived objects",
                2,
                remains="2 objects cannot be read before they are restored (1 in DEEP_ARCHIVE, 1 in GLACIER). Go on "
                "with the same request from 2026-01-02 15:04 UTC on.",
            )
        assert found_in(store) == {cold: (0, True), ice: (0, True), instant: (1, False)}
    assert erased(archives(store)) == Cleared("archived objects", 2)
    assert found_in(store) == dict.fromkeys((cold, ice, instant), (1, False))
    # Of others nothing was restored.
    with pytest.raises(ArchivedError):
        store.read("globex/raw/cold.csv")


def test_archived_old_versions_are_not_passed_over(versioned: S3StoreResource) -> None:
    put_archived(versioned, "acme/raw/a.csv")
    versioned.write("acme/raw/a.csv", b"who\nu1\n")
    assert [kept.key for kept in archives(versioned).history.archived()] == ["acme/raw/a.csv"]
    (finding,) = scan([old(versioned)], People("acme", (PERSON,))).findings
    assert "it is in an archive" in finding.fault
