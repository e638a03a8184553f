"""The interaction half of the definitions: the tenants' assets, and the jobs, sensor and schedule over them.

Assembly only, for `definitions`. The engine is imported when a run makes something with it.
"""

from __future__ import annotations

import dagster as dg

from gata_assets.interactions.assets.definition import InteractionLineRules, build_interaction_assets
from gata_assets.interactions.assets.jobs import PREPARE_INTERACTIONS, build_interaction_jobs
from gata_assets.interactions.assets.sensor import build_new_files_sensor
from gata_assets.interactions.engines.base import InteractionEngine
from gata_assets.orchestration.partitions import day_partitions
from gata_assets.orchestration.schedules import INTERACTION_SCHEDULE, build_schedule
from gata_assets.settings.model import Settings
from gata_assets.settings.values import EngineKind
from gata_assets.storage.resource import ObjectStoreResource


def build_interaction_definitions(
    settings: Settings,
    store: ObjectStoreResource,
    partitions: dg.HourlyPartitionsDefinition,
    *,
    engine: InteractionEngine | None,
    code_version: str,
    backfill_policy: dg.BackfillPolicy,
) -> dg.Definitions:
    """The interaction line of all tenants; what is given takes the place of what the settings would choose."""
    rules = InteractionLineRules(
        curation=settings.curation_rules,
        interactions=settings.interaction_rules,
        batches=partitions,
        days=day_partitions(settings.earliest_interaction),
        code_version=code_version,
        backfill_policy=backfill_policy,
        engine=settings.interaction_engine.value,
        owners=settings.asset_owners or (),
    )
    assets = {tenant: build_interaction_assets(tenant, rules) for tenant in settings.tenants_prepared}
    curated = [key for catalogue, days, _ in assets.values() for key in (*catalogue.keys, *days.keys)]
    batches = [key for _, _, batches in assets.values() for key in batches.keys]
    return dg.Definitions(
        assets=[one for of_tenant in assets.values() for one in of_tenant],
        jobs=build_interaction_jobs(curated, batches),
        sensors=[
            build_new_files_sensor(
                settings.tenants_prepared,
                rules.days,
                rules.curation,
                window_days=settings.interaction_rules.seen_period_days,
            )
        ],
        schedules=[build_schedule(INTERACTION_SCHEDULE, PREPARE_INTERACTIONS, settings.prepare_schedule, partitions)],
        resources={
            "object_store": store,
            "interaction_engine": engine
            or dg.ResourceDefinition(lambda _: build_engine(settings), description="Imported when it is needed."),
        },
    )


def build_engine(settings: Settings) -> InteractionEngine:
    """The engine that the settings choose."""
    match settings.interaction_engine:
        case EngineKind.POLARS:
            from gata_assets.interactions.engines.polars import PolarsEngine

            return PolarsEngine()
        case EngineKind.SPARK:
            from gata_assets.interactions.engines.spark.engine import SparkEngine

            return SparkEngine(master=settings.spark_master, remote=settings.spark_remote)
