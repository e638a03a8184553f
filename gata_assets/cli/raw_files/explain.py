"""`gata ingest --explain`: how a file can be read, and what becomes of its first rows. Nothing is written anywhere.

`curation.mappings` proposes and tries; `explanation` shows it.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click
import polars as pl

from gata_assets.cli.raw_files.explanation import Explanation, show
from gata_assets.cli.raw_files.mapping_options import MappingOptions
from gata_assets.cli.raw_files.mapping_words import as_mapping, options_of
from gata_assets.cli.raw_files.mappings import merged_mapping
from gata_assets.cli.raw_files.outcomes import open_curator
from gata_assets.cli.raw_files.tickets import (
    TicketColumns,
    lake_names,
    proposed_table,
    table_to_explain,
    ticket_options,
)
from gata_assets.curation.files.formats import FORMATS, FileFormat, RawFormat, parse_format, printable
from gata_assets.curation.files.head import Head, opened_head
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.curation.mappings.preview import ExplainedTable, Fit, Fitting, find_fitting, try_mapping
from gata_assets.curation.mappings.raw_columns import RawColumns, look_at
from gata_assets.curation.readers.faults import unforeseen_errors_refuse
from gata_assets.errors import RawFileError
from gata_assets.interactions.presets import PRESETS, read_hints
from gata_assets.lake.flat_exports import FLAT, FLAT_TICKETS
from gata_assets.lake.tables import is_of_lake
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables, curation_rules
from gata_assets.tables.mapped_table import mapped
from gata_assets.tables.raw_mapping import NO_MAPPING, RawMapping, merge_mappings
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec

_STDIN = "-"


@dataclass(frozen=True)
class Given:
    """The command's arguments: a table, a file or `-`, and what is said of it; `columns` if it is one of tickets."""

    table: str
    file: str
    tenant: str | None
    file_format: str | None
    options: MappingOptions
    columns: TicketColumns | None = None


def run(settings: Settings, given: Given, *, as_table: bool) -> bool:
    """Show how a file can be read; returns whether a row of it could be.

    Raises MappingError for options that do not fit the table, or click.UsageError for an unknown table or format.
    """
    table = _table_of(settings, given)
    if os.path.isdir(given.file):  # noqa: PTH112 (Path.is_dir raises for what may not be looked at, or is too long)
        raise click.UsageError(f"{printable(given.file)} is a directory: --explain goes with one of its files.")
    if given.file_format and _parsed(given.file_format, NO_MAPPING) is None:
        raise click.UsageError(f"--format {given.file_format} is none: {FORMATS}.")
    choice = _given_mapping(settings, given, table.spec)
    source: Path | BinaryIO = sys.stdin.buffer if given.file == _STDIN else Path(given.file)
    try:
        if choice is not None:
            mapped(table.spec, choice.mapping)
        with unforeseen_errors_refuse(), opened_head(source) as head:
            found = _explain(given, table, choice, _as_said(head, given, choice))
    except RawFileError as error:
        found = Explanation(given.table, given.file, refused=str(error))
    show(found, as_table=as_table)
    return found.can_be_read


def _given_mapping(settings: Settings, given: Given, spec: TableSpec) -> MappingChoice | None:
    """What the options amount to, or the saved mapping that the file's name chooses; None without either."""
    curator = open_curator(settings, given.tenant) if given.tenant else None
    saved = NO_MAPPING
    if curator and given.options.saved:
        saved = curator.mappings.find(given.table, given.options.saved).mapping
    if given.options.is_given or (given.columns and given.columns.mapping != NO_MAPPING):
        of_columns = given.columns.mapping if given.columns else NO_MAPPING
        return MappingChoice(merge_mappings(merged_mapping(spec, given.options, saved), of_columns))
    chosen = curator.mappings.choose(given.table, given.file) if curator else None
    return chosen if chosen and chosen.name else None


def _as_said(head: Head, given: Given, choice: MappingChoice | None) -> Head:
    """The file's start, in the format that --format or a mapping's endings say, which may be wrong."""
    mapping = choice.mapping if choice else NO_MAPPING
    form = _parsed(given.file_format or (given.file if mapping.endings else ""), mapping)
    return replace(head, format=form.format) if form else head


def _table_of(settings: Settings, given: Given) -> ExplainedTable:
    if given.columns is not None:
        return table_to_explain(given.options, given.columns)
    tables = all_tables(settings)
    if given.table not in tables:
        raise click.UsageError(f"{given.table} is no table: there are {', '.join(sorted(tables))}.")
    rules, spec = curation_rules(settings), tables[given.table]
    is_timed = spec.event_time is not None
    latest = datetime.now(UTC) + rules.at_most_ahead
    context = RowContext(rules.earliest_of(spec.table), latest) if is_timed else RowContext()
    return ExplainedTable(spec, context, always=FLAT if is_of_lake(spec) else NO_MAPPING)


def _explain(given: Given, table: ExplainedTable, choice: MappingChoice | None, head: Head) -> Explanation:
    if choice is not None:
        raw = look_at(head, choice.mapping.separator)
        fitting = try_mapping(head, table, choice.mapping, given.options.preset)
    elif table.spec.pages and head.format is RawFormat.JSON_LINES:
        # Rows of pages are read by their names alone.
        raw = RawColumns(head.format, (), pl.DataFrame())
        fitting = replace(try_mapping(head, table, NO_MAPPING), fit=Fit.TABLE)
    else:
        raw, hints = look_at(head), read_hints()
        if given.columns is not None:
            table, hints = proposed_table(table, raw.names, hints)
        elif is_of_lake(table.spec):
            table, hints = replace(table, spec=FLAT_TICKETS), lake_names(raw.names, hints)
        presets = {
            preset.name: preset.tables[given.table].mapping
            for preset in PRESETS.values()
            if given.table in preset.tables
        }
        fitting = find_fitting(head, raw, table, hints, presets)
    named = _format_options(fitting.mapping, given, head.file_format)
    return Explanation(
        given.table,
        given.file,
        refused=fitting.refused,
        tenant=given.tenant,
        head=head.file_format,
        raw=raw,
        fitting=fitting,
        options=(*_options(fitting, given, table), *named),
        has_tenant=given.columns is None,
        said_by=f"By the saved mapping {choice.name}" if choice and choice.name else "As you say",
        earliest_at=table.context.start_at,
        earliest_setting="LAKE_EARLIEST_DATE" if is_of_lake(table.spec) else "EARLIEST_INTERACTION",
    )


def _options(fitting: Fitting, given: Given, table: ExplainedTable) -> list[str]:
    """The words that say the mapping: those that were given, or those of a preset or a proposal."""
    if fitting.fit is Fit.PRESET and fitting.preset:
        return ["--preset", fitting.preset]
    if fitting.fit is not Fit.GIVEN:
        own = fitting.mapping.whole_numbers
        numbers = () if own == table.always.whole_numbers else own
        words = options_of(replace(fitting.mapping, whole_numbers=numbers), table.spec)
        return words if given.columns is None else ticket_options(words)
    options = given.options
    named = (("--preset", options.preset), ("--mapping", options.saved), ("--mapping-file", options.file))
    words = [word for option, value in named if value for word in (option, str(value))]
    words += options_of(as_mapping(replace(options, file=None), table.spec), table.spec)
    return words + (given.columns.words if given.columns else [])


def _format_options(mapping: RawMapping, given: Given, form: FileFormat) -> tuple[str, ...]:
    """The option that says the format, where the file's name does not."""
    if given.file_format:
        return "--format", given.file_format
    implied = _parsed(given.file, mapping) if given.file != _STDIN else None
    if implied and implied.format is form.format:
        return ()
    ending = re.search(r"\.([A-Za-z0-9]{1,7})(\.(gz|zst))?$", Path(given.file).name)
    if implied or not ending:
        return "--format", str(form)
    return "--ending", f"{ending[1].lower()}={form.format}"


def _parsed(name: str, mapping: RawMapping) -> FileFormat | None:
    try:
        return parse_format(name, mapping.endings)
    except RawFileError:
        return None
