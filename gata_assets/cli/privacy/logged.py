"""`gata privacy log`: the verified log of a tenant."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from rich.table import Table

from gata_assets.cli.terminal import text_console
from gata_assets.definitions.shop_engine import open_shop_store
from gata_assets.governance.privacy.privacy_log import log_of
from gata_assets.settings.model import Settings
from gata_assets.shop.places import layout_of


def run(settings: Settings, tenant: str, request: str | None, *, as_table: bool) -> None:
    """Show the entries; raises DamagedTableError for a broken chain, or StoreError."""
    log = log_of(open_shop_store(settings), layout_of(tenant), lambda: datetime.now(UTC))
    entries = [entry for entry in log.read() if request in (None, entry.content.get("request"))]
    if not as_table:
        for entry in entries:
            print(json.dumps({"event": "LOG_ENTRY", **vars(entry), "at": entry.at.isoformat()}))
        return
    table = Table("number", "at", "kind", "content")
    for entry in entries:
        table.add_row(str(entry.number), f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.kind, json.dumps(dict(entry.content)))
    text_console().print(table)
    head = log.head()
    text_console().print(f"{head.number:,} entries, verified. Head: {head.digest}", markup=False)
