"""How tables of changes depend on one another: whole tables, their children, and units of rows judged together.

A *unit* is a row of a table that others are parts of, with its parts: an order and its items. A *child* refers to a row
and waits for it: of a unit (a payment), or of a whole table (what is in stock of a product).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from gata_assets.errors import TableSpecError
from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets.tables.row_rules import rule_name
from gata_assets.tables.spec import TableSpec


@dataclass(frozen=True)
class Member:
    """A table whose rows refer to those of another by a column; `rule` says that the row is there."""

    spec: TableSpec
    column: str
    parent: str
    rule: str


@dataclass(frozen=True)
class Unit:
    """A table with the tables that are parts of its rows, and those whose rows wait for them."""

    root: TableSpec
    parts: tuple[Member, ...]
    children: tuple[Member, ...]

    @property
    def members(self) -> tuple[Member, ...]:
        """The tables whose rows name the unit."""
        return (*self.parts, *self.children)

    @property
    def tables(self) -> tuple[TableSpec, ...]:
        """All its tables, the root first."""
        return (self.root, *(member.spec for member in self.members))

    @property
    def key(self) -> str:
        """The column of the root that identifies a unit."""
        return self.root.key[0]

    def key_of(self, table: str) -> str:
        """The column that identifies a row of one of its tables."""
        return next(spec.key[0] for spec in self.tables if spec.table == table)

    @cached_property
    def parents(self) -> tuple[Member, ...]:
        """What the root and its parts refer to outside of the unit."""
        inside = {spec.table for spec in self.tables}
        found = (member for spec in (self.root, *(part.spec for part in self.parts)) for member in _parked(spec))
        return tuple(member for member in found if member.parent not in inside)


@dataclass(frozen=True)
class TableGraph:
    """The tables of changes of a source: whole tables, referenced ones first, and units.

    `children` are the whole tables whose rows wait for those of another.
    """

    whole: tuple[TableSpec, ...]
    children: tuple[Member, ...]
    units: tuple[Unit, ...]

    def unit_of(self, table: str) -> Unit | None:
        """The unit that a table belongs to."""
        return next((unit for unit in self.units if table in {spec.table for spec in unit.tables}), None)


def build_graph(tables: Mapping[str, TableSpec]) -> TableGraph:
    """How these tables depend on one another; raises TableSpecError for what cannot be judged.

    `tables` are by name, referenced ones first; those without changes are left out.
    """
    specs = [spec for spec in tables.values() if spec.changes]
    for spec in specs:
        _require(spec, bool(spec.key), "a table of changes has a key")
    roots = {member.parent for spec in specs for member in _of_mode(spec, ReferenceMode.PART)}
    units = tuple(_unit(tables[root], specs) for root in tables if root in roots)
    inside = {spec.table for unit in units for spec in unit.tables}
    whole = tuple(spec for spec in specs if spec.table not in inside)
    children = []
    for spec in whole:
        parked = list(_parked(spec))
        _require(spec, len(parked) <= 1, "a row waits for one other at most")
        _require(spec, not spec.totals and not spec.parent_rules, "rules over several rows are of units")
        children += parked
    return TableGraph(whole, tuple(children), units)


def _unit(root: TableSpec, specs: list[TableSpec]) -> Unit:
    _require(root, len(root.key) == 1, "the row that others are parts of has a key of one column")
    _require(root, bool(root.partition_by and root.event_time), "it is partitioned by the day of its event_time")
    parts = [member for spec in specs for member in _of_mode(spec, ReferenceMode.PART) if member.parent == root.table]
    children = [member for spec in specs for member in _parked(spec) if member.parent == root.table]
    for member in (*parts, *children):
        _require(member.spec, len(member.spec.key) == 1, "a row of a unit has a key of one column")
    for child in children:
        others = [member for member in _parked(child.spec) if member.parent != root.table]
        _require(child.spec, not others, "a row waits for one other at most")
    named = {part.spec.table for part in parts}
    _require(root, {rule.parts for rule in root.totals} <= named, "totals are of its parts")
    return Unit(root, tuple(parts), tuple(children))


def _parked(spec: TableSpec) -> Iterator[Member]:
    return _of_mode(spec, ReferenceMode.PARK)


def _of_mode(spec: TableSpec, mode: ReferenceMode) -> Iterator[Member]:
    for column, reference in spec.references.items():
        if reference.mode is mode:
            yield Member(spec, column, reference.table, rule_name(spec, spec.column(column), "reference"))


def _require(spec: TableSpec, holds: bool, what: str) -> None:
    if not holds:
        raise TableSpecError(f"The table {spec.table} is declared otherwise than tables of changes are: {what}.")
