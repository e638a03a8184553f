"""People by their ids in clear, in memory alone: which rows are about them. `erased_people` knows people by digests."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

import numpy as np
import polars as pl

from gata_assets.tables.columns.arrays import Bools
from gata_assets.tables.spec import TableSpec


class Subjects(Protocol):
    """People whose rows are looked for."""

    def rows_of(self, spec: TableSpec, rows: pl.DataFrame) -> Bools | None:
        """Which rows of a table are theirs, by all of its columns that name a person; None if none is."""

    def includes(self, one: str) -> bool:
        """Whether an id is that of one of them."""


class NamedPeople:
    """People by their ids; all rows of theirs, whenever they happened."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = frozenset(ids)
        self._in_order = pl.Series(sorted(self._ids), dtype=pl.String).implode()

    def rows_of(self, spec: TableSpec, rows: pl.DataFrame) -> Bools | None:
        """See Subjects."""
        found: Bools = np.zeros(len(rows), dtype=np.bool_)
        for column in spec.subject_columns:
            if column in rows.columns:
                found |= rows[column].cast(pl.String).is_in(self._in_order).fill_null(value=False).to_numpy()
        return found if found.any() else None

    def includes(self, one: str) -> bool:
        """See Subjects."""
        return one in self._ids


def subject_names(specs: Collection[TableSpec]) -> frozenset[str]:
    """The names, in lower case, that columns of people have in any form of these tables, raw files included."""
    found = {name.lower() for spec in specs for name, column in spec.sources.items() if column in spec.subject_columns}
    return frozenset(found.union(*(map(str.lower, spec.subject_columns) for spec in specs)))
