"""`gata online`, with its options; other modules implement its commands, which need the extra `online`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, exits

if TYPE_CHECKING:
    from gata_assets.lake.online.tickets import OnlineTicket
    from gata_assets.settings.model import Settings

    # The tickets that a tenant's slice should have, newest first, as the lake has them.
    ExpectedTickets = Callable[[Settings, str], Iterable[OnlineTicket]]

_TENANT = options.tenant_option(required=True, whose="Whose tickets")


@click.group(cls=options.Commands)
def online() -> None:
    """Read the newest tickets in Redis, as applications do."""


@online.command("get")
@exits({FAILED: "the ticket is not among the newest, no tickets are published, or Redis cannot be read"})
@click.argument("ticket_id", type=int)
@_TENANT
@options.AS_JSON
@options.SETTINGS
def get_ticket(ticket_id: int, tenant: str, as_json: bool, settings: Settings) -> None:
    """Print the ticket TICKET_ID as it is in Redis."""
    with installed():
        from gata_assets.cli.online import reading as command

        command.get(settings, tenant, ticket_id, as_json=as_json)


@online.command("list")
@exits({FAILED: "no tickets are published, or Redis cannot be read"})
@_TENANT
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, help="How many tickets.")
@click.option("--offset", type=click.IntRange(0), default=0, help="How many newer ones are left out.")
@options.SUMMARY
@options.SETTINGS
def list_tickets(tenant: str, limit: int, offset: int, as_table: bool, settings: Settings) -> None:
    """List the newest tickets, newest first, without their texts; and what the published version is."""
    with installed():
        from gata_assets.cli.online import reading as command

        command.list_newest(settings, tenant, limit=limit, offset=offset, as_table=as_table)


def verify_command(expected: ExpectedTickets) -> click.Command:
    """`gata online verify`, by a function that gives the tickets that Redis should have."""

    @click.command("verify", cls=options.Command)
    @exits({DONE: "Redis has the tickets of the lake", FAILED: "they differ, or one of them cannot be read"})
    @_TENANT
    @options.AS_JSON
    @options.SETTINGS
    def verify(tenant: str, as_json: bool, settings: Settings) -> bool:
        """Hold the tickets in Redis against those of the lake: number, order, and each ticket.

        Ids of tickets that differ are shown on a terminal only.
        """
        with installed():
            from gata_assets.cli.online import verifying as command

            return command.run(settings, tenant, expected, as_json=as_json)

    return verify


@contextmanager
def installed() -> Iterator[None]:
    """Say how to install what a command imports, where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("gata_assets"):
            raise
        raise click.ClickException(f"{error.name} is not installed: pip install 'gata-assets[online]'.") from None


def _expected(settings: Settings, tenant: str) -> Iterable[OnlineTicket]:
    from gata_assets.definitions.lake import expected_online

    return expected_online(settings, tenant)


online.add_command(verify_command(_expected))
