"""`gata retention`: the commands for what is kept, with their options; other modules implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings

_TENANT = options.tenant_option(required=False, whose="One tenant alone")
_HELD = options.tenant_option(required=False, or_shop=True, whose="The tenant")
_TICKETS = click.option("--tickets", "of_tickets", is_flag=True, help="The batches of tickets, which are no tenant's.")
_SUBJECT = click.option("--subject", metavar="ID", help="One subject of the tenant, of whom a digest is stored.")


@click.group(cls=options.Commands)
def retention() -> None:
    """Plan and apply the deletion of old data, hold it back, and write rules for the bucket."""


@retention.command("plan")
@exits({FAILED: "the target cannot be read, or has a damaged report or hold"})
@_TENANT
@options.SUMMARY
@options.SETTINGS
def plan(tenant: str | None, as_table: bool, settings: Settings) -> None:
    """Show what `gata retention apply` would delete and why, and what stays although it is old; delete nothing.

    Batches go by the hour of their ID (RETENTION_TRAINING), raw files by when they landed and curated days by their
    date (RETENTION_RAW). What a batch that stays was built from stays too.
    """
    with options.imports_uncollected():
        from gata_assets.cli.retention import deleting as command

    command.plan(settings, tenant, as_table=as_table)


@retention.command("apply")
@exits(
    {
        DONE: "all that was due is deleted",
        FAILED: "something could not be deleted, or it was not confirmed; the same command goes on with the rest",
    }
)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@_TENANT
@options.SUMMARY
@options.SETTINGS
def apply(yes: bool, tenant: str | None, as_table: bool, settings: Settings) -> bool:
    """Delete what `gata retention plan` shows; needs RETENTION=on.

    Asks before it deletes. What is under a legal hold stays. An interrupted deletion leaves no dataset that looks
    complete and is not, and the same command goes on.
    """
    with options.imports_uncollected():
        from gata_assets.cli.retention import deleting as command

    return command.apply(settings, tenant, is_confirmed=yes, as_table=as_table)


@retention.command("rules")
@exits({FAILED: "the target cannot be read, or a bucket does not take so many rules"})
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "terraform"]),
    default="json",
    help="What `aws s3api put-bucket-lifecycle-configuration` takes, or a file for Terraform, target.tf.json.",
)
@options.SETTINGS
def rules(form: str, settings: Settings) -> None:
    """Print the lifecycle rules of the bucket: storage classes by age, old versions, uploads that were cut off.

    They replace all rules that the bucket has. They move data of ours and never expire it: rules know no manifest.
    They do expire model artifacts and logs, which no manifest of ours names.
    """
    with options.imports_uncollected():
        from gata_assets.cli.retention import bucket_rules as command

    command.show(settings, as_terraform=form == "terraform")


@retention.group("hold", cls=options.Commands)
def hold() -> None:
    """Add, list and remove legal holds, which keep data from being deleted."""


@hold.command("add")
@exits({FAILED: "there is such a hold already, or nothing to hold, or the target cannot be read or written"})
@_HELD
@_TICKETS
@_SUBJECT
@click.option("--reason", required=True, help="Why; it is shown where data stays. No data of people, please.")
@options.SUMMARY
@options.SETTINGS
def add_hold(
    tenant: str | None, of_tickets: bool, subject: str | None, reason: str, as_table: bool, settings: Settings
) -> None:
    """Add a hold: from then on `gata retention apply` deletes nothing of the tenant.

    With --subject (needs PRIVACY_KEYS) the hold is on one person alone, whose rows erasure leaves; retention, which
    reads no rows, keeps all of the tenant.
    """
    with options.imports_uncollected():
        from gata_assets.cli.retention import holding as command

    command.add(settings, tenant, subject, reason, of_tickets=of_tickets, as_table=as_table)


@hold.command("list")
@exits({FAILED: "the target cannot be read, or has a damaged hold"})
@options.SUMMARY
@options.SETTINGS
def list_holds(as_table: bool, settings: Settings) -> None:
    """List the holds: of whom, since when, and why."""
    with options.imports_uncollected():
        from gata_assets.cli.retention import holding as command

    command.list_holds(settings, as_table=as_table)


@hold.command("remove")
@exits({FAILED: "there is no such hold, or the target cannot be read or written"})
@_HELD
@_TICKETS
@_SUBJECT
@click.option("--reason", required=True, help="Why; it is logged. No data of people, please.")
@options.SUMMARY
@options.SETTINGS
def remove_hold(
    tenant: str | None, of_tickets: bool, subject: str | None, reason: str, as_table: bool, settings: Settings
) -> None:
    """Remove a hold: what is old by then goes with the next `gata retention apply`."""
    with options.imports_uncollected():
        from gata_assets.cli.retention import holding as command

    command.remove(settings, tenant, subject, reason, of_tickets=of_tickets, as_table=as_table)
