"""Tickets as places of people's data: batches that were prepared, and the embedded store.

Rows of batches name nobody. Whose tickets are theirs is asked of the ticket source, and a request may name tickets by
their ids. A ticket table of the user's own is their system of record: nothing is deleted there, and reads leave it out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from gata_assets.errors import SettingsError
from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.storage.objects import ObjectStore
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.erasure.batch_rows import find_rows
from gata_assets.tickets.erasure.batches import ErasedRows, erase_batch, stored_batches
from gata_assets.tickets.erasure.embedded import erase_embedded, erase_rejected
from gata_assets.tickets.erasure.tombstones import TICKET, ErasedTickets, TicketTombstones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TABLES, _TRAINING = "tickets: tables of batches", "tickets: training files"
_EMBEDDED, _SOURCE = "tickets: embedded store", "tickets: source"
_NOBODY_NAMED = (
    "which tickets are theirs is not known: set TICKETS_REQUESTER_COLUMN to the column that has the id of who asked, "
    "or name the tickets (--ticket, --tickets-file)"
)


@dataclass(frozen=True)
class TicketPlaces:
    """Where tickets are.

    Attributes:
        store: the target.
        source: what batches are prepared from.
        tombstones: of its tenant's tickets.
        embedded: the file of the embedded store, if that is the source.
        is_sample: whether the source has the sample tickets, which are of nobody.
        is_lake: whether it is a lake, whose tickets are erased as those of any table.
    """

    store: ObjectStore
    source: TicketSource
    tombstones: TicketTombstones
    embedded: Path | None = None
    is_sample: bool = False
    is_lake: bool = False


class TicketLocator:
    """The tickets that batches are prepared from."""

    def __init__(self, places: TicketPlaces) -> None:
        self._places = places

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator."""
        places = self._places
        if erasure.tenant != places.tombstones.tenant:
            if _named(erasure):
                yield Cleared(_SOURCE, 0, remains=f"batches are prepared from tickets of {places.tombstones.tenant}")
            return
        found, is_known = self._find(erasure)
        limits = erasure.erased.limits(pl.Series(erasure.ids, dtype=pl.String))
        erased_at = _EPOCH + timedelta(microseconds=int(limits.min()))
        # Before anything is removed that says whose they are.
        places.tombstones.add(places.store, found, erasure.request, erased_at)
        erased = places.tombstones.erased(places.store)
        if erased:
            yield from self._erase_batches(erased, erasure.request)
            yield from self._erase_source(erased, len(found))
        if not is_known and self._has_tickets():
            yield Cleared(_SOURCE, 0, remains=_NOBODY_NAMED)

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator."""
        places = self._places
        found, _ = self._find(people) if people.tenant == places.tombstones.tenant else (frozenset[int](), True)
        if not found:
            return
        wanted = pl.Series(sorted(found), dtype=pl.Int64).implode()
        yield Exported(_SOURCE, "ticket", places.source.read_by_id(found))
        for batch_id in stored_batches(places.store):
            rows = find_rows(places.store, batch_id, lambda ids, _: ids.is_in(wanted).fill_null(value=False).to_numpy())
            for table in (*rows.tables.values(), *rows.quarantine.values()):
                if table.is_meant.any():
                    yield Exported(_TABLES, table.key, table.meant.to_pylist())
            for dataset in rows.datasets.values():
                for name, lines in dataset.places.items():
                    if len(lines):
                        yield Exported(_TRAINING, dataset.folder + name, _lines(dataset.contents[name], lines.tolist()))

    def _find(self, people: People) -> tuple[frozenset[int], bool]:
        """The ids of their tickets, and whether these are known to be all."""
        named = _named(people)
        others = [one for one in people.ids if not one.startswith(TICKET)]
        found = self._places.source.find_tickets(others) if others else frozenset()
        # Who names tickets knows which are theirs.
        return named | (found or frozenset()), found is not None or bool(named)

    def _has_tickets(self) -> bool:
        """Whether there may be tickets of people."""
        places = self._places
        is_filled = places.embedded is not None and places.embedded.exists()
        return not places.is_sample and (is_filled or bool(stored_batches(places.store)))

    def _erase_batches(self, erased: ErasedTickets, request: str) -> Iterator[Cleared]:
        store = self._places.store
        removed = [erase_batch(store, batch, erased.are_erased, request) for batch in stored_batches(store)]
        tables = {"rows": sum(one.rows for one in removed), "rejected_rows": sum(one.quarantined for one in removed)}
        yield Cleared(_TABLES, sum(1 for one in removed if one.rows or one.quarantined), tables)
        lines = {"lines": sum(one.lines for one in removed)}
        is_concerned = self._places.tombstones.has(store, request)
        yield Cleared(
            _TRAINING, sum(1 for one in removed if one.lines), lines, _unknown(removed) if is_concerned else ""
        )

    def _erase_source(self, erased: ErasedTickets, tickets: int) -> Iterator[Cleared]:
        embedded = self._places.embedded
        if embedded is not None and embedded.exists():
            # A table of the user's own stays.
            with suppress(SettingsError):
                removed = {"rows": erase_embedded(embedded, erased), "rejected_rows": erase_rejected(embedded, erased)}
                yield Cleared(_EMBEDDED, int(any(removed.values())), removed)
                return
        if tickets and not self._places.is_lake:
            note = f"{tickets:,} tickets stay in the ticket table, which is yours: no batch reads them any more"
            yield Cleared(_SOURCE, 0, note=note)


def _named(people: People) -> frozenset[int]:
    """The ids of the tickets that a request names; what is no id is no ticket."""
    words = (one.removeprefix(TICKET) for one in people.ids if one.startswith(TICKET))
    return frozenset(int(word) for word in words if re.fullmatch(r"-?[0-9]{1,18}", word, re.ASCII))


def _unknown(removed: Sequence[ErasedRows]) -> str:
    unknown = sum(one.unknown for one in removed)
    if not unknown:
        return ""
    return (
        f"{unknown:,} datasets are incomplete, or the tables that they were built from are gone, so which of their "
        "lines are theirs is not known: prepare these batches again (`gata prepare`), or remove them (`gata batches "
        "remove`)"
    )


def _lines(content: bytes, places: Sequence[int]) -> Iterator[dict[str, Any]]:
    lines = content.splitlines()
    return (json.loads(lines[place]) for place in places)
