"""`gata retention plan` and `apply`: shows what goes and stays, and deletes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click

from gata_assets.cli.terminal import text_console
from gata_assets.definitions.retention import find_scopes
from gata_assets.definitions.stores import build_store
from gata_assets.errors import GataError, SettingsError
from gata_assets.governance.retention.applying import Deleted, Retention
from gata_assets.governance.retention.plans import Going, ScopePlan
from gata_assets.governance.retention.scopes import Scope
from gata_assets.orchestration.pipelines import describe_size
from gata_assets.settings.model import Settings

# Lines of each kind for people; --json has all.
_MOST_SHOWN = 20


def plan(settings: Settings, tenant: str | None, *, as_table: bool) -> None:
    """Show the plan of each scope; raises StoreError, DamagedTableError or SettingsError."""
    retention = _retention(settings)
    plans = [retention.plan(scope) for scope in find_scopes(settings, retention.store, tenant)]
    _show(plans, is_on=settings.retention.rules.is_on, as_table=as_table)


def apply(settings: Settings, tenant: str | None, *, is_confirmed: bool, as_table: bool) -> bool:
    """Delete what is due, and return whether all of it went; raises as `plan` does."""
    if not settings.retention.rules.is_on:
        raise SettingsError("RETENTION is off: nothing is deleted. `gata retention plan` shows what RETENTION=on does.")
    retention = _retention(settings)
    planned = [(scope, retention.plan(scope)) for scope in find_scopes(settings, retention.store, tenant)]
    going = [one for _, found in planned for one in found.going]
    if going and not is_confirmed:
        question = f"Delete {_objects(going):,} objects for good from {settings.target.place}?"
        click.confirm(question, abort=True, err=True)
    done: list[Deleted] = []
    failures: list[str] = []
    for scope, found in planned:
        done += _apply(retention, scope, found, failures, as_table=as_table)
    failures += [str(one.error) for one in done if one.error]
    whole = [one.going for one in done if not one.error]
    if as_table:
        console = text_console()
        for failure in failures:
            console.print(f"FAILED {failure}", markup=False)
        console.print(f"Deleted {_describe(whole)}.", markup=False)
        if len(whole) < len(going):
            console.print(f"{len(going) - len(whole):,} are left: the same command goes on with them.", markup=False)
    else:
        counts = {"deleted": _count(whole), "left": len(going) - len(whole), "failures": failures}
        print(json.dumps({"event": "RETENTION_APPLIED", **counts}))
    return not failures


def _apply(
    retention: Retention, scope: Scope, found: ScopePlan, failures: list[str], *, as_table: bool
) -> list[Deleted]:
    """Delete what is due of a scope; what stops all of it is a failure, and stops no other scope."""
    done: list[Deleted] = []
    try:
        for one in retention.apply(scope, found):
            done.append(one)
            if not as_table:
                error = {"error": str(one.error)} if one.error else {}
                event = "RETENTION_NOT_DELETED" if one.error else "RETENTION_DELETED"
                print(json.dumps({"event": event, "scope": scope.name, **_as_json(one.going), **error}))
    except GataError as error:
        failures.append(str(error))
    return done


def _retention(settings: Settings) -> Retention:
    return Retention(build_store(settings), settings.retention.rules, datetime.now(UTC))


def _show(plans: Sequence[ScopePlan], *, is_on: bool, as_table: bool) -> None:
    going = [(found.scope, one) for found in plans for one in found.going]
    staying = [(found.scope, one) for found in plans for one in found.staying]
    ignored = sum(found.ignored_rows for found in plans)
    if not as_table:
        for scope, one in going:
            print(json.dumps({"event": "RETENTION_GOES", "scope": scope, **_as_json(one)}))
        for scope, stays in staying:
            facts = {"type": stays.type, "what": stays.what, "name": stays.name, "why": stays.why}
            print(json.dumps({"event": "RETENTION_STAYS", "scope": scope, **facts}))
        counts = {"going": _count([one for _, one in going]), "staying": len(staying), "rows_not_counted": ignored}
        print(json.dumps({"event": "RETENTION_PLANNED", "is_on": is_on, **counts}))
        return
    console = text_console()
    _print_some([f"goes   {scope}: {one.what} {one.name}: {one.why}" for scope, one in going])
    _print_some([f"stays  {scope}: {stays.what} {stays.name}: {stays.why}" for scope, stays in staying])
    console.print(f"To be deleted: {_describe([one for _, one in going])}.", markup=False)
    if ignored:
        console.print(
            f"{ignored:,} rows of files that stay are of days that are deleted, and count no more.", markup=False
        )
    console.print(
        "`gata retention apply` deletes it." if is_on else "RETENTION is off: nothing is deleted.", markup=False
    )


def _print_some(lines: Sequence[str]) -> None:
    console = text_console()
    for line in lines[:_MOST_SHOWN]:
        console.print(line, markup=False)
    if len(lines) > _MOST_SHOWN:
        console.print(f"… and {len(lines) - _MOST_SHOWN:,} more: --json shows all.", markup=False)


def _as_json(one: Going) -> dict[str, object]:
    return {
        "type": one.type,
        "what": one.what,
        "name": one.name,
        "why": one.why,
        "objects": len(one.keys),
        "bytes": one.size,
    }


def _count(going: Iterable[Going]) -> dict[str, dict[str, int]]:
    """By type: what goes, its objects, and its bytes as far as manifests and reports say them."""
    counts: dict[str, dict[str, int]] = {}
    for one in going:
        of = counts.setdefault(one.type, {"items": 0, "objects": 0, "bytes": 0})
        of["items"] += 1
        of["objects"] += len(one.keys)
        of["bytes"] += one.size
    return counts


def _describe(going: Sequence[Going]) -> str:
    parts = [
        f"{of['items']:,} of {name} ({of['objects']:,} objects, {describe_size(of['bytes'])})"
        for name, of in _count(going).items()
    ]
    return ", ".join(parts) or "nothing"


def _objects(going: Iterable[Going]) -> int:
    return sum(len(one.keys) for one in going)
