"""deploy/iam-policy-privacy.json: what whoever erases people of a tenant may do, and what not.

Real: an erasure over S3 with versions (moto over HTTP, which evaluates policies) with that role alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gata_assets.definitions.privacy.places import find_places
from gata_assets.errors import DeleteDeniedError, StoreError
from gata_assets.governance.privacy.actors import command_actor
from gata_assets.governance.privacy.erasing import erase
from gata_assets.settings.model import parse_settings
from gata_assets_tests.deploy.test_deploy import task_policy
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.iam_cloud import Cloud, iam_switched_off, operator
from gata_assets_tests.support.raw_worlds import encode, interaction

pytestmark = pytest.mark.server

PERSON = f"user-{canary('who is erased with few rights')}"
RAW = "acme/raw/interactions/2026-01-03/a.csv"


def test_the_role_erases_and_needs_no_other_right(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = encode([interaction(user_id=PERSON), interaction()], "csv")
    with iam_switched_off(cloud.url):
        client = operator(cloud.url, "s3")
        client.put_bucket_versioning(Bucket=cloud.bucket, VersioningConfiguration={"Status": "Enabled"})
        for key in (RAW, "training/gata-general/B/train/data.json"):
            client.put_object(Bucket=cloud.bucket, Key=key, Body=content)
        client.delete_object(Bucket=cloud.bucket, Key="training/gata-general/B/train/data.json")
        client.put_object(Bucket=cloud.bucket, Key="acme/raw/cold.csv", Body=b"a,b\n", StorageClass="GLACIER")
    keys = f"1:{canary('a key of the tests')}{canary('and more of it')}"
    settings = parse_settings({"TARGET_BUCKET": cloud.bucket, "PRIVACY_KEYS": keys})
    places = find_places(settings, cloud.store_of(task_policy(cloud, "iam-policy-privacy.json")))
    asked = places.requests.ask("acme", [PERSON], "letter-1", command_actor())
    done = erase(places, asked, by=command_actor(), clock=lambda: datetime.now(UTC))
    removed = {cleared.place: dict(cleared.removed) for cleared in done.places}
    assert removed["interactions: raw files, staged and rejected rows"]["records"] == 1
    assert removed["old versions of objects"]["versions"] > 1
    assert done.scanned.findings == ()


def test_the_role_touches_no_other_tenant_and_changes_nothing_that_is_shared(cloud: Cloud) -> None:
    keys = (
        "globex/raw/interactions/a.csv",
        "training/gata-general/B/train/data.json",
        "governance/holds/acme/all.json",
    )
    cloud.put(*keys)
    store = cloud.store_of(task_policy(cloud, "iam-policy-privacy.json"))
    with pytest.raises(StoreError):
        store.read(keys[0])
    for key in keys:
        with pytest.raises(DeleteDeniedError):
            store.delete(key)
        with pytest.raises(StoreError):
            store.write(key, b"other")
