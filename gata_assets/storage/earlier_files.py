"""What is left in a folder of files that an earlier run wrote and this one did not."""

from __future__ import annotations

from collections.abc import Collection

from gata_assets.errors import DeleteDeniedError
from gata_assets.storage.objects import ObjectStore

# An error names so many files, and counts all.
_NAMES_TOLD = 5


def delete_others(store: ObjectStore, folder: str, written: Collection[str]) -> None:
    """Delete what is in a folder and was not written now; raises DeleteDeniedError, or StoreError."""
    denied = []
    for key in sorted(set(store.list_keys(folder)) - set(written)):
        try:
            store.delete(key)
        except DeleteDeniedError:
            denied.append(key.removeprefix(folder))
    if denied:
        more = ", …" if len(denied) > _NAMES_TOLD else ""
        raise DeleteDeniedError(
            f"{len(denied)} files of an earlier run are left below {store.uri(folder)} and may not be deleted "
            f"({', '.join(denied[:_NAMES_TOLD])}{more}): whoever reads the folder takes them for rows of this run. "
            "Delete them by hand or give the role the right (s3:DeleteObject), and run the batch again."
        )
