"""`gata lake get`: a ticket of the offline tickets, as applications would read it."""

from __future__ import annotations

import json

import click
import polars as pl

from gata_assets.cli.target import open_store
from gata_assets.errors import ObjectNotFoundError, SourceError
from gata_assets.lake.days import RECENT
from gata_assets.lake.snapshot import LakeDay, LakeSnapshots
from gata_assets.online.ticket import Ticket
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import require_lake


def get(settings: Settings, tenant: str, ticket_id: int | None, *, as_json: bool) -> None:
    """Print a ticket, the newest without an id; raises SourceError if there is none, or StoreError."""
    require_lake(settings)
    store = open_store(settings)
    days = [day for day in LakeSnapshots(store, tenant).days() if day.manifest.details.get(RECENT)]
    found = None
    for day in sorted(days, key=_newest, reverse=True):
        try:
            tickets = day.read(store, list(Ticket.model_fields))
        except ObjectNotFoundError:
            raise SourceError(f"{store.uri(day.folder)} was rewritten meanwhile: try again.") from None
        if ticket_id is not None:
            tickets = tickets.filter(pl.col("id") == ticket_id)
        if len(tickets):
            found = tickets.sort("version_at", "id").row(-1, named=True)
            break
    if found is None:
        which = f"no ticket {ticket_id}" if ticket_id is not None else "no ticket"
        raise SourceError(
            f"The lake of {tenant} has {which} that is not deleted: `gata ingest tickets FILE --tenant {tenant}` lands "
            "some, and offline_tickets has their days."
        )
    ticket = Ticket.model_validate(found).model_dump(mode="json")
    if as_json:
        click.echo(json.dumps({"event": "LAKE_TICKET", "tenant": tenant, "ticket": ticket}))
        return
    click.echo(json.dumps(ticket, indent=2, ensure_ascii=False))


def _newest(day: LakeDay) -> int:
    """The last instant of a version of a day."""
    return int(day.manifest.details[RECENT][1])
