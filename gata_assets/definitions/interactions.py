"""The definitions of interactions: the tenants' assets, and the jobs, sensor and schedule over them.

Assembly only, for `definitions`. The engine is imported when a run builds something with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from gata_assets.curation.files.tenants import TenantSearch
from gata_assets.interactions.assets.definition import InteractionAssetRules, build_interaction_assets, group_of
from gata_assets.interactions.assets.jobs import PREPARE_INTERACTIONS, build_interaction_jobs, build_new_files_sensor
from gata_assets.interactions.engines.base import InteractionEngine
from gata_assets.interactions.tables import TABLES
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.asset_pages.raw_files import raw_files_spec
from gata_assets.orchestration.jobs import INTERACTION_SCHEDULE, build_schedule, day_partitions
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import curation_rules
from gata_assets.settings.values import EngineKind
from gata_assets.storage.resource import ObjectStoreResource


def build_interaction_definitions(
    settings: Settings,
    tenants: Sequence[str],
    store: ObjectStoreResource,
    options: AssetOptions,
    engine: InteractionEngine | None,
    searches: Sequence[TenantSearch],
) -> dg.Definitions:
    """The interactions of these tenants; a given engine replaces the one that the settings choose. Whom `searches` find
    is named by the sensor.
    """
    rules = InteractionAssetRules(
        curation=curation_rules(settings),
        interactions=settings.interactions.rules,
        days=day_partitions(settings.interactions.earliest_interaction),
        engine=settings.interactions.engine.value,
        catalog=settings.interactions.catalog_rules,
        quality=settings.quality.rules,
    )
    assets = {tenant: build_interaction_assets(tenant, rules, options) for tenant in tenants}
    curated = [key for catalog, days, _ in assets.values() for key in (*catalog.keys, *days.keys)]
    batches = [key for _, _, batches in assets.values() for key in batches.keys]
    window_days, cron = rules.interactions.seen_period_days, settings.automation.prepare_schedule
    build = dg.ResourceDefinition(lambda _: build_engine(settings), description="Imported when it is needed.")
    raw = [raw_files_spec(tenant, spec, group=group_of(tenant)) for tenant in tenants for spec in TABLES.values()]
    return dg.Definitions(
        assets=[*raw, *(asset for tenant_assets in assets.values() for asset in tenant_assets)],
        jobs=build_interaction_jobs(curated, batches),
        sensors=[
            build_new_files_sensor(
                tenants,
                rules.days,
                rules.curation,
                window_days=window_days,
                searches=searches,
            )
        ],
        schedules=[build_schedule(INTERACTION_SCHEDULE, PREPARE_INTERACTIONS, cron, options.batches)],
        resources={"object_store": store, "interaction_engine": engine or build},
    )


def build_engine(settings: Settings) -> InteractionEngine:
    """The engine that the settings choose."""
    match settings.interactions.engine:
        case EngineKind.POLARS:
            from gata_assets.interactions.engines.polars import PolarsEngine

            return PolarsEngine()
        case EngineKind.SPARK:
            from gata_assets.interactions.engines.spark.engine import SparkEngine

            return SparkEngine(master=settings.interactions.spark_master, remote=settings.interactions.spark_remote)
