"""`gata online get` and `list`: what a reader of an application gets; and the connection of the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click
from redis import Redis
from rich.table import Table
from rich.text import Text

from gata_assets.cli.terminal import table_console, text_console
from gata_assets.errors import OnlineError, SettingsError
from gata_assets.online import OnlineReader, Ticket
from gata_assets.online.connection import open_client
from gata_assets.online.keys import OnlineKeys
from gata_assets.settings.model import Settings


@contextmanager
def connected(settings: Settings, tenant: str) -> Iterator[Redis]:
    """A client of the Redis of the settings; raises SettingsError if there is none, or OnlineError."""
    if settings.online.url is None:
        raise SettingsError("REDIS_URL is unset: set it to the Redis that tickets are published to.")
    key = OnlineKeys(tenant, settings.online.prefix).pointer
    url, timeout_seconds = settings.online.url.get_secret_value(), settings.online.timeout_seconds
    with open_client(url, key, timeout_seconds=timeout_seconds, retries=1) as client:
        yield client


def get(settings: Settings, tenant: str, ticket_id: int, *, as_json: bool) -> None:
    """Print a ticket; raises OnlineError if it is not there."""
    with connected(settings, tenant) as client:
        document = OnlineReader(client, tenant, decode=bytes, prefix=settings.online.prefix).get(ticket_id)
    if document is None:
        raise OnlineError(f"This ticket is not among the newest of {tenant} (ONLINE_LIMIT, ONLINE_STATUSES).")
    ticket = json.loads(document)
    if as_json:
        click.echo(json.dumps({"event": "ONLINE_TICKET", "tenant": tenant, "ticket": ticket}))
        return
    click.echo(json.dumps(ticket, indent=2, ensure_ascii=False))


def list_newest(settings: Settings, tenant: str, *, limit: int, offset: int, as_table: bool) -> None:
    """List tickets of one version, and what it is; raises OnlineError."""
    with connected(settings, tenant) as client:
        version = OnlineReader(client, tenant, prefix=settings.online.prefix).pinned()
        tickets, info = version.newest(limit, offset), version.info
    if not as_table:
        for ticket in tickets:
            print(json.dumps({"event": "ONLINE_TICKET", "tenant": tenant} | _shown(ticket)))
        listed = {"tickets": len(tickets), "published": info.count, "version": info.version}
        times = {"published_at": info.published_at.isoformat(), "expires_at": info.expires_at.isoformat()}
        print(json.dumps({"event": "ONLINE_LISTED", "tenant": tenant, **listed, **times, "json": info.format.value}))
        return
    table = Table(title=f"The newest tickets of {tenant}", title_justify="left")
    table.add_column("id", justify="right")
    for name in ("version at", "status", "priority", "group"):
        table.add_column(name)
    for ticket in tickets:
        table.add_row(*(Text(str(value if value is not None else "")) for value in _shown(ticket).values()))
    table_console().print(table)
    text_console().print(
        f"{len(tickets):,} of {info.count:,} tickets. Version {info.version}, published "
        f"{info.published_at:%Y-%m-%d %H:%M} UTC, expires {info.expires_at:%Y-%m-%d %H:%M} UTC; stored as "
        f"{info.format.value}.",
        markup=False,
    )


def _shown(ticket: Ticket) -> dict[str, object]:
    """What a list shows: no text, and nobody."""
    return {
        "id": ticket.id,
        "version_at": ticket.version_at.isoformat(),
        "status": ticket.status,
        "priority": ticket.priority,
        "group": ticket.group,
    }
