"""Whose data is prepared: the tenants and shops that settings name, or else all that have raw files."""

from __future__ import annotations

from gata_assets.curation.files.tenants import find_tenants
from gata_assets.curation.layout import is_tenant_name
from gata_assets.errors import StoreError
from gata_assets.settings.model import Settings
from gata_assets.shop.places import RAW
from gata_assets.storage.objects import ObjectStore


def tenants_prepared(settings: Settings, store: ObjectStore) -> tuple[str, ...]:
    """The tenants of TENANTS; while it is unset, those in the target.

    Raises StoreError if the target cannot be listed: that is not the same as no tenant.
    """
    if settings.interactions.tenants is not None:
        return settings.interactions.tenants
    try:
        return tuple(find_tenants(store))
    except StoreError as error:
        raise _unlisted(error) from error


def _unlisted(error: StoreError) -> StoreError:
    return StoreError(
        f"{error} It is listed since TENANTS is unset: all tenants with raw files are prepared. TENANTS may name "
        "them, or say none."
    )


def sources_prepared(settings: Settings, store: ObjectStore) -> tuple[str, ...]:
    """The shops of SHOP_SOURCES; while it and TENANTS are unset, those in the target.

    `store` is the target. Raises StoreError if it cannot be listed.
    """
    if settings.shop.sources is not None:
        return settings.shop.sources
    if settings.interactions.tenants is not None or settings.shop.raw_bucket:
        return ()
    try:
        has_shop = RAW.partition("/")[0] in store.list_folders("")
        return tuple(name for name in store.list_folders(RAW) if is_tenant_name(name)) if has_shop else ()
    except StoreError as error:
        raise _unlisted(error) from error
