"""Erases tickets from the embedded store: its rows, and the rejected rows of the files that filled it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl

from gata_assets.storage.local import LocalStore
from gata_assets.tickets.erasure.tombstones import ErasedTickets
from gata_assets.tickets.raw_files.ticket_files import quarantine_of
from gata_assets.tickets.raw_files.ticket_store import overwrite_freed, store_transaction


def erase_embedded(store: Path, erased: ErasedTickets) -> int:
    """Delete tickets that were erased, so that no byte of them is left in the file; returns how many.

    Raises SettingsError for a table that is not the documented one, or SourceError.
    """
    with store_transaction(store) as transaction:
        tickets = transaction.tickets()
        is_erased = erased.are_erased(tickets["id"], tickets["closed"])
        deleted = [] if is_erased is None else tickets["id"].filter(pl.Series(is_erased)).to_list()
        transaction.delete(deleted)
    # Also of rows that were replaced before, and of those that whoever was killed has deleted.
    overwrite_freed(store)
    return len(deleted)


def erase_rejected(store: Path, erased: ErasedTickets) -> int:
    """Remove rejected rows of tickets that were erased; returns how many. Raises StoreError."""
    target, removed = LocalStore(str(quarantine_of(store))), 0
    for key in list(target.list_keys("")):
        rows = pl.read_parquet(BytesIO(target.read(key)))
        kept = erased.without_rejected(rows)
        if len(kept) == len(rows):
            continue
        removed += len(rows) - len(kept)
        if kept.is_empty():
            target.delete(key)
        else:
            content = BytesIO()
            kept.write_parquet(content)
            target.write(key, content.getvalue(), is_private=True)
    return removed
