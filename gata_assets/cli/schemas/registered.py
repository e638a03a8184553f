"""`gata schemas check` and `register`: the schemas of tables against a registry, or a directory of schemas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gata_assets.cli.schemas.show import find_tables
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.messages import build_registry, has_registry
from gata_assets.errors import SettingsError
from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.ingestion.schemas.compatibility import Level
from gata_assets.ingestion.schemas.published import PublishedSchemas
from gata_assets.ingestion.schemas.registry import Checked, SchemaRegistry, check, register
from gata_assets.settings.model import Settings


def check_all(
    settings: Settings,
    tables: Sequence[str],
    *,
    level: str | None,
    subject: str | None,
    files: Path | None,
    as_json: bool,
) -> bool:
    """Check the schemas of tables, all without names, and show the clashes; whether there is none.

    Raises SettingsError without a registry, SchemaError or RegistryError.
    """
    found = find_tables(settings, [*tables])
    registry = open_registry(settings, files)
    is_compatible = True
    for name, spec in found.items():
        checked = check(registry, subject or _subject(name, files), avro_schema(spec), _level(level))
        is_compatible &= not checked.clashes
        _show_checked(name, checked, registry.place, as_json=as_json)
    return is_compatible


def register_one(
    settings: Settings, table: str, *, level: str | None, subject: str | None, files: Path | None, as_json: bool
) -> None:
    """Register the schema of a table; raises as `check_all`, or IncompatibleSchemaError."""
    spec = find_tables(settings, [table])[table]
    registry, subject = open_registry(settings, files), subject or _subject(table, files)
    done = register(registry, subject, avro_schema(spec), _level(level))
    if as_json:
        what = {"table": table, "subject": subject, "registry": registry.place, "level": done.level}
        where = {"version": done.registered.version, "id": str(done.registered.schema_id)}
        print(json.dumps({"event": "SCHEMA_REGISTERED", **what, **where, "was_there": not done.is_new}))
        return
    said = "is now" if done.is_new else "was already"
    text_console().print(
        f"The schema of {table} {said} version {done.registered.version} of {subject} in {registry.place} "
        f"(id {done.registered.schema_id}, checked at level {done.level}).",
        markup=False,
    )


def open_registry(settings: Settings, files: Path | None) -> SchemaRegistry:
    """The registry of the settings, or a directory of schemas; raises SettingsError if there is neither."""
    if files is not None:
        return PublishedSchemas(files)
    if not has_registry(settings):
        raise SettingsError(
            "There is no schema registry: set SCHEMA_REGISTRY_URL or GLUE_SCHEMA_REGISTRY, or name a directory of "
            "schemas by --files."
        )
    return build_registry(settings)


def _level(name: str | None) -> Level | None:
    return Level(name.upper()) if name else None


def _subject(table: str, files: Path | None) -> str:
    """By the name of the topic as Confluent's clients have it; in a directory the table's own."""
    return table if files else f"{table}-value"


def _show_checked(table: str, checked: Checked, place: str, *, as_json: bool) -> None:
    if as_json:
        what = {"table": table, "subject": checked.subject, "registry": place, "level": checked.level}
        same = checked.same.version if checked.same else None
        found = [asdict(clash) for clash in checked.clashes]
        counts = {"versions": checked.versions, "same_as_version": same}
        print(json.dumps({"event": "SCHEMA_CHECKED", **what, **counts, "clashes": found}))
        return
    console = text_console()
    if checked.same:
        said = f"is version {checked.same.version} of {checked.versions}"
    elif checked.clashes:
        said = f"clashes with what is registered, in {len(checked.clashes):,} places"
    elif checked.versions:
        said = f"may follow the {checked.versions:,} versions"
    else:
        said = "is the first version"
    console.print(f"{table}: its schema {said} ({checked.subject} in {place}, {checked.level}).", markup=False)
    for clash in checked.clashes:
        console.print(f"  {clash}", markup=False)
