"""The ticket assets in Dagster: five assets of one op, with their checks, columns, owners and policies.

`assets.run` prepares the batches, `assets.steps` defines what each asset is built from.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
import dagster as dg

from gata_assets.orchestration import checks
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.recording import Events, columns, with_unevaluated
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.assets import check_names
from gata_assets.tickets.assets.io_managers import DatasetIOManager, ParquetIOManager
from gata_assets.tickets.assets.jobs import GROUP
from gata_assets.tickets.assets.run import TicketRun
from gata_assets.tickets.assets.steps import STEPS, TicketStep
from gata_assets.tickets.erasure.tombstones import TicketTombstones
from gata_assets.tickets.rules import NearDuplicatePolicy, PreparationRules, TextNormalization
from gata_assets.tickets.schema import Tickets

TABLES = "parquet_tables"
DATASETS = "training_datasets"
TICKET_TABLE = "ticket_table"
# The pool of ops that read the ticket database; dagster.yaml limits how many run concurrently.
DATABASE_POOL = "ticket_database"


def lake_dep(offline_tickets: dg.AssetKey, window_days: int) -> dg.AssetDep:
    """The dependency of batches on a lake's days, where tickets are read from one: on those of their longest window.

    A ticket that closed in a window may have been created earlier; runs read those days too.
    """
    with checks.without_maturity_warnings():
        window = dg.TimeWindowPartitionMapping(
            start_offset=-24 * window_days, end_offset=-1, allow_nonexistent_upstream_partitions=True
        )
    return dg.AssetDep(offline_tickets, partition_mapping=window)


def ticket_table_spec() -> dg.AssetSpec:
    """The ticket table as a node of the lineage: not built here, and read by each run."""
    return dg.AssetSpec(
        TICKET_TABLE,
        description=(
            "The table of closed tickets that TICKETS_URL or DB_ARN names, or what TICKETS_QUERY selects. "
            "`gata doctor` counts its tickets and shows the first and the last."
        ),
        group_name=GROUP,
        kinds={"table"},
    )


def build_ticket_assets(
    rules: PreparationRules,
    options: AssetOptions,
    *,
    batches_at_once: int,
    tombstones: TicketTombstones,
    table: dg.AssetDep | None = None,
) -> dg.AssetsDefinition:
    """The five ticket assets.

    Args:
        rules: What shapes the datasets.
        options: What all assets share.
        batches_at_once: The batches of a range whose tickets are read together; a run's memory grows with them.
        tombstones: The tickets that were erased.
        table: What tickets are read from; by default the ticket table.
    """
    source = table or dg.AssetDep(TICKET_TABLE)

    @dg.multi_asset(
        name="ticket_line",
        specs=[_spec(name, step, rules, options, source) for name, step in STEPS.items()],
        check_specs=[
            spec
            for name, step in STEPS.items()
            for spec in checks.specs(dg.AssetKey(name), check_names.DESCRIPTIONS, *_checks_of(step, rules))
        ],
        partitions_def=options.batches,
        can_subset=True,
        backfill_policy=options.backfill_policy,
        pool=DATABASE_POOL,
    )
    def ticket_line(
        context: dg.AssetExecutionContext,
        ticket_source: TicketSource,
        parquet_tables: dg.ResourceParam[ParquetIOManager],
        training_datasets: dg.ResourceParam[DatasetIOManager],
    ) -> Events:
        """Prepare the run's batches, one after the other."""
        run = TicketRun(
            context,
            steps={name: step for name, step in STEPS.items() if dg.AssetKey(name) in context.selected_asset_keys},
            rules=rules,
            code_version=options.code_version,
            tables=parquet_tables,
            datasets=training_datasets,
            tombstones=tombstones,
            preview_rows=options.preview_rows,
        )
        events = run.run(context.partition_keys, ticket_source, batches_at_once=batches_at_once)
        yield from with_unevaluated(context, events)

    return ticket_line


def _checks_of(step: TicketStep, rules: PreparationRules) -> list[str]:
    """The checks of a step that are evaluated by these rules."""
    left_out = set()
    if rules.near_duplicates is NearDuplicatePolicy.OFF:
        left_out.add(check_names.FEW_TEST_ROWS_HAVE_A_TWIN)
    if rules.text_normalization is TextNormalization.STRICT:
        left_out.add(check_names.FEW_TEXTS_WERE_EMPTIED)
    return [check for check in step.checks if check not in left_out]


def _spec(
    name: str, step: TicketStep, rules: PreparationRules, options: AssetOptions, source: dg.AssetDep
) -> dg.AssetSpec:
    spec = dg.AssetSpec(
        name,
        # Tables of tickets are read from it.
        deps=[*([source] if step.rows is Tickets else []), *step.made_from],
        description=step.build.__doc__,
        metadata={**columns(step.rows), "settings": dg.MetadataValue.json(rules.as_settings())},
        # Assets are recorded batch by batch, so Dagster expects no output when the op ends.
        skippable=True,
        group_name=GROUP,
        code_version=options.code_version,
        owners=options.owners,
        kinds={"pandas", "json" if step.is_dataset else "parquet"},
        partitions_def=options.batches,
    )
    return spec.with_io_manager_key(DATASETS if step.is_dataset else TABLES)
