"""`gata privacy erase`: who is erased, where, and how that is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from gata_assets.cli.privacy.findings import shown_findings
from gata_assets.cli.privacy.subjects import given_ids, request_name
from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.privacy.places import find_places
from gata_assets.definitions.privacy.requests import push_backlogs
from gata_assets.errors import DataRuleError, StoreError
from gata_assets.governance.privacy.actors import command_actor
from gata_assets.governance.privacy.erasing import Erased, erase
from gata_assets.governance.privacy.locators import Cleared
from gata_assets.governance.privacy.requests.backlog import read_backlog
from gata_assets.governance.privacy.requests.record import StoredRequest
from gata_assets.governance.privacy.requests.store import ErasureRequests
from gata_assets.settings.model import Settings


def run(
    settings: Settings,
    tenant: str,
    subjects: Sequence[str],
    subjects_file: Path | None,
    request: str | None,
    *,
    tickets: Sequence[int],
    tickets_file: Path | None,
    as_table: bool,
) -> bool:
    """Erase people, show each place, and return whether nothing of theirs is left; raises as `erasing.erase`, and as
    `ErasureRequests.ask`.
    """
    ids = given_ids(subjects, subjects_file, tickets, tickets_file, is_needed=request is None)
    name = request_name(request)
    places, by = find_places(settings, open_store(settings)), command_actor()
    asked = places.requests.ask(tenant, ids, name, by) if ids else _find(places.requests, tenant, name)
    console = text_console()

    def show(cleared: Cleared) -> None:
        if as_table:
            console.print(_line(cleared), markup=False)
        else:
            print(json.dumps({"event": "PLACE_CLEARED", "request": name, **asdict(cleared)}), flush=True)

    if as_table:
        console.print(f"Request {name}: of {tenant}, {asked.people:,} people.", markup=False)
    try:
        found = erase(places, asked, ids or None, by=by, clock=lambda: datetime.now(UTC), progress=show)
    finally:
        _push(settings, places.requests, tenant)
    if as_table:
        console.print("\n".join(_summary(found)), markup=False)
    else:
        print(json.dumps(_as_json(found)))
    return found.is_complete


def _find(requests: ErasureRequests, tenant: str, name: str) -> StoredRequest:
    """A request whose ids are stored with it; raises DataRuleError if there is none."""
    found = requests.find(tenant, name)
    if found is None:
        raise DataRuleError(
            f"{tenant} has no request {name} whose ids are stored: `gata privacy requests` lists those that there are. "
            "If it was cut off at its beginning, give its ids too."
        )
    return found


def _push(settings: Settings, requests: ErasureRequests, tenant: str) -> None:
    """Push the metrics of the tenant's backlog; what cannot be read now is not pushed."""
    if settings.quality.pushgateway_url is None:
        return
    with suppress(StoreError):
        backlog = read_backlog(requests, tenant, datetime.now(UTC))
        push_backlogs(settings, [backlog], lambda reason: click.echo(f"Warning: {reason}", err=True))


def _line(cleared: Cleared) -> str:
    removed = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in cleared.removed.items() if count)
    remains = f" Remains: {cleared.remains}" if cleared.remains else ""
    note = f" {cleared.note}." if cleared.note else ""
    return f"  {cleared.place}: {cleared.objects:,}{f' ({removed})' if removed else ''}.{remains}{note}"


def _summary(found: Erased) -> list[str]:
    scanned = found.scanned
    lines = [f"{scanned.objects:,} objects ({scanned.bytes / 1e6:,.1f} MB) were read and searched."]
    if found.is_complete:
        return [*lines, "Nothing of theirs is left in the target."]
    lines += shown_findings("left", scanned.findings)
    left = "is" if any(one.values for one in scanned.findings) else "may be"
    return [
        *lines,
        f"Something of theirs {left} left: {len(scanned.findings):,} objects. `--request {found.request}` goes on.",
    ]


def _as_json(found: Erased) -> dict[str, object]:
    return {
        "event": "PEOPLE_ERASED" if found.is_complete else "PEOPLE_LEFT",
        "request": found.request,
        "people": found.people,
        "erased_at": found.erased_at.isoformat(),
        **found.scanned.counts,
        "left": [asdict(one) for one in found.scanned.findings],
    }
