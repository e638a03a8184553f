"""The curated tables of a source: the curator, and what tables for analysts are built from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from hashlib import sha256

import polars as pl

from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.curation.changes.partitions import EPOCH, PartitionStore, visible_file
from gata_assets.curation.changes.whole import WholeStore
from gata_assets.shop.places import ShopLayout
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.tables.changes.graph import TableGraph, Unit
from gata_assets.tables.manifests import Manifest


class ShopCurator(ChangesCurator):
    """Validates the raw files of one source and curates its tables."""

    layout = ShopLayout

    def count_rows(self, table: str) -> Counter[str]:
        """The visible, parked and quarantined rows of a curated table, of all its days; raises StoreError."""
        counts: Counter[str] = Counter({"visible": 0, "parked": 0, "quarantined": 0})
        unit = self.graph.unit_of(table)
        if unit is None:
            manifest = WholeStore(self.store, self.places).manifest(self.tables[table])
            return counts + Counter(manifest.details["rows"]) if manifest else counts
        stored = PartitionStore(self.store, self.places, unit)
        for manifest in map_in_order(stored.manifest, sorted(stored.list_keys()), SMALL_CALLS_AT_ONCE):
            counts.update(manifest.details["rows"][table] if manifest else {})
        return counts

    def newest_day(self) -> date:
        """The newest day of a raw file that waits, else the present day; raises StoreError."""
        days = [self.places.landing_day(table, key) for table in self.tables for key in self.unvalidated([table])]
        return min(max((day for day in days if day), default=self.now.date()), self.now.date())


@dataclass(frozen=True)
class CuratedTables:
    """See `prod.source.CuratedShop`: the visible rows of curated tables, as they are stored."""

    curator: ShopCurator

    @property
    def graph(self) -> TableGraph:
        """How the tables depend on one another."""
        return self.curator.graph

    @cached_property
    def _unit(self) -> Unit:
        return self.graph.units[0]

    @cached_property
    def _partitions(self) -> PartitionStore:
        return PartitionStore(self.curator.store, self.curator.places, self._unit)

    @cached_property
    def _wholes(self) -> WholeStore:
        return WholeStore(self.curator.store, self.curator.places)

    @cached_property
    def _manifests(self) -> Mapping[int, Manifest]:
        """The manifests of days, as of the first time that they were asked for."""
        days = [partition for partition in sorted(self._partitions.list_keys()) if partition >= 0]
        found = map_in_order(self._partitions.manifest, days, SMALL_CALLS_AT_ONCE)
        return {day: manifest for day, manifest in zip(days, found, strict=True) if manifest}

    def days(self) -> Mapping[date, str]:
        """See CuratedShop."""
        tables = [visible_file(spec.table) for spec in self._unit.tables]
        found = {}
        for day, manifest in self._manifests.items():
            entries = [manifest.find(name) for name in tables]
            if any(entry and entry[1].rows for entry in entries):
                digests = [entry[1].sha256 if entry else "" for entry in entries]
                found[EPOCH + timedelta(days=day)] = sha256("\n".join(digests).encode()).hexdigest()
        return found

    def read_days(self, table: str, days: Sequence[date], columns: Sequence[str]) -> pl.DataFrame:
        """See CuratedShop; raises DamagedTableError or StoreError."""
        spec = self.curator.tables[table]
        parts = [pl.DataFrame(schema={name: spec.curated_schema[name] for name in columns})]
        for day in days:
            number = (day - EPOCH).days
            rows = self._partitions.read(number, self._manifests[number], visible_file(table), list(columns))
            if rows is not None:
                parts.append(rows.select(columns))
        return pl.concat(parts)

    def count_rows(self, table: str, days: Collection[date]) -> int:
        """See CuratedShop."""
        manifests = [self._manifests[(day - EPOCH).days] for day in days]
        return sum(entry[1].rows for one in manifests if (entry := one.find(visible_file(table))))

    def table_digest(self, table: str) -> str:
        """See CuratedShop."""
        return self._wholes.visible_digest(self.curator.tables[table])

    def read_table(self, table: str, columns: Sequence[str]) -> pl.DataFrame:
        """See CuratedShop; raises DamagedTableError or StoreError."""
        return self._wholes.read_visible(self.curator.tables[table], list(columns))
