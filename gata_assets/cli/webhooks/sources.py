"""`gata webhooks`: registers, lists and removes sources. Secrets are named, and never read here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import cast

from rich.table import Table

from gata_assets.cli.terminal import table_console, text_console
from gata_assets.definitions.stores import build_store
from gata_assets.errors import WebhookError
from gata_assets.ingestion.webhooks.scheme_names import Scheme
from gata_assets.ingestion.webhooks.source import WebhookSource, source_as_json
from gata_assets.ingestion.webhooks.source_store import CACHED_SECONDS, WEBHOOKS, WebhookStore
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables
from gata_assets.storage.objects import ObjectStore


def add(
    settings: Settings,
    name: str,
    *,
    tenant: str,
    table: str,
    secrets: tuple[str, ...],
    scheme: str,
    is_flattened: bool,
    replaces: bool,
    as_table: bool,
) -> None:
    """Register a source; raises WebhookError or StoreError."""
    tables = sorted(name for name, spec in all_tables(settings).items() if spec.changes is None)
    if table not in tables:
        raise WebhookError(f"No table {table[:63]} takes events: there are {', '.join(tables)}.")
    source = WebhookSource(
        name, tenant, table, cast("Scheme", scheme), secrets, is_flattened=is_flattened, created_at=datetime.now(UTC)
    )
    _sources(build_store(settings)).add(source, replaces=replaces)
    if not as_table:
        print(json.dumps({"event": "WEBHOOK_ADDED", **source_as_json(source)}))
        return
    text_console().print(
        f"Signed events of {name} are taken at /webhooks/{name}, within {CACHED_SECONDS:.0f} seconds, as {table} of "
        f"{tenant}. The service needs {' and '.join(secrets)}.",
        markup=False,
    )


def list_sources(settings: Settings, *, as_table: bool) -> None:
    """List sources; raises StoreError or DamagedTableError."""
    store = build_store(settings)
    found = _sources(store).list()
    if not as_table:
        for source in found:
            print(json.dumps({"event": "WEBHOOK", **source_as_json(source)}))
        print(json.dumps({"event": "WEBHOOKS_LISTED", "sources": len(found)}))
        return
    if not found:
        text_console().print(
            f"There is no source of webhooks in {store.uri(WEBHOOKS)}: `gata webhooks add` registers one.", markup=False
        )
        return
    table = Table("source", "tenant", "table", "scheme", "flattened", "secrets")
    for source in found:
        is_flattened = "yes" if source.is_flattened else "no"
        row = (source.name, source.tenant, source.table, source.scheme, is_flattened, "\n".join(source.secrets))
        table.add_row(*row)
    table_console().print(table)


def remove(settings: Settings, name: str, *, as_table: bool) -> None:
    """Remove a source; raises WebhookError or StoreError."""
    _sources(build_store(settings)).remove(name)
    if not as_table:
        print(json.dumps({"event": "WEBHOOK_REMOVED", "name": name}))
        return
    text_console().print(
        f"{name} is removed: services refuse its requests within {CACHED_SECONDS:.0f} seconds.", markup=False
    )


def _sources(store: ObjectStore) -> WebhookStore:
    return WebhookStore(store, lambda: datetime.now(UTC))
