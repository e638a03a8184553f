"""What a bucket has beside its present objects: versions that were superseded or deleted, and archived ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import ClientError

from gata_assets.errors import AccessDeniedError, DeleteDeniedError, ObjectNotFoundError, StoreError
from gata_assets.storage.aws.s3_streams import read_in_parts
from gata_assets.storage.objects import KeptVersion, ObjectHistory

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# Hours of a restore by the tier Standard, at the latest, by storage class.
_HOURS = {"GLACIER": 5, "DEEP_ARCHIVE": 12}
_TIER = "Standard"
# A restored copy can be read for so long.
_DAYS_RESTORED = 7
Errors = Callable[[str, str, str], AbstractContextManager[None]]


class S3History(ObjectHistory):
    """See ObjectHistory. For a bucket that never had versions, finding that out is a single call."""

    def __init__(self, client: S3Client, bucket: str, errors: Errors) -> None:
        """`errors` turns the SDK's errors into those of stores, given what is done, the key, and the needed right."""
        self._client, self._bucket, self._errors = client, bucket, errors

    def old_versions(self) -> Iterator[KeptVersion]:
        """See ObjectHistory."""
        if self._has_versions():
            yield from (_kept(found) for found in self._versions() if not found["IsLatest"])

    def archived(self) -> Iterator[KeptVersion]:
        """See ObjectHistory."""
        found = self._versions() if self._has_versions() else self._listed("list_objects_v2", "Contents", "ListBucket")
        yield from (kept for kept in map(_kept, found) if kept.archive)

    def _has_versions(self) -> bool:
        with self._errors("asked for its versions", "", "s3:GetBucketVersioning"):
            try:
                return "Status" in self._client.get_bucket_versioning(Bucket=self._bucket)
            except ClientError as error:
                # An endpoint that knows no versions.
                if error.response["Error"]["Code"] == "NotImplemented":
                    return False
                raise

    def _versions(self) -> Iterator[Any]:
        return self._listed("list_object_versions", "Versions", "ListBucketVersions")

    def _listed(self, call: Any, kind: str, right: str) -> Iterator[Any]:
        with self._errors("listed", "", f"s3:{right}"):
            paginator: Any = self._client.get_paginator(call)
            for page in paginator.paginate(Bucket=self._bucket):
                # As `S3Store` does: of a response that broke off the SDK passes on nothing.
                if "IsTruncated" not in page:
                    raise StoreError(f"s3://{self._bucket}/ could not be listed: S3's response broke off. Try again.")
                yield from page.get(kind, [])

    @contextmanager
    def open_read(self, kept: KeptVersion) -> Iterator[BinaryIO]:
        """See ObjectHistory."""
        place: Any = self._place(kept)

        def errors(done: str, action: str) -> AbstractContextManager[None]:
            return self._errors(done, kept.key, action)

        with errors("read", "s3:GetObjectVersion"):
            found = self._client.get_object(**place)
        with read_in_parts(self._client, place, errors, found["ContentLength"], found["Body"]) as file:
            yield file

    def delete(self, kept: KeptVersion) -> None:
        """See ObjectHistory."""
        try:
            with self._errors("deleted", kept.key, "s3:DeleteObjectVersion"):
                self._client.delete_object(**self._place(kept))
        except AccessDeniedError as error:
            raise DeleteDeniedError(str(error)) from None
        except ObjectNotFoundError:
            return

    def restore(self, kept: KeptVersion) -> int:
        """See ObjectHistory."""
        try:
            with self._errors("looked at", kept.key, "s3:GetObject (of old versions s3:GetObjectVersion)"):
                state = self._client.head_object(**self._place(kept)).get("Restore", "")
            if 'ongoing-request="false"' in state:
                return 0
            if not state:
                self._begin_restore(kept)
        except ObjectNotFoundError:
            return 0
        return _HOURS[kept.archive]

    def _begin_restore(self, kept: KeptVersion) -> None:
        wanted: Any = {"Days": _DAYS_RESTORED, "GlacierJobParameters": {"Tier": _TIER}}
        with self._errors("restored", kept.key, "s3:RestoreObject"):
            try:
                self._client.restore_object(**self._place(kept), RestoreRequest=wanted)
            except ClientError as error:
                # Another command was faster.
                if error.response["Error"]["Code"] != "RestoreAlreadyInProgress":
                    raise

    def _place(self, kept: KeptVersion) -> Any:
        place = {"Bucket": self._bucket, "Key": kept.key}
        return place | {"VersionId": kept.name} if kept.name else place


def _kept(found: Any) -> KeptVersion:
    storage = found.get("StorageClass", "")
    return KeptVersion(found["Key"], found.get("VersionId", ""), found["Size"], storage if storage in _HOURS else "")
