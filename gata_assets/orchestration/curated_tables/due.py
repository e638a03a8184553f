"""Which partitions of a tenant's curated tables are due: the one place that sensors, runs and commands ask.

`curation.curated.staleness` compares partitions with the parts that count; which of them exist in Dagster, and what it
has recorded, is known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.batches import Window, days_of
from gata_assets.curation.backlog import find_missing
from gata_assets.curation.layout import TenantLayout
from gata_assets.orchestration.instances import is_recorded
from gata_assets.storage.objects import ObjectStore

if TYPE_CHECKING:
    # Only where it is used: it loads compiled kernels, and definitions are loaded all the time.
    from gata_assets.curation.curated.curator import TableCurator


@dataclass(frozen=True)
class AssetNames:
    """The names of a table's assets: `{curated}_{table}`, and `{staged}_{table}` if its valid rows are an asset too."""

    curated: str = "curated"
    staged: str | None = None

    def key(self, tenant: str, table: str) -> dg.AssetKey:
        """The asset of a tenant's curated table."""
        return dg.AssetKey([tenant, f"{self.curated}_{table}"])

    def staged_key(self, tenant: str, table: str) -> dg.AssetKey | None:
        """The asset of the valid rows of its raw files; None where there is none."""
        return dg.AssetKey([tenant, f"{self.staged}_{table}"]) if self.staged else None

    def keys(self, tenant: str, table: str) -> list[dg.AssetKey]:
        """Both, the first one first."""
        return [key for key in (self.staged_key(tenant, table), self.key(tenant, table)) if key]


CURATED = AssetNames()


def asset_key(tenant: str, table: str) -> dg.AssetKey:
    """The asset of a tenant's curated table, where it is named as most are."""
    return CURATED.key(tenant, table)


def due_days(
    curator: TableCurator, table: str, days: dg.PartitionsDefinition[str], between: tuple[date, date] | None = None
) -> list[date]:
    """The days of a table that are stale, ascending; with a range, those in it that are stale or missing.

    An unpartitioned table is due on the present day. Days that are no partition, such as future ones, are left out.
    """
    stale = [day or curator.now.date() for day in curator.stale(table, *(between or ()))]
    return [day for day in stale if days.has_partition_key(str(day))]


def missing_days(
    places: TenantLayout, store: ObjectStore, table: str, days: dg.PartitionsDefinition[str], window: Window
) -> list[date]:
    """The days of a window without a curated table; no object is read, and no kernel loaded."""
    existing = [day for day in days_of(window) if days.has_partition_key(str(day))]
    return find_missing(places, store, table, existing)


def is_table_due(curator: TableCurator, table: str, instance: dg.DagsterInstance) -> bool:
    """Whether an unpartitioned table is stale, missing or damaged, or Dagster has not recorded it as it was written."""
    key = asset_key(curator.places.tenant, table)
    return curator.is_due(table) or not is_recorded(instance, key, curator.written_digest(table))
