"""Tickets that a slice leaves out though days of the lake have them still: those of people who were erased just now.

Of a person a day has a token, or nothing. Bronze has who asked, and is asked for tenants of whom people were erased.
"""

from __future__ import annotations

from typing import cast

import polars as pl
import pyarrow.parquet as pq

from gata_assets.curation.validated_files import DAMAGED
from gata_assets.errors import SourceError
from gata_assets.lake.snapshot import LakeDay
from gata_assets.lake.tables import RAW_TICKETS
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.people.erased_people import ErasedPeople

_COLUMNS = ["id", *RAW_TICKETS.subject_columns, str(RAW_TICKETS.event_time)]


class ErasedTickets:
    """The tickets of erased people, a file of bronze at a time; each is read once."""

    def __init__(self, store: ObjectStore, people: ErasedPeople) -> None:
        self._store, self._people = store, people
        self._known: dict[str, pl.Series] = {}

    def without(self, day: LakeDay, tickets: pl.DataFrame) -> pl.DataFrame:
        """Tickets of a day without those that were asked by people who were erased since.

        Raises ObjectNotFoundError for a day that is rewritten meanwhile, SourceError or StoreError.
        """
        if not self._people:
            return tickets
        for key in sorted({str(part["key"]) for part in day.manifest.made_from.get("parts", ())}):
            if key not in self._known:
                self._known[key] = self._read(key)
            tickets = tickets.filter(~pl.col("id").is_in(self._known[key].implode()))
        return tickets

    def _read(self, key: str) -> pl.Series:
        try:
            with self._store.open_read(key) as file:
                rows = cast("pl.DataFrame", pl.from_arrow(pq.ParquetFile(file).read(_COLUMNS)))
        except DAMAGED:
            raise SourceError(
                f"{self._store.uri(key)} is damaged: `gata quarantine --replay` and a new batch write it again."
            ) from None
        is_erased = self._people.rows_of(RAW_TICKETS, rows)
        return rows["id"].clear() if is_erased is None else rows["id"].filter(pl.Series(is_erased)).unique()
