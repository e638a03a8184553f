"""Which tenants a store has: those with raw files, whatever became of them."""

from __future__ import annotations

from collections.abc import Collection

from gata_assets.curation.files.formats import is_hidden
from gata_assets.curation.layout import TenantLayout, is_tenant_name
from gata_assets.storage.objects import ObjectStore


def find_tenants(store: ObjectStore, *, besides: Collection[str] = ()) -> list[str]:
    """The names of tenants with a raw file, ascending, without those in `besides`.

    One listing of the store's folders, and one of each folder that may be a tenant's, up to its first raw file. Other
    folders of the store, whose names no tenant can have, are not looked into. Raises StoreError if any of them cannot
    be listed: then nothing is known.
    """
    names = [name for name in store.list_folders("") if is_tenant_name(name) and name not in besides]
    return [name for name in names if _has_raw_file(store, TenantLayout(name))]


def _has_raw_file(store: ObjectStore, places: TenantLayout) -> bool:
    """Whether there is a raw file of any table, or a folder that may not be listed and may have one."""
    below = (key.removeprefix(places.raw_files) for key in store.list_delivered(places.raw_files))
    return any("/" in name and not is_hidden(name) for name in below)
