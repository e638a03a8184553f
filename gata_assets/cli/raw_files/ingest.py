"""`gata ingest`: lands raw files of a tenant unchanged and validates them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from gata_assets.cli.raw_files.given_files import GivenFile, find_files
from gata_assets.cli.raw_files.mapping_options import MappingOptions
from gata_assets.cli.raw_files.mappings import choose, choose_for_flat
from gata_assets.cli.raw_files.outcomes import FileOutcome, followed, open_curator, try_file
from gata_assets.curation.files.formats import FileFormat, RawFormat, printable
from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.errors import DataRuleError, RawFileError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.derived_items import derive_items
from gata_assets.settings.model import Settings


def run(
    settings: Settings,
    table: str,
    files: Sequence[str],
    *,
    tenant: str,
    file_format: str | None,
    replaces: Sequence[str],
    options: MappingOptions,
    as_table: bool,
    derives_items: bool = False,
) -> bool:
    """Land and validate files, show each, and return whether all could be read and have a valid row, if any.

    With `derives_items`, the catalog gets the items of each file that it lacks, see `derived_items`.

    `files` may name directories, whose files with a known suffix are landed, and `-` for stdin; a folder that may not
    be listed is refused, and the others land. Raises RawFileError if no file is found or a format is unknown;
    DataRuleError for a file that cannot be replaced, before anything lands.
    """
    curator = open_curator(settings, tenant, table=table)
    if table not in curator.tables:
        raise RawFileError(f"{table} is no table: there are {', '.join(sorted(curator.tables))}.")
    chosen = choose(curator, table, options)
    of_flat = choose_for_flat(curator, table)

    def mapping_of(name: str) -> MappingChoice:
        return chosen or curator.mappings.choose(table, name)

    def mapping_for(file: GivenFile) -> MappingChoice | None:
        is_flat = file.format is not None and file.format.format is not RawFormat.JSON_LINES
        has_saved = curator.mappings.choose(table, file.own_name).name is not None
        return chosen or (of_flat if is_flat and not has_saved else None)

    given = find_files(files, file_format, mapping_of)
    if replaces and (found := sum(file.refused is None for file in given)) > 1:
        raise RawFileError(f"--replaces goes with one file, and {printable(files[0])} has {found:,}.")
    # Referenced tables must contain the rows that landed before.
    curator.refresh_referenced(curator.referenced(table))
    landing = Landing(curator)
    outcomes = []
    for file in given:
        outcome = _ingest(landing, table, file, replaces, mapping_for(file))
        outcomes.append(_with_items(curator, landing, outcome) if derives_items else outcome)
        outcomes[-1].show(as_table=as_table)
    curator.refresh_referenced([table])
    return not any(outcome.has_failed for outcome in outcomes)


def _ingest(
    landing: Landing, table: str, file: GivenFile, replaces: Sequence[str], mapping: MappingChoice | None
) -> FileOutcome:
    """Land a file, and return its outcome, or that of the same content if it is known."""
    started = perf_counter()

    def land(file_format: FileFormat, show: Callable[[int], None]) -> LandedFile:
        return landing.land(
            table, file.own_name, file.source, file_format, replaces=replaces, progress=show, mapping=mapping
        )

    found = try_file(file, land)
    seconds = perf_counter() - started
    if isinstance(found, str):
        return FileOutcome(printable(file.name), refused=found, seconds=seconds)
    return FileOutcome(printable(file.name), **vars(found), seconds=seconds)


def _with_items(curator: Curator, landing: Landing, outcome: FileOutcome) -> FileOutcome:
    """The outcome of a file once the catalog has its items."""
    if outcome.report is None:
        return outcome
    started = perf_counter()
    landed = LandedFile(outcome.report, outcome.was_there, outcome.replaced_by, outcome.counting)
    try:
        with followed(outcome.name) as show:
            derived = derive_items(curator, landing, landed, show)
    except DataRuleError as error:
        return replace(outcome, refused=f"landed, and its items were not derived: {error}")
    return replace(
        outcome,
        **vars(derived.landed),
        derived_items=derived.count,
        items_file=derived.file_id,
        seconds=outcome.seconds + perf_counter() - started,
    )
