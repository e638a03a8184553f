"""`gata retention hold`: adds, lists and removes legal holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from rich.table import Table

from gata_assets.cli.terminal import table_console, text_console
from gata_assets.definitions.retention import subject_digests
from gata_assets.definitions.shop_engine import open_shop_store
from gata_assets.definitions.stores import build_store
from gata_assets.errors import DataRuleError, SettingsError
from gata_assets.governance.retention.holds import Hold, Holds
from gata_assets.governance.retention.scopes import OF_NO_TENANT
from gata_assets.settings.model import Settings
from gata_assets.shop.places import layout_of


def add(
    settings: Settings, tenant: str | None, subject: str | None, reason: str, *, of_tickets: bool, as_table: bool
) -> None:
    """Add a hold; raises SettingsError, DataRuleError or StoreError."""
    scope = _scope(tenant, subject, of_tickets=of_tickets)
    store = build_store(settings)
    holds = Holds(store, subject_digests(settings) if subject is not None else None)
    # A hold on a misspelled name would hold nothing, and nobody would know.
    if not of_tickets and not _has_data(settings, scope):
        raise DataRuleError(f"{settings.target.place} has nothing of {scope}: there is nothing to hold.")
    hold = holds.add(scope, subject, reason, datetime.now(UTC))
    if as_table:
        text_console().print(f"Held: {hold.describe()}.", markup=False)
    else:
        print(json.dumps({"event": "HOLD_ADDED", **_as_json(hold)}))


def _has_data(settings: Settings, owner: str) -> bool:
    store, places = open_shop_store(settings), layout_of(owner)
    return any(True for folder in (places.root, places.raw_files) for _ in store.list_keys(folder))


def list_holds(settings: Settings, *, as_table: bool) -> None:
    """List the holds; raises DamagedTableError or StoreError."""
    found = list(Holds(build_store(settings)).list())
    if not as_table:
        for hold in found:
            print(json.dumps({"event": "HOLD", **_as_json(hold)}))
        print(json.dumps({"event": "HOLDS_LISTED", "holds": len(found)}))
        return
    if not found:
        text_console().print(f"There is no hold in {settings.target.place}.", markup=False)
        return
    table = Table("of", "subject (digest)", "since", "reason")
    for hold in found:
        table.add_row(hold.scope, hold.subject or "", f"{hold.added_at:%Y-%m-%d %H:%M}", hold.reason)
    table_console().print(table)


def remove(
    settings: Settings, tenant: str | None, subject: str | None, reason: str, *, of_tickets: bool, as_table: bool
) -> None:
    """Remove a hold; raises SettingsError, DataRuleError or StoreError."""
    scope = _scope(tenant, subject, of_tickets=of_tickets)
    digest = subject_digests(settings) if subject is not None else None
    Holds(build_store(settings), digest).remove(scope, subject)
    if as_table:
        text_console().print(f"The hold on {scope} is removed: {reason}.", markup=False)
    else:
        print(json.dumps({"event": "HOLD_REMOVED", "scope": scope, "is_of_subject": bool(subject), "reason": reason}))


def _scope(tenant: str | None, subject: str | None, *, of_tickets: bool) -> str:
    if (tenant is None) != of_tickets:
        raise SettingsError("Either --tenant or --tickets is needed.")
    if tenant is None and subject is not None:
        raise SettingsError("--subject: batches of tickets have no subjects, and can be held whole.")
    return tenant or OF_NO_TENANT


def _as_json(hold: Hold) -> dict[str, object]:
    return {
        "scope": hold.scope,
        "subject_digests": hold.subject,
        "added_at": hold.added_at.isoformat(),
        "reason": hold.reason,
    }
