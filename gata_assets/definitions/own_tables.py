"""The definitions of tables that users declare: each tenant's assets, and the job and sensor over them.

Assembly only, for `definitions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.interactions.assets.definition import group_of, pool_of
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.asset_pages.raw_files import raw_files_spec
from gata_assets.orchestration.curated_tables.assets import CuratedAssetRules, build_curated_asset
from gata_assets.orchestration.curated_tables.sensor import WatchedTables, build_files_sensor
from gata_assets.orchestration.jobs import build_job, day_partitions
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables, curation_rules, own_tables
from gata_assets.storage.objects import ObjectStore

if TYPE_CHECKING:
    from gata_assets.curation.curated.curator import TableCurator

CURATE_TABLES = "curate_tables"
OWN_TABLES_SENSOR = "new_files_of_own_tables_sensor"


def build_own_table_definitions(settings: Settings, tenants: Sequence[str], options: AssetOptions) -> dg.Definitions:
    """The own tables of these tenants; empty if none is declared. The store is the interactions' resource."""
    own = own_tables(settings)
    if not own:
        return dg.Definitions()
    rules = curation_rules(settings)
    days = day_partitions(settings.interactions.earliest_interaction)

    curator = partial(open_table_curator, settings)
    assets = [
        build_curated_asset(
            spec,
            CuratedAssetRules(
                tenant,
                group_of(tenant),
                pool_of(tenant),
                rules,
                days,
                partial(curator, tenant),
                settings.quality.rules,
            ),
            options,
        )
        for tenant in tenants
        for spec in own.values()
    ]
    has_days = any(spec.partition_by for spec in own.values())
    watched = WatchedTables(OWN_TABLES_SENSOR, CURATE_TABLES, tenants, tuple(own), curator, days, has_days=has_days)
    description = "Validate the raw files of own tables (TABLE_SPECS) that have landed, and curate them."
    raw = [raw_files_spec(tenant, spec, group=group_of(tenant)) for tenant in tenants for spec in own.values()]
    return dg.Definitions(
        assets=[*raw, *assets],
        jobs=[build_job(CURATE_TABLES, dg.AssetSelection.assets(*assets), description)],
        sensors=[build_files_sensor(watched)],
    )


def open_table_curator(
    settings: Settings, tenant: str, store: ObjectStore, present: datetime | None = None
) -> TableCurator:
    """The curator of a tenant's tables of every kind but interactions, which are merged by their own rules."""
    # Imported here, since it loads compiled kernels and definitions are loaded often.
    from gata_assets.curation.curated.curator import TableCurator

    rules, tables = curation_rules(settings), all_tables(settings)
    return TableCurator(store, tenant, rules, present or datetime.now(UTC), tables)
