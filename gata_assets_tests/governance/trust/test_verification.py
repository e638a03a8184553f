"""What a verification finds, and that writers who are active give no false alarm.

Real: a directory and S3 over HTTP on loopback, both ways to write a dataset, landing and validation, threads. Faked: in
tests that replace a dataset before each call in turn the store, in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO

import pytest

from gata_assets.errors import ArchivedError, ConflictError, DamagedTableError, ObjectNotFoundError, StoreError
from gata_assets.governance.trust.findings import Counts, Kind, Problem
from gata_assets.governance.trust.forms import Forms
from gata_assets.governance.trust.names import Name, Role
from gata_assets.governance.trust.verification import SECONDS_OF_A_BATCH, Verification
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.claims import FixedKeysWrite
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import FileEntry, Manifest, withdrawn
from gata_assets_tests.governance.trust.test_walk import FOLDER, publish
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore, PausingStore
from gata_assets_tests.support.raw_worlds import NOW, curator_of, interaction, send

MANIFEST = f"{FOLDER}manifest.json"
TRAINING = "training/gata-general/2026010203/"
CHANNELS = ("train/data.json", "test/data.json")


def verify(store: ObjectStore, *forms: Forms, pauses: list[float] | None = None) -> tuple[list[Problem], Counts]:
    verification = Verification(store, forms, pause=([] if pauses is None else pauses).append)
    return list(verification.run()), verification.counts


def write_fixed(store: ObjectStore, word: str) -> None:
    """Write a dataset under fixed keys."""
    contents = {name: f"{word} {name}\n".encode() for name in CHANNELS}
    files = {name: FileEntry.of(content, 1) for name, content in contents.items()}
    FixedKeysWrite(store, TRAINING, CHANNELS).run(contents, Manifest("gata-general", files, details={"word": word}))


def test_what_is_as_it_was_written_is_counted(any_store: ObjectStore, tmp_path: Path) -> None:
    publish(any_store, b"one", b"three")
    write_fixed(any_store, "first")
    send(curator_of(any_store, now=NOW), [interaction(), interaction(user_id=None)], tmp_path / "sent")
    any_store.write(f"{FOLDER}table/part-left.bin", b"of a write that was interrupted")
    problems, counts = verify(any_store)
    assert problems == []
    # Two files, two channels, a raw file, its valid rows and its quarantine; and the claim of its content.
    assert (counts.namers, counts.named, counts.leftovers, counts.records) == (3, 7, 1, 1)
    assert counts.objects == len(list(any_store.list_keys("")))


def damage(key_of: Callable[[list[str]], str], change: Callable[[bytes], bytes | None]) -> Callable[..., str]:
    def apply(store: ObjectStore, files: list[str]) -> str:
        key = key_of(files)
        content = change(store.read(key))
        if content is None:
            store.delete(key)
        else:
            store.write(key, content)
        return key

    return apply


DAMAGES: dict[str, tuple[Callable[..., str], Kind, str]] = {
    "a byte": (damage(lambda files: files[0], lambda b: b"O" + b[1:]), Kind.DIFFERS, "its SHA-256 is another"),
    "a byte more": (damage(lambda files: files[0], lambda b: b + b"."), Kind.DIFFERS, "has 4 bytes, not 3"),
    "nothing left": (damage(lambda files: files[1], lambda _: b""), Kind.DIFFERS, "has 0 bytes, not 3"),
    "removed": (damage(lambda files: files[1], lambda _: None), Kind.MISSING, "is missing, which"),
    "no JSON": (damage(lambda _: MANIFEST, lambda b: b[:-9]), Kind.DAMAGED, "is no manifest of this project"),
    "no manifest": (damage(lambda _: MANIFEST, lambda _: b"{}"), Kind.DAMAGED, "is no manifest of this project"),
    "of a later release": (
        damage(lambda _: MANIFEST, lambda b: b.replace(b'"manifest_version": 2', b'"manifest_version": 9')),
        Kind.UNKNOWN,
        "a later release wrote it",
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_what_is_not_as_it_was_written_is_found(what: str, any_store: ObjectStore) -> None:
    files = list(publish(any_store, b"one", b"two"))
    publish(any_store, b"another dataset", folder="acme/features/2026010204/")
    apply, kind, said = DAMAGES[what]
    key = apply(any_store, files)
    problems, counts = verify(any_store)
    assert [(problem.kind, problem.key) for problem in problems] == [(kind, key)]
    assert said in problems[0].what
    assert (counts.problems, counts.count_of(kind)) == (1, 1)


def test_a_part_of_a_staged_file_that_is_changed_is_found_and_bytes_beside_the_parts(
    any_store: ObjectStore, tmp_path: Path
) -> None:
    rows = [interaction(timestamp=f"2026-01-0{day}T03:04:05Z") for day in range(1, 6)]
    report = send(curator_of(any_store, now=NOW), rows, tmp_path / "sent")
    key, part = report.parts[0].key, report.parts[3]
    content = any_store.read(key)
    place = part.spans[0].start + part.spans[0].size - 1
    for changed, said in (
        (content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :], "its SHA-256 is another"),
        (content[:place], "its SHA-256 is another"),
        (content + b"more", "has 4 bytes that are in none of its parts"),
    ):
        any_store.write(key, changed)
        [problem] = verify(any_store)[0]
        assert (problem.key, said in problem.what) == (key, True), problem
    any_store.write(key, content)
    assert verify(any_store)[0] == []


def test_a_report_that_says_other_rows_than_parquet_has_is_found(any_store: ObjectStore, tmp_path: Path) -> None:
    curator = curator_of(any_store, now=NOW)
    report = send(curator, [interaction(), interaction(user_id=None)], tmp_path / "sent")
    assert report.quarantine
    other = replace(report, quarantine=replace(report.quarantine, rows=7))
    any_store.write(curator.places.report(INTERACTIONS, report.file_id), other.encode())
    [problem] = verify(any_store)[0]
    assert (problem.key, "has 1 rows, not 7" in problem.what) == (report.quarantine.key, True)


def test_a_dataset_that_is_withdrawn_or_removed_is_no_problem(any_store: ObjectStore) -> None:
    files = publish(any_store, b"one", b"two")
    any_store.write(MANIFEST, withdrawn("features"))
    any_store.delete(next(iter(files)))
    problems, counts = verify(any_store)
    assert (problems, counts.leftovers, counts.namers) == ([], 1, 1)


@pytest.mark.parametrize("write", ["named", "fixed", "removed"])
def test_a_dataset_that_is_replaced_before_any_call_gives_no_false_alarm(write: str) -> None:
    def replaced(store: MemoryStore, word: bytes) -> None:
        if write == "named":
            publish(store, word + b" one", word + b" two")
        elif write == "fixed":
            write_fixed(store, word.decode())
        else:
            for key in sorted(store.list_keys(""), key=lambda key: not key.endswith("manifest.json")):
                store.delete(key)

    def world() -> MemoryStore:
        store = MemoryStore()
        publish(store, b"old one", b"old two", b"old three")
        write_fixed(store, "old")
        return store

    calls = PausingStore(world(), 0, lambda: None)
    assert verify(calls)[0] == []
    for call in range(1, calls.calls + 1):
        store = world()
        problems, _ = verify(PausingStore(store, call, lambda store=store: replaced(store, b"new")))  # type: ignore[misc]
        assert problems == [], f"before call {call}"


def test_a_dataset_that_is_replaced_meanwhile_is_compared_as_it_is_now() -> None:
    """The dataset that replaces it is damaged: that is found before whichever call it comes."""
    for call in range(1, 5):
        store = MemoryStore()
        publish(store, b"old one", b"old two")

        def replaced(store: MemoryStore = store) -> None:
            store.write(next(iter(publish(store, b"new one", b"new two"))), b"damaged")

        # A listing, the manifest, and two files.
        paused = PausingStore(store, call, replaced)
        [problem] = verify(paused)[0]
        assert (problem.kind, problem.by, store.read(problem.key)) == (Kind.DIFFERS, MANIFEST, b"damaged")


def test_a_loop_that_replaces_datasets_gives_no_false_alarm(any_store: ObjectStore) -> None:
    """A manifest that names files, one with fixed keys, and a raw file that is validated again and again."""
    ended, rounds, failures = Event(), 0, []
    publish(any_store, *(b"%d" % number for number in range(20)))
    write_fixed(any_store, "first")

    def write() -> None:
        nonlocal rounds
        try:
            while not ended.is_set():
                rounds += 1
                publish(any_store, *(b"%d of %d" % (number, rounds) for number in range(20)))
                write_fixed(any_store, f"round {rounds}")
        except BaseException as error:
            failures.append(error)
            raise

    writer = Thread(target=write)
    writer.start()
    try:
        looked = 0
        while looked < 6 or rounds < 6:
            problems, _ = verify(any_store)
            assert problems == []
            looked += 1
            assert not failures
    finally:
        ended.set()
        writer.join()
    assert verify(any_store)[0] == []


def test_a_table_that_is_being_built_again_is_given_the_time_of_a_batch() -> None:
    def forms(digest: str) -> Forms:
        return Forms(lambda _, manifest: [Name("source", Role.SOURCE, manifest.settings["source"])] if digest else [])

    def manifest(content: bytes) -> bytes:
        return Manifest("table", settings={"source": FileEntry.of(content, 1).sha256}).encode()

    store = MemoryStore()
    store.write("a/manifest.json", manifest(b"old"))
    store.write("source", b"new")
    pauses: list[float] = []
    [problem] = verify(store, forms("x"), pauses=pauses)[0]
    assert (problem.kind, problem.key, problem.by) == (Kind.DIFFERS, "source", "a/manifest.json")
    assert "or built again" in problem.what
    assert pauses == [SECONDS_OF_A_BATCH]
    # The run writes what is built from it while the verification waits.
    verification = Verification(
        store, [forms("x")], pause=lambda _: store.write("a/manifest.json", manifest(b"new")) and None
    )
    assert list(verification.run()) == []


def test_what_proves_itself_is_checked_and_gone_objects_are_not() -> None:
    def check(store: ObjectStore, key: str) -> None:
        if store.read(key) == b"damaged":
            raise DamagedTableError(f"{key} is damaged", key=key)

    def gone(_: ObjectStore, key: str) -> None:
        raise ObjectNotFoundError(key)

    store = MemoryStore()
    for key, content in (("proofs/a", b"whole"), ("proofs/b", b"damaged"), ("other", b"damaged")):
        store.write(key, content)
    proofs = Forms(check_of=lambda key: check if key.startswith("proofs/") else None)
    problems, counts = verify(store, proofs)
    assert [(problem.kind, problem.key) for problem in problems] == [(Kind.DAMAGED, "proofs/b")]
    assert (counts.proven, counts.leftovers, counts.damaged) == (2, 1, 1)
    assert verify(store, Forms(check_of=lambda _: gone))[0] == []


def test_a_target_that_fails_at_any_call_fails_the_verification() -> None:
    store = MemoryStore()
    publish(store, b"one", b"two")
    write_fixed(store, "first")
    calls = FailingStore(store, 10_000)
    assert verify(calls)[0] == []
    for call in range(1, calls.calls + 1):
        with pytest.raises(StoreError, match="away"):
            verify(FailingStore(store, call))


def test_an_object_that_is_replaced_each_time_that_it_is_read_fails_the_verification() -> None:
    class Replaced(MemoryStore):
        """A store that has no longer what was opened, as S3."""

        def open_read(self, key: str) -> object:  # type: ignore[override]
            raise ConflictError(f"{key} was replaced.")

    store = Replaced()
    publish(store, b"one")
    with pytest.raises(ConflictError, match="was replaced"):
        verify(store)


def test_what_is_in_an_archive_is_counted_and_no_problem() -> None:
    class Archive(MemoryStore):
        """A store whose parts have to be restored before they can be read."""

        def open_read(self, key: str) -> AbstractContextManager[BinaryIO]:
            if key.endswith(".json"):
                return super().open_read(key)
            raise ArchivedError(f"{key} is in an archive.")

    store = Archive()
    publish(store, b"one", b"three")
    problems, counts = verify(store)
    assert (problems, counts.archived, counts.named) == ([], 2, 2)


def test_a_dataset_that_is_replaced_each_time_is_counted_as_changing_and_no_problem() -> None:
    class Busy(MemoryStore):
        """A store whose dataset is replaced before each of its files is read, for a number of times."""

        def __init__(self, times: int) -> None:
            super().__init__()
            self.times = times

        def open_read(self, key: str) -> AbstractContextManager[BinaryIO]:
            with self._lock:
                if self.times:
                    self.times -= 1
                    publish(self, b"%d one" % self.times, b"%d two" % self.times)
            return super().open_read(key)

    for times in (*range(12), 1_000):
        store = Busy(0)
        publish(store, b"first one", b"first two")
        store.times = times
        problems, counts = verify(store)
        assert problems == []
        assert counts.changing == (times > 10)
