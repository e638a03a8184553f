"""Objects that are written and read in parts, and moved: the contract of each store, and calls of S3 that fail.

Real: files, and S3 over HTTP on loopback (moto), behind a proxy that fails calls.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.errors import ConflictError, ObjectNotFoundError, StoreError
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.fault_proxy import S3_ERROR, FaultProxy, Faults, Manner

KEY, OTHER = "ingestion/uploads/a", "acme/raw/interactions/a.csv"
# Two parts of S3, and a bit.
_MEGABYTES = [os.urandom(1 << 20)] * 17
LARGE = b"".join(_MEGABYTES)


@pytest.mark.parametrize("pieces", [[], [b""], [b"a", bytearray(b"bc"), memoryview(b"d")], _MEGABYTES])
def test_what_is_written_in_pieces_is_one_object_once_all_are_written(store: ObjectStore, pieces: list[bytes]) -> None:
    with store.open_write(KEY) as writer:
        for piece in pieces:
            writer.write(piece)
        assert not store.exists(KEY)
    assert store.read(KEY) == b"".join(pieces)
    assert writer.version == store.version(KEY)


def test_a_write_that_is_broken_off_leaves_what_was_there(store: ObjectStore) -> None:
    store.write(KEY, b"before")
    version = store.version(KEY)
    writer = store.open_write(KEY)
    writer.write(LARGE)
    writer.abort()
    assert store.version(KEY) == version
    assert list(store.list_keys("ingestion/")) == [KEY]


@pytest.mark.parametrize("content", [b"few", LARGE])
def test_a_write_under_a_condition_replaces_that_version_alone(store: ObjectStore, content: bytes) -> None:
    writers = [store.open_write(KEY, expected=ABSENT) for _ in range(2)]
    for writer in writers:
        writer.write(content)
    version = writers[0].commit()
    with pytest.raises(ConflictError):
        writers[1].commit()
    with store.open_write(KEY, expected=version) as third:
        third.write(b"third")
    assert store.read(KEY) == b"third"
    with pytest.raises(ConflictError), store.open_write(KEY, expected=version) as fourth:
        fourth.write(content)
    assert store.read(KEY) == b"third"


@pytest.mark.parametrize("content", [b"", b"few", LARGE])
def test_an_object_is_read_in_parts_from_anywhere(store: ObjectStore, content: bytes) -> None:
    store.write(KEY, content)
    with store.open_read(KEY) as file:
        assert file.read(10) == content[:10]
        file.seek(-2, os.SEEK_CUR) if content[:2] else None
        assert file.read() == content[min(len(content), 10) - 2 if content else 0 :]
        assert file.read(1) == b""
        assert file.seek(0, os.SEEK_END) == len(content)
        file.seek(1)
        assert file.read(3) == content[1:4]


def test_what_is_not_there_can_be_neither_read_in_parts_nor_moved(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFoundError, match="There is no"), store.open_read(KEY):
        pytest.fail("there is something")
    with pytest.raises(ObjectNotFoundError, match="There is no"):
        store.move(KEY, OTHER)
    assert list(store.list_keys("ingestion/")) == []


def test_parts_of_two_objects_are_never_read_as_one(store: ObjectStore) -> None:
    store.write(KEY, LARGE)
    with store.open_read(KEY) as file:
        assert file.read(1) == LARGE[:1]
        store.write(KEY, bytes(len(LARGE)))
        try:
            rest = file.read()
        except ConflictError:
            return
    assert rest == LARGE[1:]


def test_a_moved_object_is_under_its_new_key_alone(store: ObjectStore) -> None:
    keys = ("a/from", "a/b/to")
    store.write(keys[0], b"content")
    store.write(keys[1], b"before")
    store.move(*keys)
    assert store.read(keys[1]) == b"content"
    assert list(store.list_keys("a/")) == [keys[1]]


def uploads_of(bucket: str) -> int:
    """Incomplete uploads in parts, whose parts cost money until they are removed."""
    return len(boto3.client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads", []))


@dataclass
class Broken:
    """A bucket behind a proxy that fails calls."""

    store: S3StoreResource
    bucket: str
    faults: Faults


@pytest.fixture
def broken(bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    """Calls of S3 fail as `faults` say, and the SDK repeats each once."""
    faults = Faults()
    with FaultProxy("s3", moto_url, faults, S3_ERROR) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield Broken(S3StoreResource(bucket=bucket, s3=S3Resource(max_attempts=1)), bucket, faults)


@pytest.mark.server
def test_large_objects_are_copied_within_s3_in_parts(bucket: str) -> None:
    store = S3StoreResource(bucket=bucket, s3=S3Resource(), copied_at_once=6 << 20)
    with store.open_write(KEY) as writer:
        writer.write(LARGE)
    store.move(KEY, OTHER)
    assert store.read(OTHER) == LARGE
    assert list(store.list_keys("")) == [OTHER]


@pytest.mark.server
def test_an_upload_in_parts_that_fails_at_any_call_leaves_nothing(broken: Broken) -> None:
    for manner in (Manner.ERROR, Manner.UNANSWERED):
        # Begun, three parts, joined.
        for number in range(1, 6):
            writer = broken.store.open_write(KEY)
            # The SDK repeats the call.
            broken.faults.begin(manner, first=number, last=number + 1)
            try:
                with writer:
                    writer.write(LARGE)
            except StoreError:
                assert not broken.store.exists(KEY) or (manner, number) == (Manner.UNANSWERED, 5)
            else:
                pytest.fail(f"call {number} was to fail")
            assert broken.faults.failed
            # Uploads whose beginning was not answered are known to nobody: a rule of the bucket removes them.
            assert uploads_of(broken.bucket) == (2 if (manner, number) == (Manner.UNANSWERED, 1) else 0)
            abandon(broken)


def abandon(broken: Broken) -> None:
    """Remove what the last try left."""
    client = boto3.client("s3")
    for upload in client.list_multipart_uploads(Bucket=broken.bucket).get("Uploads", []):
        client.abort_multipart_upload(Bucket=broken.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    broken.store.delete(KEY)


@pytest.mark.server
def test_an_answer_that_breaks_off_is_read_on_and_one_that_breaks_off_again_is_an_error(broken: Broken) -> None:
    broken.store.write(KEY, LARGE)
    broken.faults.begin(Manner.CUT_SHORT, first=1, last=1)
    with broken.store.open_read(KEY) as file:
        assert file.read() == LARGE
    assert len(broken.faults.failed) == 1
    broken.faults.begin(Manner.CUT_SHORT, first=1, last=99)
    with broken.store.open_read(KEY) as file, pytest.raises(StoreError, match="could not be read"):
        file.read(len(LARGE))
