"""The assets of a source's curated tables, whole and by day, with their checks.

Two ops: whole tables are written together, and so are the tables of a day, so that they agree. What they do is the
engine's; a run writes whatever is out of date, whichever day it is of. `prod_assets` has the tables for analysts.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.curation.curated.check_names import (
    EVERY_RAW_FILE_WAS_READ,
    FEW_ROWS_WERE_REJECTED,
    NO_ROW_IS_LOST,
    QUALITY_IS_HIGH_ENOUGH,
)
from gata_assets.curation.layout import MANIFEST_FILE
from gata_assets.curation.quality.measures import CuratedRows, QualityRules
from gata_assets.orchestration import checks
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.asset_pages.raw_files import observe_raw_files, raw_files_key
from gata_assets.orchestration.curated_tables.quality import RunQuality
from gata_assets.orchestration.dagster_private import unrecorded_result
from gata_assets.orchestration.failures import Partitions
from gata_assets.orchestration.recording import Events, KeptFailures, Recorder, with_unevaluated
from gata_assets.shop.checks import NO_ROW_WAITS_IN_VAIN, check_files, check_waiting, descriptions
from gata_assets.tables.changes.graph import TableGraph
from gata_assets.tables.spec import TableSpec

if TYPE_CHECKING:
    from gata_assets.curation.changes.units import Curated
    from gata_assets.shop.curated import ShopCurator
    from gata_assets.shop.engine import ShopEngine

# What the keys of its assets begin with; no tenant has this name.
SHOP = "shop"
_EPOCH = date(1970, 1, 1)
_SHOPS = Partitions("shop", "")


@dataclass(frozen=True)
class ShopAssetRules:
    """What the assets of a source share; `engine` opens the engine when a run needs it."""

    source: str
    graph: TableGraph
    days: dg.DailyPartitionsDefinition
    engine: "Callable[[], ShopEngine]"
    quality: QualityRules

    @property
    def group(self) -> str:
        """The group of its assets, and the pool of its ops."""
        return f"shop_{self.source}"


def curated_key(source: str, table: str) -> dg.AssetKey:
    """The asset of a curated table."""
    return dg.AssetKey([SHOP, source, f"curated_{table}"])


def build_curated_assets(rules: ShopAssetRules, options: AssetOptions) -> list[dg.AssetsDefinition]:
    """The ops of a source's curated tables, in the order in which they run."""
    units = tuple(spec for unit in rules.graph.units for spec in unit.tables)
    return [
        _curated_op(rules, options, rules.graph.whole, None),
        _curated_op(rules, options, units, rules.days),
    ]


def _curated_op(
    rules: ShopAssetRules,
    options: AssetOptions,
    tables: Sequence[TableSpec],
    days: dg.DailyPartitionsDefinition | None,
) -> dg.AssetsDefinition:
    source = rules.source
    # Of all tables: they are judged together, and are one run of a backfill only if they wait for the same.
    referenced = {reference.table for spec in tables for reference in spec.references.values()}
    others = sorted(referenced - {spec.table for spec in tables})

    def deps(spec: TableSpec) -> list[dg.AssetDep]:
        keys = [raw_files_key(f"{SHOP}/{source}", spec.table), *(curated_key(source, table) for table in others)]
        return [dg.AssetDep(key) for key in keys]

    described = descriptions()

    @dg.multi_asset(
        name=f"shop_{source}_curated_{'days' if days else 'whole'}",
        specs=[
            options.table_spec(
                curated_key(source, spec.table),
                spec.model,
                group=rules.group,
                deps=deps(spec),
                kinds={"polars"},
                partitions=days,
            )
            for spec in tables
        ],
        check_specs=[
            check
            for spec in tables
            for check in (
                # Not blocking: if it fails, nothing is written, and the run fails.
                *checks.specs(
                    curated_key(source, spec.table),
                    described,
                    NO_ROW_IS_LOST,
                    EVERY_RAW_FILE_WAS_READ,
                    FEW_ROWS_WERE_REJECTED,
                    NO_ROW_WAITS_IN_VAIN,
                    QUALITY_IS_HIGH_ENOUGH,
                    is_blocking=False,
                ),
            )
        ],
        partitions_def=days,
        can_subset=True,
        backfill_policy=options.backfill_policy if days else None,
        pool=rules.group,
        # Days refer to whole tables.
        op_tags=None if days else {"dagster/priority": "1"},
    )
    def curated(context: dg.AssetExecutionContext) -> Events:
        """Validate new files, and curate what they change."""
        asked = context.partition_keys if days else ()
        events = _curate(context, rules, options, tables, asked)
        yield from with_unevaluated(context, without_values(context, rules.source, events))

    return curated


def without_values(context: dg.AssetExecutionContext, source: str, events: Events) -> Events:
    """The events of an op, whose failure shows no value of a row."""
    failures = KeptFailures(context.log, partitions=1, are=_SHOPS)
    try:
        yield from events
    except Exception as error:  # noqa: BLE001 (kept as the failure that ends the run)
        failures.keep(source, context.op_execution_context.op.name, error)
    failures.stop_at_end()


def _curate(
    context: dg.AssetExecutionContext,
    rules: ShopAssetRules,
    options: AssetOptions,
    tables: Sequence[TableSpec],
    asked: Sequence[str],
) -> Events:
    """Write what is out of date; the run's own partition, or its whole tables, are results whether they changed or not,
    so that what is downstream runs.
    """
    engine = rules.engine()
    curator = engine.curator(rules.source)
    quality = RunQuality(curator, rules.quality, context.log.warning)
    own = Recorder(context, code_version=options.code_version, as_events=False)
    others = Recorder(context, code_version=options.code_version, as_events=True)
    for spec in tables:
        curator.validate_new(spec.table, warn=context.log.warning)
    # A result counts for every partition of a run.
    result_of = asked[0] if len(asked) == 1 else None
    seen, selected = set(), context.selected_asset_keys
    with engine.lease(rules.source).held(lambda: False):
        days = {(date.fromisoformat(day) - _EPOCH).days for day in asked}
        for curated in curator.curate_units(days) if asked else curator.curate_whole():
            partition = None if curated.partition is None else str(_EPOCH + timedelta(days=curated.partition))
            if curated.partition is not None and not rules.days.has_partition_key(str(partition)):
                # Rows without a day, or of one before the first: no partition of Dagster's.
                continue
            for spec in tables if asked else [curator.tables[curated.table]]:
                seen.add((spec.table, partition))
                # An asset that was not selected is written together with the others, and is no result.
                is_result = partition == result_of and curated_key(rules.source, spec.table) in selected
                recorder = own if is_result else others
                counts = curated.manifest.details["rows"]
                of_table = counts[spec.table] if asked else counts
                yield from _recorded(curator, curated, spec.table, partition, of_table, recorder)
    for spec in tables:
        key, reports = curated_key(rules.source, spec.table), curator.reports(spec.table)
        if len(asked) > 1 and key in selected:
            yield unrecorded_result(key)
        if not asked and key in selected and (spec.table, None) not in seen:
            yield dg.MaterializeResult(asset_key=key, metadata={"reason": "it was up to date"})
        measures = quality.measure_stored(spec.table, None, CuratedRows(), curator.now)
        # While nothing changes, nothing comes: an old file says nothing.
        measures = replace(measures, freshness=None)
        waits = check_waiting(curator.count_rows(spec.table))
        found = {**check_files(reports, curator.rules.max_rejected_share), **waits, **quality.check({"": measures})}
        yield from checks.evaluations(key, None, found, is_blocking=False)
        yield observe_raw_files(f"{SHOP}/{rules.source}", spec.table, reports)


def _recorded(
    curator: "ShopCurator",
    curated: "Curated",
    table: str,
    partition: str | None,
    counts: Mapping[str, int],
    recorder: Recorder,
) -> Events:
    """A written table, or a table of a written day, with its checks."""
    details, key = curated.manifest.details, curated_key(curator.places.tenant, table)
    folder = curator.folder_of(curated)
    metadata = {
        "dagster/row_count": counts["visible"],
        "parked_rows": counts["parked"],
        "quarantined_rows": counts["quarantined"],
        **({"oldest_parked_at": details["oldest_parked_at"]} if details["oldest_parked_at"] else {}),
        "path": dg.MetadataValue.path(curator.store.uri(folder)),
        "manifest": dg.MetadataValue.path(curator.store.uri(folder + MANIFEST_FILE)),
    }
    yield recorder.materialization(key, partition, metadata, version=curated.manifest.digest)
    yield from checks.evaluations(key, partition, {NO_ROW_IS_LOST: curated.outcomes[table]}, is_blocking=False)
