"""Objects of S3 written in parts and read piece by piece: memory holds one of them, however large they are."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from hashlib import md5
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

from gata_assets.errors import StoreError
from gata_assets.storage.objects import Content, ObjectWriter, Version

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

# S3 takes parts of 5 MiB or more, and 10,000 of them: parts grow with the object, which may have 5 TB.
_FIRST_PARTS_BYTES, _PARTS_OF_A_SIZE = 8 << 20, 1_000
_READ_AT_ONCE = 1 << 18
Errors = Callable[[str, str], AbstractContextManager[None]]


class PartsWriter(ObjectWriter):
    """An upload in parts, which S3 joins at the end; what fits into one part is a single PutObject."""

    def __init__(
        self,
        client: S3Client,
        place: dict[str, Any],
        errors: Errors,
        put: Callable[[bytes], Version],
        join: Callable[[Callable[[Any], str], Version], Version],
    ) -> None:
        """Nothing is sent yet.

        Args:
            client: The SDK's.
            place: Bucket and key, as arguments of its calls.
            errors: Turns the SDK's errors into those of stores, given what is done and the right that it needs.
            put: Stores all bytes at once, under the object's condition.
            join: Calls what is given with the arguments of the object's condition; also given the version that the
                object has if the call was carried out.
        """
        self._client, self._place, self._errors = client, place, errors
        self._put, self._join = put, join
        self._held = bytearray()
        self._upload: dict[str, Any] = {}
        self._parts: list[CompletedPartTypeDef] = []

    def write(self, content: Content) -> None:
        """See ObjectWriter."""
        rest = memoryview(content)
        while rest:
            size = _FIRST_PARTS_BYTES << len(self._parts) // _PARTS_OF_A_SIZE
            taken = rest[: size - len(self._held)]
            self._held += taken
            rest = rest[len(taken) :]
            if len(self._held) == size:
                self._send()

    def _send(self) -> None:
        with self._errors("written", "s3:PutObject"):
            if not self._upload:
                begun: Any = self._client.create_multipart_upload(**self._place)
                self._upload = self._place | {"UploadId": begun["UploadId"]}
            part: Any = {"PartNumber": len(self._parts) + 1, "Body": self._held}
            tag = self._client.upload_part(**self._upload, **part)["ETag"]
        self._parts.append({"PartNumber": part["PartNumber"], "ETag": tag})
        self._held = bytearray()

    def _commit(self) -> Version:
        if not self._upload:
            return self._put(bytes(self._held))
        if self._held:
            self._send()
        parts: Any = {"MultipartUpload": {"Parts": self._parts}}

        def complete(condition: Any) -> str:
            return str(self._client.complete_multipart_upload(**self._upload, **parts, **condition)["ETag"])

        return self._join(complete, self._joined_version())

    def _joined_version(self) -> Version:
        """The ETag that S3 gives an object of these parts, unless it is encrypted with a KMS key."""
        digests = [str(part["ETag"]).strip('"') for part in self._parts]
        try:
            digest = md5(bytes.fromhex("".join(digests)), usedforsecurity=False).hexdigest()
        except ValueError:
            digest = "unknown"
        return Version(f'"{digest}-{len(digests)}"')

    def abort(self) -> None:
        """See ObjectWriter; what cannot be aborted now is removed by a rule of the bucket."""
        upload, self._upload = self._upload, {}
        self._held = bytearray()
        if upload:
            with suppress(StoreError), self._errors("aborted", "s3:AbortMultipartUpload"):
                self._client.abort_multipart_upload(**upload)


class ObjectReader(io.RawIOBase):
    """An object of a known version and size: one response is read on and on, another one after a seek or a fault."""

    def __init__(self, client: S3Client, place: dict[str, Any], errors: Errors, size: int, body: StreamingBody) -> None:
        """`place` has the version as a condition (IfMatch), which has so many bytes; `body` is its first response."""
        self._client, self._place, self._errors, self._size = client, place, errors, size
        self._at = 0
        self._body: StreamingBody | None = body

    def readable(self) -> bool:
        """See RawIOBase."""
        return True

    def seekable(self) -> bool:
        """See RawIOBase."""
        return True

    def tell(self) -> int:
        """See RawIOBase."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See RawIOBase."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset != self._at:
            self._leave()
        self._at = max(start + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """See RawIOBase."""
        to = memoryview(buffer).cast("B")
        size = min(len(to), self._size - self._at)
        if size <= 0:
            return 0
        try:
            content = self._read(size)
        except BotoCoreError:
            # A response may break off after minutes: the next one begins where it did.
            self._leave()
            with self._errors("read", "s3:GetObject"):
                content = self._read(size)
        to[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _read(self, size: int) -> bytes:
        if self._body is None:
            with self._errors("read", "s3:GetObject"):
                self._body = self._client.get_object(**self._place, Range=f"bytes={self._at}-")["Body"]
        return self._body.read(size)

    def _leave(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def close(self) -> None:
        """See RawIOBase."""
        self._leave()
        super().close()


def read_in_parts(
    client: S3Client, place: dict[str, Any], errors: Errors, size: int, body: StreamingBody
) -> io.BufferedReader:
    """An object as a file of which so much is in memory as is asked for at once; see `ObjectReader`."""
    return io.BufferedReader(ObjectReader(client, place, errors, size, body), _READ_AT_ONCE)
