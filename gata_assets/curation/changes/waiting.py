"""The rows of curated tables of changes that wait for others, as they are stored: counts and instants alone."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from gata_assets.curation.changes.partitions import PartitionStore, waiting_file
from gata_assets.curation.changes.whole import WholeStore
from gata_assets.tables.changes.graph import TableGraph
from gata_assets.tables.changes.verdicts import RULES, VERDICT
from gata_assets.tables.manifests import Manifest

# How many rows have a verdict and break a rule.
Counts = list[tuple[tuple[str, str], int]]


def count_waiting(wholes: WholeStore, units: list[PartitionStore], graph: TableGraph) -> Iterator[tuple[str, Counts]]:
    """The counts of each table, and of each of its days; raises DamagedTableError or StoreError."""
    for member in graph.children:
        if (rows := wholes.read_waiting(member.spec)) is not None:
            yield member.spec.table, _count(rows)
    for stored in units:
        for partition in sorted(stored.list_keys()):
            manifest = stored.manifest(partition)
            for spec in stored.unit.tables if manifest else ():
                columns = [VERDICT, RULES]
                rows = stored.read(partition, manifest, waiting_file(spec.table), columns) if manifest else None
                if rows is not None:
                    yield spec.table, _count(rows)


def oldest_parked_at(wholes: WholeStore, units: list[PartitionStore], graph: TableGraph) -> str | None:
    """Since when the oldest parked row waits; None if none does. Raises StoreError."""
    manifests: list[Manifest | None] = [wholes.manifest(member.spec) for member in graph.children]
    manifests += [stored.manifest(partition) for stored in units for partition in stored.list_keys()]
    found = (manifest.details["oldest_parked_at"] for manifest in manifests if manifest)
    return min((instant for instant in found if instant), default=None)


def _count(rows: pl.DataFrame) -> Counts:
    counted = rows.explode(RULES).group_by(VERDICT, RULES).len().sort(VERDICT, RULES)
    return [((verdict, rule), number) for verdict, rule, number in counted.iter_rows()]
