"""`gata lake`, with its options; other modules implement its commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import FAILED, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings


@click.group(cls=options.Commands)
def lake() -> None:
    """Read the tickets of a tenant's lake."""


@lake.command("get")
@exits({FAILED: "there is no such ticket, or the lake cannot be read"})
@click.argument("ticket_id", type=int, required=False)
@options.tenant_option(required=True, whose="Whose tickets")
@options.AS_JSON
@options.SETTINGS
def get_ticket(ticket_id: int | None, tenant: str, as_json: bool, settings: Settings) -> None:
    """Print the current version of the ticket TICKET_ID as the offline tickets have it; without it, the newest ticket.

    `gata online get` prints the same of what is in Redis.
    """
    from gata_assets.cli.lake import reading as command

    command.get(settings, tenant, ticket_id, as_json=as_json)


@lake.command("schema")
@exits({FAILED: ""})
def show_schema() -> None:
    """Print the JSON Schema of a ticket, as applications read it."""
    from gata_assets.online.ticket import ticket_json_schema

    click.echo(json.dumps(ticket_json_schema(), indent=2))
