"""The interaction line as Dagster sees it: a tenant's curated tables, features and training data, in three ops.

Curated days and the catalogue are made as files come; batches are made of them. How stands in `assets.curation_line`
and `assets.interaction_line`.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from gata_assets.curation.policy import CurationRules
from gata_assets.interactions.assets import check_names
from gata_assets.interactions.assets.batch_run import TABLES, InteractionRun
from gata_assets.interactions.assets.curation_run import CurationRun
from gata_assets.interactions.datasets import CURATED_INTERACTIONS, CURATED_ITEMS, curation_op
from gata_assets.interactions.engines.base import (
    ITEM_FEATURES,
    NEGATIVE_SAMPLES,
    RECENT_INTERACTIONS,
    USER_FEATURES,
    WITH_FEATURES,
    InteractionEngine,
)
from gata_assets.interactions.rules import InteractionRules
from gata_assets.interactions.schema import (
    INTERACTIONS,
    CuratedInteractions,
    CuratedItems,
    ItemFeatures,
    NegativeSamples,
    RecentInteractions,
    UserFeatures,
    WithFeatures,
)
from gata_assets.interactions.schema import TABLES as CURATED_TABLES
from gata_assets.orchestration import checks
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.recording import Events, columns
from gata_assets.storage.resource import ObjectStoreResource
from gata_assets.tables.spec import ReferenceMode

if TYPE_CHECKING:
    from gata_assets.interactions.curated.curator import Curator

_MODELS: Mapping[str, type[Any]] = {
    CURATED_INTERACTIONS: CuratedInteractions,
    CURATED_ITEMS: CuratedItems,
    USER_FEATURES: UserFeatures,
    ITEM_FEATURES: ItemFeatures,
    RECENT_INTERACTIONS: RecentInteractions,
    NEGATIVE_SAMPLES: NegativeSamples,
    WITH_FEATURES: WithFeatures,
}


@dataclass(frozen=True)
class InteractionAssetRules:
    """What all tenants' assets have in common: rules and days, and the engine's name for the UI."""

    curation: CurationRules
    interactions: InteractionRules
    days: dg.DailyPartitionsDefinition
    engine: str


def group_of(tenant: str) -> str:
    """The asset group of a tenant's interactions."""
    return f"{tenant}_interactions"


def pool_of(tenant: str) -> str:
    """The pool of a tenant's ops: what is written by one must not be written or read by another at the same time."""
    return f"interactions_{tenant}"


def build_interaction_assets(
    tenant: str, rules: InteractionAssetRules, options: AssetOptions
) -> list[dg.AssetsDefinition]:
    """A tenant's assets: `curated_interactions` by day, `curated_items`, and the five tables of each hourly batch."""
    return [build(tenant, rules, options) for build in (_build_catalogue, _build_curation, _build_batches)]


def _build_catalogue(tenant: str, rules: InteractionAssetRules, options: AssetOptions) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{tenant}_catalogue",
        specs=[_spec(tenant, CURATED_ITEMS, options, deps=(), kinds={"polars"})],
        check_specs=checks.specs(
            dg.AssetKey([tenant, CURATED_ITEMS]), None, check_names.DESCRIPTIONS, check_names.CURATED_ITEMS_ARE_VALID
        ),
        # Without it, Dagster wants its checks as outputs of the op; here they are events.
        can_subset=True,
        pool=pool_of(tenant),
        # Before the days of the same run: an item is known when it is in the catalogue.
        op_tags={"dagster/priority": "1"},
    )
    def catalogue(context: dg.AssetExecutionContext, object_store: ObjectStoreResource) -> Events:
        """Sort new item files, and take the latest row of each item."""
        yield from _curation_run(context, tenant, object_store, rules, options).make_catalogue()

    return catalogue


class CurationConfig(dg.Config):
    """Days (YYYY-MM-DD, both or none): of those outside of them, only what the run is of is curated; unset, whatever
    is out of date.
    """

    first_day: str | None = None
    last_day: str | None = None

    def stale_between(self) -> tuple[date, date] | None:
        """The days among which those that are out of date are curated too."""
        if self.first_day is None or self.last_day is None:
            return None
        return date.fromisoformat(self.first_day), date.fromisoformat(self.last_day)


def _build_curation(tenant: str, rules: InteractionAssetRules, options: AssetOptions) -> dg.AssetsDefinition:
    key = dg.AssetKey([tenant, CURATED_INTERACTIONS])
    references = CURATED_TABLES[INTERACTIONS].references.values()
    rejects_unknown = any(rules.curation.mode_of(one) is ReferenceMode.REJECT for one in references)
    deps = [dg.AssetDep(dg.AssetKey([tenant, CURATED_ITEMS]))] if rejects_unknown else []

    @dg.multi_asset(
        name=curation_op(tenant),
        specs=[_spec(tenant, CURATED_INTERACTIONS, options, deps, kinds={"polars"}, partitions=rules.days)],
        check_specs=[
            *checks.specs(
                key,
                rules.days,
                check_names.DESCRIPTIONS,
                check_names.CURATED_INTERACTIONS_ARE_VALID,
                check_names.NO_ROW_IS_LOST,
            ),
            *checks.specs(
                key, rules.days, check_names.DESCRIPTIONS, check_names.EVERY_RAW_FILE_WAS_READ, is_blocking=False
            ),
        ],
        partitions_def=rules.days,
        can_subset=True,
        backfill_policy=options.backfill_policy,
        pool=pool_of(tenant),
    )
    def curation(
        context: dg.AssetExecutionContext, config: CurationConfig, object_store: ObjectStoreResource
    ) -> Events:
        """Sort new interaction files, and curate the run's days and those that the files touch."""
        run = _curation_run(context, tenant, object_store, rules, options)
        yield from run.make_days(context.partition_keys, stale_between=config.stale_between())

    return curation


def _build_batches(tenant: str, rules: InteractionAssetRules, options: AssetOptions) -> dg.AssetsDefinition:
    tables = {name: one for of_set in TABLES.values() for name, one in of_set.items()}

    @dg.multi_asset(
        name=f"{tenant}_batches",
        specs=[
            _spec(
                tenant,
                name,
                options,
                [_dep(tenant, source, rules) for source in one.made_from],
                kinds={rules.engine},
                partitions=options.batches,
            )
            for name, one in tables.items()
        ],
        check_specs=[
            spec
            for name, one in tables.items()
            for spec in checks.specs(
                dg.AssetKey([tenant, name]), options.batches, check_names.DESCRIPTIONS, *one.checks
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
        """Make the run's batches, one after the other."""
        from gata_assets.interactions.curated.status import CuratedLayer

        run = InteractionRun(
            context,
            layer=CuratedLayer(_curator(tenant, object_store, rules)),
            rules=rules.interactions,
            earliest=rules.curation.earliest_at.date(),
            code_version=options.code_version,
            engine=interaction_engine,
            store=object_store,
        )
        yield from run.run(context.partition_keys)

    return batches


def _curation_run(
    context: dg.AssetExecutionContext,
    tenant: str,
    store: ObjectStoreResource,
    rules: InteractionAssetRules,
    options: AssetOptions,
) -> CurationRun:
    return CurationRun(
        context, curator=_curator(tenant, store, rules), days=rules.days, code_version=options.code_version
    )


def _curator(tenant: str, store: ObjectStoreResource, rules: InteractionAssetRules) -> "Curator":
    # Here, since it loads compiled kernels, and definitions are loaded all the time.
    from gata_assets.interactions.curated.curator import Curator

    return Curator(store, tenant, rules.curation, datetime.now(UTC))


def _dep(tenant: str, source: str, rules: InteractionAssetRules) -> dg.AssetDep:
    """A dependency; of a batch on curated days, on exactly those that its window touches."""
    key = dg.AssetKey([tenant, source])
    if source != CURATED_INTERACTIONS:
        return dg.AssetDep(key)
    # In the batch's own unit, hours: from so many days before it to the hour before it. One op depends on an asset in
    # one way only, so features are shown to depend on the whole of the seen window too.
    days = rules.interactions.seen_period_days
    with checks.without_maturity_warnings():
        window = dg.TimeWindowPartitionMapping(
            start_offset=-24 * days, end_offset=-1, allow_nonexistent_upstream_partitions=True
        )
    return dg.AssetDep(key, partition_mapping=window)


def _spec(
    tenant: str,
    name: str,
    options: AssetOptions,
    deps: Sequence[dg.AssetDep],
    *,
    kinds: set[str],
    partitions: dg.PartitionsDefinition[str] | None = None,
) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey([tenant, name]),
        deps=deps,
        description=_MODELS[name].__doc__,
        metadata=columns(_MODELS[name]),
        # Recorded partition by partition, so that Dagster waits for no output of the op's end.
        skippable=True,
        group_name=group_of(tenant),
        code_version=options.code_version,
        owners=options.owners,
        kinds={*kinds, "parquet"},
        partitions_def=partitions,
    )
