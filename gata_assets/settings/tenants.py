"""Whose data is prepared: the tenants and shops that settings name, or else all that have raw files."""

from __future__ import annotations

from gata_assets.curation.files.tenants import find_tenants, has_raw_files
from gata_assets.curation.layout import is_tenant_name
from gata_assets.errors import StoreError
from gata_assets.lake.tables import TICKETS
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import has_own_tickets
from gata_assets.shop.places import RAW
from gata_assets.storage.objects import ObjectStore


def tenants_prepared(settings: Settings, store: ObjectStore) -> tuple[str, ...]:
    """The tenants of TENANTS; while it is unset, those in the target with raw files of other tables than tickets, which
    are the lake's.

    Raises StoreError if the target cannot be listed: that is not the same as no tenant.
    """
    if settings.interactions.tenants is not None:
        return settings.interactions.tenants
    try:
        return tuple(find_tenants(store, without_tables=() if has_own_tickets(settings) else (TICKETS,)))
    except StoreError as error:
        raise _unlisted(error) from error


def lakes_prepared(settings: Settings, store: ObjectStore) -> tuple[str, ...]:
    """The tenants of LAKE_TENANTS; while it is unset, those of TENANTS, or else in the target, that have raw tickets.

    The tenant of TICKETS_URL is one of them in any case.

    `store` is the target. Raises StoreError if it cannot be listed.
    """
    read = (settings.tickets.lake_tenant,) if settings.tickets.lake_tenant else ()
    if settings.lake.tenants is not None:
        return tuple(dict.fromkeys([*settings.lake.tenants, *read]))
    if has_own_tickets(settings):
        return read
    try:
        names = settings.interactions.tenants
        if names is None:
            found = find_tenants(store, tables=(TICKETS,))
        else:
            found = [name for name in names if _may_have_tickets(store, name)]
    except StoreError as error:
        raise _unlisted(error) from error
    return tuple(dict.fromkeys([*found, *read]))


def _may_have_tickets(store: ObjectStore, tenant: str) -> bool:
    """Whether a tenant has raw tickets, or a folder that cannot be listed and may have some: its sensor says so."""
    try:
        return has_raw_files(store, tenant, TICKETS)
    except StoreError:
        return True


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
