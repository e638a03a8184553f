"""What MLflow is told of a dataset. Nothing is faked: values in, values out."""

from __future__ import annotations

import json

from gata_assets.orchestration.tracking.record import MOST_METRICS, dataset_record
from gata_assets.storage.finished import DatasetUse
from gata_assets.tables.manifests import FileEntry, Manifest

TRAIN, TEST = FileEntry(90, 900, "a" * 64), FileEntry(10, 100, "b" * 64)
GENERAL = Manifest(
    "gata-general",
    {"train/data.json": TRAIN, "test/data.json": TEST},
    {"text": "string", "label": "integer"},
    {"TEST_SHARE": 0.1, "SPLIT_METHOD": "by-text", "MAX_TICKET_BYTES": None},
    {"tickets": "c" * 64},
    "1.2+abc",
    {
        "batch_id": "2026010203",
        "is_made": True,
        "labels": {"7": {"train": 60, "test": 6}, "9": {"train": 30, "test": 4}},
        "windows": {"training": {"start": 1, "end": 2}},
        "tickets": {"in_window": 110, "excluded": {"routed_by_api": 10}},
        "near_duplicates": {"share": 0.1, "by_label": {"7": 1}},
    },
)
FEATURES = Manifest(
    "features",
    {
        "user_features/part-00000-0123456789abcdef.parquet": FileEntry(3, 30, "d" * 64),
        "user_features/part-00001-0123456789abcdef.parquet": FileEntry(4, 40, "e" * 64),
        "item_features/part-00000-0123456789abcdef.parquet": FileEntry(2, 20, "f" * 64),
    },
    {
        "user_features": {"user_id": "String", "seen_at": "Datetime(time_unit='us', time_zone='UTC')"},
        "item_features": {"price": "Float64", "tags": "List(String)", "odd": "Struct({'a': Int64})", "n": "UInt32"},
    },
    details={"batch_id": "2026010203", "numbers": {"user_features": {"row_count": 7}}},
)


def test_a_record_has_the_counts_the_labels_and_where_the_manifest_is() -> None:
    uri = "s3://bucket/training/gata-general/2026010203/manifest.json"
    record = dataset_record(GENERAL, uri, DatasetUse.TRAINING, None)

    assert (record.name, record.run_name, record.context) == ("gata-general", "gata-general 2026010203", "training")
    assert (record.source_type, json.loads(record.source)) == ("s3", {"uri": uri})
    profile = json.loads(record.profile)
    assert (profile["num_rows"], profile["bytes"]) == (100, 1000)
    assert profile["tables"] == {
        "train": {"files": 1, "rows": 90, "bytes": 900},
        "test": {"files": 1, "rows": 10, "bytes": 100},
    }
    assert profile["labels"] == GENERAL.details["labels"]
    assert profile["windows"] == GENERAL.details["windows"]
    assert record.metrics == {
        "rows": 100,
        "bytes": 1000,
        "rows/train": 90,
        "rows/test": 10,
        "labels": 2,
        "tickets/in_window": 110,
        "tickets/excluded/routed_by_api": 10,
        "near_duplicates/share": 0.1,
    }
    assert record.params == {"TEST_SHARE": "0.1", "SPLIT_METHOD": "by-text", "MAX_TICKET_BYTES": "null"}
    assert json.loads(record.schema)["mlflow_colspec"] == [
        {"type": "string", "name": "text", "required": True},
        {"type": "long", "name": "label", "required": True},
    ]


def test_the_digest_is_cut_and_whole_in_a_tag() -> None:
    record = dataset_record(GENERAL, "/data/manifest.json", DatasetUse.TRAINING, None)
    assert record.digest == GENERAL.digest[:36]
    assert record.tags == {
        "gata.digest": GENERAL.digest,
        "gata.manifest_uri": "/data/manifest.json",
        "gata.dataset": "gata-general",
        "gata.batch_id": "2026010203",
        "gata.code_version": "1.2+abc",
    }


def test_tables_of_a_tenant_are_columns_by_their_names() -> None:
    record = dataset_record(FEATURES, "/data/manifest.json", DatasetUse.FEATURES, "acme")
    assert (record.name, record.context, record.source_type) == ("acme/features", "features", "local")
    assert record.tags["gata.tenant"] == "acme"
    assert record.metrics["rows/user_features"] == 7
    assert record.metrics["numbers/user_features/row_count"] == 7
    assert json.loads(record.profile)["tables"]["user_features"] == {"files": 2, "rows": 7, "bytes": 70}
    found = {column["name"]: column["type"] for column in json.loads(record.schema)["mlflow_colspec"]}
    assert found == {
        "user_features.user_id": "string",
        "user_features.seen_at": "datetime",
        "item_features.price": "double",
        "item_features.tags": "array",
        "item_features.odd": "any",
        "item_features.n": "long",
    }


def test_what_mlflow_limits_is_cut() -> None:
    settings = {f"S{number:03}": "x" * 501 if number == 0 else "y" * 500 for number in range(150)}
    numbers = {f"n{number}!": number for number in range(1000)}
    manifest = Manifest("gata-general", settings=settings, details={"numbers": numbers})
    record = dataset_record(manifest, "/data/manifest.json", DatasetUse.TRAINING, None)
    assert len(record.params) == 100
    assert record.params["S000"] == "x" * 499 + "…"
    assert record.params["S001"] == "y" * 500
    assert len(record.metrics) == MOST_METRICS
    assert record.metrics["numbers/n7_"] == 7
