"""A local target that is removed, replaced or unmounted while a process uses it.

Real: directories, renames, processes. A rename stands for unmounting, which needs rights that tests lack: the path
names another directory from then on, or none.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from gata_assets.errors import ObjectNotFoundError, StoreError
from gata_assets.storage import same_directory
from gata_assets.storage.datasets import DatasetWrite
from gata_assets.storage.local import LocalStore
from gata_assets.storage.resource import LocalStoreResource

KEY = "acme/raw/items/a.csv"

CALLS: dict[str, Callable[[LocalStore], object]] = {
    "write": lambda store: store.write(KEY, b"x"),
    "write_file": lambda store: store.write_file(KEY, Path(__file__)),
    "read": lambda store: store.read(KEY),
    "read_part": lambda store: store.read_part(KEY, 0, 1),
    "list": lambda store: list(store.list_versions("acme/")),
    "list nothing": lambda store: list(store.list_keys("missing/")),
    "version": lambda store: store.version(KEY),
    "exists": lambda store: store.exists("acme/missing"),
    "delete": lambda store: store.delete(KEY),
    "delete nothing": lambda store: store.delete("acme/missing"),
    "local_copy": lambda store: store.local_copy(KEY).__enter__(),
    "open_read": lambda store: store.open_read(KEY).__enter__(),
    "open_write": lambda store: store.open_write(KEY),
    "move": lambda store: store.move(KEY, "acme/other"),
}
AWAY: dict[str, Callable[[Path], object]] = {
    "is gone": lambda target: None,
    "is another directory": lambda target: target.mkdir(),
}


def files_below(path: Path) -> list[Path]:
    return [found for found in path.rglob("*") if found.is_file()] if path.exists() else []


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("call", CALLS)
def test_no_call_takes_an_empty_place_for_the_target(tmp_path: Path, call: str, away: str) -> None:
    target = tmp_path / "target"
    LocalStore(str(target)).write(KEY, b"x")
    target.rename(tmp_path / "elsewhere")
    AWAY[away](target)
    # Each asset and each run has a store of its own.
    with pytest.raises(
        StoreError, match=f"The target directory {target} {away}: it was removed, replaced or unmounted"
    ):
        CALLS[call](LocalStoreResource(directory=str(target)))
    assert files_below(target) == [], "nothing was written beside the target"
    assert target.exists() == (away != "is gone")


def test_another_directory_with_the_same_keys_is_not_read(tmp_path: Path) -> None:
    target = tmp_path / "target"
    store = LocalStore(str(target))
    store.write(KEY, b"x")
    target.rename(tmp_path / "elsewhere")
    (target / KEY).parent.mkdir(parents=True)
    (target / KEY).write_bytes(b"of another mount")
    for call in CALLS.values():
        with pytest.raises(StoreError, match="is another directory"):
            call(store)


@pytest.mark.parametrize("away", AWAY)
def test_a_target_that_goes_while_an_object_is_opened_leaves_no_open_file(
    tmp_path: Path, away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    store = LocalStore(str(target))
    store.write(KEY, b"x")
    lock, opened = fcntl.flock, []

    def go_and_lock(file: BinaryIO | int, operation: int) -> None:
        if not isinstance(file, int):
            opened.append(file)
            target.rename(elsewhere)
            AWAY[away](target)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", go_and_lock)
    with pytest.raises(StoreError, match=f"{away}: it was removed, replaced or unmounted"):
        store.open_write("acme/raw/items/b.csv")
    [file] = opened
    assert file.closed


@pytest.mark.parametrize("round_", range(5))
def test_a_new_directory_is_another_even_where_inodes_are_used_again(tmp_path: Path, round_: int) -> None:
    target = tmp_path / "target"
    store = LocalStore(str(target))
    target.mkdir()
    assert list(store.list_keys("")) == []
    target.rmdir()
    target.mkdir()
    with pytest.raises(StoreError, match="is another directory"):
        list(store.list_keys(""))


def test_a_target_that_comes_back_is_used_again(tmp_path: Path) -> None:
    target = tmp_path / "target"
    store = LocalStore(str(target))
    store.write(KEY, b"x")
    target.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is gone"):
        store.read(KEY)
    (tmp_path / "elsewhere").rename(target)
    assert store.read(KEY) == b"x"


def test_a_target_that_is_missing_at_first_is_created_by_the_first_write(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "a" / "target"))
    assert list(store.list_keys("")) == []
    assert not store.exists(KEY)
    with pytest.raises(ObjectNotFoundError):
        store.read(KEY)
    store.delete(KEY)
    assert not (tmp_path / "a").exists()
    store.write(KEY, b"x")
    assert store.read(KEY) == b"x"


def test_a_directory_that_goes_while_an_object_is_read_is_no_damage(tmp_path: Path) -> None:
    target = tmp_path / "target"
    store = LocalStore(str(target))
    store.write(KEY, b"x")

    def read_late() -> None:
        with store.local_copy(KEY) as path:
            target.rename(tmp_path / "elsewhere")
            path.read_bytes()

    with pytest.raises(StoreError, match="is gone"):
        read_late()


def test_a_directory_that_goes_while_an_object_is_written_fails_the_write(tmp_path: Path) -> None:
    target = tmp_path / "target"
    store = LocalStore(str(target))
    store.write(KEY, b"old")

    writer = store.open_write(KEY)
    writer.write(b"new")
    target.rename(tmp_path / "elsewhere")
    target.mkdir()
    with pytest.raises(StoreError, match="is another directory"):
        writer.commit()
    assert files_below(target) == []
    assert (tmp_path / "elsewhere" / KEY).read_bytes() == b"old"


def test_a_dataset_whose_target_goes_is_not_published(tmp_path: Path) -> None:
    target = tmp_path / "target"
    store = LocalStore(str(target))
    store.write(KEY, b"x")

    def write_late() -> None:
        with DatasetWrite(store, "acme/curated/") as write:
            target.rename(tmp_path / "elsewhere")
            write.write("items.parquet", b"x", 1)

    with pytest.raises(StoreError, match="is gone"):
        write_late()
    assert not target.exists()


def test_a_store_is_told_by_its_path_whatever_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    LocalStore("target").write(KEY, b"x")
    (tmp_path / "target").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is gone"):
        LocalStore(str(tmp_path / "target")).exists(KEY)


def exists_in_child(directory: str) -> str:
    try:
        return str(LocalStore(directory).exists(KEY))
    except StoreError as error:
        return str(error)


@pytest.mark.process
def test_a_forked_process_knows_what_its_parent_has_seen(tmp_path: Path) -> None:
    target = tmp_path / "target"
    LocalStore(str(target)).write(KEY, b"x")
    target.rename(tmp_path / "elsewhere")
    pool = multiprocessing.get_context("fork").Pool(1)
    with pool:
        assert "is gone" in pool.apply(exists_in_child, (str(target),))


@pytest.mark.process
def test_a_pickled_store_needs_the_directory_that_its_sender_has_seen(tmp_path: Path) -> None:
    target = tmp_path / "target"
    store = LocalStoreResource(directory=str(target))
    before, _ = pickle.dumps(store), store.write(KEY, b"x")
    after = pickle.dumps(store)
    target.rename(tmp_path / "elsewhere")
    code = (
        "import pickle, sys\nfrom gata_assets.errors import StoreError\nstore = pickle.load(sys.stdin.buffer)\n"
        "try:\n    print(store.exists('a'))\nexcept StoreError as error:\n    print(error)"
    )
    for content, expected in ((before, b"False"), (after, b"is gone")):
        ran = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
        assert expected in ran.stdout


def test_many_directories_are_remembered_with_few_open_files(tmp_path: Path) -> None:
    for number in range(40):
        LocalStore(str(tmp_path / f"{number}")).write(KEY, b"x")
    held = [seen for path, seen in same_directory._seen.items() if seen.held is not None]
    assert len(held) <= 8
    (tmp_path / "0").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is gone"):
        LocalStore(str(tmp_path / "0")).exists(KEY)
