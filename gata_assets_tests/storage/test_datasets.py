"""One write of a dataset: what is left when it fails, what readers find meanwhile, and what an old target becomes.

Real: both ways to write, a directory and S3 over HTTP on loopback, a process that is killed. Stood in for: stores that
may not delete, by `fakes`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gata_assets.errors import DamagedTableError, ManifestVersionError, ObjectNotFoundError
from gata_assets.storage.claims import FixedKeysWrite
from gata_assets.storage.datasets import DatasetWrite, find_manifest, read_files, withdraw
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.tables.manifests import MANIFEST_FILE, FileEntry, Manifest
from gata_assets_tests.storage.test_two_writers import (
    FOLDER,
    NAMES,
    NEW,
    OLD,
    fixed_files,
    read,
    write_fixed,
    write_named,
)
from gata_assets_tests.support.fakes import StoreWithoutDelete


def test_a_write_that_is_given_up_leaves_what_was_there(any_store: ObjectStore) -> None:
    write_named(any_store, OLD)
    before = list(any_store.list_keys(""))
    with pytest.raises(RuntimeError):
        give_up(any_store)
    assert list(any_store.list_keys("")) == before
    assert read(any_store) == OLD


def give_up(store: ObjectStore) -> None:
    with DatasetWrite(store, FOLDER) as write:
        write.write(NAMES[0], b"new", 1)
        raise RuntimeError


def test_files_of_a_killed_writer_go_with_the_next_write(any_store: ObjectStore) -> None:
    write_named(any_store, OLD)
    DatasetWrite(any_store, FOLDER).write(NAMES[0], b"killed", 1)
    assert len(list(any_store.list_keys(FOLDER))) == 4
    write_named(any_store, NEW)
    assert read(any_store) == NEW
    assert len(list(any_store.list_keys(FOLDER))) == 3


def test_files_of_a_write_that_began_later_are_never_deleted(any_store: ObjectStore) -> None:
    first = DatasetWrite(any_store, FOLDER)
    first.publish(Manifest("test", dict([first.write(NAMES[0], b"first", 1)])))
    second = DatasetWrite(any_store, FOLDER)
    third = DatasetWrite(any_store, FOLDER)
    name, entry = third.write(NAMES[0], b"third", 1)
    second.publish(Manifest("test", dict([second.write(NAMES[0], b"second", 1)])))
    assert any_store.exists(FOLDER + name), "it was not there when the second began"
    fourth = DatasetWrite(any_store, FOLDER)
    fourth.publish(Manifest("test", {name: entry}))
    assert any_store.read(FOLDER + name) == b"third", "what the own manifest lists stays"


def test_without_the_right_to_delete_files_are_left_and_counted(tmp_path: Path) -> None:
    store = StoreWithoutDelete(directory=str(tmp_path))
    write_named(store, OLD)
    with DatasetWrite(store, FOLDER) as write:
        published = write.publish(Manifest("test", dict([write.write(NAMES[0], b"x", 1)])))
    assert published.files_left == 2
    assert read(store) == {NAMES[0]: b"x"}


def test_a_reader_whose_files_were_replaced_reads_the_others(any_store: ObjectStore) -> None:
    write_named(any_store, OLD)
    manifest = find_manifest(any_store, FOLDER).manifest
    assert manifest
    write_named(any_store, NEW)
    assert [content for _, content in read_files(any_store, FOLDER, NAMES, manifest)] == [NEW[name] for name in NAMES]


def test_a_file_that_is_gone_and_that_the_manifest_still_lists_is_an_error(any_store: ObjectStore) -> None:
    write_fixed(any_store, OLD)
    manifest = find_manifest(any_store, FOLDER).manifest
    assert manifest
    any_store.delete(FOLDER + NAMES[1])
    with pytest.raises(ObjectNotFoundError, match=NAMES[1]):
        read_files(any_store, FOLDER, NAMES, manifest)
    any_store.write(FOLDER + NAMES[1], b"something else")
    with pytest.raises(DamagedTableError, match="is not what its manifest says") as caught:
        read_files(any_store, FOLDER, NAMES, manifest)
    assert caught.value.key == FOLDER + NAMES[1]


def test_only_the_write_that_a_damaged_file_is_of_is_withdrawn(any_store: ObjectStore) -> None:
    write_named(any_store, OLD)
    old = find_manifest(any_store, FOLDER).manifest
    assert old
    [name, _] = old.files
    write_named(any_store, NEW)
    assert not withdraw(any_store, FOLDER, name)
    assert read(any_store) == NEW
    new = find_manifest(any_store, FOLDER).manifest
    assert new
    assert withdraw(any_store, FOLDER, next(iter(new.files)))
    assert read(any_store) is None
    assert not withdraw(any_store, FOLDER, next(iter(new.files)))
    write_named(any_store, OLD)
    assert read(any_store) == OLD


def test_a_write_that_is_published_while_another_is_withdrawn_stays(tmp_path: Path) -> None:
    store = StoreThatIsOvertaken(str(tmp_path))
    write_named(store, OLD)
    [name, _] = find_manifest(store, FOLDER).manifest.files  # type: ignore[union-attr]
    store.is_overtaken = True
    assert not withdraw(store, FOLDER, name)
    assert read(store) == NEW


class StoreThatIsOvertaken(LocalStore):
    """A store in which another writer publishes just before a write."""

    is_overtaken = False

    def write(self, key: str, content: bytes, **conditions: Any) -> Version:
        """Write after the other."""
        if self.is_overtaken:
            write_named(LocalStore(self.directory), NEW)
        return super().write(key, content, **conditions)


def test_the_same_training_files_are_the_same_bytes_again(any_store: ObjectStore) -> None:
    write_fixed(any_store, NEW)
    before = {key: any_store.read(key) for key in any_store.list_keys("")}
    write_fixed(any_store, NEW)
    assert {key: any_store.read(key) for key in any_store.list_keys("")} == before


@pytest.mark.parametrize("write", [write_named, write_fixed])
def test_what_a_later_release_wrote_is_not_overwritten(write: object, any_store: ObjectStore) -> None:
    later = json.dumps({"manifest_version": 3, "kind": "test"}).encode()
    any_store.write(FOLDER + MANIFEST_FILE, later)
    with pytest.raises(ManifestVersionError, match=r"manifest\.json: it has manifest_version 3"):
        write(any_store, NEW)  # type: ignore[operator]
    assert {key: any_store.read(key) for key in any_store.list_keys("")} == {FOLDER + MANIFEST_FILE: later}


def test_training_files_of_the_release_before_are_written_over_and_of_one_writer(any_store: ObjectStore) -> None:
    entries = {
        name.partition("/")[0]: {"key": FOLDER + name, **vars(FileEntry.of(content, 1))}
        for name, content in OLD.items()
    }
    old = {"manifest_version": 1, "dataset": "test", "reason": "", "files": entries, "settings": {}, "made_from": {}}
    for name, content in OLD.items():
        any_store.write(FOLDER + name, content)
    any_store.write(FOLDER + MANIFEST_FILE, json.dumps(old | {"code_version": "0.1.0"}).encode())
    assert read(any_store) == OLD
    write_fixed(any_store, NEW)
    assert read(any_store) == NEW == fixed_files(any_store)


def test_while_files_are_replaced_the_manifest_says_so(any_store: ObjectStore) -> None:
    write_fixed(any_store, OLD)
    interrupted = FixedKeysWrite(any_store, FOLDER, NAMES)
    with pytest.raises(RuntimeError):
        interrupted.run(ContentsThatBreak(NEW), Manifest("test"))
    claimed = json.loads(any_store.read(FOLDER + MANIFEST_FILE))
    assert claimed["reason"].startswith("withdrawn")
    assert (claimed["is_made"], claimed["files"]) == (False, {})
    assert read(any_store) is None
    write_fixed(any_store, NEW)
    assert read(any_store) == NEW == fixed_files(any_store)


class ContentsThatBreak(dict[str, bytes]):
    """Contents of which the second cannot be had."""

    def items(self):  # type: ignore[no-untyped-def,override]
        """The first, and no more."""
        yield next(iter(super().items()))
        raise RuntimeError
