"""The walk over a target: every object once, with what names it. Real: a directory and S3 over HTTP on loopback."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from gata_assets.errors import DamagedTableError, ManifestVersionError, StoreError
from gata_assets.governance.trust.names import Name, Role, is_manifest, is_raw, is_report
from gata_assets.governance.trust.walk import walk
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.datasets import DatasetWrite
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.tables.manifests import FileEntry, Manifest, withdrawn
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.raw_worlds import NOW, curator_of, interaction, send

FOLDER = "acme/features/2026010203/"


def publish(store: ObjectStore, *contents: bytes, folder: str = FOLDER) -> dict[str, FileEntry]:
    """Write a dataset of these files, and return them by their keys."""
    with DatasetWrite(store, folder) as write:
        files = dict(write.write(f"table/part-{number:05}.bin", content, 1) for number, content in enumerate(contents))
        write.publish(Manifest("features", files))
    return {folder + name: entry for name, entry in files.items()}


def test_every_object_is_found_once_in_order_with_what_names_it(any_store: ObjectStore, tmp_path: Path) -> None:
    files = publish(any_store, b"one", b"two")
    report = send(curator_of(any_store, now=NOW), [interaction(), interaction(user_id=None)], tmp_path / "sent")
    any_store.write("acme/mappings/interactions/a.json", b"{}")
    (missing, *_) = files
    any_store.delete(missing)
    found = list(walk(any_store))
    listed = dict(any_store.list_versions(""))
    assert [one.key for one in found] == sorted({*listed, *files})
    by_key = {one.key: one for one in found}
    assert {key: one.version for key, one in by_key.items()} == {**listed, missing: ABSENT}
    version = any_store.version(f"{FOLDER}manifest.json")
    for key, entry in files.items():
        said = Name(key, Role.FILE, entry.sha256, entry.bytes, 1, by=f"{FOLDER}manifest.json", by_version=version)
        assert by_key[key].names == (said,)
        assert by_key[key].sha256 == entry.sha256
    raw = by_key[report.raw_key]
    assert [(name.role, name.version) for name in raw.names] == [(Role.RAW, report.raw_version)]
    assert raw.sha256 == sha256(any_store.read(report.raw_key)).hexdigest()
    assert report.quarantine
    for key in (report.parts[0].key, report.quarantine.key):
        assert [name.role for name in by_key[key].names] == [Role.PART]
    assert by_key[report.parts[0].key].names[0].spans == report.parts[0].spans
    assert {key for key, one in by_key.items() if one.is_namer} == {
        f"{FOLDER}manifest.json",
        curator_of(any_store).places.report(INTERACTIONS, report.file_id),
    }


def test_a_manifest_that_is_damaged_or_of_a_later_release_is_a_fault_of_its_own() -> None:
    store = MemoryStore()
    store.write("a/manifest.json", b'{"manifest_version": 2')
    store.write("b/manifest.json", b'{"manifest_version": 3, "files": {}}')
    store.write("c/manifest.json", withdrawn("features"))
    store.write("t/reports/items/x.json", b"{}")
    faults = {one.key: type(one.fault) for one in walk(store) if one.fault}
    assert faults == {
        "a/manifest.json": DamagedTableError,
        "b/manifest.json": ManifestVersionError,
        "t/reports/items/x.json": DamagedTableError,
    }


def test_names_that_are_not_utf_8_are_walked_too(tmp_path: Path) -> None:
    folder = tmp_path / "acme/raw/items"
    folder.mkdir(parents=True)
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.csv"))).write_bytes(b"item_id\n")
    [found] = walk(LocalStore(str(tmp_path)))
    assert os.fsencode(found.key) == b"acme/raw/items/\xff.csv"


def test_objects_are_known_by_their_form_and_not_by_a_tenants_name() -> None:
    assert is_manifest("raw/curated/items/manifest.json")
    assert not is_manifest("acme/raw/items/manifest.json")
    assert not is_manifest("shop/raw/s/items-raw/manifest.json")
    assert is_report("reports/reports/items/f-0.json")
    assert is_report("shop/curated/raw/reports/items/f-0.json")
    assert not is_report("acme/reports/_contents/items/0.json")
    assert not is_report("acme/raw/reports/items/f.json")
    assert not is_report("reports/mappings/items/a.json")
    assert is_raw("acme/raw/items/a.csv")
    assert not is_raw("raw/curated/items/items.parquet")


def test_a_target_that_fails_ends_the_walk() -> None:
    store = MemoryStore()
    publish(store, b"one", b"two")
    calls = FailingStore(store, 1_000)
    assert len(list(walk(calls))) == 3
    for call in range(1, calls.calls + 1):
        with pytest.raises(StoreError, match="away"):
            list(walk(FailingStore(store, call)))
