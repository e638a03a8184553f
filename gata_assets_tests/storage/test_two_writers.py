"""Two writers of one dataset, whichever way they meet: what is visible is complete and of one of them.

Real: the two ways to write a dataset, a directory and S3 over HTTP on loopback (moto, with conditions as S3 has them),
threads in turns before every call of the store. Nothing is faked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

import pytest

from gata_assets.errors import ConflictError, StoreError
from gata_assets.storage.claims import FixedKeysWrite
from gata_assets.storage.datasets import DatasetWrite, find_manifest, read_files
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.manifests import MANIFEST_FILE, FileEntry, Manifest, plain_name
from gata_assets_tests.support.interleaving import run_in_turns

FOLDER = "training/gata-low-vol/2026010203/"
NAMES = ("train/data.json", "test/data.json")
Contents = Mapping[str, bytes]
# Of the same length, so that nothing but the bytes tells them apart.
OLD: Contents = {name: f"old {name}".encode() for name in NAMES}
RED: Contents = {name: f"red {name}".encode() for name in NAMES}
NEW: Contents = {name: f"new {name}".encode() for name in NAMES}
NONE: Contents = {}

Write = Callable[[ObjectStore, Contents], object]


def write_fixed(store: ObjectStore, contents: Contents) -> None:
    """Write under fixed keys."""
    files = {name: FileEntry.of(content, 1) for name, content in contents.items()}
    FixedKeysWrite(store, FOLDER, NAMES).run(contents, Manifest("test", files, details={"reason": ""}))


def write_named(store: ObjectStore, contents: Contents) -> None:
    """Write under names of its own."""
    with DatasetWrite(store, FOLDER) as write:
        files = dict(write.write(name, content, 1) for name, content in contents.items())
        write.publish(Manifest("test", files, details={"reason": ""}))


def read(store: ObjectStore) -> Contents | None:
    """The dataset as a reader has it; None while the manifest says that it is being written."""
    manifest = find_manifest(store, FOLDER).manifest
    if manifest is None:
        return None
    names = [plain_name(name) for name in manifest.files]
    files = read_files(store, FOLDER, names, manifest)
    return {name: content for name, (_, content) in zip(names, files, strict=True)}


def fixed_files(store: ObjectStore) -> Contents:
    """What a consumer that knows no manifest finds."""
    return {name: store.read(FOLDER + name) for name in NAMES if store.exists(FOLDER + name)}


def empty(store: ObjectStore) -> None:
    for key in list(store.list_keys(FOLDER)):
        store.delete(key)


def meet(
    store: ObjectStore,
    write: Write,
    before: Contents | None,
    contents: tuple[Contents, Contents],
    pauses: tuple[int, float],
) -> tuple[list[StoreError | None], list[int]]:
    """Let two write, and look after each that has ended."""
    empty(store)
    if before is not None:
        write(store, before)

    def look(ends: list[StoreError | None]) -> None:
        if None in ends:
            found = read(store)
            assert found in contents, "complete, and of one that wrote"
            if write is write_fixed:
                assert fixed_files(store) == found

    first, second = (lambda paced, mine=mine: write(paced, mine) for mine in contents)
    ends, calls = run_in_turns(store, first, second, pause_first=pauses[0], pause_second=pauses[1], after_each=look)
    found = read(store)
    if None in ends:
        assert found in [mine for mine, end in zip(contents, ends, strict=True) if end is None]
    if write is write_fixed:
        assert found is None or fixed_files(store) == found
    return ends, calls


CASES = {
    "both create it": (None, (RED, NEW)),
    "both replace it": (OLD, (RED, NEW)),
    "both write what is there": (OLD, (OLD, OLD)),
    "the first changes it, the second does not": (OLD, (NEW, OLD)),
    "the second changes it, the first does not": (OLD, (OLD, NEW)),
    "both create the same": (None, (NEW, NEW)),
    "the second removes it": (OLD, (NEW, NONE)),
    "the first removes it": (OLD, (NONE, NEW)),
    "there was none": (NONE, (NEW, NONE)),
}


# Of the pairs of pauses every so many are tried, all in the soak tests.
EVERY = pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.soak)])


@pytest.mark.parametrize("case", CASES)
def test_of_two_that_write_under_names_of_their_own_one_is_visible(case: str, any_store: ObjectStore) -> None:
    before, contents = CASES[case]
    for pause in range(1, 30):
        ends, calls = meet(any_store, write_named, before, contents, (pause, float("inf")))
        assert ends[1] is None, "nobody disturbs the second"
        if contents[0] != contents[1] and pause > 1:
            assert ends[0] is None or isinstance(ends[0], ConflictError)
        if calls[0] < pause:
            break
    assert calls[0] < pause, "all calls were tried"
    assert ends == [None, None]


@EVERY
@pytest.mark.parametrize("case", CASES)
def test_of_two_under_names_of_their_own_exactly_one_wins_when_both_pause(
    case: str, every: int, any_store: ObjectStore
) -> None:
    before, contents = CASES[case]
    for first, second in product(range(1, 9), range(1, 9)):
        if (first + 2 * second) % every:
            continue
        ends, _ = meet(any_store, write_named, before, contents, (first, second))
        assert None in ends
        left = [key for key in any_store.list_keys(FOLDER) if not key.endswith(MANIFEST_FILE)]
        listed = find_manifest(any_store, FOLDER).manifest
        assert listed is not None
        assert {FOLDER + name for name in listed.files} <= set(left)


@pytest.mark.parametrize("case", CASES)
def test_of_two_that_write_fixed_keys_files_and_manifest_are_of_one(case: str, any_store: ObjectStore) -> None:
    before, contents = CASES[case]
    for pause in range(1, 30):
        ends, calls = meet(any_store, write_fixed, before, contents, (pause, float("inf")))
        if not is_refused(any_store, ends):
            assert None in ends
        if calls[0] < pause:
            break
    assert calls[0] < pause, "all calls were tried"
    assert ends == [None, None]


@EVERY
@pytest.mark.parametrize("case", CASES)
def test_of_two_that_write_fixed_keys_and_both_pause_files_and_manifest_are_of_one(
    case: str, every: int, any_store: ObjectStore
) -> None:
    before, contents = CASES[case]
    for first, second in product(range(1, 10), range(1, 10)):
        if (first + 2 * second) % every == 0:
            ends, _ = meet(any_store, write_fixed, before, contents, (first, second))
            assert None in ends or is_refused(any_store, ends)


def is_refused(store: ObjectStore, ends: list[StoreError | None]) -> bool:
    """Whether nobody could write so that an interrupted writer could not change it any more; in S3 alone."""
    refused = any("cannot be written so that" in str(end) for end in ends)
    assert not (refused and isinstance(store, LocalStoreResource))
    return refused
