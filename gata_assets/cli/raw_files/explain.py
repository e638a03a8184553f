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

from gata_assets.cli.raw_files.explanation import Explanation, show
from gata_assets.cli.raw_files.mapping_options import MappingOptions, options_of
from gata_assets.cli.raw_files.mappings import merged_mapping
from gata_assets.cli.raw_files.outcomes import open_curator
from gata_assets.cli.raw_files.tickets import TicketColumns, explained_table, table_of_rows, ticket_options
from gata_assets.curation.files.formats import FORMATS, FileFormat, parse_format, printable
from gata_assets.curation.files.head import Head, opened_head
from gata_assets.curation.mappings.hints import Hints
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.curation.mappings.preview import Fit, Fitting, find_fitting, try_mapping
from gata_assets.curation.mappings.raw_columns import look_at
from gata_assets.errors import RawFileError
from gata_assets.interactions.presets import PRESETS, read_hints
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables
from gata_assets.tables.raw_mapping import NO_MAPPING, RawMapping, merge_mappings
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec

_STDIN = "-"


@dataclass(frozen=True)
class Given:
    """The command's arguments: a table, a file or `-`, and what is said of it."""

    table: str
    file: str
    tenant: str | None
    file_format: str | None
    options: MappingOptions
    columns: TicketColumns

    @property
    def is_of_tickets(self) -> bool:
        """Whether it is of the ticket table, which has no tenant."""
        return self.table == "tickets" and self.tenant is None


def run(settings: Settings, given: Given, *, as_table: bool) -> bool:
    """Show how a file can be read; returns whether a row of it could be.

    Raises MappingError for options that do not fit the table, or click.UsageError for an unknown table or format.
    """
    tables = all_tables(settings)
    if given.table not in tables and not given.is_of_tickets:
        raise click.UsageError(f"{given.table} is no table: there are {', '.join(sorted({*tables, 'tickets'}))}.")
    if os.path.isdir(given.file):  # noqa: PTH112 (Path.is_dir raises for what may not be looked at, or is too long)
        raise click.UsageError(f"{printable(given.file)} is a directory: --explain goes with one of its files.")
    if given.file_format and _parsed(given.file_format, NO_MAPPING) is None:
        raise click.UsageError(f"--format {given.file_format} is none: {FORMATS}.")
    source: Path | BinaryIO = sys.stdin.buffer if given.file == _STDIN else Path(given.file)
    spec, hints = tables.get(given.table), read_hints()
    try:
        with opened_head(source) as head:
            if spec is None:
                names = look_at(_as_said(head, given, None)).texts.columns
                spec, hints = explained_table(names, given.columns, hints)
            choice = _given_mapping(settings, given, spec)
            found = _explain(settings, given, spec, hints, choice, _as_said(head, given, choice))
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
    if given.options.is_given or given.columns != TicketColumns():
        return MappingChoice(merge_mappings(merged_mapping(spec, given.options, saved), given.columns.mapping))
    chosen = curator.mappings.choose(given.table, given.file) if curator else None
    return chosen if chosen and chosen.name else None


def _as_said(head: Head, given: Given, choice: MappingChoice | None) -> Head:
    """The file's start, in the format that --format or a mapping's endings say, which may be wrong."""
    mapping = choice.mapping if choice else NO_MAPPING
    form = _parsed(given.file_format or (given.file if mapping.endings else ""), mapping)
    return replace(head, format=form.format) if form else head


def _explain(
    settings: Settings, given: Given, spec: TableSpec, hints: Hints, choice: MappingChoice | None, head: Head
) -> Explanation:
    rules = settings.interactions.curation_rules
    now = datetime.now(UTC)
    context = RowContext(rules.earliest_at, now + rules.at_most_ahead) if spec.event_time else RowContext()
    if choice is not None:
        raw = look_at(head, choice.mapping.separator)
        fitting = try_mapping(head, spec, choice.mapping, context, given.options.preset)
    else:
        raw = look_at(head)
        presets = {
            preset.name: preset.tables[spec.table].mapping for preset in PRESETS.values() if spec.table in preset.tables
        }
        fitting = find_fitting(head, raw, spec, context, hints, presets)
    if given.is_of_tickets and fitting.refused is None:
        # A file needs these columns, and single rows may lack a value.
        lenient = try_mapping(head, table_of_rows(fitting.spec), fitting.mapping, context, None)
        fitting = replace(fitting, preview=lenient.preview)
    words = _options(fitting, given, spec)
    named = _format_options(fitting.mapping, given, head.file_format)
    return Explanation(
        given.table,
        given.file,
        refused=fitting.refused,
        tenant=None if given.is_of_tickets else given.tenant or "NAME",
        head=head.file_format,
        raw=raw,
        fitting=fitting,
        options=(*(ticket_options(words) if given.is_of_tickets else words), *named),
        said_by=f"By the saved mapping {choice.name}" if choice and choice.name else "As you say",
        earliest_at=context.start_at,
        latest_at=context.end_at,
    )


def _options(fitting: Fitting, given: Given, spec: TableSpec) -> list[str]:
    """The words that say the mapping: those that were given, or those of a preset or a proposal."""
    if fitting.fit is Fit.PRESET and fitting.preset:
        return ["--preset", fitting.preset]
    if fitting.fit is not Fit.GIVEN:
        return options_of(fitting.mapping, spec)
    options = given.options
    named = (("--preset", options.preset), ("--mapping", options.saved), ("--mapping-file", options.file))
    words = [word for option, value in named if value for word in (option, str(value))]
    return words + options_of(replace(options, file=None).as_mapping(spec), spec)


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
