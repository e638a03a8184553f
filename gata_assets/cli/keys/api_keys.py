"""`gata keys`: creates, lists and revokes API keys. A secret is printed once, on stdout; its digest never."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import click
from rich.table import Table

from gata_assets.cli.terminal import table_console, text_console
from gata_assets.definitions.stores import build_store
from gata_assets.ingestion.keys.api_keys import in_order, key_as_json
from gata_assets.ingestion.keys.key_store import CACHED_SECONDS, KEYS, KeyStore
from gata_assets.ingestion.keys.secret_text import MARK
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore


def create(
    settings: Settings, tenant: str, scopes: Collection[str], lifetime: timedelta | None, *, as_json: bool
) -> None:
    """Create a key and print its secret; raises ApiKeyError or StoreError."""
    secret, key = _keys(build_store(settings)).create(tenant, scopes, lifetime)
    print(json.dumps({"event": "KEY_CREATED", "secret": secret, **key_as_json(key)}) if as_json else secret)
    ends = f"expires at {_minute(key.expires_at)} UTC" if key.expires_at else "does not expire"
    click.echo(
        f"The key {MARK}{key.prefix} of {tenant} allows {', '.join(in_order(key.scopes))}, and {ends}. It is shown "
        "this once: keep it where secrets are kept, not in a repository or a chat. Who has it can send as "
        f"{tenant}; `gata keys revoke {key.prefix}` ends that.",
        err=True,
    )


def list_keys(settings: Settings, tenant: str | None, *, as_table: bool) -> None:
    """List keys; raises StoreError or DamagedTableError."""
    store, now = build_store(settings), datetime.now(UTC)
    found = [key for key in _keys(store).list() if tenant in (None, key.tenant)]
    if not as_table:
        for key in found:
            print(json.dumps({"event": "KEY", **key_as_json(key), "state": key.state(now)}))
        print(json.dumps({"event": "KEYS_LISTED", "keys": len(found)}))
        return
    if not found:
        whose = f" of {tenant}" if tenant else ""
        text_console().print(
            f"There is no key{whose} in {store.uri(KEYS)}: `gata keys create` makes one.", markup=False
        )
        return
    table = Table("key", "tenant", "scopes", "state", "created", "expires", "revoked")
    for key in found:
        instants = map(_minute, (key.created_at, key.expires_at, key.revoked_at))
        table.add_row(MARK + key.prefix, key.tenant, ", ".join(in_order(key.scopes)), key.state(now), *instants)
    table_console().print(table)


def revoke(settings: Settings, prefix: str, *, as_table: bool) -> None:
    """Revoke a key; raises ApiKeyError or StoreError."""
    key = _keys(build_store(settings)).revoke(prefix)
    if not as_table:
        print(json.dumps({"event": "KEY_REVOKED", **key_as_json(key)}))
        return
    text_console().print(
        f"The key {MARK}{key.prefix} of {key.tenant} is revoked since {_minute(key.revoked_at)} UTC. Services refuse "
        f"a revoked key within {CACHED_SECONDS:.0f} seconds.",
        markup=False,
    )


def _keys(store: ObjectStore) -> KeyStore:
    return KeyStore(store, lambda: datetime.now(UTC))


def _minute(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}" if instant else ""
