"""The day before which the curated days of a tenant's table were deleted for good: rows of those days count no more.

Without this record a deleted day would be missing, and be rebuilt from the files that also have rows of later days. It
only ever moves forward. `governance.retention` decides about it; curation obeys it.
"""

from __future__ import annotations

import json
from datetime import date

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

_MOST_ATTEMPTS = 20


def retired_before(store: ObjectStore, places: TenantLayout, table: str) -> date | None:
    """The first day of a table that may be curated, None for any; raises DamagedTableError or StoreError."""
    return _read(store, places.retired(table))[0]


def retire_days(store: ObjectStore, places: TenantLayout, table: str, before: date) -> None:
    """Let the days of a table before that one count no more; an earlier day than is recorded changes nothing.

    Raises DamagedTableError or StoreError.
    """
    key = places.retired(table)
    for _ in range(_MOST_ATTEMPTS):
        present, version = _read(store, key)
        if present is not None and present >= before:
            return
        try:
            store.write(key, json.dumps({"before": str(before)}).encode(), expected=version)
        except ConflictError:
            continue
        return
    raise ConflictError(f"{store.uri(key)} was changed by other commands all the time: run it again.")


def _read(store: ObjectStore, key: str) -> tuple[date | None, Version]:
    try:
        content, version = store.read_versioned(key)
    except ObjectNotFoundError:
        return None, ABSENT
    try:
        return date.fromisoformat(json.loads(content)["before"]), version
    except (ValueError, KeyError, TypeError):
        raise DamagedTableError(
            f"{store.uri(key)} does not say which days were deleted: restore it, or write the first day that is kept, "
            'as {"before": "2025-01-01"}.'
        ) from None
