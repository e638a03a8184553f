"""`gata quarantine rows`: rejected rows themselves, as their files had them, with the rules that each breaks."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

import msgspec
import polars as pl
from rich.table import Table
from rich.text import Text

from gata_assets.cli.landed.quarantine import find_reports, open_validator, require_rule
from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import printable
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.curation.reports import Report
from gata_assets.curation.validator import FileValidator
from gata_assets.settings.model import Settings
from gata_assets.tables.raw_mapping import NO_MAPPING

# What every row has beside its raw columns; `row` is the text of one that could not be split into columns.
_OF_FILE = ("source_file", "source_record", "source_line")
_FIRST = ("table", "file_id", *_OF_FILE, "rules", "row")
_WIDEST_VALUE = 40


def show(
    settings: Settings, tenant: str, *, rule: str | None, file_id: str | None, limit: int | None, form: str
) -> None:
    """Print rejected rows, file by file, in the order of the files.

    Args:
        settings: The settings.
        tenant: Whose files they are.
        rule: Only rows that break this rule.
        file_id: Only the rows of this file.
        limit: At most so many rows; None for all.
        form: `table`, `csv` or `jsonl`.

    Raises:
        DataRuleError: The file is unknown.
        DamagedTableError: Rows in quarantine are missing or damaged.
    """
    curator = open_validator(settings, tenant)
    reports = [report for report in find_reports(curator, file_id) if report.quarantine]
    require_rule(curator, reports, rule)
    found = sum(report.rejected_by_rule.get(rule, 0) if rule else report.rejected for report in reports)
    rows = islice(_rows(curator, reports, rule), limit)
    match form:
        case "csv":
            shown = _write_csv(rows, _columns(curator, reports))
        case "jsonl":
            shown = write_json_lines(map(partial(_with_json, curator), rows))
        case _:
            shown = print_table(list(rows))
    if shown < found or not found:
        more = f"{shown:,} of {found:,} rows; --limit shows more." if found else "There is no such row in quarantine."
        text_console(stderr=True).print(more, markup=False)


def _rows(curator: FileValidator, reports: Iterable[Report], rule: str | None) -> Iterator[dict[str, Any]]:
    for report in reports:
        for block in curator.read_quarantine(report.quarantine) if report.quarantine else ():
            chosen = block.filter(pl.col("rules").list.contains(rule)) if rule else block
            for row in chosen.iter_rows(named=True):
                yield {"table": report.table, "file_id": report.file_id, **row}


def _with_json(curator: FileValidator, row: dict[str, Any]) -> dict[str, Any]:
    """A row with the values of JSON that texts of such columns mean, as raw files have them."""
    spec = curator.tables[row["table"]]
    for column in (column for column in spec.raw_columns if column.json and row.get(column.name)):
        try:
            value = msgspec.json.decode(row[column.name], type=msgspec.Raw)
        except (msgspec.MsgspecError, ValueError):
            continue
        if column.name == spec.more:
            row |= msgspec.json.decode(value, type=dict[str, msgspec.Raw])
            row[column.name] = None
        else:
            row[column.name] = value
    return row


def _columns(curator: FileValidator, reports: Iterable[Report]) -> list[str]:
    """The columns of all files together, each once."""
    choices = [(report.table, MappingChoice(report.mapping or NO_MAPPING)) for report in reports]
    schemas = [curator.mapped_table(table, choice).quarantine_schema for table, choice in choices]
    return list(dict.fromkeys([*_FIRST, *(name for schema in schemas for name in schema)]))


def _write_csv(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> int:
    writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
    writer.writeheader()
    shown = 0
    for row in rows:
        writer.writerow(row | {"rules": " ".join(row["rules"])})
        shown += 1
    return shown


def write_json_lines(rows: Iterable[dict[str, Any]]) -> int:
    """Print each row as a line of JSON; returns how many there were."""
    shown = 0
    for row in rows:
        if any(isinstance(value, msgspec.Raw) for value in row.values()):
            # As they came.
            print(msgspec.json.encode(row, enc_hook=_as_text).decode())
        else:
            print(json.dumps(row, ensure_ascii=False, default=_as_text))
        shown += 1
    return shown


def _as_text(value: object) -> str:
    """An instant in ISO 8601, a decimal as it is written."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_table(rows: Sequence[dict[str, Any]]) -> int:
    """Print rows with the rules that they break; returns how many there were.

    Only the columns that have a value; what a terminal would act on is replaced.
    """
    if not rows:
        return 0
    left_out = {"rules", *_OF_FILE} if "file_id" in rows[0] else {"rules", *_OF_FILE[1:]}
    raw = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in left_out]
    filled = [name for name in raw if any(row.get(name) is not None for row in rows)]
    table = Table("line", "breaks", *filled)
    for row in rows:
        values = (row.get(name) for name in filled)
        shown = (Text("" if value is None else _short(_as_text(value))) for value in values)
        table.add_row(str(row["source_line"] or row.get("source_record") or ""), "\n".join(row["rules"]), *shown)
    text_console(width=1_000).print(table)
    return len(rows)


def _short(value: str) -> str:
    shown = printable(value)
    return shown if len(shown) <= _WIDEST_VALUE else f"{shown[: _WIDEST_VALUE - 1]}…"
