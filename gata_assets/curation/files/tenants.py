"""Which tenants a store has: those with raw files, whatever became of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gata_assets.curation.files.formats import is_hidden
from gata_assets.curation.layout import TenantLayout, is_tenant_name
from gata_assets.storage.objects import ObjectStore


@dataclass(frozen=True)
class TenantSearch:
    """What tenants are looked for: see `find_tenants`."""

    among: Collection[str] | None = None
    besides: Collection[str] = ()
    tables: Collection[str] = ()
    without_tables: Collection[str] = ()

    def find(self, store: ObjectStore) -> list[str]:
        """The names of those that there are now, ascending; raises StoreError."""
        return find_tenants(
            store, among=self.among, besides=self.besides, tables=self.tables, without_tables=self.without_tables
        )


def find_tenants(
    store: ObjectStore,
    *,
    among: Collection[str] | None = None,
    besides: Collection[str] = (),
    tables: Collection[str] = (),
    without_tables: Collection[str] = (),
) -> list[str]:
    """The names of tenants with a raw file, ascending, without those in `besides`: with one of `tables` where any are
    given, and of other tables than `without_tables`.

    One listing of the store's folders, unless names are given to look `among`, and one of each folder that may be a
    tenant's, up to its first raw file. Other folders of the store, whose names no tenant can have, are not looked into.
    Raises StoreError if any of them cannot be listed: then nothing is known.
    """
    all_names = store.list_folders("") if among is None else sorted(among)
    names = [name for name in all_names if is_tenant_name(name) and name not in besides]
    found = []
    for name in names:
        if not tables and not without_tables:
            has_file = _has_raw_file(store, TenantLayout(name))
        else:
            # By folders, since one of them may have very many files.
            folders = tables or store.list_folders(TenantLayout(name).raw_files)
            has_file = any(has_raw_files(store, name, table) for table in folders if table not in without_tables)
        found += [name] if has_file else []
    return found


def has_raw_files(store: ObjectStore, tenant: str, table: str) -> bool:
    """Whether a tenant has a raw file of a table, or a folder of it that may not be listed; raises StoreError."""
    places = TenantLayout(tenant)
    below = (key.removeprefix(places.raw_files) for key in store.list_delivered(places.raw(table)))
    return any(not is_hidden(name) for name in below)


def has_only_raw_files_of(store: ObjectStore, tenant: str, table: str) -> bool:
    """Whether a tenant's only folder of raw files is that of a table; raises StoreError."""
    return list(store.list_folders(TenantLayout(tenant).raw_files)) == [table]


def _has_raw_file(store: ObjectStore, places: TenantLayout) -> bool:
    """Whether there is a raw file of any table, or a folder that may not be listed and may have one."""
    below = (key.removeprefix(places.raw_files) for key in store.list_delivered(places.raw_files))
    return any("/" in name and not is_hidden(name) for name in below)
