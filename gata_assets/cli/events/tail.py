"""`gata events tail`: valid rows that have arrived and are not curated yet."""

from __future__ import annotations

import json

import click
import polars as pl
from rich.table import Table
from rich.text import Text

from gata_assets.cli.raw_files.outcomes import open_curator
from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import printable
from gata_assets.definitions.messages import build_decoder
from gata_assets.ingestion.segments.tail import OFFSET, RECEIVED_AT, STREAM, Tail
from gata_assets.settings.model import Settings

_WIDEST = 1_000
_ORIGIN = (RECEIVED_AT, STREAM, OFFSET)


def show(settings: Settings, tenant: str, table: str, *, limit: int | None, as_table: bool) -> None:
    """Print the newest rows, at most `limit`; then how many there are. Raises RegistryError or StoreError."""
    curator = open_curator(settings, tenant)
    if table not in curator.tables:
        raise click.BadParameter(f"there are: {', '.join(sorted(curator.tables))}.", param_hint="--table")
    found = Tail(curator, curator.curated_parts, build_decoder(settings)).read(table)
    rows = found.rows.sort(RECEIVED_AT, STREAM, OFFSET)
    newest = rows if limit is None else rows.tail(limit)
    if as_table:
        _print_table(newest, len(rows), found.rejected)
        return
    for row in newest.iter_rows(named=True):
        origin = {name.removeprefix("_"): row.pop(name) for name in _ORIGIN}
        print(json.dumps({"event": "EVENT_WAITS", **origin, "row": row}, default=str, ensure_ascii=False))
    print(
        json.dumps(
            {
                "event": "TAIL_READ",
                "tenant": tenant,
                "table": table,
                "rows": len(rows),
                "rejected": found.rejected,
                "oldest_received_at": rows[RECEIVED_AT].min(),
                "newest_received_at": rows[RECEIVED_AT].max(),
            },
            default=str,
        )
    )


def _print_table(rows: pl.DataFrame, count: int, rejected: int) -> None:
    if len(rows):
        filled = [name for name in rows.columns if name not in _ORIGIN and rows[name].null_count() < len(rows)]
        table = Table("received at", *filled)
        for row in rows.iter_rows(named=True):
            values = (row[name] for name in filled)
            shown = (Text("" if value is None else printable(str(value))) for value in values)
            table.add_row(f"{row[RECEIVED_AT]:%Y-%m-%d %H:%M:%S}", *shown)
        text_console(width=_WIDEST).print(table)
    more = f"{len(rows):,} of {count:,} valid rows that are not curated yet; {rejected:,} events are not valid."
    text_console().print(more, markup=False)
