"""ObjectStore in an S3 bucket as a Dagster resource. `aws.s3_store` defines what it does."""

from __future__ import annotations

from typing import Any

from dagster_aws.s3 import S3Resource

from gata_assets.storage.aws.s3_store import CONNECT_SECONDS, COPIED_AT_ONCE, READ_SECONDS, S3Store
from gata_assets.storage.resource import ObjectStoreResource


class S3StoreResource(ObjectStoreResource, S3Store):
    """See S3Store."""

    bucket: str
    # It has the same fields.
    s3: S3Resource  # type: ignore[assignment]
    conditional_writes: bool = True
    kms_key: str | None = None
    copied_at_once: int = COPIED_AT_ONCE
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS

    def __reduce__(self) -> tuple[object, ...]:
        nested = {name: getattr(self.s3, name) for name in type(self.s3).model_fields}
        others = {name: getattr(self, name) for name in type(self).model_fields if name != "s3"}
        return _build, (nested, others)


def _build(s3: dict[str, Any], others: dict[str, Any]) -> S3StoreResource:
    return S3StoreResource(s3=S3Resource(**s3), **others)
