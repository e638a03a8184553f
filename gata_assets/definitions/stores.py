"""The stores that the settings choose."""

from __future__ import annotations

from gata_assets.settings.model import Settings
from gata_assets.storage.resource import LocalStoreResource, ObjectStoreResource


def build_store(settings: Settings) -> ObjectStoreResource:
    """The target that the settings choose; the AWS SDK is imported when it is needed."""
    target = settings.target
    if target.bucket is None:
        return LocalStoreResource(directory=str(target.directory))
    return build_bucket(settings, target.bucket)


def build_bucket(settings: Settings, bucket: str, *, kms_key: str | None = None) -> ObjectStoreResource:
    """The store of a bucket; with a key, what is written is encrypted with it."""
    from dagster_aws.s3 import S3Resource

    from gata_assets.storage.s3 import S3StoreResource

    target = settings.target
    return S3StoreResource(
        bucket=bucket,
        s3=S3Resource(region_name=target.region),
        conditional_writes=target.conditional_writes,
        kms_key=kms_key,
    )
