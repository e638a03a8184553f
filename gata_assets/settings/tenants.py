"""Whose data is prepared: the tenants and shops that settings name, or else all that have raw files."""

from __future__ import annotations

from collections.abc import Sequence

from gata_assets.curation.files.tenants import TenantSearch, find_tenants, has_only_raw_files_of, has_raw_files
from gata_assets.curation.layout import is_tenant_name
from gata_assets.errors import StoreError
from gata_assets.lake.tables import TICKETS
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import has_own_tickets, require_lake
from gata_assets.shop.places import RAW
from gata_assets.storage.objects import ObjectStore


def named_tenants(settings: Settings) -> tuple[str, ...] | None:
    """The tenants of TENANTS, and of the settings of lakes; None while TENANTS is unset, since any name may be one."""
    if settings.interactions.tenants is None:
        return None
    return tuple(dict.fromkeys([*settings.interactions.tenants, *(settings.lake.tenants or ()), *_lake_read(settings)]))


def is_named(settings: Settings, tenant: str, table: str | None = None) -> bool:
    """Whether a tenant's data is prepared as far as settings say, of all tables or of one: lakes are of tickets."""
    named = settings.interactions.tenants if table not in (None, TICKETS) else named_tenants(settings)
    return named is None or tenant in named


def tenants_prepared(settings: Settings, store: ObjectStore) -> tuple[str, ...]:
    """The tenants of TENANTS, without those whose raw files are all of a lake; while it is unset, those in the target
    with raw files of other tables than tickets, which are the lake's.

    Raises StoreError if the target cannot be listed while TENANTS is unset: that is not the same as no tenant.
    """
    if settings.interactions.tenants is not None:
        named = settings.interactions.tenants
        only = [name for name in named if _has_only_tickets(store, name)]
        lakes = lakes_prepared(settings, store) if only else ()
        return tuple(name for name in named if name not in only or name not in lakes)
    try:
        return tuple(find_tenants(store, without_tables=() if has_own_tickets(settings) else (TICKETS,)))
    except StoreError as error:
        raise _unlisted(error) from error


def lakes_prepared(settings: Settings, store: ObjectStore) -> tuple[str, ...]:
    """The tenants of LAKE_TENANTS; while it is unset, those of TENANTS, or else in the target, that have raw tickets.

    The tenant of TICKETS_URL is one of them in any case.

    `store` is the target. Raises StoreError if it cannot be listed, and SettingsError if a lake is named where
    TABLE_SPECS declares a table of its name.
    """
    read = _lake_read(settings)
    if has_own_tickets(settings):
        if read or settings.lake.tenants:
            require_lake(settings)
        return ()
    if settings.lake.tenants is not None:
        return tuple(dict.fromkeys([*settings.lake.tenants, *read]))
    try:
        names = settings.interactions.tenants
        if names is None:
            found = find_tenants(store, tables=(TICKETS,))
        else:
            found = [name for name in names if _may_have_tickets(store, name)]
    except StoreError as error:
        raise _unlisted(error) from error
    return tuple(dict.fromkeys([*found, *read]))


def new_tenants_of_tables(settings: Settings, known: Sequence[str]) -> TenantSearch:
    """Whom a sensor looks for that has raw files of other tables than the lake's, besides those that have assets."""
    without = () if has_own_tickets(settings) else (TICKETS,)
    return TenantSearch(settings.interactions.tenants, known, without_tables=without)


def new_tenants_of_lakes(settings: Settings, known: Sequence[str]) -> TenantSearch:
    """Whom a sensor looks for that has raw tickets of a lake, besides those that have assets."""
    is_set = settings.lake.tenants is not None or has_own_tickets(settings)
    return TenantSearch(() if is_set else settings.interactions.tenants, known, tables=(TICKETS,))


def _lake_read(settings: Settings) -> tuple[str, ...]:
    """The tenant whose lake batches are read from, if there is one."""
    return (settings.tickets.lake_tenant,) if settings.tickets.lake_tenant else ()


def _has_only_tickets(store: ObjectStore, tenant: str) -> bool:
    """Whether all raw files of a tenant are tickets; not if that cannot be listed, which its sensor then says."""
    try:
        return has_only_raw_files_of(store, tenant, TICKETS)
    except StoreError:
        return False


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
