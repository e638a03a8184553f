"""`gata webhooks`: the commands for sources of webhooks, with their options; another module implements them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import FAILED, exits
from gata_assets.ingestion.webhooks.scheme_names import SCHEMES

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings


@click.group(cls=options.Commands)
def webhooks() -> None:
    """Register, list and remove the sources of signed events that come by HTTP."""


@webhooks.command("add")
@exits({FAILED: "it cannot be registered so, there is one already, or the target cannot be read or written"})
@click.argument("source", metavar="SOURCE")
@options.tenant_option(required=True, whose="Whose its events are")
@click.option("--table", required=True, help="The table that its events are rows of.")
@click.option(
    "--secret",
    "secrets",
    metavar="NAME",
    multiple=True,
    required=True,
    help="Where the service finds the secret that the sender signs with: a variable that begins with WEBHOOK_SECRET_, "
    "or the ARN of a secret in AWS Secrets Manager. Twice, while one replaces the other.",
)
@click.option("--scheme", type=click.Choice(SCHEMES), default="standard", help="How the sender signs.")
@click.option(
    "--flatten",
    "is_flattened",
    is_flag=True,
    help="Give fields of nested objects names that a mapping can use, such as data.user.id.",
)
@click.option("--replace", "replaces", is_flag=True, help="Replace the source of this name.")
@options.SUMMARY
@options.SETTINGS
def add_source(
    source: str,
    tenant: str,
    table: str,
    secrets: tuple[str, ...],
    scheme: str,
    is_flattened: bool,
    replaces: bool,
    as_table: bool,
    settings: Settings,
) -> None:
    """Register SOURCE, whose signed events are taken at /webhooks/SOURCE.

    The target has the names of its secrets; the secrets themselves are where the service runs.
    """
    with options.imports_uncollected():
        from gata_assets.cli.webhooks import sources as command

    command.add(
        settings,
        source,
        tenant=tenant,
        table=table,
        secrets=secrets,
        scheme=scheme,
        is_flattened=is_flattened,
        replaces=replaces,
        as_table=as_table,
    )


@webhooks.command("list")
@exits({FAILED: "the target cannot be read, or has a damaged record"})
@options.SUMMARY
@options.SETTINGS
def list_sources(as_table: bool, settings: Settings) -> None:
    """List the sources of webhooks: whose they are, their tables, and the names of their secrets."""
    with options.imports_uncollected():
        from gata_assets.cli.webhooks import sources as command

    command.list_sources(settings, as_table=as_table)


@webhooks.command("remove")
@exits({FAILED: "there is no such source, or the target cannot be read or written"})
@click.argument("source", metavar="SOURCE")
@options.SUMMARY
@options.SETTINGS
def remove_source(source: str, as_table: bool, settings: Settings) -> None:
    """Remove SOURCE: services refuse its requests within seconds. What it sent stays."""
    with options.imports_uncollected():
        from gata_assets.cli.webhooks import sources as command

    command.remove(settings, source, as_table=as_table)
