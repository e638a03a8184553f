"""The messages of events, rows and datasets. Pure; nothing is faked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gata_assets.ingestion.kafka.origin import Origin, origin_of
from gata_assets.ingestion.kafka.relay.messages import dataset_message, event_message, row_message
from gata_assets.interactions.tables import TABLES
from gata_assets.tables.manifests import FileEntry, Manifest
from gata_assets_tests.support.event_worlds import START, event

ORIGIN = Origin("0123456789abcdef", "http/00000000000000aa", 3)
INTERACTIONS, ITEMS = TABLES["interactions"], TABLES["items"]


@pytest.mark.parametrize(
    ("payload", "key", "value"),
    [
        (b'{"user_id": "u1", "rating": 4.50}', b"acme:u1", b'{"user_id":"u1","rating":4.50,"tenant_id":"acme"}'),
        (b'{"user_id": 17}', b"acme:17", b'{"user_id":17,"tenant_id":"acme"}'),
        (b'{"user_id": null, "tenant_id": "globex"}', b"acme", b'{"user_id":null,"tenant_id":"acme"}'),
        (b'{"a": {"b": [1, 2]}}', b"acme", b'{"a":{"b": [1, 2]},"tenant_id":"acme"}'),
        ('{"user_id": "\u00fc"}'.encode(), "acme:\u00fc".encode(), '{"user_id":"\u00fc","tenant_id":"acme"}'.encode()),
    ],
)
def test_an_events_message_has_its_values_as_they_came_and_its_tenant(payload: bytes, key: bytes, value: bytes) -> None:
    found = event_message("t", INTERACTIONS, ORIGIN, replace(event(1), payload=payload).at(3))

    assert found
    assert (found.topic, found.key, found.value) == ("t", key, value)
    assert origin_of([*found.headers]) == ORIGIN
    assert dict(found.headers)["gata-source"] == b"http"


@pytest.mark.parametrize("payload", [b"", b"[1]", b'"text"', b'{"a": ', b"\xff\xfe", b'{"a": "\xff"}'])
def test_what_is_no_object_of_json_has_no_message(payload: bytes) -> None:
    assert event_message("t", INTERACTIONS, ORIGIN, replace(event(1), payload=payload).at(3)) is None


def test_a_rows_message_has_the_columns_of_raw_files_and_those_within_others_in_an_object() -> None:
    row = {"user_id": "u1", "item_id": "i1", "interaction_type": "view", "timestamp": START, "user_key": 7}
    row |= {"rating": None, "device_type": "tv", "location": None, "session_id": None}

    found = row_message("t", INTERACTIONS, "acme", ORIGIN, row)

    assert found.key == b"acme:u1"
    assert json.loads(found.value) == {
        "tenant_id": "acme",
        "user_id": "u1",
        "item_id": "i1",
        "interaction_type": "view",
        "timestamp": "2026-01-10T09:00:00Z",
        "rating": None,
        "context": {"device_type": "tv"},
    }


def test_a_row_of_items_is_keyed_by_its_item() -> None:
    assert row_message("t", ITEMS, "acme", ORIGIN, {"item_id": "i1"}).key == b"acme:i1"


def test_a_datasets_message_is_keyed_by_its_digest_and_counts_its_tables() -> None:
    entry = FileEntry(rows=3, bytes=10, sha256="a" * 64)
    files = {"users/0.parquet": entry, "users/1.parquet": entry, "items/0.parquet": entry}
    manifest = Manifest("features", files, {"users": {"user_id": "string"}}, details={"batch_id": "2026010100"})

    found = dataset_message("t", ORIGIN, manifest, "s3://b/manifest.json", "acme")
    value = json.loads(found.value)

    assert found.key == manifest.digest.encode()
    assert value["digest"] == manifest.digest
    assert (value["tenant_id"], value["dataset"], value["batch_id"]) == ("acme", "features", "2026010100")
    assert (value["manifest_uri"], value["rows"]) == ("s3://b/manifest.json", 9)
    assert value["tables"]["users"] == {"files": 2, "rows": 6, "bytes": 20}
    assert value["schema"] == {"users": {"user_id": "string"}}
