"""A batch whose n-th call fails, for every n: what the target holds then, and what the next run makes of it.

Real: PostgreSQL, boto3, S3 and the Data API over HTTP, and a proxy in front of both that fails calls (fault_proxy).
Stood in for: Aurora's Data API by the project's own server, S3 by moto's. The target is looked at past the proxy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import boto3
import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner
from dagster_aws.s3 import S3Resource

from gata_assets.cli.main import main
from gata_assets.definitions import build_definitions
from gata_assets.sandbox.data_api.server import DataApiServer
from gata_assets.settings.model import parse_settings, variable_names
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.sources.data_api import DataApiTickets
from gata_assets.tickets.sources.ddl import insert_postgres
from gata_assets_tests.conftest import REGION
from gata_assets_tests.support.data_api import SECRET_KEY
from gata_assets_tests.support.fault_proxy import JSON_ERROR, S3_ERROR, Call, FaultProxy, Faults, Manner
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, database_rows, world

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

DATA_API, S3 = "data api", "s3"
DATASETS = (f"training/gata-general/{BATCH_ID}/", f"training/gata-low-vol/{BATCH_ID}/")
SETTINGS = {
    "LOW_VOLUME_THRESHOLD": "0.1",
    "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
    "LOG_LEVEL": "ERROR",
}
MOST_CALLS = 100
Content = dict[str, bytes]


@dataclass
class Target:
    """A bucket as it is, seen and set past the proxy."""

    client: S3Client
    bucket: str
    _bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def content(self) -> Content:
        """Every object's bytes by key; those whose checksum was seen before are not read again."""
        found = {}
        for one in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            key = one["Key"], one["ETag"]
            if key not in self._bodies:
                self._bodies[key] = self.client.get_object(Bucket=self.bucket, Key=key[0])["Body"].read()
            found[key[0]] = self._bodies[key]
        return found

    def restore(self, content: Content) -> None:
        """Make the bucket hold this and nothing else."""
        there = self.content()
        for key in there.keys() - content.keys():
            self.client.delete_object(Bucket=self.bucket, Key=key)
        for key, body in content.items():
            if there.get(key) != body:
                self.client.put_object(Bucket=self.bucket, Key=key, Body=body)


@cache
def shared_client(bucket: str) -> S3Client:
    """The client that a store of the bucket makes, without retries."""
    return S3StoreResource(bucket=bucket, s3=S3Resource(max_attempts=0))._client


class StoreOfOneClient(S3StoreResource):
    """A store whose calls are sent once, by a client that all stores of a bucket share: to make one takes 0.4 s."""

    @property
    def _client(self) -> S3Client:
        return shared_client(self.bucket)


@dataclass
class World:
    """The servers, the proxies before them, and the batch that talks to them."""

    target: Target
    faults: Faults
    source: DataApiTickets
    instance: dg.DagsterInstance
    data_api_url: str
    s3_url: str
    _undisturbed: dict[str, Content] = field(default_factory=dict)
    _repaired: set[str] = field(default_factory=set)

    def prepare(self, settings: dict[str, str]) -> bool:
        """Run the batch; whether its run claims success."""
        store = StoreOfOneClient(bucket=self.target.bucket, s3=S3Resource())
        definitions = build_definitions(
            parse_settings({**SETTINGS, **settings}), ticket_source=self.source, object_store=store, tenants=()
        )
        job = definitions.resolve_job_def(PREPARE_TICKETS)
        return job.execute_in_process(partition_key=BATCH_ID, instance=self.instance, raise_on_error=False).success

    def point(self, variables: pytest.MonkeyPatch) -> None:
        """Set the variables of a run of `gata` that reads and writes what `prepare` does."""
        named = {
            "DB_ARN": self.source.cluster_arn,
            "DB_SECRET_ARN": self.source.secret_arn,
            "TARGET_BUCKET": self.target.bucket,
            "TENANTS": "none",
        }
        for name in variable_names():
            variables.delenv(name, raising=False)
        variables.delenv("DAGSTER_HOME", raising=False)
        for name, value in {**SETTINGS, **named, "AWS_DEFAULT_REGION": REGION}.items():
            variables.setenv(name, value)

    def undisturbed(self, settings: dict[str, str]) -> Content:
        """What the batch leaves in an empty target when nothing fails."""
        name = json.dumps(settings)
        if name not in self._undisturbed:
            self.faults.begin()
            self.target.restore({})
            assert self.prepare(settings)
            self._undisturbed[name] = self.target.content()
        return self._undisturbed[name]

    def require_repair(self, settings: dict[str, str]) -> None:
        """Run again with nothing in the way: the target becomes what an undisturbed run leaves.

        A target that was repaired before, to the byte, is not repaired once more.
        """
        state = sha256(repr((settings, sorted(self.target.content().items()))).encode()).hexdigest()
        if state not in self._repaired:
            self.faults.begin()
            assert self.prepare(settings)
            assert without_notes(self.target.content()) == without_notes(self.undisturbed(settings))
            self._repaired.add(state)


@pytest.fixture(scope="module")
def servers(postgres_url: str, moto_url: str) -> Iterator[World]:
    """The world's tickets behind the Data API, an empty bucket, and the proxies in front of both."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS ticket; DROP TYPE IF EXISTS channel; DROP TYPE IF EXISTS router")
    insert_postgres(postgres_url, database_rows(world()))
    client = boto3.client(
        "s3", endpoint_url=moto_url, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    bucket = f"training-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    faults = Faults()
    with (
        DataApiServer(postgres_url, secret_key=SECRET_KEY) as api,
        FaultProxy(DATA_API, api.url, faults, JSON_ERROR) as data_api,
        FaultProxy(S3, moto_url, faults, S3_ERROR) as s3,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        source = DataApiTickets(cluster_arn=api.resource_arn, secret_arn=api.secret_arn, region=REGION)
        # The proxy passes on the Host header that the client signed.
        api.hosts.add(urlsplit(data_api.url).netloc)
        yield World(Target(client, bucket), faults, source, instance, data_api.url, s3.url)


@pytest.fixture
def there(servers: World, aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """The servers, with boto3 pointed at the proxies."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_RDS_DATA", servers.data_api_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", servers.data_api_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", servers.s3_url)
    # Of the calls that the SDK itself repeats (the secret's): once, after less than a second.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    return servers


def without_notes(content: Content) -> Content:
    """The objects without what manifests note of the versions that interrupted writers hold."""
    return {
        key: json.dumps({name: value for name, value in json.loads(body).items() if name != "unresolved"}).encode()
        if key.endswith("/manifest.json")
        else body
        for key, body in content.items()
    }


def fault_of(content: Content, dataset: str) -> str:
    """What is wrong with a dataset of the target; empty where it has no manifest or is what its manifest says."""
    if f"{dataset}manifest.json" not in content:
        return ""
    manifest = json.loads(content[f"{dataset}manifest.json"])
    if manifest["reason"].startswith("withdrawn"):
        return "" if not manifest["is_made"] and not manifest["files"] else "withdrawn, and yet it names files"
    described = {dataset + name: one["sha256"] for name, one in manifest["files"].items()}
    found = {
        key: sha256(body).hexdigest()
        for key, body in content.items()
        if key.startswith(dataset) and not key.endswith("/manifest.json")
    }
    if len(described) != (2 if manifest["is_made"] else 0):
        return f"the manifest names {len(described)} files"
    return "" if found == described else f"the manifest tells of {sorted(described)}, and there are other files"


def is_like(call: Call, method: str, path: str) -> bool:
    """Whether a call has the method, and its path the expression in it."""
    return call.method == method and re.search(path, unquote(call.path)) is not None


# The settings of the run whose files stand in the target (None: it is empty), and those of the run that is disturbed.
Runs = tuple[dict[str, str] | None, dict[str, str]]
EMPTY: Runs = (None, {})
REPLACED: Runs = ({"SPLIT_SEED": "1"}, {})
REMOVED: Runs = ({}, {"LOW_VOLUME_MIN_COUNT": "15"})


# Every so manieth call from a first one on; by all of the cases, every second call, and each in the long tests.
@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("before", "now", "manner", "is_gone_for_good", "first"),
    [
        pytest.param(*REPLACED, Manner.UNANSWERED, False, 1, id="replaced-unanswered"),
        pytest.param(*REPLACED, Manner.CUT_SHORT, False, 3, id="replaced-cut-short"),
        pytest.param(*EMPTY, Manner.REFUSED, True, 5, id="empty-refused-from-then-on"),
        pytest.param(*REMOVED, Manner.BODILESS, False, 7, id="removed-bodiless"),
    ],
)
def test_whichever_call_fails_the_target_holds_no_manifest_or_a_whole_dataset_and_the_next_run_repairs_it(
    before: dict[str, str] | None,
    now: dict[str, str],
    manner: Manner,
    is_gone_for_good: bool,
    first: int,
    every: int,
    there: World,
) -> None:
    earlier = {} if before is None else there.undisturbed(before)
    expected = there.undisturbed(now)
    claims = []
    for n in range(first if every > 1 else 1, MOST_CALLS, every):
        there.target.restore(earlier)
        there.faults.begin(manner, first=n, last=MOST_CALLS if is_gone_for_good else n)
        claims.append(there.prepare(now))
        failed = there.faults.failed
        found = there.target.content()
        for dataset in DATASETS:
            assert fault_of(found, dataset) == "", f"{dataset} after call {n}: {failed}"
        assert not claims[-1] or without_notes(found) == without_notes(expected), (
            f"success is claimed after call {n}: {failed}"
        )
        if not failed:
            break
        there.require_repair(now)
    assert len(claims) * every > 15
    assert claims[-1]
    # Some of the faults are healed by the clients' own retries, or hurt nobody: not where a service is gone.
    assert any(claims[:-1]) is not is_gone_for_good
    assert not all(claims)


# Which call is failed, how, and whether the clients' own retries heal that.
CALLS: dict[str, tuple[str, str, Manner, bool]] = {
    "the secret, an error": ("POST", r"^/$", Manner.ERROR, True),
    "a statement, an error": ("POST", r"^/Execute$", Manner.ERROR, False),
    "a statement, cut short": ("POST", r"^/Execute$", Manner.CUT_SHORT, True),
    "a write, unanswered": ("PUT", r"/train/data\.json$", Manner.UNANSWERED, True),
    "a look, an error": ("GET", r"prefix=training/", Manner.ERROR, True),
    "a look, bodiless": ("GET", r"prefix=training/", Manner.BODILESS, False),
    "a deletion, refused": ("DELETE", r"/data\.json$", Manner.REFUSED, True),
}


@pytest.mark.parametrize("fault", CALLS)
def test_the_exit_code_of_prepare_tells_whether_the_target_is_whole(
    fault: str, there: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, path, manner, is_healed = CALLS[fault]
    before, now = REMOVED if method == "DELETE" else REPLACED
    assert before is not None
    expected = there.undisturbed(now)
    there.target.restore(there.undisturbed(before))
    there.faults.begin()
    assert there.prepare(now)
    like = [n for n, call in enumerate(there.faults.calls, 1) if is_like(call, method, path)]
    there.target.restore(there.undisturbed(before))
    there.faults.begin(manner, first=like[-1], last=like[-1])
    there.point(monkeypatch)
    for name, value in now.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(main, ["prepare", BATCH_ID, "--summary", "json"])
    [failed] = there.faults.failed
    assert is_like(failed, method, path)
    outcome = json.loads(ran.stdout.splitlines()[-1])
    assert (ran.exit_code, outcome["event"]) == ((0, "BATCH_PREPARED") if is_healed else (1, "BATCH_FAILED"))
    assert (without_notes(there.target.content()) == without_notes(expected)) is is_healed
