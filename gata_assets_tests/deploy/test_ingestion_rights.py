"""deploy/iam-policy-ingestion*: what each part of ingestion may do in the bucket, and those who make keys or register
sources of webhooks.

Real: a service over HTTP, a relay with a broker, a consumer's writer, roll-ups and keys over S3 (moto); each of their
calls is held against the policies, and each right against the calls. The roles too, by a server that evaluates
policies. KMS is read only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.curation.files.tenants import find_tenants
from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import ObjectNotFoundError, StoreError
from gata_assets.governance.retention.holds import Holds
from gata_assets.ingestion.kafka.consuming.replay import Replay, quarantined_streams, waiting_in_quarantine
from gata_assets.ingestion.kafka.origin import target_id
from gata_assets.ingestion.kafka.relay.cursors import kept_from
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.ingestion.keys.request_records import Started
from gata_assets.ingestion.keys.requests import IdempotentRequests
from gata_assets.ingestion.segments.chain import Chain, segment_key
from gata_assets.ingestion.segments.cursor import cursor_key
from gata_assets.ingestion.segments.event import Segment
from gata_assets.ingestion.segments.quarantined import find_rejected
from gata_assets.ingestion.segments.rejected import RejectedMessage
from gata_assets.ingestion.segments.rollup import RolledUp, RollUp
from gata_assets.ingestion.upkeep.rounds import Failed, Upkeep
from gata_assets.ingestion.webhooks.delivered import delivered_events
from gata_assets.ingestion.webhooks.source_store import WebhookStore
from gata_assets.interactions.datasets import DatasetKind
from gata_assets.storage.finished import DatasetFolder, DatasetUse
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.tickets.training_files import DATASETS, GENERAL_DATASET, batches_folder
from gata_assets_tests.ingestion.kafka.relay.worlds import RelayWorld, topic_of, write_dataset
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.erasures import PRIVACY_KEYS
from gata_assets_tests.support.event_worlds import OTHER, PARTITION, START, event, segment_of
from gata_assets_tests.support.http_service import RunningService
from gata_assets_tests.support.iam_calls import Call, Right, calls_of, rights_of
from gata_assets_tests.support.iam_cloud import REGION, Cloud
from gata_assets_tests.support.raw_worlds import encode, interaction, item
from gata_assets_tests.support.signed_webhooks import VARIABLES, registered, send
from gata_assets_tests.support.topics import decoder_of, judge_of

pytestmark = pytest.mark.server

DEPLOY = Path(__file__).parents[2] / "deploy"
TENANT = "acme"
FEATURES = DatasetKind.FEATURES.batches_folder(TenantLayout(TENANT))
TRAINING = DatasetKind.TRAINING_DATA.batches_folder(TenantLayout(TENANT))
ROLES = {
    "service": ("ingestion-service", "ingestion-service-tenant"),
    "rollup": ("ingestion", "ingestion-tenant"),
    "consumer": ("ingestion-consumer",),
    "relay": ("ingestion-relay", "ingestion-relay-tenant"),
    "keys": ("ingestion-keys",),
    "webhooks": ("ingestion-webhooks",),
}
# Looked for only where another process removes it between two calls.
IN_RACES = (
    "ingestion/requests/*",
    "ingestion/webhook-events/*",
    f"{TENANT}/staged/*",
)
# Looked for by a roll-up where nothing was ever produced.
WHERE_NOTHING_IS_PRODUCED = "ingestion/kafka/*"


def policies_of(role: str, bucket: str) -> list[str]:
    values = {"bucket": bucket, "tenant": TENANT, "region": REGION, "account": "123456789012", "key": "a-key"}
    return [
        re.sub(r"<([A-Z]+)>", lambda found: values[found[1].lower()], (DEPLOY / f"iam-policy-{name}.json").read_text())
        for name in ROLES[role]
    ]


def old_service(store: ObjectStore, secret: str) -> None:
    """Everything that a service does, some hours ago."""
    at = datetime.now(UTC) - timedelta(days=8)
    with RunningService(store, clock=lambda: at, secret=secret, webhook_secrets=VARIABLES) as service:
        # A look at the target that takes long counts as none; it is looked at again.
        until = monotonic() + 60
        while not service.ask("GET", "/health").json["s3_connected"]:
            assert monotonic() < until, "the target is not seen"
        assert service.upload(encode([item()], "csv"), query="data_type=items").status == 200
        again = {"Idempotency-Key": "a"}
        for _ in range(2):
            assert service.post("/internal/data/interactions", [interaction()], again).status == 200
        # One row is valid, and one is none.
        rows = encode([interaction(), interaction(user_id="")], "csv")
        assert service.upload(rows).json["rows_rejected"] == 1
        assert service.post("/v1/events?table=interactions", interaction()).status == 202
        assert b'data_validity_percent{data_type="items",tenant_id="acme"} 100.0' in service.ask("GET", "/metrics").body
        for _ in range(2):
            assert send(service, interaction(), at=at).status == 202
        assert service.post("/api/validation/validate", {"data_type": "items", "sample_data": [item()]}).status == 200
        erasure = {"subjects": ["nobody"], "request": "letter-1"}
        assert service.post("/v1/privacy/erasures", erasure).status == 202
        assert service.ask("GET", "/v1/privacy/erasures/letter-1").json["people"] == 1
    requests = IdempotentRequests(store, lambda: at)
    for records in (requests, delivered_events(store, lambda: at)):
        started = records.begin(TENANT, "POST /v1/events", "b", "f" * 64)
        assert isinstance(started, Started)
        records.forget(started)
    # A writer that slept looks at its cursor, and one that finds its key taken at what is there.
    seconds = 0.0
    one, other = Chain(store, OTHER, clock=lambda: seconds), Chain(store, OTHER)
    assert (one.end(), other.end()) == (0, 0)
    assert one.append(segment_of([event(1)], stream=OTHER)).is_own
    assert not other.append(segment_of([event(2)], stream=OTHER)).is_own
    seconds = 4_000.0
    one.end()


def relay(store: ObjectStore, broker: Broker) -> None:
    """Everything that `gata publish` does with what that service left, and with datasets that are finished."""
    own = (
        DatasetFolder(FEATURES, DatasetUse.FEATURES, TENANT),
        DatasetFolder(TRAINING, DatasetUse.TRAINING, TENANT),
    )
    tickets = (DatasetFolder(batches_folder(dataset), DatasetUse.TRAINING, None) for dataset in DATASETS)
    world = RelayWorld(store, broker, datasets=(*own, *tickets))
    world.create_topics()
    assert [*find_tenants(store)] == [TENANT]
    # Of a new process, twice: it goes on where the first was.
    for _ in range(2):
        assert world.relay(since=datetime.now(UTC) - timedelta(days=30)).run_once()
    assert len(world.read(topic_of(world.topics, "interactions"), 3)) >= 3
    assert len(world.read(world.topics.features, 1)) == 1
    assert len(world.read(world.topics.training, 2)) == 2


def build_datasets(store: ObjectStore) -> None:
    """What runs of Dagster finished."""
    for folder in (FEATURES, TRAINING, batches_folder(GENERAL_DATASET)):
        write_dataset(store, f"{folder}2026010100/", {"batch_id": "2026010100"})


def roll_up(store: ObjectStore) -> None:
    """What whoever rolls up does."""
    rounds(store)
    replay(store)


def from_now(later: timedelta) -> datetime:
    """A clock that is fast."""
    return datetime.now(UTC) + later


def rounds(store: ObjectStore) -> None:
    """Everything that upkeep does with what that service left, and what was produced."""
    noted: list[RolledUp | Failed] = []
    for later in (0, 4):
        clock = partial(from_now, timedelta(hours=later))
        upkeep = Upkeep(store, clock, RollUp(store, clock, kept_from=kept_from))
        assert upkeep.find_due()
        done = upkeep.run(noted.append)
        assert not done.failed, done.failed
    assert any(isinstance(one, RolledUp) and one.deleted for one in noted)


def consumer(store: ObjectStore) -> None:
    """What a consumer does with its chain, and with what it rejects."""
    assert target_id(store)
    first, second = Chain(store, PARTITION), Chain(store, PARTITION)
    assert (first.end(), second.end()) == (0, 0)
    source = {"source": PARTITION}
    assert first.append(segment_of([event(1, **source)], stream=PARTITION)).is_own
    assert not second.append(segment_of([event(2, **source)], stream=PARTITION)).is_own
    no_event = RejectedMessage(1, "no_tenant", TENANT.encode(), json.dumps(interaction()).encode(), (), START)
    assert first.append(Segment(PARTITION, 1, 2, (), (no_event,))).is_own
    assert [*find_rejected(store, PARTITION)] == [no_event]


def consumer_later(store: ObjectStore) -> None:
    """What a consumer does after the roll-up, where another ended before it made copies of what it rejected."""
    assert len([*find_rejected(store, PARTITION)]) == 1


def replay(store: ObjectStore) -> None:
    """What `gata quarantine messages --replay` does."""
    _, topic, _ = PARTITION.split("/")
    assert target_id(store)
    again = Replay(store, judge_of({topic: "interactions"}), decoder_of())
    # The second finds what the first has taken.
    found = [replayed for _ in range(2) for stream in quarantined_streams(store) for replayed in again.run(stream)]
    assert [len(replayed.files) for replayed in found] == [1, 0]
    assert [*waiting_in_quarantine(store, PARTITION)] == []


def make_keys(store: ObjectStore) -> str:
    """What `gata keys` does."""
    keys = KeyStore(store, lambda: datetime.now(UTC) - timedelta(days=3))
    secret, _ = keys.create(TENANT, ("ingest", "validate", "privacy"))
    _, other = keys.create(TENANT, ("read",))
    keys.revoke(other.prefix)
    assert len(keys.list()) == 2
    return secret


def hold_somebody(store: ObjectStore) -> None:
    """What `gata retention hold add` does."""
    Holds(store, PRIVACY_KEYS.every_digest).add(TENANT, "somebody", "litigation", datetime.now(UTC))


def register_webhooks(store: ObjectStore) -> None:
    """What `gata webhooks` does; the source `shop` is left."""
    registered(store)
    sources = WebhookStore(store, lambda: datetime.now(UTC))
    [shop] = sources.list()
    other = replace(shop, name="other")
    sources.add(other)
    sources.add(replace(other, secrets=(*shop.secrets, "WEBHOOK_SECRET_NEW")), replaces=True)
    sources.remove("other")
    assert sources.list() == [shop]


@pytest.fixture
def called(bucket: str, noida_broker: Broker) -> dict[str, set[Call]]:
    """The calls of each part, one after another over the same bucket."""
    store = S3StoreResource(bucket=bucket, s3=S3Resource())
    found: dict[str, set[Call]] = {}
    secret = ""

    def record(role: str, work: Callable[[], Any]) -> Any:
        with calls_of(store) as found[role]:
            return work()

    secret = record("keys", lambda: make_keys(store))
    record("webhooks", lambda: register_webhooks(store))
    hold_somebody(store)
    record("service", lambda: old_service(store, secret))
    record("consumer", lambda: consumer(store))
    build_datasets(store)
    record("relay", lambda: relay(store, noida_broker))
    record("rollup", lambda: roll_up(store))
    with calls_of(store) as later:
        consumer_later(store)
    found["consumer"] |= later
    return found


def test_every_call_has_its_right_and_every_right_its_call(called: dict[str, set[Call]], bucket: str) -> None:
    for role, calls in called.items():
        rights = [right for policy in policies_of(role, bucket) for right in rights_of(policy)]
        refused = {call for call in calls if not any(right.allows(call, bucket) for right in rights)}
        assert not refused, f"the role of {role} may not do what it does"
        unused = [right for right in rights if not any(right.allows(call, bucket) for call in calls)]
        assert [right for right in unused if not is_known_as_unused(right)] == [], f"{role} may do too much"


def is_known_as_unused(right: Right) -> bool:
    """What is sent in parts is larger than any file here."""
    if right.prefix in (*IN_RACES, WHERE_NOTHING_IS_PRODUCED):
        return True
    return right.action == "s3:AbortMultipartUpload"


def test_no_role_may_do_what_is_another_ones(bucket: str) -> None:
    raw, segment = f"{TENANT}/raw/interactions/x.jsonl", segment_key(OTHER, 0)
    refused = {
        "service": [
            ("s3:PutObject", "ingestion/keys/x.json"),
            ("s3:PutObject", "ingestion/webhooks/x.json"),
            ("s3:PutObject", cursor_key(OTHER)),
            ("s3:PutObject", segment_key(PARTITION, 0)),
            ("s3:DeleteObject", segment),
            ("s3:DeleteObject", raw),
            ("s3:PutObject", f"{TENANT}/events/interactions/x.parquet"),
            ("s3:PutObject", f"{TENANT}/training_data/x"),
            ("s3:DeleteObject", f"{TENANT}/privacy/tombstones/x.json"),
            ("s3:PutObject", f"governance/holds/{TENANT}/all.json"),
            ("s3:GetObject", "globex/raw/items/x.csv"),
        ],
        "rollup": [
            ("s3:GetObject", "ingestion/keys/x.json"),
            ("s3:PutObject", segment),
            ("s3:PutObject", "ingestion/requests/acme/x.json"),
            ("s3:DeleteObject", cursor_key(OTHER)),
            ("s3:DeleteObject", raw),
            ("s3:PutObject", "globex/raw/items/x.csv"),
            ("s3:GetObject", raw),
        ],
        "consumer": [
            ("s3:GetObject", "ingestion/keys/x.json"),
            ("s3:PutObject", segment),
            ("s3:DeleteObject", segment_key(PARTITION, 0)),
            ("s3:PutObject", raw),
            ("s3:PutObject", "ingestion/kafka/relay/since.json"),
            ("s3:PutObject", "ingestion/quarantine/x.parquet"),
        ],
        "relay": [
            ("s3:GetObject", "ingestion/keys/x.json"),
            ("s3:GetObject", raw),
            ("s3:GetObject", "training/gata-general/x/train/data.json"),
            ("s3:GetObject", f"{TENANT}/features/x/users.parquet"),
            ("s3:PutObject", segment),
            ("s3:DeleteObject", "ingestion/kafka/relay/since.json"),
            ("s3:PutObject", f"{TENANT}/reports/interactions/x.json"),
        ],
        "keys": [("s3:DeleteObject", "ingestion/keys/x.json"), ("s3:GetObject", raw), ("s3:GetObject", segment)],
        "webhooks": [
            ("s3:GetObject", "ingestion/keys/x.json"),
            ("s3:PutObject", "ingestion/keys/x.json"),
            ("s3:GetObject", "ingestion/webhook-events/acme/x.json"),
            ("s3:DeleteObject", "ingestion/webhook-events/acme/x.json"),
            ("s3:GetObject", raw),
            ("s3:GetObject", segment),
        ],
    }
    for role, calls in refused.items():
        rights = [right for policy in policies_of(role, bucket) for right in rights_of(policy)]
        allowed = [call for call in calls if any(right.allows(Call(*call), bucket) for right in rights)]
        assert allowed == [], role


def test_the_key_is_used_through_s3_alone_and_nothing_is_about_everything() -> None:
    for path in sorted(DEPLOY.glob("iam-policy-ingestion*.json")):
        text = path.read_text()
        assert ("kms:" in text) == (not path.stem.endswith("-tenant")), "tenants' policies come on top of another"
        assert text.count("kms:ViaService") == text.count("kms:Decrypt")
        assert '"*"' not in text and "s3:*" not in text


def test_the_roles_do_their_work_and_are_refused_the_rest(cloud: Cloud, noida_broker: Broker) -> None:
    """As above by a server that evaluates policies itself."""
    secret = make_keys(cloud.store_of(*policies_of("keys", cloud.bucket)))
    anything = [f"arn:aws:s3:::{cloud.bucket}", f"arn:aws:s3:::{cloud.bucket}/*"]
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": anything}
    anybody = cloud.store_of(json.dumps({"Version": "2012-10-17", "Statement": [everything]}))
    register_webhooks(cloud.store_of(*policies_of("webhooks", cloud.bucket)))
    hold_somebody(anybody)
    service = cloud.store_of(*policies_of("service", cloud.bucket))
    old_service(service, secret)
    consumer(cloud.store_of(*policies_of("consumer", cloud.bucket)))
    build_datasets(anybody)
    relay(cloud.store_of(*policies_of("relay", cloud.bucket)), noida_broker)
    rollup = cloud.store_of(*policies_of("rollup", cloud.bucket))
    roll_up(rollup)
    consumer_later(cloud.store_of(*policies_of("consumer", cloud.bucket)))
    with pytest.raises(StoreError, match="the role needs s3:PutObject"):
        make_keys(service)
    with pytest.raises(StoreError, match="the role needs s3:PutObject"):
        registered(service)


def test_what_is_not_there_is_not_there_for_a_role_that_may_list_and_not_read(cloud: Cloud) -> None:
    """As S3 answers to one that may list some prefixes only."""
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{cloud.bucket}"}
    lister = cloud.store_of(json.dumps({"Version": "2012-10-17", "Statement": [listing]}))
    cloud.put("there")
    for store, key, error, said in (
        (lister, "absent", ObjectNotFoundError, "There is no"),
        (lister, "there", StoreError, "the role needs s3:GetObject"),
        (cloud.store_of(), "absent", StoreError, "the role needs s3:GetObject"),
    ):
        with pytest.raises(error, match=said):
            store.read(key)
        with pytest.raises(error, match=said), store.local_copy(key):
            pass
