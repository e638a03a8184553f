"""Tombstones of the tickets of people who were erased: no row of a batch names a person, only their ticket.

Written before anything is removed that says whose a ticket is, so that another command can go on. A ticket's id is
digested as those of people are (`tables.people`), as a subject of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.curation.layout import TenantLayout
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader, write_tombstones
from gata_assets.tables.columns.arrays import Bools
from gata_assets.tables.columns.arrow_buffers import micros
from gata_assets.tables.people.privacy_keys import Tombstones
from gata_assets.ticket_contract.accounting import ERASED

if TYPE_CHECKING:
    import pandas as pd

    from gata_assets.tables.people.erased_people import ErasedPeople
    from gata_assets.ticket_contract.source import WindowRead

# A subject of a request that begins so is a ticket, by its id, and no person.
TICKET = "ticket:"
# Hexadecimal digits in the names of objects.
_DIGITS = 16


def subject_of(ticket_id: int) -> str:
    """A ticket as a subject."""
    return f"{TICKET}{ticket_id}"


@dataclass(frozen=True)
class ErasedTickets:
    """The tickets of a tenant that were erased, each up to an instant: what is closed later counts."""

    tombstones: ErasedPeople

    def __bool__(self) -> bool:
        return bool(self.tombstones)

    def are_erased(self, ids: pl.Series, closed: pl.Series | None) -> Bools | None:
        """Which rows are of tickets that were erased; None if none is.

        Args:
            ids: The ticket of each row, null for none.
            closed: When each was closed, in epoch seconds; 0 or null while it is open, which never counts. Without it,
                no row of them counts.
        """
        if not self:
            return None
        closed_at = None if closed is None else pl.from_epoch(closed, "s")
        return self.tombstones.are_erased(TICKET + ids.cast(pl.String), closed_at)

    def rows_of(self, tickets: pd.DataFrame) -> Bools | None:
        """As `are_erased`, of rows with the columns of `Tickets`."""
        if not self:
            return None
        ids, closed = (pl.Series(values=pa.array(tickets[name])) for name in ("id", "closed"))
        return self.are_erased(ids, closed)

    def without_rejected(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rejected rows of raw files, whose ids are as they came, without those of tickets that were erased."""
        is_erased = self.are_erased(rows["id"].str.strip_chars().cast(pl.Int64, strict=False), None)
        return rows if is_erased is None else rows.filter(~pl.Series(is_erased))

    def without(self, read: WindowRead) -> WindowRead:
        """What was read of a window without them; they are counted by their reason."""
        is_erased = self.rows_of(read.tickets)
        if is_erased is None:
            return read
        closed = read.tickets["closed"].to_numpy(dtype=np.int64)[is_erased]
        kept = read.tickets[~is_erased].reset_index(drop=True)
        return replace(read, tickets=kept, counts=read.counts.left_out(closed, ERASED))


@dataclass(frozen=True)
class TicketTombstones:
    """Reads and writes the tombstones of one tenant's tickets.

    Attributes:
        reader: reads tombstones, and has the keys.
        tenant: whose tickets batches are prepared from.
    """

    reader: TombstoneReader
    tenant: str

    @property
    def _folder(self) -> str:
        return TenantLayout(self.tenant).ticket_tombstones

    def erased(self, store: ObjectStore) -> ErasedTickets:
        """What was erased up to now; raises as `TombstoneReader.erased`."""
        return ErasedTickets(self.reader.erased(store, self.tenant, self._folder))

    def has(self, store: ObjectStore, request: str) -> bool:
        """Whether a request is of tickets; raises StoreError."""
        return any(True for _ in store.list_keys(f"{self._folder}{request}-"))

    def add(self, store: ObjectStore, ids: Iterable[int], request: str, erased_at: datetime) -> None:
        """Note that these tickets were erased, as far as that is not known; raises as `write_tombstones`."""
        # Compiled kernels, which are loaded when they are needed.
        from gata_assets.tables.people.erased_people import digest_people

        keys = self.reader.keys
        subjects = pl.Series([subject_of(one) for one in sorted(set(ids))], dtype=pl.String)
        known = self.erased(store).tombstones.limits(subjects)
        new = subjects.filter(pl.Series(known < micros(erased_at)))
        if len(new):
            stones = Tombstones(keys.newest, erased_at, tuple(digest_people(keys, self.tenant, keys.newest, new)))
            digest = sha256("\n".join(one.digest for one in stones.people).encode()).hexdigest()
            write_tombstones(store, self._folder, f"{request}-{digest[:_DIGITS]}", stones)
