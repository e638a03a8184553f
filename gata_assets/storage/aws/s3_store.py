"""ObjectStore in an S3 bucket."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from hashlib import md5
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlencode

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError

from gata_assets.errors import AccessDeniedError, ConflictError, DeleteDeniedError, ObjectNotFoundError, StoreError
from gata_assets.storage.aws.s3_client import ENDPOINTS_OF_AWS, SdkSettings, encrypt_with, open_client
from gata_assets.storage.aws.s3_errors import BeyondTheEndError, RepeatedConflictError, changed, s3_errors
from gata_assets.storage.aws.s3_history import S3History
from gata_assets.storage.aws.s3_streams import Errors, PartsWriter, read_in_parts
from gata_assets.storage.objects import ABSENT, Guard, ObjectStore, ObjectWriter, Version
from gata_assets.storage.scratch import scratch_directory

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# The consoles, by the prefix of the names of their regions.
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com", "": "s3.console.aws.amazon.com"}
_READ_AT_ONCE = 1 << 20
_PARTS_AT_ONCE = 3
COPIED_AT_ONCE = 5 * 10**9
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0


class S3Store(ObjectStore):
    """ObjectStore of one bucket. The AWS SDK's own variables (endpoint, region, credentials) apply.

    A version is an ETag. Where the endpoint has no conditional writes (`conditional_writes` is false), versions are
    compared before a write, and what another process writes between the two is lost.

    An endpoint that accepts connections and never answers ends a call after `read_seconds` for each attempt, with the
    pauses of the SDK between them: 5 retries (`s3.max_attempts`) of 60 s are 6 to 8 minutes at most.
    """

    def __init__(self, bucket: str, s3: SdkSettings, *, conditional_writes: bool = True) -> None:
        """The client is opened at the first call."""
        self.bucket, self.s3, self.conditional_writes = bucket, s3, conditional_writes
        # What is written is encrypted with this key (SSE-KMS); None for the bucket's own encryption.
        self.kms_key: str | None = None
        # S3 copies up to 5 GB at once, larger objects in parts.
        self.copied_at_once = COPIED_AT_ONCE
        self.connect_seconds, self.read_seconds = CONNECT_SECONDS, READ_SECONDS

    @property
    def has_conditions(self) -> bool:
        """See ObjectStore."""
        return self.conditional_writes

    def write(
        self,
        key: str,
        content: bytes,
        *,
        expected: Version | None = None,
        guard: Guard | None = None,  # noqa: ARG002 (S3 compares the object's own version alone)
        unlike: Collection[Version] = (),
        is_private: bool = False,  # noqa: ARG002 (the bucket's policies)
    ) -> Version:
        """See ObjectStore; one PutObject, which S3 performs atomically, with its checksum.

        If the ETag must not be the digest of the content, the content is uploaded again as a single part.
        """
        place: Any = {"Bucket": self.bucket, "Key": key}

        def put(condition: Any) -> str:
            return str(self._client.put_object(**place, Body=content, **condition)["ETag"])

        def upload(condition: Any) -> str:
            begun = place | {"UploadId": self._client.create_multipart_upload(**place)["UploadId"]}
            tag = self._client.upload_part(**begun, PartNumber=1, Body=content)["ETag"]
            parts: Any = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
            return str(self._client.complete_multipart_upload(**begun, MultipartUpload=parts, **condition)["ETag"])

        def find_own() -> Version:
            found, version = self.read_versioned(key)
            return version if found == content else ABSENT

        version = self._write_under(expected, put, key, find_own)
        return self._write_under(version, upload, key, find_own) if version in unlike else version

    def _write_under(
        self,
        expected: Version | None,
        write: Callable[[dict[str, str]], str],
        key: str,
        find_own: Callable[[], Version],
    ) -> Version:
        """Write under a condition. The SDK repeats a call whose response was lost, which may then find its own write
        (`find_own` looks for it): that is no conflict.
        """
        condition = self._condition(key, expected)
        try:
            with self._errors("written", key, "s3:PutObject"):
                return Version(write(condition))
        except RepeatedConflictError:
            if (version := find_own()) != ABSENT:
                return version
            raise
        except ObjectNotFoundError:
            if condition:
                raise ConflictError(changed(self.uri(key))) from None
            raise

    def read_versioned(self, key: str) -> tuple[bytes, Version]:
        """See ObjectStore."""
        with self._reading(key):
            found = self._client.get_object(Bucket=self.bucket, Key=key)
            return found["Body"].read(), Version(found["ETag"])

    def read_part(self, key: str, start: int, size: int) -> bytes:
        """See ObjectStore."""
        try:
            with self._reading(key):
                byte_range = f"bytes={start}-{start + size - 1}"
                return self._client.get_object(Bucket=self.bucket, Key=key, Range=byte_range)["Body"].read()
        except BeyondTheEndError:
            return b""

    def write_file(self, key: str, path: Path, *, is_private: bool = False) -> None:  # noqa: ARG002
        """See ObjectStore; a large file in parts, which S3 joins at the end."""
        try:
            with path.open("rb") as file, self._errors("written", key, "s3:PutObject"):
                self._client.upload_fileobj(file, self.bucket, key, Config=_in_few_parts())
        except OSError as error:
            raise StoreError(f"{self.uri(key)} cannot be written from {path}: {error.strerror}.") from None

    def open_write(self, key: str, *, expected: Version | None = None) -> ObjectWriter:
        """See ObjectStore."""

        def put(content: bytes) -> Version:
            return self.write(key, content, expected=expected)

        def join(complete: Callable[[Any], str], joined: Version) -> Version:
            def find_own() -> Version:
                return joined if self.version(key) == joined else ABSENT

            return self._write_under(expected, complete, key, find_own)

        return PartsWriter(self._client, *self._place_of(key), put, join)

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        """See ObjectStore."""
        place, errors = self._place_of(key)
        with self._reading(key):
            found = self._client.get_object(**place)
        condition = {"IfMatch": found["ETag"]}
        with read_in_parts(self._client, place | condition, errors, found["ContentLength"], found["Body"]) as file:
            yield file

    def move(self, key: str, to: str) -> None:
        """See ObjectStore; a copy within S3, in parts if it is large, and a deletion."""
        config = TransferConfig(multipart_threshold=self.copied_at_once, multipart_chunksize=self.copied_at_once)
        with self._errors("moved", key, "s3:GetObject, and s3:PutObject"):
            self._client.copy({"Bucket": self.bucket, "Key": key}, self.bucket, to, Config=config)
        with suppress(DeleteDeniedError):
            self.delete(key)

    def _place_of(self, key: str) -> tuple[dict[str, Any], Errors]:
        return {"Bucket": self.bucket, "Key": key}, lambda done, action: self._errors(done, key, action)

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """See ObjectStore; a copy in the directory for temporary files."""
        with scratch_directory() as directory:
            # A key may have 1,024 bytes, and a file's name 255.
            path = directory / (key.rpartition("/")[2][-60:] or "object")
            # One GetObject: boto3's own transfer calls HeadObject first, see `exists`.
            try:
                with path.open("xb") as file, self._reading(key):
                    body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"]
                    copyfileobj(body, file, _READ_AT_ONCE)
            except OSError as error:
                raise StoreError(f"{self.uri(key)} cannot be copied to {directory}: {error.strerror}.") from None
            yield path

    def list_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        """See ObjectStore; a page of 1,000 at a time."""
        return ((found["Key"], Version(found["ETag"])) for found in self._list(prefix))

    def list_folders(self, prefix: str) -> Iterator[str]:
        """See ObjectStore; a page of 1,000 at a time, whatever is in them."""
        folders = self._list(prefix, kind="CommonPrefixes", Delimiter="/")
        return iter(sorted(found["Prefix"].removeprefix(prefix).removesuffix("/") for found in folders))

    def _list(self, prefix: str, done: str = "listed", kind: str = "Contents", **limit: Any) -> Iterator[Any]:
        with self._errors(done, prefix, "s3:ListBucket"):
            paginator: Any = self._client.get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self.bucket, Prefix=prefix, **limit):
                # The SDK passes on a response that broke off before its body as an empty one without a KeyCount.
                if "KeyCount" not in page:
                    raise StoreError(f"{self.uri(prefix)} could not be {done}: S3's response broke off. Run it again.")
                yield from page.get(kind, [])

    def version(self, key: str) -> Version:
        """See ObjectStore.

        Lists a single key: among the keys with this prefix it comes first. HeadObject responds with 403, not 404, to a
        role that may list only some prefixes, such as the one in deploy/.
        """
        first = next(self._list(key, "looked for", MaxKeys=1), None)
        return Version(first["ETag"]) if first and first["Key"] == key else ABSENT

    def versions_of(self, content: bytes) -> frozenset[Version]:
        """See ObjectStore; the ETag of an object encrypted with a KMS key is neither of them."""
        digest = md5(content, usedforsecurity=False)
        of_one_part = md5(digest.digest(), usedforsecurity=False)
        return frozenset({Version(f'"{digest.hexdigest()}"'), Version(f'"{of_one_part.hexdigest()}-1"')})

    def delete(self, key: str, *, expected: Version | None = None, guard: Guard | None = None) -> None:  # noqa: ARG002
        """See ObjectStore."""
        try:
            condition = self._condition(key, expected)
            with self._errors("deleted", key, "s3:DeleteObject"):
                self._client.delete_object(Bucket=self.bucket, Key=key, **condition)
        except AccessDeniedError as error:
            raise DeleteDeniedError(str(error)) from None
        except ObjectNotFoundError:
            # The response to a condition on a deleted object.
            return

    def history(self) -> S3History:
        """See ObjectStore."""
        return S3History(self._client, self.bucket, self._errors)

    def uri(self, key: str) -> str:
        """See ObjectStore."""
        return f"s3://{self.bucket}/{key}"

    def page(self, key: str) -> str | None:
        """See ObjectStore; in AWS's console; None for a custom endpoint."""
        meta = self._client.meta
        if not meta.endpoint_url.endswith(ENDPOINTS_OF_AWS):
            return None
        console = next(host for start, host in _CONSOLES.items() if meta.region_name.startswith(start))
        query = urlencode({"region": meta.region_name, "prefix": key}, safe="/")
        return f"https://{console}/s3/object/{self.bucket}?{query}"

    @cached_property
    def _client(self) -> S3Client:
        # One for all calls: it keeps its connections.
        try:
            client = open_client(self.s3, self.connect_seconds, self.read_seconds)
            return encrypt_with(client, self.kms_key) if self.kms_key else client
        except (BotoCoreError, ValueError) as error:
            raise StoreError(f"The AWS SDK cannot be set up: {error}. Look at the variables AWS_….") from None

    def _condition(self, key: str, expected: Version | None) -> Any:
        """The arguments for a call that S3 performs only if the key has that version."""
        if expected is None:
            return {}
        if not self.conditional_writes:
            if self.version(key) != expected:
                raise ConflictError(changed(self.uri(key)))
            return {}
        return {"IfNoneMatch": "*"} if expected == ABSENT else {"IfMatch": expected}

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        """The errors of a read. To a role that may list some prefixes only, S3 denies what is not there, too."""
        try:
            with self._errors("read", key, "s3:GetObject"):
                yield
        except AccessDeniedError as error:
            try:
                is_there = self.exists(key)
            except StoreError:
                raise error from None
            if is_there:
                raise
            raise ObjectNotFoundError(f"There is no {self.uri(key)}.") from None

    def _errors(self, done: str, key: str, action: str) -> AbstractContextManager[None]:
        return s3_errors(self.uri(key), done, action)


def _in_few_parts() -> TransferConfig:
    """Three parts of 8 MB in memory, where the SDK has ten: 70 MB less."""
    config: Any = TransferConfig(max_concurrency=_PARTS_AT_ONCE)
    # The SDK's own limit, which it has no argument for.
    config.max_in_memory_upload_chunks = _PARTS_AT_ONCE
    return cast("TransferConfig", config)
