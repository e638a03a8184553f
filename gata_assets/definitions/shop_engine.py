"""Opens the engine of the shop by the settings; where no bucket is named, without the AWS SDK."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gata_assets.definitions.stores import build_bucket, build_store
from gata_assets.settings.model import Settings
from gata_assets.shop.places import CURATED, PROD, RAW
from gata_assets.shop.stores import ShopStore
from gata_assets.storage.catalog.base import Catalog
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore

if TYPE_CHECKING:
    # Only where it is used: it loads compiled kernels, and definitions are loaded all the time.
    from gata_assets.shop.engine import ShopEngine


def open_shop(settings: Settings, target: ObjectStore | None = None) -> ShopEngine:
    """The engine that the settings choose, over `open_shop_store`; raises SettingsError for a wrong table."""
    from gata_assets.settings.shop_rules import prod_settings, shop_rules, shop_tables
    from gata_assets.shop.engine import ShopEngine

    store = open_shop_store(settings, target)

    def catalog() -> Catalog:
        if settings.shop.glue_database:
            from gata_assets.storage.catalog.glue import GlueCatalog

            return GlueCatalog(region=settings.target.region)
        from gata_assets.storage.catalog.local_file import FileCatalog

        return FileCatalog(store, f"{PROD}catalog.json")

    return ShopEngine(
        store,
        shop_tables(settings),
        shop_rules(settings),
        timedelta(days=settings.shop.parked_days),
        catalog,
        prod_settings(settings),
        clock=lambda: datetime.now(UTC),
        pause=time.sleep,
    )


def open_shop_store(settings: Settings, target: ObjectStore | None = None) -> ObjectStore:
    """The store of the shop's places, over a store of the target, or that of the settings."""
    shop = settings.shop
    buckets = {RAW: shop.raw_bucket, CURATED: shop.curated_bucket, PROD: shop.prod_bucket}
    if target is None and settings.target.bucket is None and not any(buckets.values()):
        return LocalStore(str(settings.target.directory))
    key, mounts = shop.kms_key, {}
    for prefix, bucket in buckets.items():
        if bucket:
            mounts[prefix] = build_bucket(settings, bucket, kms_key=key if prefix != RAW else None)
    return ShopStore(target or build_store(settings), mounts)
