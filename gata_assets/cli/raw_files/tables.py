"""`gata tables`: the tables that accept raw files, and their reference pages."""

from __future__ import annotations

import json

import click
from rich.table import Table

from gata_assets.cli.terminal import text_console
from gata_assets.lake.tables import TICKETS
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables, has_own_tickets
from gata_assets.settings.values import SourceKind
from gata_assets.tables.description import describe_table
from gata_assets.tickets.raw_files.raw_tickets import raw_ticket_table


def run(settings: Settings, table: str | None, *, as_json: bool) -> None:
    """Print the page of a table in Markdown, or a list of all (`as_json`: of that table or of all, as JSON).

    Raises click.BadParameter for an unknown table.
    """
    tables = all_tables(settings)
    if settings.tickets.source_kind is SourceKind.SQLITE and not has_own_tickets(settings):
        # What `gata ingest tickets` fills there.
        tables[TICKETS] = raw_ticket_table()
    if table is not None and table not in tables:
        raise click.BadParameter(f"there are {', '.join(sorted(tables))}.", param_hint="TABLE")
    if as_json:
        for name, spec in tables.items() if table is None else [(table, tables[table])]:
            columns = {"required": list(spec.required), "optional": list(spec.optional)}
            click.echo(json.dumps({"event": "TABLE", "table": name, **columns}))
        return
    if table is None:
        shown = Table("table", "required columns", "optional columns", title="Tables", title_justify="left")
        for name, spec in tables.items():
            shown.add_row(name, ", ".join(spec.required), ", ".join(spec.optional))
        text_console().print(shown)
        return
    click.echo(describe_table(tables[table]), nl=False)
