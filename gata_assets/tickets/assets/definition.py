"""The ticket line as Dagster sees it: five assets of one op, with their checks, columns, owners and policies.

How the op makes them stands in `assets.ticket_line`, what each is made of in `assets.ticket_steps`.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
from collections.abc import Sequence

import dagster as dg

from gata_assets.orchestration import checks
from gata_assets.orchestration.recording import Events, columns
from gata_assets.tickets.assets import check_names
from gata_assets.tickets.assets.io_managers import DatasetIOManager, ParquetIOManager
from gata_assets.tickets.assets.jobs import GROUP
from gata_assets.tickets.assets.rules_resource import PreparationRulesResource
from gata_assets.tickets.assets.run import TicketLine
from gata_assets.tickets.assets.steps import STEPS, TicketStep
from gata_assets.tickets.sources.base import TicketSource

TABLES = "parquet_tables"
DATASETS = "training_datasets"
# Ops that read the ticket database; dagster.yaml says how many may at once.
DATABASE_POOL = "ticket_database"


def build_ticket_assets(
    partitions: dg.PartitionsDefinition[str],
    *,
    code_version: str,
    backfill_policy: dg.BackfillPolicy,
    batches_at_once: int,
    owners: Sequence[str] = (),
) -> dg.AssetsDefinition:
    """The five assets of the ticket line on these partitions.

    `code_version` goes into every manifest; `batches_at_once` are the batches of a range whose tickets are read
    together, which is what a run's memory grows with.
    """

    @dg.multi_asset(
        name="ticket_line",
        specs=[_spec(name, step, partitions, code_version, owners) for name, step in STEPS.items()],
        check_specs=[
            spec
            for name, step in STEPS.items()
            for spec in checks.specs(dg.AssetKey(name), partitions, check_names.DESCRIPTIONS, *step.checks)
        ],
        partitions_def=partitions,
        can_subset=True,
        backfill_policy=backfill_policy,
        pool=DATABASE_POOL,
    )
    def ticket_line(
        context: dg.AssetExecutionContext,
        ticket_source: TicketSource,
        preparation_rules: PreparationRulesResource,
        parquet_tables: dg.ResourceParam[ParquetIOManager],
        training_datasets: dg.ResourceParam[DatasetIOManager],
    ) -> Events:
        """Prepare the run's batches, one after the other."""
        line = TicketLine(
            context,
            steps={name: step for name, step in STEPS.items() if dg.AssetKey(name) in context.selected_asset_keys},
            rules=preparation_rules.rules,
            code_version=code_version,
            tables=parquet_tables,
            datasets=training_datasets,
        )
        yield from line.run(context.partition_keys, ticket_source, batches_at_once=batches_at_once)

    return ticket_line


def _spec(
    name: str, step: TicketStep, partitions: dg.PartitionsDefinition[str], code_version: str, owners: Sequence[str]
) -> dg.AssetSpec:
    spec = dg.AssetSpec(
        name,
        deps=step.made_from,
        description=step.make.__doc__,
        metadata=columns(step.rows),
        # Recorded batch by batch, so that Dagster waits for no output of the op's end.
        skippable=True,
        group_name=GROUP,
        code_version=code_version,
        owners=owners,
        kinds={"pandas", "json" if step.is_dataset else "parquet"},
        partitions_def=partitions,
    )
    return spec.with_io_manager_key(DATASETS if step.is_dataset else TABLES)
