"""The commands of raw files: `gata ingest`, `gata mapping` and `gata tables`, see `cli`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, WRONG, exits
from gata_assets.cli.options import SETTINGS, SUMMARY, Command, Commands, imports_uncollected
from gata_assets.cli.raw_files.mapping_options import MappingOptions, takes_mapping
from gata_assets.errors import RawFileError

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings


_TENANT = options.tenant_option(required=True)


@click.command(cls=Command)
@exits(
    {
        DONE: "the files landed, though rows of them may have been rejected; with --explain, rows of it could be read",
        FAILED: "a file could not be read, has the wrong columns or no valid row, or may not replace another; the "
        "others landed",
    }
)
@click.argument("table", metavar="TABLE")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@options.tenant_option(required=False)
@click.option(
    "--format", "file_format", metavar="END", help="The format where the name does not tell it: csv, jsonl.gz."
)
@click.option(
    "--replaces",
    multiple=True,
    metavar="FILE_ID",
    help="The file that this supersedes, and which then counts no more (repeatable).",
)
@click.option(
    "--derive-items",
    "derives_items",
    is_flag=True,
    help="Add the items of interactions that the catalog lacks to it, with their id as title.",
)
@click.option(
    "--explain", is_flag=True, help="Show how FILE can be read, and what becomes of its first rows; land nothing."
)
@takes_mapping
@click.option(
    "--text-column",
    "texts",
    multiple=True,
    metavar="NAME",
    help="Of tickets: the file's column of texts; several are joined in this order, with a blank line between.",
)
@click.option("--label-column", "label", metavar="NAME", help="Of tickets: the file's column of labels.")
@click.option("--closed-column", "closed", metavar="NAME", help="Of tickets: the file's column of closing times.")
@SUMMARY
@SETTINGS
def ingest(
    table: str,
    files: tuple[str, ...],
    tenant: str | None,
    file_format: str | None,
    replaces: tuple[str, ...],
    derives_items: bool,
    texts: tuple[str, ...],
    label: str | None,
    closed: str | None,
    explain: bool,
    mapping: MappingOptions,
    as_table: bool,
    settings: Settings,
) -> bool:
    """Land files of a table: CSV, JSON Lines or Parquet, also with .gz or .zst.

    TABLE is tickets, interactions, items or one that TABLE_SPECS declares. Tickets go into the lake of --tenant or of
    TICKETS_URL=lake://TENANT, where JSON may be pages of an export, arrays or one ticket a line. With neither they go
    into the SQLite file of TICKETS_URL, which is created if needed: all valid rows of a file or, after an error, none;
    a ticket that was there is replaced, and the last row of an id counts.

    FILE may be a directory, or - for stdin. Files are kept as they are; invalid rows go to quarantine with the rules
    that they break. What was sent before is known by its content and not stored again; where another file has
    superseded it, it counts no more until it is sent with --replaces of that one.

    A file with other names, words or formats needs no script: --map and the options after it say how it is read, and
    stay with the file; `gata mapping save` keeps them for all files of a name. --preset knows public formats, and
    --explain proposes the options: it needs no --tenant, and reads the start of one file.

    A file is read once, from its start to its end, so FIFOs and <(...) work; one that changes meanwhile is refused.
    """
    columns = (texts, label, closed)
    is_of_tickets = table == "tickets" and tenant is None
    if table == "tickets":
        tenant, mapping, columns = _of_lake(settings, tenant, mapping, columns)
        is_of_tickets = tenant is None
    if derives_items and table != "interactions":
        raise click.UsageError("--derive-items goes with interactions: other tables refer to no items.")
    if replaces and is_of_tickets:
        raise click.UsageError("--replaces does not go with tickets: a ticket replaces that of its id.")
    if replaces and len(files) > 1:
        raise click.UsageError("--replaces goes with one file.")
    if any(columns) and not is_of_tickets:
        raise click.UsageError("--text-column, --label-column and --closed-column are of tickets: use --map.")
    try:
        if explain:
            of_tickets = columns if is_of_tickets else None
            return _explain(table, files, tenant, file_format, mapping, of_tickets, settings, as_table=as_table)
        if is_of_tickets:
            with imports_uncollected():
                from gata_assets.cli.raw_files import tickets

            named = tickets.TicketColumns(*columns)
            return tickets.run(
                settings, files, file_format=file_format, options=mapping, columns=named, as_table=as_table
            )
        if tenant is None:
            raise click.UsageError("Missing option '--tenant'.")
        with imports_uncollected():
            from gata_assets.cli.raw_files import ingest as command

        return command.run(
            settings,
            table,
            files,
            tenant=tenant,
            file_format=file_format,
            replaces=replaces,
            options=mapping,
            as_table=as_table,
            derives_items=derives_items,
        )
    except RawFileError as error:
        raise click.UsageError(str(error)) from None


_Columns = tuple[tuple[str, ...], str | None, str | None]


def _of_lake(
    settings: Settings, tenant: str | None, mapping: MappingOptions, columns: _Columns
) -> tuple[str | None, MappingOptions, _Columns]:
    """The tenant whose lake tickets go into, and the options by which it reads them; what is given for a table of
    tickets of its own, and for the embedded store.
    """
    with imports_uncollected():
        from gata_assets.cli.raw_files import tickets
        from gata_assets.settings.table_specs import has_own_tickets

    if has_own_tickets(settings) or (lake := tickets.lake_of(settings, tenant)) is None:
        return tenant, mapping, columns
    return lake, tickets.lake_options(mapping, tickets.TicketColumns(*columns)), ((), None, None)


def _explain(
    table: str,
    files: tuple[str, ...],
    tenant: str | None,
    file_format: str | None,
    mapping: MappingOptions,
    columns: _Columns | None,
    settings: Settings,
    *,
    as_table: bool,
) -> bool:
    with imports_uncollected():
        from gata_assets.cli.raw_files import explain as command
        from gata_assets.cli.raw_files.tickets import TicketColumns

    if len(files) > 1:
        raise click.UsageError("--explain goes with one file.")
    if mapping.saved and tenant is None and columns is None:
        raise click.UsageError("--mapping is of a tenant: --tenant says whose.")
    of_tickets = None if columns is None else TicketColumns(*columns)
    given = command.Given(table, files[0], tenant, file_format, mapping, of_tickets)
    return command.run(settings, given, as_table=as_table)


@click.command(cls=Command)
@exits({FAILED: ""})
@click.argument("table", required=False)
@options.AS_JSON
@SETTINGS
def tables(table: str | None, as_json: bool, settings: Settings) -> None:
    """List the tables that raw files may be of, those of TABLE_SPECS too; or print the page of one in Markdown: its
    columns, what else raw files may call and write them, and its rules by their names in quarantine.
    """
    with imports_uncollected():
        from gata_assets.cli.raw_files import tables as command

    command.run(settings, table, as_json=as_json)


@click.group(cls=Commands)
def mapping() -> None:
    """Save how a tenant's raw files differ from what their table accepts: names, words, formats."""


_TABLE = click.argument("table", metavar="TABLE")
_NAME = click.argument("name", metavar="NAME")


@mapping.command("save")
@exits({WRONG: "the mapping does not fit the table, or an argument or a setting is wrong; nothing was saved"})
@_TABLE
@_NAME
@_TENANT
@click.option("--files", metavar="PATTERN", default="*", help="The names of its files: in lower case, without ending.")
@takes_mapping
@options.AS_JSON
@SETTINGS
def save_mapping(
    table: str, name: str, tenant: str, files: str, mapping: MappingOptions, as_json: bool, settings: Settings
) -> None:
    """Save the mapping NAME for files of TABLE whose name matches --files, also those that others put into raw/.

    A file is read by the mapping that it was sent with; else by that with the longest pattern that its name matches.
    Files that were read otherwise are validated again by `gata quarantine --replay`, and refused ones by the next run.
    """
    from gata_assets.cli.raw_files import mappings as command

    command.save(settings, table, name, tenant=tenant, files=files, options=mapping, as_json=as_json)


@mapping.command("list")
@_TENANT
@SUMMARY
@SETTINGS
def list_mappings(tenant: str, as_table: bool, settings: Settings) -> None:
    """List a tenant's saved mappings."""
    from gata_assets.cli.raw_files import mappings as command

    command.list_all(settings, tenant=tenant, as_table=as_table)


@mapping.command("presets")
@exits({FAILED: ""})
@SUMMARY
def list_presets(as_table: bool) -> None:
    """List the presets: mappings of known formats, for --preset."""
    from gata_assets.cli.raw_files import mappings as command

    command.list_presets(as_table=as_table)


@mapping.command("show")
@_TABLE
@_NAME
@_TENANT
@SETTINGS
def show_mapping(table: str, name: str, tenant: str, settings: Settings) -> None:
    """Print a saved mapping as JSON, which --mapping-file reads."""
    from gata_assets.cli.raw_files import mappings as command

    command.show(settings, table, name, tenant=tenant)
