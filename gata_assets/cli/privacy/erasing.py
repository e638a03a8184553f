"""`gata privacy erase`: who is erased, where, and how that is shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.privacy.places import find_places
from gata_assets.definitions.privacy.requests import push_backlogs
from gata_assets.errors import DataRuleError, StoreError
from gata_assets.governance.privacy.actors import command_actor
from gata_assets.governance.privacy.erasing import Erased, erase
from gata_assets.governance.privacy.locators import Cleared
from gata_assets.governance.privacy.requests.backlog import read_backlog
from gata_assets.governance.privacy.requests.record import (
    LONGEST_ID,
    MOST_PEOPLE,
    NAME_RULE,
    StoredRequest,
    is_request_name,
    new_request_name,
)
from gata_assets.governance.privacy.requests.store import ErasureRequests
from gata_assets.settings.model import Settings

_MOST_SHOWN = 20


def run(
    settings: Settings,
    tenant: str,
    subjects: Sequence[str],
    subjects_file: Path | None,
    request: str | None,
    *,
    as_table: bool,
) -> bool:
    """Erase people, show each place, and return whether nothing of theirs is left; raises as `erasing.erase`, and as
    `ErasureRequests.ask`.
    """
    ids = [*subjects, *_read(subjects_file)]
    if not ids and (request is None or subjects_file is not None):
        raise click.UsageError("Nobody is named: give --subject ID, or --subjects-file FILE; or --request of before.")
    if len(ids) > MOST_PEOPLE or any(not 0 < len(one) <= LONGEST_ID for one in ids):
        raise click.UsageError(
            f"At most {MOST_PEOPLE:,} ids are taken at once, each of 1 to {LONGEST_ID:,} characters."
        )
    if request is not None and not is_request_name(request):
        raise click.UsageError(NAME_RULE)
    name = request or new_request_name(datetime.now(UTC))
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


def _read(file: Path | None) -> Iterator[str]:
    """The ids of a file, a line each."""
    if file is None:
        return
    with nullcontext(sys.stdin) if str(file) == "-" else file.open(encoding="utf-8") as lines:
        try:
            for line in lines:
                if text := line.rstrip("\r\n"):
                    yield text
        except UnicodeDecodeError:
            raise click.UsageError("The file of ids is not UTF-8.") from None


def _line(cleared: Cleared) -> str:
    removed = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in cleared.removed.items() if count)
    remains = f" Remains: {cleared.remains}" if cleared.remains else ""
    return f"  {cleared.place}: {cleared.objects:,}{f' ({removed})' if removed else ''}.{remains}"


def _summary(found: Erased) -> list[str]:
    scanned = found.scanned
    lines = [f"{scanned.objects:,} objects ({scanned.bytes / 1e6:,.1f} MB) were read and searched."]
    if found.is_complete:
        return [*lines, "Nothing of theirs is left in the target."]
    lines += [f"  left: {one.key} ({one.fault or f'{one.values:,} values'})" for one in scanned.findings[:_MOST_SHOWN]]
    if len(scanned.findings) > _MOST_SHOWN:
        lines.append(f"  and {len(scanned.findings) - _MOST_SHOWN:,} more")
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
