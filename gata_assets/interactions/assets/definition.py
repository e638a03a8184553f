"""The Dagster assets of interactions: a tenant's curated tables, features and training data, in three ops.

Curated days and the catalog are written as files land; batches are built from them. The work of their runs is in
`orchestration.curated_tables` and `batch_run`.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from dataclasses import dataclass
from functools import partial

import dagster as dg

from gata_assets.curation.policy import CurationRules
from gata_assets.curation.quality.measures import QualityRules
from gata_assets.interactions import check_names
from gata_assets.interactions.assets.batch_run import InteractionRun
from gata_assets.interactions.assets.batch_tables import TABLES
from gata_assets.interactions.assets.jobs import open_curator
from gata_assets.interactions.datasets import CURATED_INTERACTIONS, curation_op
from gata_assets.interactions.engines.base import InteractionEngine
from gata_assets.interactions.rules import CatalogRules, InteractionRules
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, SPECS
from gata_assets.interactions.tables import TABLES as CURATED_TABLES
from gata_assets.orchestration import checks
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.curated_tables.assets import CuratedAssetRules, build_curated_asset
from gata_assets.orchestration.recording import Events, with_unevaluated
from gata_assets.storage.resource import ObjectStoreResource


@dataclass(frozen=True)
class InteractionAssetRules:
    """What all tenants' assets share: rules, days, and the engine's name for the UI."""

    curation: CurationRules
    interactions: InteractionRules
    days: dg.DailyPartitionsDefinition
    engine: str
    catalog: CatalogRules
    quality: QualityRules


def group_of(tenant: str) -> str:
    """The asset group of a tenant's interactions."""
    return f"{tenant}_interactions"


def pool_of(tenant: str) -> str:
    """The pool of a tenant's ops: while one writes a table, no other may read or write it."""
    return f"interactions_{tenant}"


def build_interaction_assets(
    tenant: str, rules: InteractionAssetRules, options: AssetOptions
) -> list[dg.AssetsDefinition]:
    """A tenant's assets: `curated_interactions` by day, `curated_items`, and the five tables of each hourly batch."""
    curated = CuratedAssetRules(
        tenant,
        group_of(tenant),
        pool_of(tenant),
        rules.curation,
        rules.days,
        partial(open_curator, rules.curation, tenant),
        rules.quality,
    )
    return [
        build_curated_asset(CURATED_TABLES[ITEMS], curated, options, op=f"{tenant}_catalogue"),
        build_curated_asset(CURATED_TABLES[INTERACTIONS], curated, options, op=curation_op(tenant)),
        _build_batches(tenant, rules, options),
    ]


def _build_batches(tenant: str, rules: InteractionAssetRules, options: AssetOptions) -> dg.AssetsDefinition:
    tables = {name: table for dataset in TABLES.values() for name, table in dataset.items()}

    @dg.multi_asset(
        name=f"{tenant}_batches",
        specs=[
            options.table_spec(
                dg.AssetKey([tenant, name]),
                SPECS[name].model,
                group=group_of(tenant),
                deps=[_dep(tenant, source, rules) for source in table.made_from],
                kinds={rules.engine},
                partitions=options.batches,
            )
            for name, table in tables.items()
        ],
        check_specs=[
            spec
            for name, table in tables.items()
            for names, is_blocking in ((table.checks, True), (table.only_warns, False))
            for spec in checks.specs(
                dg.AssetKey([tenant, name]), check_names.DESCRIPTIONS, *names, is_blocking=is_blocking
            )
        ],
        partitions_def=options.batches,
        can_subset=True,
        backfill_policy=options.backfill_policy,
        pool=pool_of(tenant),
    )
    def batches(
        context: dg.AssetExecutionContext,
        object_store: ObjectStoreResource,
        interaction_engine: dg.ResourceParam[InteractionEngine],
    ) -> Events:
        """Build the run's batches, one after the other."""
        from gata_assets.interactions.curated.status import CuratedLayer

        run = InteractionRun(
            context,
            layer=CuratedLayer(open_curator(rules.curation, tenant, object_store)),
            rules=rules.interactions,
            catalog_rules=rules.catalog,
            earliest=rules.curation.earliest_at.date(),
            code_version=options.code_version,
            engine=interaction_engine,
            store=object_store,
            quality=rules.quality,
            preview_rows=options.preview_rows,
        )
        yield from with_unevaluated(context, run.run(context.partition_keys))

    return batches


def _dep(tenant: str, source: str, rules: InteractionAssetRules) -> dg.AssetDep:
    """A dependency; a batch depends on exactly the curated days that its window covers."""
    key = dg.AssetKey([tenant, source])
    if source != CURATED_INTERACTIONS:
        return dg.AssetDep(key)
    # Offsets count in the batch's unit, hours: from `days` days before it to the hour before it. An op has one mapping
    # for each asset, so the UI shows features, too, as depending on the complete seen window.
    days = rules.interactions.seen_period_days
    with checks.without_maturity_warnings():
        window = dg.TimeWindowPartitionMapping(
            start_offset=-24 * days, end_offset=-1, allow_nonexistent_upstream_partitions=True
        )
    return dg.AssetDep(key, partition_mapping=window)
