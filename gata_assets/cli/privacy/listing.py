"""`gata privacy requests`: what was asked of a tenant, by when, and what became of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
from rich.table import Table

from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.privacy.requests import open_requests
from gata_assets.governance.privacy.requests.record import StoredRequest
from gata_assets.settings.model import Settings


def run(settings: Settings, tenant: str, *, as_table: bool) -> bool:
    """Show the requests, and return whether all could be read and none that is open is overdue; raises StoreError."""
    now = datetime.now(UTC)
    found = open_requests(settings, open_store(settings)).read_all(tenant)
    if as_table:
        _show(found.requests, now)
    else:
        for one in found.requests:
            more = {"by": one.by, "failures": one.failures, "last_failure": one.last_failure}
            print(json.dumps({"event": "ERASURE_REQUEST", "tenant": tenant, **one.as_json(now), **more}))
    for damaged in found.damaged:
        click.echo(f"Error: {damaged}", err=True)
    return not found.damaged and not any(one.is_overdue(now) for one in found.open)


def _show(requests: tuple[StoredRequest, ...], now: datetime) -> None:
    table = Table("request", "state", "people", "asked", "deadline", "failures")
    for one in requests:
        state = "overdue" if one.completed_at is None and one.is_overdue(now) else one.state
        failures = f"{one.failures:,}: {one.last_failure}" if one.failures else ""
        instants = f"{one.asked_at:%Y-%m-%d %H:%M}", f"{one.deadline_at:%Y-%m-%d %H:%M}"
        table.add_row(one.request, state, f"{one.people:,}", *instants, failures)
    text_console().print(table)
