"""`gata ingest tickets`: puts raw files of tickets into the embedded ticket store, or says how the lake reads them.

Which of the two is meant, the tenant and TICKETS_URL say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from gata_assets.cli.raw_files.given_files import GivenFile, find_files
from gata_assets.cli.raw_files.mapping_options import MappingOptions
from gata_assets.cli.raw_files.mapping_words import as_mapping
from gata_assets.cli.raw_files.outcomes import try_file
from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import FileFormat, printable
from gata_assets.curation.mappings.hints import Hints, plain
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.curation.mappings.preview import ExplainedTable
from gata_assets.errors import MappingError, SettingsError
from gata_assets.lake.flat_exports import CLOSED_AT, DESCRIPTION, FLAT, LABEL, SUBJECT, in_lake, text_mapping
from gata_assets.lake.tables import TICKETS
from gata_assets.settings.governance.erased_tickets import ticket_tombstones
from gata_assets.settings.model import Settings
from gata_assets.settings.values import SourceKind
from gata_assets.tables.mapped_table import mapped
from gata_assets.tables.raw_mapping import RawMapping, merge_mappings
from gata_assets.tables.spec import TableSpec
from gata_assets.tickets.erasure.tombstones import ErasedTickets
from gata_assets.tickets.raw_files.raw_tickets import (
    CLOSED_COLUMN,
    DECIMALS,
    LABEL_COLUMN,
    SUBJECTS,
    TEXT_COLUMN,
    known_names,
    raw_ticket_table,
    text_columns,
    with_required_columns,
)
from gata_assets.tickets.raw_files.ticket_files import IngestedTickets, ingest_ticket_file

_LAKE = "lake://"


@dataclass(frozen=True)
class TicketColumns:
    """The names that a file gives the columns of tickets, where options say so; texts are joined in their order."""

    texts: tuple[str, ...] = ()
    label: str | None = None
    closed: str | None = None

    @property
    def mapping(self) -> RawMapping:
        """What they mean for the table of tickets."""
        named = {LABEL_COLUMN: self.label, CLOSED_COLUMN: self.closed}
        columns = {column: (name,) for column, name in named.items() if name}
        texts = zip(text_columns(len(self.texts)), self.texts, strict=False)
        return RawMapping(columns={**columns, **{column: (name,) for column, name in texts}})

    @property
    def words(self) -> list[str]:
        """The words of a command that say them."""
        named = (("--label-column", self.label), ("--closed-column", self.closed))
        texts = [word for name in self.texts for word in ("--text-column", name)]
        return texts + [word for option, name in named if name for word in (option, name)]


@dataclass(frozen=True)
class _Outcome:
    """What became of a file: its rows, or why it was refused."""

    name: str
    ingested: IngestedTickets = field(default_factory=IngestedTickets)
    refused: str | None = None
    seconds: float = 0.0

    @property
    def reason(self) -> str | None:
        """Why nothing of it is in the store; continues the file's name."""
        if self.refused is None and not self.ingested.valid:
            rules = ", ".join(f"{rows:,} broke {rule}" for rule, rows in self.ingested.rejected_by_rule.items())
            erased = f"; {self.ingested.erased:,} more are of tickets that were erased" if self.ingested.erased else ""
            return f"has no valid row among its {self.ingested.rows:,}: {rules or 'it has none'}{erased}."
        return self.refused

    def show(self, store: Path, *, as_table: bool) -> None:
        """Show it, for people or as a line of JSON."""
        if as_table:
            text_console().print("\n".join(self._describe(store)), markup=False)
            return
        found = self.ingested
        print(
            json.dumps(
                {
                    "event": "FILE_REFUSED" if self.refused else "FILE_VALIDATED",
                    "file": self.name,
                    "store": str(store),
                    "rows": found.rows,
                    "valid": found.valid,
                    "new": found.new,
                    "rejected": found.rejected,
                    "rejected_by_rule": dict(found.rejected_by_rule),
                    "erased": found.erased,
                    "quarantine": str(found.quarantine) if found.quarantine else None,
                    "reason": self.reason,
                    "seconds": round(self.seconds, 3),
                }
            )
        )

    def _describe(self, store: Path) -> list[str]:
        found = self.ingested
        if self.refused:
            return [f"REFUSED {self.name} {self.refused} The store is as before."]
        lines = [f"{self.name}: {found.rows:,} rows, {found.valid:,} valid, {found.rejected:,} in quarantine"]
        if found.valid:
            lines.append(
                f"  {store}: {found.new:,} new tickets, {found.valid - found.new:,} rows in place of earlier ones"
            )
        if found.erased:
            lines.append(f"  {found.erased:,} rows of tickets that were erased were left out")
        lines += [f"  {rows:,} broke {rule}" for rule, rows in found.rejected_by_rule.items()]
        if not found.valid:
            lines.append("  NOTHING VALID: the store is as before")
        return lines + ([f"  the rejected rows: {found.quarantine}"] if found.quarantine else [])


def run(
    settings: Settings,
    files: Sequence[str],
    *,
    file_format: str | None,
    options: MappingOptions,
    columns: TicketColumns,
    as_table: bool,
) -> bool:
    """Put files into the ticket store, each as a whole, show each, and return whether all have valid rows.

    Raises SettingsError without an embedded store, PrivacyKeyError without a key that is needed, MappingError for
    options that do not fit, and RawFileError if no file is found or a format is unknown.
    """
    store = _store_of(settings)
    spec = _table_of(options, columns)
    choice = MappingChoice(spec.mapping)
    most = settings.interactions.curation_rules.max_decoded_bytes
    erased = ticket_tombstones(settings).erased(open_store(settings))
    outcomes = []
    for file in find_files(files, file_format, lambda _: choice):
        outcomes.append(_ingest(store, file, spec, most, erased))
        outcomes[-1].show(store, as_table=as_table)
    return all(outcome.reason is None for outcome in outcomes)


def lake_of(settings: Settings, tenant: str | None) -> str | None:
    """The tenant whose lake the tickets go into: the one that is named, or that of TICKETS_URL; None for the store."""
    url = settings.tickets.url.get_secret_value() if settings.tickets.url else ""
    return tenant or (url.removeprefix(_LAKE) if url.startswith(_LAKE) else None)


def lake_options(options: MappingOptions, columns: TicketColumns) -> MappingOptions:
    """The options of tickets as those of a mapping of the lake's table; raises MappingError for too many texts."""
    named = {LABEL: columns.label, CLOSED_AT: columns.closed}
    given = {**text_mapping(columns.texts, SUBJECTS), **{column: name for column, name in named.items() if name}}
    return replace(options, columns=(*options.columns, *(f"{column}={name}" for column, name in given.items())))


def lake_names(names: Iterable[str], hints: Hints) -> Hints:
    """Hints with what helpdesks call the columns, by those of the lake's table, for a file with these columns."""
    texts, known = known_names(map(plain, names))
    named = zip((SUBJECT, DESCRIPTION) if texts > 1 else (DESCRIPTION,), text_columns(texts), strict=True)
    found = {column: known[name] for column, name in named}
    others = {name: called for name, called in known.items() if name not in text_columns(texts)}
    named_in_lake = {**in_lake(RawMapping(columns=others)).columns, **found}
    return replace(hints, names={**hints.names, TICKETS: named_in_lake}, substitutes=FLAT.substitutes)


def table_to_explain(options: MappingOptions, columns: TicketColumns) -> ExplainedTable:
    """The table of tickets for `--explain`; raises MappingError for a saved mapping."""
    _table_of(options, columns)
    spec = raw_ticket_table(max(len(columns.texts), 1))
    return ExplainedTable(spec, always=DECIMALS, required_of=with_required_columns)


def proposed_table(table: ExplainedTable, names: Iterable[str], hints: Hints) -> tuple[ExplainedTable, Hints]:
    """The table for a file with columns of these names, and hints with what helpdesks call columns."""
    texts, known = known_names(map(plain, names))
    spec = raw_ticket_table(texts)
    return replace(table, spec=spec), replace(hints, names={**hints.names, spec.table: known})


def ticket_options(options: Sequence[str]) -> list[str]:
    """The words of a command for a mapping, with the options of tickets in place of --map for their columns."""
    named = {LABEL_COLUMN: "--label-column", CLOSED_COLUMN: "--closed-column"}
    found: list[str] = []
    for word in options:
        column, _, name = word.partition("=")
        if found[-1:] == ["--map"] and (column in named or column.startswith(TEXT_COLUMN)):
            found[-1:] = [named.get(column, "--text-column"), name]
        else:
            found.append(word)
    return found


def _store_of(settings: Settings) -> Path:
    match settings.tickets.source_kind:
        case SourceKind.SQLITE:
            return settings.tickets.sqlite_path
        case SourceKind.SAMPLE:
            found = "TICKETS_URL is not set"
        case SourceKind.POSTGRESQL:
            found = "TICKETS_URL names a PostgreSQL database"
        case SourceKind.DATA_API:
            found = "DB_ARN names an Aurora cluster"
        case SourceKind.LAKE:
            found = f"TICKETS_URL names the lake of {settings.tickets.lake_tenant}"
    raise SettingsError(
        f"{found}: `gata ingest tickets` fills the lake of --tenant or of TICKETS_URL=lake://TENANT, or the SQLite "
        "file of TICKETS_URL, which is created if needed. Example: TICKETS_URL=sqlite:///tickets.sqlite"
    )


def _table_of(options: MappingOptions, columns: TicketColumns) -> TableSpec:
    """The table of tickets as these files have it; raises MappingError."""
    if options.saved:
        raise MappingError("--mapping is of a tenant's tables, and these tickets have none: use --mapping-file.")
    spec = raw_ticket_table(max(len(columns.texts), 1))
    return mapped(spec, merge_mappings(merge_mappings(DECIMALS, as_mapping(options, spec)), columns.mapping))


def _ingest(store: Path, file: GivenFile, spec: TableSpec, max_decoded_bytes: int, erased: ErasedTickets) -> _Outcome:
    started = perf_counter()

    def ingest(file_format: FileFormat, show: Callable[[int], None]) -> IngestedTickets:
        return ingest_ticket_file(
            store,
            file.source,
            file_format,
            spec,
            file.own_name,
            erased=erased,
            progress=show,
            max_decoded_bytes=max_decoded_bytes,
        )

    found = try_file(file, ingest)
    seconds = perf_counter() - started
    if isinstance(found, str):
        return _Outcome(printable(file.name), refused=found, seconds=seconds)
    return _Outcome(printable(file.name), found, seconds=seconds)
