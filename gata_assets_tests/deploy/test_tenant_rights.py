"""deploy/iam-policy-tenant*.json: who works on one tenant alone can do all of that, and sees no other tenant.

Real: the commands over S3 (moto over HTTP, which evaluates policies) with the credentials of roles that have nothing
else; each of their rights is held against the calls. KMS is read only.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from gata_assets.errors import AccessDeniedError, DeleteDeniedError
from gata_assets.governance.privacy.locators import People
from gata_assets.governance.privacy.scanning import TargetObjects, scan
from gata_assets.governance.retention.holds import Hold
from gata_assets_tests.deploy.test_deploy import load, task_policy
from gata_assets_tests.deploy.test_retention_rights import EVERYTHING
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.iam_cloud import REGION, Cloud, Role
from gata_assets_tests.support.raw_worlds import NOW, encode, interaction, item

pytestmark = pytest.mark.server

POLICIES = ("iam-policy-tenant.json", "iam-policy-tenant-privacy.json")
PERSON = f"user-{canary('who is erased')}"
BATCH = "2026010300"
SETTINGS = {
    "TENANTS": "acme",
    "MIN_INTERACTIONS_PER_USER": "1",
    "MIN_INTERACTIONS_PER_ITEM": "1",
    "PRIVACY_KEYS": f"1:{canary('a key of tests') * 2}",
}
OTHERS = (
    "globex/raw/interactions/2026-01-02/theirs.csv",
    "globex/privacy/tombstones/letter.json",
    "governance/holds/globex/all.json",
    "ingestion/keys/key.json",
    "training/gata-general/2026010203/train/data.json",
    # A tenant whose name begins with that of the role.
    "acme2/raw/interactions/2026-01-02/theirs.csv",
)


def run(cloud: Cloud, role: Role, directory: Path, *words: str, **settings: str) -> Ran:
    """A command with the credentials of a role."""
    credentials = {
        "AWS_ACCESS_KEY_ID": role.access_key,
        "AWS_SECRET_ACCESS_KEY": role.secret_key,
        "AWS_SESSION_TOKEN": role.token,
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_REGION": REGION,
    }
    return gata(directory, *words, TARGET_BUCKET=cloud.bucket, **credentials, **(SETTINGS | settings))


def write_files(directory: Path) -> None:
    rows = [
        interaction(user_id=user, item_id=f"i{n}", interaction_type="purchase")
        for user in (PERSON, "u1", "u2")
        for n in range(1, 3)
    ]
    rejected = [interaction(user_id=user, interaction_type="stare") for user in (PERSON, "u1")]
    (directory / "items.csv").write_bytes(encode([item(item_id=f"i{n}") for n in range(1, 5)], "csv"))
    (directory / "rows.csv").write_bytes(encode([*rows, *rejected], "csv"))
    (directory / "more.csv").write_bytes(encode([interaction(item_id="new")], "csv"))
    (directory / "tickets.jsonl").write_text(
        "".join(
            json.dumps(
                {"id": n, "requester_id": who, "subject": "x", "status": "open", "created_at": at, "updated_at": at}
            )
            + "\n"
            for n, (who, at) in enumerate([(77, "2026-01-02T03:04:05Z"), (PERSON, "2026-01-02T03:04:06Z")], 1)
        )
    )


WRITING = (
    "mapping save items shop --tenant acme --files shop* --map title=name",
    "ingest items items.csv --tenant acme",
    "ingest interactions rows.csv --tenant acme",
    "ingest interactions more.csv --tenant acme --timestamps iso8601 --derive-items",
    "ingest tickets tickets.jsonl --tenant acme",
    "quarantine --tenant acme --replay",
    f"prepare {BATCH} --only interactions",
)
READING = (
    "files --tenant acme",
    "quarantine rows --tenant acme",
    f"prepare {BATCH} --only lake",
    "lake get --tenant acme",
    f"batches show {BATCH} --only interactions",
    "trace --tenant acme --table interactions --key user_id=u1",
    "verify --tenant acme",
)


@pytest.mark.parametrize("commands", [WRITING, pytest.param((*WRITING, *READING), marks=pytest.mark.soak)])
def test_the_role_does_all_that_concerns_its_tenant_and_has_no_right_in_vain(
    cloud: Cloud, tmp_path: Path, commands: tuple[str, ...]
) -> None:
    write_files(tmp_path)
    cloud.put(*OTHERS)
    hold = Hold("acme", "of somebody else", NOW, "0" * 64)
    cloud.store_of(EVERYTHING).write(hold.key, msgspec.json.encode(hold))
    role = cloud.role_of(*(task_policy(cloud, name) for name in POLICIES))
    for command in commands:
        ran = run(cloud, role, tmp_path, *command.split())
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    erased = run(cloud, role, tmp_path, "privacy", "erase", "--tenant", "acme", "--subject", PERSON)
    assert erased.returncode == 1, "the rest of the bucket was not searched"
    *places, found = map(json.loads, erased.stdout.splitlines())
    denied = {place["remains"] for place in places if place["remains"]}
    assert {remains.partition("the role needs ")[2].split()[0] for remains in denied} == {
        "s3:ListBucket",
        "s3:GetBucketVersioning",
    }
    assert any("ingestion/" in remains for remains in denied)
    assert found["objects"] > len(WRITING), "the tenant's were searched"
    assert {left["fault"] for left in found["left"]} == {"the role may not read it"}
    assert "what is outside of the tenant's folder" in {left["key"] for left in found["left"]}
    assert run(cloud, role, tmp_path, "privacy", "log", "--tenant", "acme").returncode == 0
    unused = [right for right in role.rights if not any(right.allows(call, cloud.bucket) for call in role.calls)]
    # What is sent in parts is larger than any file here, and there are no single events.
    known = {right for right in unused if right.action == "s3:AbortMultipartUpload" or "/events/" in right.resource}
    assert set(unused) - known == set()
    # Who may see everything finds nothing of the person any more.
    assert scan([TargetObjects(cloud.store_of(EVERYTHING))], People("acme", (PERSON,))).findings == ()


def test_the_role_sees_no_other_tenant_and_no_key_or_log_is_lost_by_it(cloud: Cloud, tmp_path: Path) -> None:
    own = ("acme/privacy/tombstones/letter.json", "acme/privacy/log/1.json", "acme/raw/interactions/2026-01-02/own.csv")
    cloud.put(*OTHERS, *own)
    policies = [task_policy(cloud, name) for name in POLICIES]
    store = cloud.store_of(*policies)
    for key in OTHERS:
        with pytest.raises(AccessDeniedError, match="the role needs s3:GetObject"):
            store.read(key)
        with pytest.raises(AccessDeniedError, match="the role needs s3:PutObject"):
            store.write(key, b"")
    for key in (*OTHERS, *own):
        with pytest.raises(DeleteDeniedError):
            store.delete(key)
    for prefix in ("", "globex/", "acme2/", "acme", "governance/holds/", "ingestion/", "training/"):
        for listing in (store.list_keys, store.list_folders):
            with pytest.raises(AccessDeniedError, match="the role needs s3:ListBucket"):
                list(listing(prefix))
    write_files(tmp_path)
    role = cloud.role_of(*policies)
    for command in (
        "ingest interactions rows.csv --tenant globex",
        "files --tenant globex",
        "quarantine rows --tenant globex",
        "privacy erase --tenant globex --subject x",
        "privacy log --tenant globex",
        "verify --tenant globex",
    ):
        refused = run(cloud, role, tmp_path, *command.split())
        assert refused.returncode == 1, (command, refused)
        assert "the role needs s3:" in refused.stdout + refused.stderr, (command, refused)
    everybody = run(cloud, role, tmp_path, *f"prepare {BATCH} --only interactions".split(), TENANTS="")
    assert everybody.returncode != 0
    assert "It is listed since TENANTS is unset" in everybody.stdout + everybody.stderr
    assert cloud.keys() == {*OTHERS, *own}


def test_the_policies_name_one_tenant_and_the_key_through_s3_alone() -> None:
    for name in POLICIES:
        for statement in load(name)["Statement"]:
            about = json.dumps(statement)
            assert "<TENANT>/" in about or "kms:ViaService" in about
            assert '"*"' not in about and "s3:*" not in about
