"""What stores carry out under a condition: of two who saw the same version, one changes it.

Real: files with their lock, S3 over HTTP on loopback (moto, with conditions as S3 has them), threads, an answer that is
lost on its way.
"""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Thread

import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.errors import ConflictError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, Guard, ObjectStore, Version
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.fault_proxy import S3_ERROR, FaultProxy, Faults, Manner

KEY = "training/gata-general/2026010203/manifest.json"


def test_a_write_reads_and_lists_the_same_version(any_store: ObjectStore) -> None:
    version = any_store.write(KEY, b"first")
    assert any_store.version(KEY) == version != ABSENT
    assert any_store.read_versioned(KEY) == (b"first", version)
    assert dict(any_store.list_versions("training/")) == {KEY: version}
    assert any_store.write(KEY, b"other") != version


def test_nothing_has_the_version_absent(any_store: ObjectStore) -> None:
    assert any_store.version(KEY) == ABSENT
    with pytest.raises(ObjectNotFoundError):
        any_store.read_versioned(KEY)
    any_store.write(KEY, b"x")
    any_store.delete(KEY)
    assert any_store.version(KEY) == ABSENT


def test_of_two_that_create_an_object_the_second_is_refused(any_store: ObjectStore) -> None:
    any_store.write(KEY, b"first", expected=ABSENT)
    with pytest.raises(ConflictError, match=r"manifest\.json was not changed"):
        any_store.write(KEY, b"second", expected=ABSENT)
    assert any_store.read(KEY) == b"first"


def test_a_version_that_was_written_over_is_refused(any_store: ObjectStore) -> None:
    seen = any_store.write(KEY, b"first")
    current = any_store.write(KEY, b"second", expected=seen)
    with pytest.raises(ConflictError):
        any_store.write(KEY, b"third", expected=seen)
    with pytest.raises(ConflictError):
        any_store.delete(KEY, expected=seen)
    assert any_store.read(KEY) == b"second"
    any_store.delete(KEY, expected=current)
    with pytest.raises(ConflictError):
        any_store.write(KEY, b"third", expected=current)
    assert not any_store.exists(KEY)
    any_store.delete(KEY, expected=current)


def test_the_same_content_can_be_stored_under_a_version_of_its_own(any_store: ObjectStore) -> None:
    first = any_store.write(KEY, b"content")
    again = any_store.write(KEY, b"content", expected=first, unlike=[first])
    assert again != first
    assert any_store.read_versioned(KEY) == (b"content", again)
    with pytest.raises(ConflictError):
        any_store.write(KEY, b"late", expected=first)


def test_the_versions_of_a_content_are_known_where_they_are_digests(any_store: ObjectStore) -> None:
    first = any_store.write(KEY, b"content")
    again = any_store.write(KEY, b"content", unlike=[first])
    known = any_store.versions_of(b"content")
    assert known == (frozenset() if isinstance(any_store, LocalStoreResource) else {first, again})


def test_content_without_bytes_can_be_stored_under_a_version_of_its_own(any_store: ObjectStore) -> None:
    first = any_store.write(KEY, b"")
    assert any_store.write(KEY, b"", unlike=[first]) != first
    assert any_store.read(KEY) == b""


def test_a_directory_holds_a_guard_and_the_write_in_one_moment(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    claim = store.write(KEY, b"claim")
    file = store.write("file", b"1", guard=Guard(KEY, claim))
    store.write(KEY, b"another claim")
    with pytest.raises(ConflictError, match=r"file was not changed: .*manifest\.json was"):
        store.write("file", b"2", expected=file, guard=Guard(KEY, claim))
    with pytest.raises(ConflictError):
        store.delete("file", guard=Guard(KEY, claim))
    assert store.read("file") == b"1"
    assert [path.name for path in (tmp_path / ".staging").iterdir()] == ["lock"]


def test_a_directory_deletes_under_its_lock(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    version = store.write(KEY, b"content")
    deleting = Thread(target=store.delete, args=(KEY,), kwargs={"expected": version})
    with (tmp_path / ".staging" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        deleting.start()
        deleting.join(timeout=0.3)
        assert deleting.is_alive() and store.exists(KEY)
    deleting.join()
    assert not store.exists(KEY)


def test_no_version_of_a_directory_comes_twice(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    versions = set()
    for _ in range(300):
        versions.add(store.write(KEY, b"content"))
        store.delete(KEY)
    assert len(versions) == 300


def test_of_many_that_count_at_once_none_is_lost(any_store: ObjectStore) -> None:
    any_store.write(KEY, b"0")
    # The first four have read the same version before one of them writes.
    have_read = Barrier(4)

    def count(number: int) -> int:
        conflicts = 0
        while True:
            content, version = any_store.read_versioned(KEY)
            if number < have_read.parties and not conflicts:
                have_read.wait(30)
            try:
                any_store.write(KEY, str(int(content) + 1).encode(), expected=version)
            except ConflictError:
                conflicts += 1
            else:
                return conflicts

    with ThreadPoolExecutor(4) as pool:
        conflicts = sum(pool.map(count, range(40)))
    assert any_store.read(KEY) == b"40"
    assert conflicts >= have_read.parties - 1


@pytest.mark.parametrize("expected", [ABSENT, None], ids=["created", "written over"])
def test_an_answer_that_was_lost_is_no_conflict_with_oneself(
    expected: Version | None, bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults()
    with FaultProxy("s3", moto_url, faults, S3_ERROR) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        store = S3StoreResource(bucket=bucket, s3=S3Resource(max_attempts=3))
        seen = ABSENT if expected == ABSENT else store.write(KEY, b"before")
        faults.begin(Manner.UNANSWERED, first=1, last=1)
        version = store.write(KEY, b"content", expected=seen)
        assert faults.failed
        assert store.read_versioned(KEY) == (b"content", version)
        with pytest.raises(ConflictError):
            store.write(KEY, b"other", expected=seen)


def test_where_conditions_are_switched_off_versions_are_still_compared_before(bucket: str) -> None:
    store = S3StoreResource(bucket=bucket, s3=S3Resource(), conditional_writes=False)
    seen = store.write(KEY, b"first", expected=ABSENT)
    with pytest.raises(ConflictError):
        store.write(KEY, b"second", expected=ABSENT)
    store.write(KEY, b"second", expected=seen)
    with pytest.raises(ConflictError):
        store.delete(KEY, expected=seen)
    store.delete(KEY, expected=store.version(KEY))
    assert not store.exists(KEY)


def test_the_lock_of_a_directory_is_not_swept(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    store.write(KEY, b"x")
    lock = tmp_path / ".staging" / "lock"
    os.utime(lock, (0, 0))
    before = lock.stat().st_ino
    store.write(KEY, b"y")
    assert lock.stat().st_ino == before
