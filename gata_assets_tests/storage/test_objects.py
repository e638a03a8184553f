"""The contract of an object store, held by each: a local directory, and S3.

Real: files, and S3 over HTTP on loopback (an S3 server for tests, which does not sign-check).
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.errors import ObjectNotFoundError, StoreError
from gata_assets.shop.stores import ShopStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.fault_proxy import S3_ERROR, FaultProxy, Faults, Manner

KEY = "training/gata-general/2026010203/train/data.json"


def test_what_was_written_is_read_back(store: ObjectStore) -> None:
    content = bytes(range(256)) * 1_000
    store.write(KEY, content)
    assert store.read(KEY) == content
    assert store.exists(KEY)


def test_a_write_takes_the_place_of_what_was_there(store: ObjectStore) -> None:
    store.write(KEY, b"first, and longer")
    store.write(KEY, b"second")
    assert store.read(KEY) == b"second"


def test_an_empty_object_exists(store: ObjectStore) -> None:
    store.write(KEY, b"")
    assert store.exists(KEY)
    assert store.read(KEY) == b""


def test_what_is_not_there_is_reported(store: ObjectStore) -> None:
    assert not store.exists(KEY)
    with pytest.raises(ObjectNotFoundError, match=r"There is no .*train/data\.json"):
        store.read(KEY)


def test_a_prefix_of_a_key_is_not_an_object(store: ObjectStore) -> None:
    store.write(KEY, b"x")
    store.write(f"{KEY}.more", b"x")
    assert store.exists(KEY)
    assert not store.exists(KEY.removesuffix("n"))
    assert not store.exists("training/gata-general/2026010203/train")


def test_a_file_is_stored_whole_in_place_of_what_was_there(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1_000) * 20_000)
    store.write(KEY, b"before")
    store.write_file(KEY, path)
    assert store.read(KEY) == path.read_bytes()


def test_a_file_that_is_not_there_is_an_error_and_stores_nothing(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be written from .*missing: No such file"):
        store.write_file(KEY, tmp_path / "missing")
    assert not store.exists(KEY)
    assert list(store.list_keys("")) == []


def test_an_object_is_read_as_a_file_that_stays_or_goes_with_its_store(store: ObjectStore) -> None:
    store.write(KEY, b"content")
    with store.local_copy(KEY) as path:
        assert path.read_bytes() == b"content"
        assert path.name == "data.json"
    assert path.exists() == isinstance(store, LocalStoreResource | ShopStore)
    assert store.exists(KEY)


@pytest.mark.parametrize(("start", "size", "expected"), [(0, 3, b"con"), (4, 3, b"ent"), (5, 9, b"nt"), (7, 2, b"")])
def test_a_part_of_an_object_is_read_by_itself(store: ObjectStore, start: int, size: int, expected: bytes) -> None:
    store.write(KEY, b"content")
    assert store.read_part(KEY, start, size) == expected
    with pytest.raises(ObjectNotFoundError, match="There is no"):
        store.read_part(f"{KEY}.not", start, size)


def test_a_local_copy_of_what_is_not_there_is_reported(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFoundError, match=r"There is no .*train/data\.json"), store.local_copy(KEY):
        pytest.fail("there is something")


def test_keys_below_a_prefix_are_listed_in_order_and_no_others(store: ObjectStore) -> None:
    for key in ("a/b/2", "a/b/10", "a/b.more", "a/b/c/d", "a/b-", "ab/x", "a/B/1", "z"):
        store.write(key, b"x")
    assert list(store.list_keys("a/b/")) == ["a/b/10", "a/b/2", "a/b/c/d"]
    assert list(store.list_keys("a/b")) == ["a/b-", "a/b.more", "a/b/10", "a/b/2", "a/b/c/d"]
    assert list(store.list_keys("")) == ["a/B/1", "a/b-", "a/b.more", "a/b/10", "a/b/2", "a/b/c/d", "ab/x", "z"]
    assert list(store.list_keys("a/b/c/d/")) == list(store.list_keys("missing/")) == list(store.list_keys("z/z/")) == []


@pytest.mark.slow
def test_folders_with_a_key_below_are_listed_by_name(store: ObjectStore) -> None:
    assert list(store.list_folders("")) == []
    for key in ("b/x/1", "b/y", "a/1", "a-1/deep/er", "file"):
        store.write(key, b"x")
    assert [name for name in store.list_folders("") if not name.startswith(".")] == ["a", "a-1", "b"]
    assert list(store.list_folders("b/")) == ["x"]
    for nothing in ("b/x/", "c/", "file/"):
        assert list(store.list_folders(nothing)) == []
    store.delete("a-1/deep/er")
    assert [name for name in store.list_folders("") if not name.startswith(".")] == ["a", "b"], "it has no key left"


def test_what_others_delivered_is_listed_as_all_keys_are(store: ObjectStore) -> None:
    for key in ("a/1", "a/b/2", "c/3"):
        store.write(key, b"x")
    assert list(store.list_delivered("a/")) == list(store.list_keys("a/")) == ["a/1", "a/b/2"]


def test_more_keys_than_a_page_of_s3_are_all_listed(store: ObjectStore) -> None:
    keys = [f"many/{number:04}" for number in range(1_005)]
    for key in keys:
        store.write(key, b"")
    assert list(store.list_keys("many/")) == keys


def test_an_object_has_another_version_when_it_was_written_over_and_the_same_while_it_was_not(
    store: ObjectStore, tmp_path: Path
) -> None:
    keys = ["a/1", "a/2", "a/3", "a/b/4"]
    for key in keys:
        store.write(key, b"before")
    first = dict(store.list_versions("a/"))
    assert list(first) == keys == list(store.list_keys("a/"))
    assert dict(store.list_versions("a/")) == first
    # As long as before, and at once.
    store.write("a/1", b"after!")
    (tmp_path / "file").write_bytes(b"other!")
    store.write_file("a/b/4", tmp_path / "file")
    store.delete("a/2")
    second = dict(store.list_versions("a/"))
    assert {key for key in first if second.get(key) == first[key]} == {"a/3"}
    assert list(second) == ["a/1", "a/3", "a/b/4"]


@pytest.mark.parametrize("manner", [Manner.ERROR, Manner.REFUSED, Manner.CUT_SHORT, Manner.BODILESS])
def test_a_listing_that_breaks_off_is_not_taken_for_an_empty_one(
    manner: Manner, bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults()
    with FaultProxy("s3", moto_url, faults, S3_ERROR) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        store = S3StoreResource(bucket=bucket, s3=S3Resource(max_attempts=1))
        store.write(KEY, b"x")
        faults.begin(manner, first=1, last=99)
        with pytest.raises(StoreError, match=r"training/.* could not be listed"):
            list(store.list_keys("training/"))
        with pytest.raises(StoreError, match=r"training/.* could not be listed"):
            list(store.list_versions("training/"))
        with pytest.raises(StoreError, match=r"data\.json could not be read"), store.local_copy(KEY):
            pytest.fail("half an object was read")


def test_a_directory_that_may_not_be_read_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    store = LocalStoreResource(directory=str(tmp_path))
    store.write(KEY, b"x")
    # Root, as whom containers run tests, may read all.
    monkeypatch.setattr(os, "scandir", deny)
    for listed in (store.list_keys, store.list_versions):
        with pytest.raises(StoreError, match="cannot be listed: Permission denied"):
            list(listed("training/"))


def test_where_no_console_shows_an_object_there_is_no_page_of_it(store: ObjectStore) -> None:
    assert store.page(KEY) is None


@pytest.mark.parametrize(
    ("region", "console"),
    [
        ("eu-west-1", "s3.console.aws.amazon.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_the_page_of_an_object_in_s3_is_the_console_of_its_region(
    region: str, console: str, aws_credentials: None
) -> None:
    store = S3StoreResource(bucket="training", s3=S3Resource(region_name=region))
    assert store.page(KEY) == f"https://{console}/s3/object/training?region={region}&prefix={KEY}"


def test_deleting_twice_is_as_deleting_once(store: ObjectStore) -> None:
    store.write(KEY, b"x")
    store.delete(KEY)
    store.delete(KEY)
    assert not store.exists(KEY)


def test_a_bucket_that_is_not_there_is_an_error_that_names_it(bucket: str) -> None:
    missing = S3StoreResource(bucket=f"{bucket}-other", s3=S3Resource())
    with pytest.raises(StoreError, match=r"could not be written: NoSuchBucket\. Look at TARGET_BUCKET"):
        missing.write(KEY, b"x")


def test_an_endpoint_with_a_name_is_asked_for_the_bucket_in_the_path(
    bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url.replace("127.0.0.1", "localhost"))
    store = S3StoreResource(bucket=bucket, s3=S3Resource())
    store.write(KEY, b"x")
    assert store.read(KEY) == b"x"


def test_an_endpoint_that_does_not_answer_is_an_error_that_names_the_object(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = S3StoreResource(bucket=bucket, s3=S3Resource(max_attempts=1))
    with pytest.raises(StoreError, match=r"s3://.*data\.json could not be read: .*AWS_ENDPOINT_URL"):
        store.read(KEY)


def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot be written: .* Look at TARGET_DIR"):
        LocalStoreResource(directory=str(tmp_path / "file")).write(KEY, b"x")


@pytest.mark.parametrize("key", ["/etc/passwd", "../outside", "a/../../b", ""])
def test_a_key_cannot_lead_out_of_the_directory(key: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a key"):
        LocalStoreResource(directory=str(tmp_path)).write(key, b"x")


def test_a_local_write_that_fails_leaves_the_old_object_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    store.write(KEY, b"old")
    before = files_below(tmp_path)

    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    # The one thing that cannot be had for real here is a full disk.
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.write(KEY, b"new")
    assert store.read(KEY) == b"old"
    assert files_below(tmp_path) == before


@pytest.mark.process
def test_writers_of_other_keys_do_not_disturb_one_another(tmp_path: Path) -> None:
    """Two processes, as two runs of a backfill are."""
    code = (
        "import sys\nfrom gata_assets.storage.resource import LocalStoreResource\n"
        "s = LocalStoreResource(directory=sys.argv[1])\n"
        "for n in range(400): s.write(f'{sys.argv[2]}/{n}', b'x')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in ("a", "b")]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0]
    assert len(files_below(tmp_path)) == 800 + 1, "and the lock"


def test_a_local_file_has_the_rights_that_the_process_gives_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        LocalStoreResource(directory=str(tmp_path)).write(KEY, b"x")
    finally:
        os.umask(before)
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o640


def test_an_unfinished_local_file_of_a_killed_process_is_swept_and_one_in_progress_is_not(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    store.write(KEY, b"x")
    left, written = tmp_path / ".staging" / "left", tmp_path / ".staging" / "written"
    for path in (left, written):
        path.write_bytes(b"half a text")
    with written.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert list(store.list_keys("")) == [KEY]
        store.write(KEY, b"y")
        assert not left.exists()
        assert written.exists()
    store.delete(KEY)
    assert not written.exists()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_private_local_object_and_its_folder_are_its_owners_alone(tmp_path: Path, umask: int) -> None:
    (tmp_path / "file").write_bytes(b"rows")
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    before = os.umask(umask)
    try:
        store.write("acme/quarantine/t/1", b"rows", is_private=True)
        store.write_file("acme/quarantine/u/1", tmp_path / "file", is_private=True)
        store.write("acme/staged/t/1", b"rows")
    finally:
        os.umask(before)
    target = tmp_path / "target"
    for table in "tu":
        assert mode(target / f"acme/quarantine/{table}") == 0o700
        assert mode(target / f"acme/quarantine/{table}/1") == 0o600
    # Others may read the rest as far as the umask says, once its owner has opened the target to them.
    assert mode(target) == 0o700
    assert mode(target / "acme/staged/t/1") == 0o666 & ~umask
    assert mode(target / "acme/staged/t") == mode(target / "acme") == 0o777 & ~umask


def test_a_private_local_object_of_an_earlier_release_is_tightened_when_it_is_written_again(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    store.write("acme/quarantine/t/1", b"rows")
    (tmp_path / "acme/quarantine/t").chmod(0o755)
    (tmp_path / "acme/quarantine/t/1").chmod(0o644)
    store.write("acme/quarantine/t/1", b"rows", is_private=True)
    assert mode(tmp_path / "acme/quarantine/t") == 0o700
    assert mode(tmp_path / "acme/quarantine/t/1") == 0o600


def test_nobody_else_can_read_a_local_file_that_is_being_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "slow")
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    writer = threading.Thread(target=store.write_file, args=(KEY, tmp_path / "slow"))
    writer.start()
    with (tmp_path / "slow").open("wb") as slow:
        slow.write(b"rows")
        slow.flush()
        staging = tmp_path / "target" / ".staging"
        deadline = time.monotonic() + 60
        while not (found := [path for path in staging.glob("*") if path.name != "lock"]):
            assert time.monotonic() < deadline
        assert [mode(path) for path in found] == [0o600]
    writer.join()
    assert store.read(KEY) == b"rows"


def test_private_objects_of_any_store_are_written_and_read(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"file")
    store.write("quarantine/1", b"content", is_private=True)
    store.write_file("quarantine/2", tmp_path / "file", is_private=True)
    assert [store.read(key) for key in store.list_keys("quarantine/")] == [b"content", b"file"]


def test_a_reader_never_sees_a_half_written_local_object(tmp_path: Path) -> None:
    """Writers replace an object while a reader reads it: what is read is always whole."""
    store = LocalStoreResource(directory=str(tmp_path))
    contents = [bytes([n]) * 300_000 for n in range(2)]
    store.write(KEY, contents[0])
    done = threading.Event()

    def write_on() -> None:
        for n in range(60):
            store.write(KEY, contents[n % 2])
        done.set()

    writer = threading.Thread(target=write_on)
    writer.start()
    read = 0
    while not done.is_set():
        assert store.read(KEY) in contents
        read += 1
    writer.join()
    assert read > 10


def files_below(directory: Path) -> set[str]:
    """The files below a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
