"""`gata online verify`: what differs between Redis and the lake, in numbers; ids to a terminal alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable

from gata_assets.cli.online.reading import connected
from gata_assets.cli.terminal import text_console
from gata_assets.lake.online.tickets import OnlineTicket
from gata_assets.lake.online.verification import verify
from gata_assets.online.keys import OnlineKeys
from gata_assets.settings.model import Settings


def run(
    settings: Settings, tenant: str, expected: Callable[[Settings, str], Iterable[OnlineTicket]], *, as_json: bool
) -> bool:
    """Verify, and return whether Redis has what it should; raises OnlineError, or what `expected` raises."""
    with connected(settings, tenant) as client:
        found = verify(client, OnlineKeys(tenant, settings.online.prefix), expected(settings, tenant))
    if as_json:
        numbers = {"expected": found.expected, "listed": found.listed, "described": found.described}
        differences = {kind.replace(" ", "_"): count for kind, count in found.differences.items()}
        event = {"event": "ONLINE_VERIFIED", "tenant": tenant, "version": found.version, "is_well": found.is_well}
        print(json.dumps({**event, **numbers, "differences": differences}))
        return found.is_well
    console = text_console()
    text = found.describe()
    console.print(f"{text[0].upper()}{text[1:]}.", markup=False)
    if sys.stdout.isatty():
        for kind, ids in found.ids.items():
            if ids:
                more = found.differences[kind] - len(ids)
                console.print(f"  {kind}: {', '.join(map(str, ids))}" + (f" and {more:,} more" if more else ""))
    return found.is_well
