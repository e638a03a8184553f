"""The rows of curated tables of changes that wait for others, as they are stored: themselves, counts and instants."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from gata_assets.curation.changes.partitions import PartitionStore, waiting_file
from gata_assets.curation.changes.whole import WholeStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.changes.graph import TableGraph
from gata_assets.tables.changes.verdicts import RULES, VERDICT
from gata_assets.tables.manifests import Manifest

# How many rows have a verdict and break a rule.
Counts = list[tuple[tuple[str, str], int]]


def waiting_rows(
    wholes: WholeStore,
    units: list[PartitionStore],
    graph: TableGraph,
    table: str | None = None,
    columns: list[str] | None = None,
) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows that wait, masked as they are stored: of each table, or one, and of each of its days by itself.

    Raises ConflictError, DamagedTableError or StoreError.
    """
    for member in graph.children:
        if table in (None, member.spec.table) and (rows := wholes.read_waiting(member.spec, columns)) is not None:
            yield member.spec.table, rows
    for stored in units:
        chosen = [spec for spec in stored.unit.tables if table in (None, spec.table)]
        for partition in sorted(stored.list_keys()) if chosen else ():
            manifest = stored.manifest(partition)
            for spec in chosen if manifest else ():
                rows = stored.read(partition, manifest, waiting_file(spec.table), columns) if manifest else None
                if rows is not None:
                    yield spec.table, rows


def count_waiting(
    wholes: WholeStore, units: list[PartitionStore], graph: TableGraph, table: str | None = None
) -> Iterator[tuple[str, Counts]]:
    """The counts of each table, or one, and of each of its days; raises as `waiting_rows`."""
    for name, rows in waiting_rows(wholes, units, graph, table, [VERDICT, RULES]):
        yield name, _count(rows)


def rules_of_waiting(graph: TableGraph) -> set[str]:
    """The names of the rules that rows wait to keep."""
    members = [*graph.children, *(member for unit in graph.units for member in (*unit.members, *unit.parents))]
    specs = [spec for unit in graph.units for spec in unit.tables]
    found = {member.rule for member in members} | {rule.name for spec in specs for rule in spec.totals}
    return found | {rule.name for spec in specs for rule in spec.parent_rules}


def manifests_of_waiting(
    wholes: WholeStore, units: list[PartitionStore], graph: TableGraph
) -> Iterator[Manifest | None]:
    """The manifests of all tables and days whose rows may wait; nothing else is read. Raises StoreError."""
    for member in graph.children:
        yield wholes.manifest(member.spec)
    for stored in units:
        yield from map_in_order(stored.manifest, sorted(stored.list_keys()), SMALL_CALLS_AT_ONCE)


def oldest_parked_at(wholes: WholeStore, units: list[PartitionStore], graph: TableGraph) -> str | None:
    """Since when the oldest parked row waits; None if none does. Raises StoreError."""
    manifests = manifests_of_waiting(wholes, units, graph)
    found = (manifest.details["oldest_parked_at"] for manifest in manifests if manifest)
    return min((instant for instant in found if instant), default=None)


def _count(rows: pl.DataFrame) -> Counts:
    counted = rows.explode(RULES).group_by(VERDICT, RULES).len().sort(VERDICT, RULES)
    return [((verdict, rule), number) for verdict, rule, number in counted.iter_rows()]
