"""`gata quarantine waiting`: how many rows of a shop wait for others, by rule, and since when."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

import click
from rich.table import Table

from gata_assets.cli.landed.quarantine import open_validator
from gata_assets.cli.terminal import text_console
from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.settings.model import Settings


@dataclass(frozen=True)
class _Waiting:
    table: str
    verdict: str
    rule: str


def show(settings: Settings, source: str, *, as_table: bool) -> None:
    """Show the rows that are parked or quarantined, a row under each rule that it breaks.

    Raises DamagedTableError or StoreError.
    """
    curator = open_validator(settings, source)
    if not isinstance(curator, ChangesCurator):
        raise click.BadParameter("rows of a shop alone wait for others: shop/NAME.", param_hint="--tenant")
    counts: Counter[_Waiting] = Counter()
    for table, rows in curator.waiting_rows():
        for (verdict, rule), number in rows:
            counts[_Waiting(table, verdict, rule)] += number
    ordered = sorted(counts.items(), key=lambda found: (found[0].table, found[0].verdict, found[0].rule))
    if not as_table:
        for found, number in ordered:
            print(json.dumps({"event": "ROWS_WAIT", **vars(found), "rows": number}))
        print(json.dumps({"event": "WAITING_LISTED", "source": source, "oldest_parked_at": curator.oldest_parked_at()}))
        return
    if not ordered:
        text_console().print(f"No row of {source} waits for another.", markup=False)
        return
    shown = Table("table", "verdict", "rule", title="Rows that wait for others", title_justify="left")
    shown.add_column("rows", justify="right")
    for found, number in ordered:
        shown.add_row(found.table, found.verdict, found.rule, f"{number:,}")
    text_console().print(shown)
    if oldest := curator.oldest_parked_at():
        text_console().print(f"The oldest parked row waits since {oldest}.", markup=False)
