"""`gata quarantine waiting`: the rows of a shop that wait for others, counted by rule, or themselves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click
import polars as pl
from rich.table import Table

from gata_assets.cli.landed.quarantine import open_validator
from gata_assets.cli.landed.quarantined_rows import print_table, write_json_lines
from gata_assets.cli.terminal import text_console
from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.curation.changes.waiting import rules_of_waiting
from gata_assets.settings.model import Settings
from gata_assets.tables.changes.verdicts import RULES, VERDICT


@dataclass(frozen=True)
class Choice:
    """Which rows are shown: of a table, with a verdict, that break a rule; None for all."""

    table: str | None = None
    verdict: str | None = None
    rule: str | None = None


@dataclass(frozen=True)
class _Waiting:
    table: str
    verdict: str
    rule: str


def show(settings: Settings, source: str, choice: Choice, *, as_table: bool) -> None:
    """Show how many rows are parked or quarantined, a row under each rule that it breaks.

    Raises DamagedTableError or StoreError.
    """
    curator = _open(settings, source, choice)
    counts: Counter[_Waiting] = Counter()
    for table, rows in curator.count_waiting(choice.table):
        for (verdict, rule), number in rows:
            if choice.verdict in (None, verdict) and choice.rule in (None, rule):
                counts[_Waiting(table, verdict, rule)] += number
    ordered = sorted(counts.items(), key=lambda found: (found[0].table, found[0].verdict, found[0].rule))
    if not as_table:
        for found, number in ordered:
            print(json.dumps({"event": "ROWS_WAIT", **vars(found), "rows": number}))
        print(json.dumps({"event": "WAITING_LISTED", "source": source, "oldest_parked_at": curator.oldest_parked_at()}))
        return
    if not ordered:
        _say_none(source, is_chosen=choice != Choice())
        return
    shown = Table("table", "verdict", "rule", title="Rows that wait for others", title_justify="left")
    shown.add_column("rows", justify="right")
    for found, number in ordered:
        shown.add_row(found.table, found.verdict, found.rule, f"{number:,}")
    text_console().print(shown)
    if oldest := curator.oldest_parked_at():
        text_console().print(f"The oldest parked row waits since {oldest}.", markup=False)


def show_rows(settings: Settings, source: str, choice: Choice, *, limit: int | None, as_table: bool) -> None:
    """Print the rows themselves, masked as they are stored, table by table and day by day.

    Days are read one after the other, and none once `limit` rows are shown. Raises DamagedTableError or StoreError.
    """
    rows = _rows(_open(settings, source, choice), choice)
    first = islice(rows, limit)
    shown = print_table(list(first)) if as_table else write_json_lines(first)
    if not shown:
        _say_none(source, is_chosen=choice != Choice(), stderr=True)
    elif shown == limit and next(rows, None) is not None:
        text_console(stderr=True).print(f"The first {shown:,} rows; --limit shows more.")


def _open(settings: Settings, source: str, choice: Choice) -> ChangesCurator:
    curator = open_validator(settings, source)
    if not isinstance(curator, ChangesCurator):
        raise click.BadParameter("rows of a shop alone wait for others: shop/NAME.", param_hint="--tenant")
    rules = rules_of_waiting(curator.graph)
    for hint, value, known in (("--table", choice.table, curator.tables), ("--rule", choice.rule, rules)):
        if value is not None and value not in known:
            raise click.BadParameter(f"there are: {', '.join(sorted(known))}.", param_hint=hint)
    return curator


def _rows(curator: ChangesCurator, choice: Choice) -> Iterator[dict[str, Any]]:
    for table, rows in curator.waiting_rows(choice.table):
        chosen = rows if choice.verdict is None else rows.filter(pl.col(VERDICT) == choice.verdict)
        chosen = chosen if choice.rule is None else chosen.filter(pl.col(RULES).list.contains(choice.rule))
        for row in chosen.iter_rows(named=True):
            yield {"table": table, VERDICT: row[VERDICT], RULES: row[RULES], **row}


def _say_none(source: str, *, is_chosen: bool, stderr: bool = False) -> None:
    text = f"No such row of {source} waits." if is_chosen else f"No row of {source} waits for another."
    text_console(stderr=stderr).print(text, markup=False)
