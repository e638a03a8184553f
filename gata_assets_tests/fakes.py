"""Stand-ins for what cannot be had on demand: a store that refuses or breaks. They are injected, never patched in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gata_assets.batches import Window
from gata_assets.errors import DeleteDeniedError, StoreError
from gata_assets.resources.object_store import LocalObjectStore
from gata_assets.resources.sqlite_source import SqliteTickets


class RecordingTickets(SqliteTickets):
    """The tickets of a SQLite file, and a file beside it that says what was asked for, a line a read."""

    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """Record, then read."""
        with Path(f"{self.path}.reads").open("a") as reads:
            reads.write(f"{window} {labels}\n")
        return super().read_tickets(window, labels)


class StoreWithoutDelete(LocalObjectStore):
    """A local store whose role may not delete, as that of the existing workflow."""

    def delete(self, key: str) -> None:
        """Refuse."""
        raise DeleteDeniedError(f"{self.uri(key)} may not be deleted: the role needs s3:DeleteObject on it.")


class StoreThatBreaks(LocalObjectStore):
    """A local store whose n-th call that changes something fails, before it has changed it."""

    breaks_at: int

    def write(self, key: str, content: bytes) -> None:
        """Write, unless it is this call's turn to fail."""
        self._count()
        super().write(key, content)

    def delete(self, key: str) -> None:
        """Delete, unless it is this call's turn to fail."""
        self._count()
        super().delete(key)

    def _count(self) -> None:
        # In a file, since Dagster makes a store of its own for every IO manager that has one.
        counter = Path(f"{self.directory}.changes")
        changes = int(counter.read_text()) + 1 if counter.exists() else 1
        counter.write_text(str(changes))
        if changes == self.breaks_at:
            raise StoreError("the store broke")
