"""A log whose entries name the one before: what is appended is there once, in order, and who changes it is found.

Real: a directory, S3 over HTTP on loopback, threads, processes that are killed. Faked: the clock; in tests that fail
each call in turn the store.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gata_assets.errors import DamagedTableError, StoreError
from gata_assets.storage.local import LocalStore
from gata_assets.storage.logs.chained_log import EMPTY, NOTHING_BEFORE, ChainedLog, Entry, Head
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.storage.logs.appending import FOLDER
from gata_assets_tests.support import faulty_store
from gata_assets_tests.support.interleaving import run_in_turns
from gata_assets_tests.support.memory_store import MemoryStore

START = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def key(number: int) -> str:
    return f"{FOLDER}{number:020d}.json"


def log_of(store: ObjectStore, entries: int = 0) -> ChainedLog:
    """A log with some entries, a second apart."""
    instants = (START + timedelta(seconds=second) for second in range(10_000))
    log = ChainedLog(store, FOLDER, clock=lambda: next(instants))
    for number in range(entries):
        log.append("erased", {"rows": number, "where": {"tables": ["é", None]}})
    return log


def test_what_is_appended_is_read_in_order_each_with_the_digest_of_the_one_before(any_store: ObjectStore) -> None:
    log = log_of(any_store)
    assert (log.read(), log.head()) == ((), EMPTY)
    appended = [log.append(kind, {"rows": 3, "share": 0.25}) for kind in ("requested", "erased", "verified")]
    assert ChainedLog(any_store, FOLDER).read() == tuple(appended)
    digest = NOTHING_BEFORE
    for number, kind in enumerate(("requested", "erased", "verified"), 1):
        content = any_store.read(key(number))
        assert json.loads(content) == {
            "number": number,
            "at": (START + timedelta(seconds=number - 1)).isoformat(),
            "kind": kind,
            "content": {"rows": 3, "share": 0.25},
            "previous": digest,
        }
        digest = sha256(content).hexdigest()
    assert log.head() == Head(3, digest)
    assert log.read(log.head()) == tuple(appended)


@pytest.mark.parametrize("content", [{1: "a"}, {"a": float("nan")}, {"a": (1, 2)}, {"a": object()}, {"a": "\ud800"}])
def test_content_that_would_not_be_read_as_it_was_is_refused(content: Any) -> None:
    store = MemoryStore()
    with pytest.raises((ValueError, TypeError)):
        log_of(store).append("erased", content)
    assert list(store.list_keys("")) == []


def test_writers_that_know_an_older_end_append_behind_what_others_appended(any_store: ObjectStore) -> None:
    first, second = log_of(any_store, 2), log_of(any_store)
    second.append("erased", {"by": "second"})
    assert first.append("erased", {"by": "first"}).number == 4
    assert second.append("erased", {"by": "second"}).number == 5
    assert len(log_of(any_store).read()) == 5


def test_threads_that_append_at_once_each_find_all_their_entries(any_store: ObjectStore) -> None:
    def write(name: int) -> list[int]:
        log = ChainedLog(any_store, FOLDER)
        return [log.append("written", {"by": name, "of_writer": number}).number for number in range(8)]

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(write, range(4)))
    entries = log_of(any_store).read()
    assert sorted(number for of_writer in numbers for number in of_writer) == list(range(1, 33))
    assert [entries[number - 1].content for number in numbers[2]] == [{"by": 2, "of_writer": n} for n in range(8)]


@pytest.mark.parametrize("pauses_at", range(1, 5))
def test_two_writers_in_any_order_leave_both_entries(pauses_at: int) -> None:
    store = LocalMemory()

    def write(name: str) -> Callable[[Any], Any]:
        return lambda paced: ChainedLog(paced, FOLDER).append("written", {"by": name})

    ends, _ = run_in_turns(store, write("a"), write("b"), pause_first=pauses_at, after_each=lambda _: None)
    assert ends == [None, None]
    assert sorted(entry.content["by"] for entry in log_of(store).read()) == ["a", "b"]


class LocalMemory(MemoryStore):
    """A store in memory without guards, as S3."""

    is_guarding = False


@pytest.mark.process
def test_processes_that_append_at_once_leave_one_chain(any_store: ObjectStore) -> None:
    kind = "local" if isinstance(any_store, LocalStoreResource) else "s3"
    place = any_store.directory if isinstance(any_store, LocalStoreResource) else any_store.bucket  # type: ignore[attr-defined]
    writers = [subprocess.Popen(command(kind, place, name, "12")) for name in "ab"]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    entries = log_of(any_store).read()
    for name in "ab":
        found = [entry.content["of_writer"] for entry in entries if entry.content["by"] == name]
        assert found == list(range(12))


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "gata_assets_tests.storage.logs.appending", *words]


@pytest.mark.process
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [2, 4, *(pytest.param(call, marks=pytest.mark.soak) for call in (1, 3, 5, 6))])
def test_a_writer_that_is_killed_leaves_a_whole_chain_that_is_appended_to(call: int, when: str, tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "target"))
    before = [log_of(store, 2).head()]
    # Calls are: the list, the last entry, and a write for each entry.
    killed = subprocess.run(command("local", store.directory, "a", "4", str(call), when), check=False, timeout=60)
    assert killed.returncode == -9
    entries = log_of(store).read(*before)
    assert len(entries) == 2 + max(0, call - 2 - (when == "before"))
    assert log_of(store).append("written", {}).number == len(entries) + 1
    assert log_of(store).read()


@pytest.mark.parametrize("is_done", [False, True])
def test_a_call_that_fails_leaves_a_whole_chain_and_an_append_that_fails_says_so(is_done: bool) -> None:
    for at in range(1, 10):
        store = faulty_store.MemoryStore()
        log, appended = log_of(store, 2), 2
        store.fault.at, store.fault.is_done, store.fault.calls = at, is_done, 0
        for number in range(4):
            with suppress(StoreError):
                log.append("written", {"number": number})
                appended += 1
        store.fault.at = 0
        assert appended <= len(log_of(store).read()) <= appended + is_done


Tamper = Callable[[ObjectStore], object]


def edit(number: int, old: bytes, new: bytes) -> Tamper:
    def change(store: ObjectStore) -> None:
        content = store.read(key(number))
        assert old in content
        store.write(key(number), content.replace(old, new, 1))

    return change


def swap(store: ObjectStore) -> None:
    second, third = store.read(key(2)), store.read(key(3))
    store.write(key(2), third)
    store.write(key(3), second)


def rewrite(first: int, last: int) -> Tamper:
    """Put other entries in place of some, each behind the one before: as somebody who knows how would."""

    def change(store: ObjectStore) -> None:
        previous = sha256(store.read(key(first - 1))).hexdigest() if first > 1 else NOTHING_BEFORE
        for number in range(first, last + 1):
            content = Entry(number, START, "erased", {"rows": 99}, previous).encode()
            store.write(key(number), content)
            previous = sha256(content).hexdigest()

    return change


TAMPERED: dict[str, tuple[Tamper, int, str]] = {
    "a value is changed": (edit(2, b'"rows": 1', b'"rows": 7'), 3, "either was changed, or the log was forked"),
    "a byte is added": (edit(2, b'"rows"', b' "rows"'), 2, "it was changed"),
    "a field is added": (edit(2, b'"rows"', b'"row": 1, "rows"'), 3, "either was changed"),
    "a field is removed": (edit(2, b'"kind": "erased", ', b""), 2, "it was changed"),
    "it is no JSON": (edit(2, b"{", b"["), 2, "it was changed"),
    "it is empty": (lambda store: store.write(key(2), b""), 2, "it was changed"),
    "its number is changed": (edit(2, b'"number": 2', b'"number": 9'), 2, "entries were reordered"),
    "the first is changed": (edit(1, b'"rows": 0', b'"rows": 7'), 2, "either was changed"),
    "the first is removed": (lambda store: store.delete(key(1)), 1, "was removed"),
    "one between is removed": (lambda store: store.delete(key(3)), 3, "was removed"),
    "two are swapped": (swap, 2, "entries were reordered"),
    "the beginning is written again": (rewrite(1, 3), 4, "the log was forked"),
    "one between is written again": (rewrite(2, 2), 3, "the log was forked"),
    "another object is added": (lambda store: store.write(f"{FOLDER}{3:020d}-b.json", b"{}"), 3, "is no entry"),
    "a number of other digits is added": (lambda store: store.write(f"{FOLDER}6.json", b"{}"), 6, "is no entry"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_who_changes_the_log_is_found_at_the_first_place(what: str, any_store: ObjectStore) -> None:
    log_of(any_store, 5)
    tamper, number, said = TAMPERED[what]
    tamper(any_store)
    for call in (log_of(any_store).read, log_of(any_store).head):
        with pytest.raises(DamagedTableError, match=said) as caught:
            call()
        assert caught.value.key is not None
        assert caught.value.key.removeprefix(FOLDER)[:20].split(".")[0].lstrip("0") == str(number)


def test_an_end_that_was_cut_off_or_written_again_is_found_by_a_known_head(any_store: ObjectStore) -> None:
    head = log_of(any_store, 4).head()
    log_of(any_store).append("erased", {})
    last = any_store.read(key(4))
    # The end is what no later entry names: without a head, neither is found.
    for number in (5, 4):
        any_store.delete(key(number))
    assert len(log_of(any_store).read()) == 3
    with pytest.raises(DamagedTableError, match=r"the log ends with 3, and had 4 entries") as caught:
        log_of(any_store).read(head)
    assert caught.value.key == key(4)
    rewrite(4, 4)(any_store)
    assert len(log_of(any_store).read()) == 4
    with pytest.raises(DamagedTableError, match="is not the entry 4 of the known head"):
        log_of(any_store).read(head)
    any_store.write(key(4), last)
    assert len(log_of(any_store).read(head)) == 4


def test_nothing_is_appended_behind_an_entry_that_was_changed(any_store: ObjectStore) -> None:
    log_of(any_store, 2)
    edit(2, b"{", b"[")(any_store)
    with pytest.raises(DamagedTableError, match="it was changed"):
        log_of(any_store).append("erased", {})
    assert any_store.version(key(3)) == ABSENT


def test_a_listing_that_leaves_out_an_entry_is_no_break() -> None:
    class PartialStore(LocalMemory):
        """Lists as a directory may that is written to meanwhile."""

        def list_versions(self, prefix: str) -> Any:
            return (found for found in super().list_versions(prefix) if found[0] != key(2))

    store = PartialStore()
    log_of(store, 3)
    assert len(log_of(store).read()) == 3
