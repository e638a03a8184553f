"""What waits in a tenant's part of the store, by the names of its objects alone.

Cheap enough for every minute; no object is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import sha256

from gata_assets.curation.files.formats import file_id, is_raw_name
from gata_assets.curation.layout import MANIFEST_FILE, TenantLayout
from gata_assets.storage.objects import ObjectStore


def list_raw_keys(places: TenantLayout, store: ObjectStore, table: str) -> list[str]:
    """The keys of a tenant's raw files, whoever stored them; raises StoreError."""
    return [key for key in store.list_keys(places.raw(table)) if is_raw_name(key)]


def find_waiting(places: TenantLayout, store: ObjectStore, tables: Iterable[str]) -> list[str]:
    """The keys of a tenant's raw files without a report, of some tables; raises StoreError."""
    waiting = []
    for table in tables:
        reported = set(store.list_keys(places.report(table)))
        keys = list_raw_keys(places, store, table)
        waiting += [key for key in keys if places.report(table, file_id(places, table, key)) not in reported]
    return waiting


def find_missing(places: TenantLayout, store: ObjectStore, table: str, days: Sequence[date]) -> list[date]:
    """The days without a curated table; raises StoreError."""
    curated = {key for key in store.list_keys(places.curated(table)) if key.endswith(f"/{MANIFEST_FILE}")}
    return [day for day in days if places.curated(table, day) + MANIFEST_FILE not in curated]


def listing_digest(places: TenantLayout, store: ObjectStore, tables: Iterable[str]) -> str:
    """A digest of the names of tables' reports and staged parts: it changes when a new file was validated.

    It stays the same if a file supersedes another again, or is validated with settings that it had before: both
    overwrite reports, and no name is new.
    """
    folders = [folder for table in tables for folder in (places.report(table), places.staged(table))]
    keys = sorted(key for folder in folders for key in store.list_keys(folder))
    return sha256("\n".join(keys).encode()).hexdigest()
