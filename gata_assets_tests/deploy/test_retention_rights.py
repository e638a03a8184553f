"""deploy/iam-policy-retention.json: what whoever deletes old data may do, and what not.

Real: a deletion over S3 (moto over HTTP, which evaluates policies) with that role alone.
"""

from __future__ import annotations

import json

import pytest

from gata_assets.errors import DeleteDeniedError, StoreError
from gata_assets.governance.retention.applying import Retention
from gata_assets.governance.retention.scopes import OF_NO_TENANT, Scope
from gata_assets.orchestration.pipelines import BatchPlaces
from gata_assets.tables.manifests import MANIFEST_FILE
from gata_assets_tests.deploy.test_deploy import task_policy
from gata_assets_tests.governance.retention.worlds import (
    EVENTS,
    NOW,
    PLACES,
    RULES,
    File,
    World,
    expected_left,
    put,
    scope_of,
)
from gata_assets_tests.support.iam_cloud import Cloud

pytestmark = pytest.mark.server

EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
)
WORLD = World(
    files=(File(150, frozenset({150, 151})), File(1, frozenset({1})), File(200, frozenset({200}), outcome="refused")),
    curated=frozenset({1, 150, 151}),
    leftovers=1,
)
TRAINING = "training/gata-general/2024010203/"


class _Tickets:
    """A batch of tickets."""

    name = "tickets"

    def stored_batch_ids(self) -> list[str]:
        return ["2024010203"]

    def places(self, batch_id: str) -> BatchPlaces:
        return BatchPlaces({"gata-general": TRAINING}, ["intermediate/tickets/2024010203.parquet"])


def test_the_role_deletes_what_is_old_and_needs_no_other_right(cloud: Cloud) -> None:
    keys = put(cloud.store_of(EVERYTHING), WORLD)
    tickets = {TRAINING + MANIFEST_FILE, TRAINING + "train/data.json", "intermediate/tickets/2024010203.parquet"}
    cloud.put(*tickets)
    store = cloud.store_of(task_policy(cloud, "iam-policy-retention.json"))
    retention = Retention(store, RULES, NOW)
    for scope in (scope_of(store), Scope(OF_NO_TENANT, batches=[_Tickets()])):
        done = list(retention.apply(scope, retention.plan(scope)))
        assert [one.error for one in done if one.error] == []
    assert cloud.keys() - {PLACES.retired(EVENTS)} == expected_left(WORLD, keys)


def test_the_role_reads_no_rows_ends_no_hold_and_touches_nothing_else(cloud: Cloud) -> None:
    rows = (
        "acme/raw/events/2026-01-01/a.csv",
        "acme/staged/events/a.arrows",
        "training/gata-general/B/train/data.json",
    )
    others = (
        "governance/holds/acme/all.json",
        "acme/mappings/events/m.json",
        "globex/raw/events/a.csv",
        "ingestion/keys/a",
    )
    cloud.put(*rows, *others)
    store = cloud.store_of(task_policy(cloud, "iam-policy-retention.json"))
    for key in rows:
        with pytest.raises(StoreError):
            store.read(key)
    for key in others:
        with pytest.raises(DeleteDeniedError):
            store.delete(key)
