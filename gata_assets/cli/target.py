"""The target of the commands that need no Dagster."""

from __future__ import annotations

from gata_assets.settings.model import Settings
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore


def open_store(settings: Settings) -> ObjectStore:
    """The target, without Dagster, which takes 40 MB and a second."""
    target = settings.target
    if target.bucket is None:
        return LocalStore(str(target.directory))
    # The AWS SDK, when it is needed.
    from gata_assets.storage.aws.s3_client import SdkSettings
    from gata_assets.storage.aws.s3_store import S3Store

    s3 = SdkSettings(region_name=target.region)
    return S3Store(target.bucket, s3, conditional_writes=target.conditional_writes)
