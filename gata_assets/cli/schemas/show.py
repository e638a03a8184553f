"""`gata schemas show`: the Avro schema of a table; and the tables that have one."""

from __future__ import annotations

import json

import click

from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables
from gata_assets.tables.spec import TableSpec


def run(settings: Settings, table: str, *, as_json: bool) -> None:
    """Print the schema; raises click.BadParameter for an unknown table, or TableSpecError."""
    schema = avro_schema(find_tables(settings, [table])[table])
    if as_json:
        click.echo(json.dumps({"event": "SCHEMA", "table": table, "schema": schema}))
        return
    click.echo(json.dumps(schema, indent=2))


def find_tables(settings: Settings, names: list[str]) -> dict[str, TableSpec]:
    """Tables by name, all without names; raises click.BadParameter for an unknown one."""
    tables = all_tables(settings)
    if unknown := [name for name in names if name not in tables]:
        raise click.BadParameter(f"{', '.join(unknown)}: there are {', '.join(sorted(tables))}.", param_hint="TABLE")
    return {name: tables[name] for name in names or tables}
