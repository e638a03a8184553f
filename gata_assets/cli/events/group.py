"""`gata events` and `gata trace`, with their options; other modules implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings


@click.group(cls=options.Commands)
def events() -> None:
    """Look at single events that have arrived, and turn them into raw files."""


@events.command()
@options.tenant_option(required=True)
@click.option("--table", required=True, metavar="TABLE", help="The events of this table.")
@click.option("--limit", type=click.IntRange(0), default=20, help="Show at most so many rows; 0 for all.")
@options.SUMMARY
@options.SETTINGS
def tail(tenant: str, table: str, limit: int, as_table: bool, settings: Settings) -> None:
    """Show what has arrived of a tenant's table and is not curated yet: valid rows, the newest last.

    An event can be read here as soon as it is durable, and until the curated table has it. The rows have ids of people.
    """
    with options.imports_uncollected():
        from gata_assets.cli.events import tail as command

    command.show(settings, tenant, table, limit=limit or None, as_table=as_table)


@events.command()
@exits(
    {
        DONE: "all that is closed is in raw files",
        FAILED: "a stream could not be rolled up, for the reason that is shown; with --every, when it was ended",
    }
)
@click.option("--all", "even_open", is_flag=True, help="Events of the hour that is not past, too.")
@click.option(
    "--every",
    type=click.FloatRange(0, 86_400, min_open=True),
    metavar="SECONDS",
    help="Do it again and again, with so many seconds between, until SIGTERM or Ctrl-C.",
)
@options.SUMMARY
@options.SETTINGS
def rollup(even_open: bool, every: float | None, as_table: bool, settings: Settings) -> bool:
    """Turn the events of past hours into raw files: one for each hour, tenant, table and source.

    Segments that were rolled up two hours ago are deleted, and every six hours the records of requests that count no
    longer. Run it again after a failure or an interruption: it goes on with what is missing. Two at once do no harm.
    """
    with options.imports_uncollected():
        from gata_assets.cli.events import rollup as command

    if every is not None:
        return command.keep_on(settings, every, even_open=even_open, as_table=as_table)
    return command.run(settings, even_open=even_open, as_table=as_table)


@click.command(cls=options.Command)
@exits(
    {
        DONE: "the places are shown",
        FAILED: "there is no such row, file or record, or something is damaged, for the reason that is shown",
    }
)
@click.argument("file", metavar="[FILE", required=False)
@click.argument("record", metavar="RECORD]", type=click.IntRange(1), required=False)
@options.tenant_option(required=True, or_shop=True)
@click.option("--table", metavar="TABLE", help="In place of FILE and RECORD: the curated table that has the row.")
@click.option(
    "--key",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="With --table, a value of the row's key, once for each column; of a table without a key any columns.",
)
@options.SUMMARY
@options.SETTINGS
def trace(
    file: str | None,
    record: int | None,
    tenant: str,
    table: str | None,
    key: tuple[str, ...],
    as_table: bool,
    settings: Settings,
) -> None:
    """Show where a record of a raw file, or a curated row, came from: file, record, stream, offset, request and time.

    FILE is the id, the name or the key of a file of single events, and RECORD the number of one of its records (the
    first is 1). `gata quarantine rows` shows both. With --table and --key, a curated row is traced to all records that
    have its key, in files of any kind, and it is shown which of them counts. A value of a masked column is its token,
    as it is stored.
    """
    if (table is None) != (not key):
        raise click.UsageError("--table and --key go together.")
    if (file is None) == (table is None) or (file is None) != (record is None):
        raise click.UsageError("Give FILE and RECORD, or --table and --key.")
    with options.imports_uncollected():
        from gata_assets.cli.events import trace as of_record
        from gata_assets.cli.events import trace_rows as of_rows

    if table is not None:
        of_rows.show(settings, tenant, table, key, as_table=as_table)
    elif tenant.startswith(options.SHOP_PREFIX):
        raise click.UsageError("A shop has no files of single events: give --table and --key.")
    elif file is not None and record is not None:
        of_record.show(settings, tenant, file, record, as_table=as_table)
