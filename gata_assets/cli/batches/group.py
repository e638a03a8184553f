"""`gata batches`: the commands for batches in the target, with their options; other modules implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gata_assets.cli import options

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings

_TENANT = click.option("--tenant", metavar="NAME", help="One tenant alone. [default: all, and tickets]")


@click.group(cls=options.Commands)
def batches() -> None:
    """List, show, compare and remove the batches in the target."""


@batches.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, help="At most so many batches, the newest.")
@options.ONLY
@_TENANT
@options.SUMMARY
@options.SETTINGS
def list_batches(limit: int, only: str | None, tenant: str | None, as_table: bool, settings: Settings) -> None:
    """List the batches in the target, newest first: their state, rows, labels and sizes.

    A batch is complete; stale, when it was built from other rows than there are now; or missing, when not all of it is
    in the target. `gata backfill` prepares the missing and stale ones. Exits with 1 if the target cannot be read.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import stored as command

    command.list_batches(settings, limit=limit, only=only, tenant=tenant, as_table=as_table)


@batches.command("show")
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

    BATCH_ID may be `latest`, the hour that began last, or a day for its first hour. Exits with 1 if the target has
    nothing of it.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import stored as command

    return command.show_batch(settings, batch_id, rows=rows, only=only, tenant=tenant, as_table=as_table)


@batches.command("diff")
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
    their label, or moved between train and test. Exits with 1 if one of them is not complete in the target.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import difference as command

    return command.show(settings, first, second, only=only, tenant=tenant, as_table=as_table)


@batches.command("remove")
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
    name stay; `gata prepare` builds the batch again. Exits with 1 if a file could not be removed or the removal was not
    confirmed.
    """
    with options.imports_uncollected():
        from gata_assets.cli.batches import remove as command

    return command.run(settings, batch_id, is_confirmed=yes, only=only, tenant=tenant, as_table=as_table)
