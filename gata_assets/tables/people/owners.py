"""Whose rows are: by the columns that name a person, and through rows of other tables that they belong to.

A row of a table of changes belongs to the row that it is a part of, or waits for: an item to its order, and so to the
customer of that. Values of specs only; `erased_people` looks rows up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache

from gata_assets.tables.spec import TableSpec


@cache
def columns_of_owners(spec: TableSpec) -> tuple[str, ...]:
    """The columns that name a person, or a row of another table that one's rows may belong to."""
    return tuple(dict.fromkeys([*spec.subject_columns, *_parents(spec)]))


@cache
def columns_looked_at(spec: TableSpec) -> tuple[str, ...]:
    """All columns that decide whether a row is of a person: also its key, and when it happened."""
    names = [*columns_of_owners(spec), *(spec.key if spec.changes else ()), spec.event_time]
    return tuple(dict.fromkeys(name for name in names if name))


def owners(tables: Mapping[str, TableSpec]) -> dict[str, tuple[str, ...]]:
    """By table, the columns that lead to a person, of the tables that have any; referenced tables come first."""
    found: dict[str, tuple[str, ...]] = {}
    for name, spec in tables.items():
        parents = [column for column, table in _parents(spec).items() if table in found and row_key(tables[table])]
        if columns := tuple(dict.fromkeys([*spec.subject_columns, *parents])):
            found[name] = columns
    return found


def row_key(spec: TableSpec) -> str | None:
    """The column that identifies a row of a table of changes; None if it takes several, or is the person itself."""
    if not spec.changes or len(spec.key) != 1 or spec.key[0] in spec.subject_columns:
        return None
    return spec.key[0]


def lookups(spec: TableSpec, names: Collection[str]) -> Iterator[tuple[str, str | None]]:
    """Of columns that rows have, those that decide, each with the table whose keys its values are; None for people."""
    tables: dict[str, str | None] = dict.fromkeys(spec.subject_columns)
    tables |= _parents(spec)
    if key := row_key(spec):
        tables[key] = spec.table
    yield from ((column, table) for column, table in tables.items() if column in names)


def _parents(spec: TableSpec) -> dict[str, str]:
    """By column, the table that a row belongs to a row of."""
    references = spec.references.items()
    return {name: to.table for name, to in references if to.mode.is_of_changes and name not in spec.subject_columns}
