"""The assets of curated tables, by day or unpartitioned: an op per table, built from its spec.

`run` defines what a run does. Rules and names are arguments; domains pass their own curator if they have one.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from gata_assets.curation.curated import check_names
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.quality.measures import QualityRules
from gata_assets.orchestration import checks
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.asset_pages.raw_files import raw_files_key
from gata_assets.orchestration.curated_tables.due import CURATED, AssetNames
from gata_assets.orchestration.curated_tables.run import CurationRun
from gata_assets.orchestration.recording import Events, with_unevaluated
from gata_assets.storage.resource import ObjectStoreResource
from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets.tables.spec import TableSpec

if TYPE_CHECKING:
    from gata_assets.curation.curated.curator import TableCurator


@dataclass(frozen=True)
class CuratedAssetRules:
    """The options that a tenant's curated tables share: group and pool, rules of rows, days, the curator, and what
    quality is good enough.

    `names` are those of assets, `curated_model` is the pandera model of curated rows where the spec's is that of staged
    ones, `checks` are descriptions of further checks of curated rows, by name, and `has_freshness` says whether a check
    is about the newest file.
    """

    tenant: str
    group: str
    pool: str
    curation: CurationRules
    days: dg.DailyPartitionsDefinition
    curator: "Callable[[ObjectStoreResource], TableCurator]"
    quality: QualityRules
    names: AssetNames = CURATED
    curated_model: type[Any] | None = None
    checks: Mapping[str, str] = field(default_factory=dict)
    has_freshness: bool = False


class CurationConfig(dg.Config):
    """Days (YYYY-MM-DD, both or none): of those outside of them, only what the run is of is curated; unset, whatever
    is out of date.
    """

    first_day: str | None = None
    last_day: str | None = None

    def stale_between(self) -> tuple[date, date] | None:
        """The range in which missing and stale days are curated too."""
        if self.first_day is None or self.last_day is None:
            return None
        return date.fromisoformat(self.first_day), date.fromisoformat(self.last_day)


def build_curated_asset(
    spec: TableSpec, rules: CuratedAssetRules, options: AssetOptions, *, op: str | None = None
) -> dg.AssetsDefinition:
    """The asset of a tenant's curated table; `op` names its op if the table's name should not."""
    days = rules.days if spec.partition_by else None
    key, staged_key = rules.names.key(rules.tenant, spec.table), rules.names.staged_key(rules.tenant, spec.table)
    descriptions = {**check_names.check_descriptions(spec), **check_names.FRESHNESS_CHECK, **rules.checks}
    rejecting = {
        reference.table
        for reference in spec.references.values()
        if rules.curation.mode_of(reference) is ReferenceMode.REJECT
    } - {spec.table}
    raw_key = raw_files_key(rules.tenant, spec.table)
    staged_specs = [] if staged_key is None else [_staged_spec(staged_key, raw_key, spec, rules, options)]
    asset_spec = options.table_spec(
        key,
        rules.curated_model or spec.model,
        group=rules.group,
        deps=[
            dg.AssetDep(staged_key or raw_key),
            # If rows with unknown references are rejected, the table waits for the referenced one.
            *(dg.AssetDep(rules.names.key(rules.tenant, table)) for table in sorted(rejecting)),
        ],
        kinds={"polars"},
        partitions=days,
    )
    names = (check_names.validity_check(spec.table), check_names.NO_ROW_IS_LOST, *rules.checks)
    blocking = checks.specs(key, descriptions, *names)
    of_files = [*check_names.ABOUT_RAW_FILES, *(check_names.FRESHNESS_CHECK if rules.has_freshness else ())]
    decorate = dg.multi_asset(
        name=op or f"{rules.tenant}_{rules.names.curated}_{spec.table}",
        specs=[*staged_specs, asset_spec],
        check_specs=[
            *blocking,
            *checks.specs(staged_key or key, descriptions, *of_files, is_blocking=False),
            *checks.specs(key, descriptions, check_names.QUALITY_IS_HIGH_ENOUGH, is_blocking=False),
        ],
        partitions_def=days,
        # Without it, Dagster expects its checks as outputs of the op; here they are events.
        can_subset=True,
        backfill_policy=options.backfill_policy if days else None,
        pool=rules.pool,
        # Before the days of the same run: rows refer to the entire table.
        op_tags=None if days else {"dagster/priority": "1"},
    )

    def run_of(context: dg.AssetExecutionContext, store: ObjectStoreResource) -> CurationRun:
        curator = rules.curator(store)
        return CurationRun(
            context,
            curator=curator,
            table=spec.table,
            days=days,
            code_version=options.code_version,
            quality=rules.quality,
            names=rules.names,
            has_freshness=rules.has_freshness,
        )

    if days is None:

        @decorate
        def table(context: dg.AssetExecutionContext, object_store: ObjectStoreResource) -> Events:
            """Validate new files, and write the table."""
            yield from with_unevaluated(context, run_of(context, object_store).curate_table())

        return table

    @decorate
    def by_day(context: dg.AssetExecutionContext, config: CurationConfig, object_store: ObjectStoreResource) -> Events:
        """Validate new files, and curate the run's days and those that the files touch."""
        run = run_of(context, object_store)
        events = run.curate_days(context.partition_keys, stale_between=config.stale_between())
        yield from with_unevaluated(context, events)

    return by_day


def _staged_spec(
    key: dg.AssetKey, raw: dg.AssetKey, spec: TableSpec, rules: CuratedAssetRules, options: AssetOptions
) -> dg.AssetSpec:
    """The asset of a table's valid rows, by the day on which their files landed."""
    return options.table_spec(
        key, spec.model, group=rules.group, deps=[dg.AssetDep(raw)], kinds={"polars"}, partitions=rules.days
    )
