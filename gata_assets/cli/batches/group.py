"""`gata batches`: the commands for batches in the target, with their options; other modules implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings

_TENANT = click.option("--tenant", metavar="NAME", help="One tenant alone. [default: all, and tickets]")


@click.group(cls=options.Commands)
def batches() -> None:
    """List, show, compare, log and remove the batches in the target, or give up one that fails."""


@batches.command("list")
@exits({FAILED: "the target cannot be read"})
@click.option("--limit", type=click.IntRange(1), default=20, help="At most so many batches, the newest.")
@options.ONLY
@_TENANT
@options.SUMMARY
@options.SETTINGS
def list_batches(limit: int, only: str | None, tenant: str | None, as_table: bool, settings: Settings) -> None:
    """List the batches in the target, newest first: their state, rows, labels and sizes.

    A batch is complete; stale, when it was built from other rows than there are now; or missing, when not all of it is
    in the target. `gata backfill` prepares the missing and stale ones.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import stored as command

    command.list_batches(settings, limit=limit, only=only, tenant=tenant, as_table=as_table)


@batches.command("show")
@exits({FAILED: "the target has nothing of the batch, or cannot be read"})
@options.batch_argument("batch_id", "BATCH_ID")
@click.option(
    "--rows",
    type=click.IntRange(0, 100),
    help="Show so many rows of each table, to people only: at most PREVIEW_ROWS. [default: PREVIEW_ROWS]",
)
@options.ONLY
@_TENANT
@options.SUMMARY
@options.SETTINGS
def show_batch(
    batch_id: str, rows: int | None, only: str | None, tenant: str | None, as_table: bool, settings: Settings
) -> bool:
    """Show the batch BATCH_ID in the target: its files, rows, label distribution, windows and settings.

    BATCH_ID may be `latest`, the hour that began last, or a day for its first hour.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import stored as command

    return command.show_batch(settings, batch_id, rows=rows, only=only, tenant=tenant, as_table=as_table)


@batches.command("diff")
@exits({FAILED: "one of the batches is not complete in the target, or that cannot be read"})
@options.batch_argument("first", "FIRST")
@options.batch_argument("second", "SECOND")
@options.ONLY
@_TENANT
@options.SUMMARY
@options.SETTINGS
def diff_batches(
    first: str, second: str, only: str | None, tenant: str | None, as_table: bool, settings: Settings
) -> bool:
    """Compare two batches in the target, the second with the first.

    Shows the rows and labels that differ, the settings that were changed, and how many tickets came, went, changed
    their label, or moved between train and test.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import difference as command

    return command.show(settings, first, second, only=only, tenant=tenant, as_table=as_table)


@batches.command("remove")
@exits({FAILED: "the target has nothing of the batch, a file could not be removed, or it was not confirmed"})
@options.batch_argument("batch_id", "BATCH_ID")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@options.ONLY
@_TENANT
@options.SUMMARY
@options.SETTINGS
def remove_batch(
    batch_id: str, yes: bool, only: str | None, tenant: str | None, as_table: bool, settings: Settings
) -> bool:
    """Remove the batch BATCH_ID from the target whole: datasets, intermediate tables, tickets in quarantine.

    Asks before it removes. Manifests go first, so that no reader finds a part of a dataset; the same command completes
    an interrupted removal. Raw files, curated days, what Dagster recorded, and batches of tenants that TENANTS does not
    name stay; `gata prepare` builds the batch again.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import remove as command

    return command.run(settings, batch_id, is_confirmed=yes, only=only, tenant=tenant, as_table=as_table)


@batches.command("log-datasets")
@exits(
    {
        DONE: "every finished dataset is logged",
        FAILED: "a dataset could not be logged, or the target cannot be read; the same command logs what is missing",
    }
)
@options.SUMMARY
@options.SETTINGS
def log_datasets(as_table: bool, settings: Settings) -> bool:
    """Log the finished datasets of all batches to MLflow: digest, schema, place, counts and labels, a run for each.

    MLFLOW_TRACKING_URI names the tracking server; what it has already is left out. `gata prepare` and `gata backfill`
    do the same for their batches, and only warn where it fails.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import log_datasets as command

    return command.run(settings, as_table=as_table)


@batches.command("give-up")
@exits({FAILED: "no run of the batch failed, one is underway, or the target cannot be read"})
@options.batch_argument("batch_id", "BATCH_ID")
@click.option("--reason", required=True, help="Why; the UI and `gata backfill` show it. No data of people, please.")
@options.ONLY
@_TENANT
@options.SUMMARY
@options.SETTINGS
def give_up_batch(
    batch_id: str, reason: str, only: str | None, tenant: str | None, as_table: bool, settings: Settings
) -> bool:
    """Give up the batch BATCH_ID, whose runs failed: the UI no longer shows it as failed, and backfills leave it out.

    Marks the assets that failed in the Dagster instance of DAGSTER_HOME. `gata prepare` prepares the batch all the
    same, and `gata backfill --again` too; if that succeeds, the mark is gone.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import give_up as command

    return command.run(settings, batch_id, reason, only=only, tenant=tenant, as_table=as_table)
