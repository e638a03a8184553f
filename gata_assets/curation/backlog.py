"""What waits in a tenant's place of the store, told from the names of its objects alone.

Cheap enough to ask every minute; nothing is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from hashlib import sha256

from gata_assets.curation.files.formats import file_id, is_raw_name
from gata_assets.curation.layout import MANIFEST_FILE, DataType, TenantLayout
from gata_assets.storage.objects import ObjectStore


def list_raw_keys(places: TenantLayout, store: ObjectStore, data: DataType) -> list[str]:
    """The keys of a tenant's raw files, of whoever put them there; raises StoreError."""
    return [key for key in store.list_keys(places.raw(data)) if is_raw_name(key)]


def find_waiting(places: TenantLayout, store: ObjectStore) -> list[str]:
    """The keys of the raw files of a tenant of which there is no report; raises StoreError."""
    waiting = []
    for data in DataType:
        reported = set(store.list_keys(places.report(data)))
        keys = list_raw_keys(places, store, data)
        waiting += [key for key in keys if places.report(data, file_id(places, data, key)) not in reported]
    return waiting


def find_missing(places: TenantLayout, store: ObjectStore, days: Sequence[date]) -> list[date]:
    """Those of the days that have no curated table; raises StoreError."""
    made = {key for key in store.list_keys(places.curated_day()) if key.endswith(f"/{MANIFEST_FILE}")}
    return [day for day in days if places.curated_day(day) + MANIFEST_FILE not in made]


def listing_digest(places: TenantLayout, store: ObjectStore) -> str:
    """A digest of the names of a tenant's reports and staged parts: it is another when a file was sorted that is new.

    It stays the same where a file takes the place of another again, or comes under settings that it had before: both
    write reports over, and no name is new.
    """
    folders = (places.report(DataType.INTERACTIONS), places.staged(DataType.INTERACTIONS))
    keys = sorted(key for folder in folders for key in store.list_keys(folder))
    return sha256("\n".join(keys).encode()).hexdigest()
