"""`gata tenants`, `gata files` and `gata quarantine`, with their options; other modules implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import FAILED, HasExitCodes, exits
from gata_assets.errors import RawFileError

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings

_TENANT = options.tenant_option(required=True)
_TENANT_OR_SHOP = options.tenant_option(required=True, or_shop=True)
_RULE = click.option("--rule", help="Only rows that break this rule.")
_FILE = click.option("--file", "file_id", metavar="FILE_ID", help="Only this file.")


@click.command(cls=options.Command)
@options.SUMMARY
@options.SETTINGS
def tenants(as_table: bool, settings: Settings) -> None:
    """List the tenants with raw files, whether they are prepared, and the files and rows of each table."""
    with options.imports_uncollected():
        from gata_assets.cli.landed import listing as command

    command.list_tenants(settings, as_table=as_table)


@click.command(cls=options.Command)
@_TENANT
@click.option("--table", metavar="TABLE", help="Only files of this table. [default: all]")
@click.option(
    "--state",
    type=click.Choice(["counts", "outdated", "superseded", "refused", "waiting"]),
    help="Only files in this state.",
)
@options.SUMMARY
@options.SETTINGS
def files(tenant: str, table: str | None, state: str | None, as_table: bool, settings: Settings) -> None:
    """List a tenant's raw files, and what became of each: state, rows, and the mapping that it was read by.

    A file counts; is outdated, when it counts by other rules than those of now; superseded by another; refused, when
    no row of it counts; or waiting to be validated.
    """
    with options.imports_uncollected():
        from gata_assets.cli.landed import listing as command

    try:
        command.list_files(settings, tenant, table=table, state=state, as_table=as_table)
    except RawFileError as error:
        raise click.UsageError(str(error)) from None


class _Quarantine(HasExitCodes, options.Commands):
    """A command that is a group too."""


@click.group(cls=_Quarantine, invoke_without_command=True)
@exits({FAILED: "a file cannot be read when it is validated again, or the target cannot be read"})
@options.tenant_option(required=False, or_shop=True)
@_RULE
@_FILE
@click.option("--replay", is_flag=True, help="Validate these files again, by today's rules and catalog.")
@options.SUMMARY
@options.SETTINGS
@click.pass_context
def quarantine(
    context: click.Context,
    tenant: str | None,
    rule: str | None,
    file_id: str | None,
    replay: bool,
    as_table: bool,
    settings: Settings,
) -> None:
    """Show how many rows of a tenant break which rule in which file, which files could not be read, and which count by
    rules that were changed since.
    """
    if context.invoked_subcommand:
        return
    if tenant is None:
        raise click.UsageError("Missing option '--tenant'.")
    with options.imports_uncollected():
        from gata_assets.cli.landed import quarantine as command

    if replay and rule:
        raise click.UsageError("--replay validates whole files again: --file chooses one, --rule does not go with it.")
    if not replay:
        command.run(settings, tenant, rule=rule, file_id=file_id, as_table=as_table)
    elif not command.replay(settings, tenant, file_id=file_id, as_table=as_table):
        context.exit(FAILED)


@quarantine.command("rows")
@_TENANT_OR_SHOP
@_RULE
@_FILE
@click.option("--limit", type=click.IntRange(0), default=20, help="At most so many rows; 0 for all.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    help="A table for people, with long values cut; or rows as they are, for a file.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
@options.SETTINGS
def quarantined_rows(
    tenant: str, rule: str | None, file_id: str | None, limit: int, form: str, as_json: bool, settings: Settings
) -> None:
    """Print rejected rows as their files had them, with the rules that each breaks: for a file to correct and upload.

    They are shown to whoever runs this, and nowhere else: rows may have ids of people.
    """
    form = "jsonl" if as_json else form
    if form == "table" and not limit:
        raise click.UsageError("--limit 0 goes with --format csv or jsonl: a table of all may not fit into memory.")
    with options.imports_uncollected():
        from gata_assets.cli.landed import quarantined_rows as command

    command.show(settings, tenant, rule=rule, file_id=file_id, limit=limit or None, form=form)


@quarantine.command("messages")
@exits({FAILED: "a stream cannot be read, for the reason that is shown"})
@click.option("--topic", metavar="TOPIC", help="Only messages of this topic. [default: all]")
@click.option("--replay", is_flag=True, help="Judge them again, by today's tables, tenants and schemas.")
@options.SUMMARY
@options.SETTINGS
def messages(topic: str | None, replay: bool, as_table: bool, settings: Settings) -> bool:
    """Show how many messages of topics are in quarantine, since they are no row or of no tenant, by reason.

    With --replay, those that are events now become raw files, each once; the others stay.
    """
    with options.imports_uncollected():
        from gata_assets.cli.landed import messages as command

    if replay:
        return command.replay(settings, topic, as_table=as_table)
    command.show(settings, topic, as_table=as_table)
    return True


@quarantine.command("waiting")
@_TENANT_OR_SHOP
@click.option("--rows", "shows_rows", is_flag=True, help="Print the rows themselves, as they are stored: masked.")
@click.option("--table", metavar="TABLE", help="Only rows of this table. [default: all]")
@click.option("--verdict", type=click.Choice(["parked", "quarantined"]), help="Only rows with this verdict.")
@_RULE
@click.option("--limit", type=click.IntRange(0), default=20, help="With --rows: at most so many rows; 0 for all.")
@options.SUMMARY
@options.SETTINGS
def waiting_rows(
    tenant: str,
    shows_rows: bool,
    table: str | None,
    verdict: str | None,
    rule: str | None,
    limit: int,
    as_table: bool,
    settings: Settings,
) -> None:
    """Show how many rows of a shop wait for others, parked or in quarantine, by the rule that keeps them from being
    valid, and since when; or the rows themselves.
    """
    if shows_rows and as_table and not limit:
        raise click.UsageError("--limit 0 goes with --json: a table of all may not fit into memory.")
    with options.imports_uncollected():
        from gata_assets.cli.landed import waiting as command

    choice = command.Choice(table, verdict, rule)
    if shows_rows:
        command.show_rows(settings, tenant, choice, limit=limit or None, as_table=as_table)
    else:
        command.show(settings, tenant, choice, as_table=as_table)
