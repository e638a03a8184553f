"""`gata mapping`: saves, lists and shows the mappings of raw files; and the mapping that options amount to."""

from __future__ import annotations

import json

import click
from rich.table import Table

from gata_assets.cli.raw_files.mapping_options import MappingOptions
from gata_assets.cli.raw_files.mapping_words import as_mapping
from gata_assets.cli.raw_files.outcomes import open_curator
from gata_assets.cli.terminal import text_console
from gata_assets.curation.mappings.mapping_store import MappingChoice, SavedMapping
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.presets import PRESETS, preset_mapping
from gata_assets.lake.flat_exports import FLAT, flat_mapping
from gata_assets.lake.tables import is_of_lake
from gata_assets.settings.model import Settings
from gata_assets.tables.raw_mapping import NO_MAPPING, RawMapping, encode_mapping, merge_mappings
from gata_assets.tables.spec import TableSpec

_WIDEST = 1_000


def choose(curator: Curator, table: str, options: MappingOptions) -> MappingChoice | None:
    """The mapping that the options of a command amount to, None without any; raises MappingError."""
    if not options.is_given:
        return None
    base = curator.mappings.find(table, options.saved) if options.saved else MappingChoice()
    merged = merged_mapping(curator.tables[table], options, base.mapping)
    # A saved mapping with other words is one of its own.
    choice = base if merged == base.mapping else MappingChoice(merged)
    curator.mapped_table(table, choice)
    return choice


def choose_for_flat(curator: Curator, table: str) -> MappingChoice | None:
    """What a file with a row in each ticket is read by where nothing else is said; None for other tables."""
    return MappingChoice(FLAT) if is_of_lake(curator.tables[table]) else None


def merged_mapping(spec: TableSpec, options: MappingOptions, saved: RawMapping) -> RawMapping:
    """What options amount to: over a preset a saved mapping, and over that what they say; raises MappingError."""
    preset = preset_mapping(options.preset, spec.table) if options.preset else NO_MAPPING
    merged = merge_mappings(merge_mappings(preset, saved), as_mapping(options, spec))
    return flat_mapping(merged) if is_of_lake(spec) else merged


def save(
    settings: Settings, table: str, name: str, *, tenant: str, files: str, options: MappingOptions, as_json: bool
) -> None:
    """Save a mapping, and show which files it is for, and how many were read otherwise.

    Raises MappingError, or click.BadParameter for an unknown table.
    """
    curator = _open(settings, tenant, table)
    mapping = (choose(curator, table, options) or MappingChoice()).mapping
    is_changed = curator.mappings.save(table, SavedMapping(name, mapping, files))
    outdated = sum(curator.is_outdated(report) for report in curator.reports(table))
    if as_json:
        of = {"tenant": tenant, "table": table, "name": name, "files": files}
        print(json.dumps({"event": "MAPPING_SAVED", **of, "was_there": not is_changed, "outdated_files": outdated}))
        return
    console = text_console()
    saved = "saved" if is_changed else "as it was"
    console.print(f"{name} is {saved}: it is for the files {files} of {tenant}'s {table}.", markup=False)
    if outdated:
        again = f"gata quarantine --tenant {tenant} --replay"
        console.print(f"{outdated:,} files were read otherwise. To validate them again: {again}", markup=False)


def list_all(settings: Settings, *, tenant: str, as_table: bool) -> None:
    """List the saved mappings of a tenant."""
    curator = open_curator(settings, tenant)
    found = [(table, saved) for table in curator.tables for saved in curator.mappings.saved(table)]
    if not as_table:
        for table, saved in found:
            mapping = json.loads(encode_mapping(saved.mapping))
            print(json.dumps({"table": table, "name": saved.name, "files": saved.files, "mapping": mapping}))
        return
    if not found:
        text_console().print(f"{tenant} has no saved mapping: `gata mapping save` saves one.")
        return
    shown = Table("table", "name", "files", "mapping", title=f"Mappings of {tenant}", title_justify="left")
    for table, saved in found:
        said = json.loads(encode_mapping(saved.mapping))
        shown.add_row(table, saved.name, saved.files, ", ".join(said))
    text_console(width=_WIDEST).print(shown, markup=False)


def show(settings: Settings, table: str, name: str, *, tenant: str) -> None:
    """Print a saved mapping as JSON, as --mapping-file reads it; raises MappingError if there is none."""
    curator = _open(settings, tenant, table)
    click.echo(encode_mapping(curator.mappings.find(table, name).mapping))


def list_presets(*, as_table: bool) -> None:
    """List the presets, with the files of each table that they are for."""
    if not as_table:
        for preset in PRESETS.values():
            files = {table: of_table.files for table, of_table in preset.tables.items()}
            print(json.dumps({"preset": preset.name, "about": preset.about, "tables": files}))
        return
    shown = Table("preset", "table", "files", "what it does")
    for preset in PRESETS.values():
        for number, (table, of_table) in enumerate(preset.tables.items()):
            shown.add_row("" if number else preset.name, table, of_table.files, of_table.about)
    text_console(width=_WIDEST).print(shown, markup=False)


def _open(settings: Settings, tenant: str, table: str) -> Curator:
    curator = open_curator(settings, tenant)
    if table not in curator.tables:
        raise click.BadParameter(f"there are {', '.join(sorted(curator.tables))}.", param_hint="TABLE")
    return curator
