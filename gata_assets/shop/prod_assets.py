"""The assets of a source's tables for analysts: those whose files are of months, by day, and those without a date.

Two ops, since Dagster runs partitioned and unpartitioned assets apart. A file has a month, so a day is built with all
others of its month: each of them is recorded, with the month's build that it is in.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from collections import defaultdict
from collections.abc import Mapping, Sequence

import dagster as dg

from gata_assets.orchestration import checks
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.dagster_private import kept_open
from gata_assets.orchestration.recording import Events, Recorder, with_unevaluated
from gata_assets.shop.assets import SHOP, ShopAssetRules, curated_key, without_values
from gata_assets.shop.prod.builds import Change, PublishedPartition
from gata_assets.shop.prod.source import Scope
from gata_assets.shop.prod.tables import BY_MONTH, WHOLE, ProdTable
from gata_assets.shop.prod_checks import Outcomes, ProdChecksFailedError, by_month, descriptions
from gata_assets.tables.manifests import MANIFEST_FILE

# The rows of the month that a day is in, in the metadata of the day.
MONTH_ROWS = "month_rows"
_ORDERS = ("orders", "order_items", "payments")
# The curated tables that each table for analysts is built from.
_MADE_OF: Mapping[str, Sequence[str]] = {
    "order_facts": (*_ORDERS, "customers", "products"),
    "daily_sales": (*_ORDERS, "products"),
    "daily_category_sales": (*_ORDERS, "products"),
    "customer_summary": (*_ORDERS, "customers", "products"),
    "inventory_status": ("inventory", "products", *_ORDERS[:2]),
}
# The version of a day whose month never had a row, or that was never curated.
_NO_ROWS = "no rows"


def prod_key(source: str, table: str) -> dg.AssetKey:
    """The asset of a table for analysts."""
    return dg.AssetKey([SHOP, source, f"prod_{table}"])


def build_prod_assets(rules: ShopAssetRules, options: AssetOptions) -> list[dg.AssetsDefinition]:
    """The ops of a source's tables for analysts."""
    return [_op(rules, options, BY_MONTH, rules.days), _op(rules, options, WHOLE, None)]


def _op(
    rules: ShopAssetRules,
    options: AssetOptions,
    tables: Sequence[ProdTable],
    days: dg.DailyPartitionsDefinition | None,
) -> dg.AssetsDefinition:
    def dep(name: str) -> dg.AssetDep:
        # A day's rows are of the same curated day; a table without a date is one snapshot of all days.
        mapping = dg.TimeWindowPartitionMapping() if days else dg.AllPartitionMapping()
        is_by_day = rules.graph.unit_of(name) is not None
        return dg.AssetDep(curated_key(rules.source, name), partition_mapping=mapping if is_by_day else None)

    @dg.multi_asset(
        name=f"shop_{rules.source}_prod_{'days' if days else 'whole'}",
        specs=[
            options.table_spec(
                prod_key(rules.source, table.name),
                table.spec.model,
                group=rules.group,
                deps=[dep(name) for name in _MADE_OF[table.name]],
                kinds={"polars"},
                partitions=days,
            )
            for table in tables
        ],
        check_specs=[
            check
            for table in tables
            for check in checks.specs(prod_key(rules.source, table.name), descriptions(table), *descriptions(table))
        ],
        partitions_def=days,
        can_subset=True,
        # The same as that of curated days: then Dagster runs both of a chunk in one run.
        backfill_policy=options.backfill_policy if days else None,
        pool=rules.group,
        # What months pass on is stored when they are built; tables without a date need it of all.
        op_tags={"dagster/priority": "1"} if days else None,
    )
    def prod(context: dg.AssetExecutionContext) -> Events:
        """Build the months of the run's days, or whatever is out of date if the run curates too."""
        asked = context.partition_keys if days else ()
        with kept_open(context.instance, context.run.run_id):
            events = _ProdRun(context, rules, options, asked).build()
            yield from with_unevaluated(context, without_values(context, rules.source, events))

    return prod


class _ProdRun:
    """The work of one run of an op: `asked` are its days, none of tables without a date."""

    def __init__(
        self, context: dg.AssetExecutionContext, rules: ShopAssetRules, options: AssetOptions, asked: Sequence[str]
    ) -> None:
        self._context, self._rules, self._asked = context, rules, frozenset(asked)
        # A result counts for every partition of a run.
        self._result_of = asked[0] if len(asked) == 1 else None
        self._result = Recorder(context, code_version=options.code_version, as_events=False)
        self._events = Recorder(context, code_version=options.code_version, as_events=True)
        # By table and month, those of what was built.
        self._outcomes: dict[str, dict[str, Outcomes]] = defaultdict(dict)
        self._versions: dict[tuple[str, str | None], tuple[str, int | None]] = {}

    def build(self) -> Events:
        """Build what is stale, and record each partition as soon as readers see it; at the end the checks of all."""
        failure = None
        try:
            for partition in self._rules.engine().build(self._rules.source, self._scope()):
                yield from self._record(partition)
                if partition.outcomes:
                    self._outcomes[partition.table]["-".join(partition.values)] = partition.outcomes
        except ProdChecksFailedError as error:
            self._outcomes[error.table][error.month] = error.outcomes
            failure = error
        for table, found in self._outcomes.items():
            key = prod_key(self._rules.source, table)
            if key in self._context.selected_asset_keys:
                # Of all months together: one evaluation a run, as the UI shows the last one.
                yield from checks.evaluations(key, None, by_month(found))
        if failure:
            raise failure

    def _record(self, partition: PublishedPartition) -> Events:
        key = prod_key(self._rules.source, partition.table)
        is_selected = key in self._context.selected_asset_keys
        # Tables of a month are built together, whichever are selected.
        if is_selected or partition.change is not Change.UNCHANGED:
            days = self._days_of(partition)
            is_result = is_selected and self._result_of in days
            others = [day for day in days if not (is_result and day == self._result_of)]
            yield from self._events.record(self._recorded(partition, key, day, self._events) for day in others)
            if is_result:
                yield self._recorded(partition, key, self._result_of, self._result)

    def _scope(self) -> Scope:
        if not self._asked:
            return Scope(has_whole_tables=True)
        graph, of_run = self._rules.graph, self._context.job_def.asset_layer.selected_asset_keys
        curated = [*graph.whole, *(spec for unit in graph.units for spec in unit.tables)]
        curates = any(curated_key(self._rules.source, spec.table) in of_run for spec in curated)
        # A run that curates writes days that were not asked for, those of late files.
        months = frozenset((day[:4], day[5:7]) for day in self._asked)
        return Scope(months, has_all_months=curates)

    def _days_of(self, partition: PublishedPartition) -> list[str | None]:
        """The days to record: all days of a month that has changed, else those that were asked for."""
        if not partition.values:
            return [None]
        month, is_changed = "-".join(partition.values), partition.change is not Change.UNCHANGED
        return [
            day
            for day in (f"{month}-{number:02}" for number in range(1, 32))
            if day in self._asked or (is_changed and self._rules.days.has_partition_key(day))
        ]

    def _recorded(
        self, partition: PublishedPartition, key: dg.AssetKey, day: str | None, recorder: Recorder
    ) -> dg.MaterializeResult[None] | dg.AssetMaterialization:
        store = self._rules.engine().store
        metadata = {
            "change": partition.change.value,
            MONTH_ROWS if day else "dagster/row_count": partition.rows,
            "path": dg.MetadataValue.path(store.uri(partition.folder)),
            "manifest": dg.MetadataValue.path(store.uri(partition.folder + MANIFEST_FILE)),
        }
        made_from = self._made_from(partition.table, day) if recorder is self._events else {}
        return recorder.materialization(key, day, metadata, version=partition.digest or _NO_ROWS, made_from=made_from)

    def _made_from(self, table: str, day: str | None) -> dict[dg.AssetKey, tuple[str, int | None]]:
        """The recorded versions of the curated day and tables; Dagster adds those of results by itself."""
        found = {}
        for name in _MADE_OF[table]:
            source = name, day if self._rules.graph.unit_of(name) else None
            if source not in self._versions:
                key = curated_key(self._rules.source, name)
                self._versions[source] = self._events.versions([(key, source[1])]).get(key, (_NO_ROWS, None))
            found[curated_key(self._rules.source, name)] = self._versions[source]
        return found
