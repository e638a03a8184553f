"""People by their ids in clear, in memory alone: which rows are about them. `erased_people` knows people by digests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

import numpy as np
import polars as pl

from gata_assets.tables.columns.arrays import Bools
from gata_assets.tables.people.owners import lookups
from gata_assets.tables.spec import TableSpec


class Subjects(Protocol):
    """People whose rows are looked for."""

    def rows_of(self, spec: TableSpec, rows: pl.DataFrame) -> Bools | None:
        """Which rows of a table are theirs, by all of its columns that name a person; None if none is."""

    def includes(self, one: str) -> bool:
        """Whether an id is that of one of them."""


class NamedPeople:
    """People by their ids; all rows of theirs, whenever they happened."""

    def __init__(self, ids: Iterable[str], rows: Mapping[str, Iterable[str]] | None = None) -> None:
        """`rows` are the keys of rows of theirs that rows of other tables belong to, by table."""
        self._ids = frozenset(ids)
        self._in_order: dict[str | None, pl.Series] = {None: _in_order(self._ids)}
        self._in_order |= {table: _in_order(keys) for table, keys in (rows or {}).items()}

    def rows_of(self, spec: TableSpec, rows: pl.DataFrame) -> Bools | None:
        """See Subjects."""
        found: Bools = np.zeros(len(rows), dtype=np.bool_)
        for column, table in lookups(spec, rows.columns):
            if table in self._in_order:
                texts = rows[column].cast(pl.String)
                found |= texts.is_in(self._in_order[table]).fill_null(value=False).to_numpy()
        return found if found.any() else None

    def includes(self, one: str) -> bool:
        """See Subjects."""
        return one in self._ids


def subject_names(specs: Collection[TableSpec]) -> frozenset[str]:
    """The names, in lower case, that columns of people have in any form of these tables, raw files included."""
    found = {name.lower() for spec in specs for name, column in spec.sources.items() if column in spec.subject_columns}
    return frozenset(found.union(*(map(str.lower, spec.subject_columns) for spec in specs)))


def _in_order(ids: Iterable[str]) -> pl.Series:
    return pl.Series(sorted(ids), dtype=pl.String).implode()
