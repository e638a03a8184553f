"""Manifests as bytes: of this release, of the one before, and what is none. All real; the old ones are written out."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from gata_assets.errors import ManifestVersionError
from gata_assets.interactions.datasets import read_stored
from gata_assets.tables.manifests import (
    WITHDRAWN,
    FileEntry,
    Manifest,
    decode_manifest,
    notes_of,
    plain_name,
    withdrawn,
)

ENTRY = FileEntry(3, 7, "ab" * 32)
TOKENS = ("0123456789abcdef", "fedcba9876543210")

# As the release before wrote them, but for fields that nobody reads.
OLD_TRAINING: dict[str, Any] = {
    "manifest_version": 1,
    "dataset": "gata-general",
    "batch_id": "2026010203",
    "is_made": True,
    "reason": "",
    "windows": {},
    "files": {
        "train": {
            "key": "training/gata-general/2026010203/train/data.json",
            "rows": 3,
            "bytes": 7,
            "sha256": "ab" * 32,
        },
        "test": {"key": "training/gata-general/2026010203/test/data.json", "rows": 3, "bytes": 7, "sha256": "ab" * 32},
    },
    "labels": {},
    "settings": {"SPLIT_SEED": 7},
    "made_from": {"label_counts": "cd" * 32},
    "code_version": "0.1.0",
}
OLD_FEATURES: dict[str, Any] = {
    "manifest_version": 1,
    "tables": "features",
    "tenant": "acme",
    "batch_id": "2026010203",
    "is_made": True,
    "reason": "",
    "windows": {},
    "files": {
        "user_features": [
            {
                "key": f"acme/features/2026010203/user_features/part-0000{n}.parquet",
                "rows": 3,
                "bytes": 7,
                "sha256": "ab" * 32,
            }
            for n in range(2)
        ]
    },
    "numbers": {},
    "settings": {"INTERACTION_PERIOD": 90},
    "made_from": {"curated_items": "ef" * 32},
    "code_version": "0.1.0",
}
OLD_DAY: dict[str, Any] = {
    "is_whole": True,
    "window": ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"],
    "rows": 3,
    "duplicates": 1,
    "reason": None,
    "parts": [{"key": "acme/staged/interactions/a.arrows", "rows": 4}],
    "files": {"interactions.parquet": {"rows": 3, "size": 7, "sha256": "ab" * 32}},
}


def encoded(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest, indent=2).encode()


def test_a_manifest_is_read_back_without_what_its_writer_noted() -> None:
    manifest = Manifest(
        "features",
        {"t/part-00000.parquet": ENTRY},
        schema={"t": {"id": "str"}},
        settings={"A": 1},
        made_from={"x": "y"},
        code_version="1",
        details={"reason": "", "is_made": True, "windows": {}},
    )
    content = manifest.encode(write="token", unresolved={"a": ["b"]})
    assert decode_manifest(content) == manifest
    assert json.loads(content)["manifest_version"] == 2
    assert json.loads(content)["files"] == {"t/part-00000.parquet": {"rows": 3, "bytes": 7, "sha256": "ab" * 32}}
    assert notes_of(content)["unresolved"] == {"a": ["b"]}


def test_a_digest_is_of_the_content_whatever_the_files_are_called() -> None:
    one, other = (Manifest("k", {f"items-{token}.parquet": ENTRY}) for token in TOKENS)
    assert one.digest == other.digest == Manifest("k", {"items.parquet": ENTRY}).digest
    assert one.digest != Manifest("k", {"items.parquet": FileEntry(3, 7, "ba" * 32)}).digest
    assert one.digest != Manifest("k", {"items.parquet": ENTRY}, settings={"A": 1}).digest
    assert one.find("items.parquet") == (f"items-{TOKENS[0]}.parquet", ENTRY)
    assert one.find("users.parquet") is None


@pytest.mark.parametrize("name", ["part-00000.parquet", "a-0123.parquet", "data.json", "x/part-00000.parquet"])
def test_a_name_without_a_token_is_plain(name: str) -> None:
    stem, _, ending = name.rpartition(".")
    assert plain_name(name) == name == plain_name(f"{stem}-{TOKENS[0]}.{ending}")


def test_training_files_of_the_release_before_are_read() -> None:
    content = encoded(OLD_TRAINING)
    manifest = decode_manifest(content)
    assert manifest
    assert manifest.files == {"train/data.json": ENTRY, "test/data.json": ENTRY}
    assert (manifest.kind, manifest.digest) == ("gata-general", sha256(content).hexdigest())
    assert (manifest.made_from, manifest.settings) == ({"label_counts": "cd" * 32}, {"SPLIT_SEED": 7})


def test_features_of_the_release_before_are_read() -> None:
    content = encoded(OLD_FEATURES)
    manifest = decode_manifest(content)
    assert manifest
    folder = "acme/features/2026010203/"
    stored = read_stored(content)
    assert stored
    assert stored.keys(folder, "user_features") == [f"{folder}user_features/part-0000{n}.parquet" for n in range(2)]
    assert stored.has_rows
    assert stored.sha256 == sha256(content).hexdigest(), "as its training rows name it"
    assert stored.files == ("user_features/part-00000.parquet", "user_features/part-00001.parquet")


def test_a_day_of_the_release_before_is_read() -> None:
    manifest = decode_manifest(encoded(OLD_DAY))
    assert manifest
    assert manifest.find("interactions.parquet") == ("interactions.parquet", ENTRY)
    assert manifest.made_from == {"parts": OLD_DAY["parts"]}


@pytest.mark.parametrize(
    "content",
    [
        withdrawn("features"),
        encoded(OLD_FEATURES | {"reason": WITHDRAWN, "is_made": False, "files": {}}),
        encoded({"is_whole": False}),
        b"",
        b"[]",
        b"{}",
        b'{"files": null}',
        encoded(OLD_TRAINING | {"files": {"train": {}}}),
        Manifest("k").encode().replace(b'"kind"', b'"kin"'),
    ],
)
def test_what_is_withdrawn_or_damaged_is_no_dataset(content: bytes) -> None:
    assert decode_manifest(content) is None
    assert read_stored(content) is None


def test_a_manifest_of_a_later_release_is_refused_with_what_to_do() -> None:
    with pytest.raises(ManifestVersionError, match=r"manifest_version 3, .* Use that release; or .* rebuild it"):
        decode_manifest(b'{"manifest_version": 3, "kind": "k"}')
