"""Tickets from a SQLite file: the default, which needs no database server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence, Set
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.ticket_contract import source as contract
from gata_assets.ticket_contract.accounting import HourlyCounts
from gata_assets.ticket_contract.census import ticket_hash
from gata_assets.tickets.sources.sql import Parameters, SqlTicketSource
from gata_assets.tickets.sources.table_layout import LABEL_COLUMN, LAST_PLAUSIBLE, TableLayoutError
from gata_assets.tickets.sources.ticket_table import COLUMNS, TYPES

# Rows fetched as Python objects at a time, before conversion to Arrow.
_ROWS_AT_ONCE = 20_000
# Types of values are looked at in as many rows.
_ROWS_SAMPLED = 1_000


class SqliteTickets(SqlTicketSource):
    """The `ticket` table of a SQLite file, opened read-only.

    A column may contain values of any type, and files imported from CSV have empty texts where numbers are missing.
    """

    path: str

    closed_sql: ClassVar[str] = "CASE WHEN TRIM(closed) <> '' THEN closed END"
    odd_closed_sql: ClassVar[str] = (
        f"TRIM(closed) <> '' AND (typeof(closed) <> 'integer' OR closed >= {LAST_PLAUSIBLE})"
    )
    label_sql: ClassVar[str] = "CASE WHEN TRIM(closed_group_id_mapped) <> '' THEN closed_group_id_mapped END"
    name_sql: ClassVar[str] = f"CAST({label_sql} AS text)"
    texts_sql: ClassVar[str] = "SELECT value FROM json_each(:texts)"
    has_label_sql: ClassVar[str] = (
        "closed_group_id_mapped IN (SELECT value FROM json_each('[' || TRIM(:labels, '{}') || ']'))"
    )
    has_group_sql: ClassVar[str] = "COALESCE(TRIM(initial_group_id), '') NOT IN ('', '0', '0.0')"
    # Texts as bytes, so that invalid UTF-8 does not fail.
    text_bytes_sql: ClassVar[str] = "LENGTH(CAST(processed_data AS BLOB))"
    is_not_normalized_sql: ClassVar[str] = (
        "CAST(processed_data AS text) GLOB '*[^a-z0-9.?! ' || char(9) || char(10) || char(11) || char(12) || char(13) "
        "|| ']*'"
    )
    fingerprint_sql: ClassVar[str] = f"ticket_fingerprint(id, closed, {name_sql}, CAST(processed_data AS BLOB))"

    def _read(self, window: Window, labels: Sequence[contract.Label] | None) -> contract.WindowRead:
        """Read tickets and counts in one transaction, hence one snapshot."""
        where, parameters = self.select(window, labels)
        batches = []
        with self._connect() as connection:
            connection.execute("BEGIN")
            [odd] = _rows_of(connection, self.odd_sql(), {})
            self.require_no_odd(**odd)
            counts = _rows_of(connection, *self.counts_sql(window))
            cursor = connection.execute(f"{self.tickets_sql(where)} ORDER BY closed, id", parameters)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                batches.append(contract.arrow_from_columns(list(zip(*rows, strict=True)), has_names=self.has_names))
        table = pa.Table.from_batches(batches, schema=contract.arrow_schema(has_names=self.has_names))
        return contract.WindowRead(
            contract.tickets_from_arrow(table, has_names=self.has_names), HourlyCounts.of(counts)
        )

    def fetch(self, sql: str, parameters: Parameters, *, is_polling: bool = False) -> list[dict[str, Any]]:  # noqa: ARG002 (a file needs no timeout)
        """See SqlTicketSource."""
        with self._connect() as connection:
            connection.create_aggregate("ticket_fingerprint", 4, _Fingerprint)  # type: ignore[arg-type]
            return _rows_of(connection, sql, parameters)

    def read_layout(self, *, is_polling: bool) -> dict[str, str]:  # noqa: ARG002 (a file needs no timeout)
        """See SqlTicketSource.

        A column of SQLite may contain values of any type: a column's type is that of its values in a sample, the right
        one if any has it. Labels are names if any is a text.
        """
        names = self._column_names()
        # SQLite would take the first of two columns of one name.
        if twice := [name for name in COLUMNS if f"{name}:1" in names]:
            raise TableLayoutError(f"{self.what} gives {', '.join(twice)} more than once.")
        given = [name for name in COLUMNS if name in names]
        # A group may be a text, whose blanks and zeros are none.
        sampled = [name for name in given if name != "initial_group_id"]
        types: dict[str, set[str]] = {name: set() for name in given}
        if not sampled:
            return dict.fromkeys(given, "")
        kinds = ", ".join(f"CASE WHEN TRIM({name}) <> '' THEN typeof({name}) END AS {name}" for name in sampled)
        sample = (
            f"SELECT DISTINCT {kinds} FROM (SELECT {', '.join(sampled)} FROM {self.relation} LIMIT {_ROWS_SAMPLED})"
        )
        for row in self.fetch(sample, {}):
            for name, kind in row.items():
                types[name].add(kind or "")
        if LABEL_COLUMN in types:
            types[LABEL_COLUMN] = self._label_types() or types[LABEL_COLUMN] - {"text"}
        return {name: _type_of(found - {""}, TYPES[COLUMNS[name]]) for name, found in types.items()}

    def _label_types(self) -> set[str]:
        """The types of closed tickets' labels: text, if they are names; raises TableLayoutError for both.

        One name would make names of all numbers, and give all labels other ids.
        """
        sql = (
            f"SELECT typeof({LABEL_COLUMN}) AS kind, COUNT(*) AS tickets FROM {self.relation} "
            f"WHERE TRIM({LABEL_COLUMN}) <> '' AND {self.closed_sql} > 0 GROUP BY 1"
        )
        counts = {row["kind"]: row["tickets"] for row in self.fetch(sql, {})}
        if len(counts) > 1 and "text" in counts:
            numbers = sum(counts.values()) - counts["text"]
            raise TableLayoutError(
                f"{self.what}: {LABEL_COLUMN} has numbers in {numbers:,} closed tickets and names in "
                f"{counts['text']:,}. Labels are one or the other: correct them, or make names of all by "
                f"CAST({LABEL_COLUMN} AS text) in TICKETS_QUERY."
            )
        return set(counts)

    def _column_names(self) -> list[str]:
        if self.query is None:
            return [row["name"].lower() for row in self.fetch("SELECT name FROM pragma_table_info('ticket')", {})]
        with self._connect() as connection:
            found = connection.execute(f"SELECT * FROM {self.relation} LIMIT 0").description
            return [column[0].lower() for column in found]

    def describe(self) -> str:
        """See SqlTicketSource."""
        return f"SQLite file {self.path}"

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        path = Path(self.path)
        if not path.is_file():
            raise SourceError(
                f"There is no ticket store {self.path}. `gata sample-data` creates one with sample tickets; set "
                "TICKETS_URL or DB_ARN to use your own database."
            )
        try:
            _recover(path)
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                yield connection
        except sqlite3.Error as error:
            kind = TableLayoutError if str(error).startswith(_OF_THE_LAYOUT) else SourceError
            raise kind(
                f"The ticket store {self.path} cannot be read: {_reason(error, has_query=self.query is not None)}"
            ) from None


def _recover(path: Path) -> None:
    """Undo what a killed writer has left half, which only a connection that may write does."""
    if not path.with_name(f"{path.name}-journal").exists():
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        connection.execute("SELECT COUNT(*) FROM sqlite_master")


def _type_of(found: Set[str], accepted: Set[str]) -> str:
    """A column's type: what it must be if any value is so, else the types of its values."""
    return min(found & accepted, default=" and ".join(sorted(found)))


def _rows_of(connection: sqlite3.Connection, sql: str, parameters: Parameters) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


class _Fingerprint:
    """A group's fingerprint, as a SQLite aggregate, since SQLite's own sums overflow at 64 bits."""

    def __init__(self) -> None:
        self._total = 0

    def step(self, ticket_id: object, closed: object, label: object, text: object) -> None:
        self._total += ticket_hash(ticket_id, closed, label, text)

    def finalize(self) -> str:
        return str(self._total)


# SQLite messages that name only tables, columns, files and parts of a query; others may contain row values.
_OF_THE_LAYOUT = ("no such table", "no such column")
_OF_A_QUERY = (*_OF_THE_LAYOUT, 'near "', "no such function", "wrong number of arguments", "incomplete input")
_ABOUT_PARAMETERS = ("Binding ", "You did not supply", "Incorrect number of bindings")
_REASONS = {
    "no such table": "It needs the documented table `ticket`.",
    "no such column": "Compare its table `ticket` with the documented one.",
    "file is not a database": "Check TICKETS_URL.",
    "unable to open database file": "Check the file's permissions.",
    "database is locked": "Another program writes to it: wait until it is done.",
}


def _reason(error: sqlite3.Error, *, has_query: bool) -> str:
    if has_query and str(error).startswith(_OF_A_QUERY):
        return f"{error}. Check TICKETS_QUERY."
    if has_query and str(error).startswith(_ABOUT_PARAMETERS):
        return "TICKETS_QUERY has a parameter (?, @name or $name): write the value itself."
    for message, advice in _REASONS.items():
        if str(error).startswith(message):
            return f"{error}. {advice}"
    if str(error).startswith("Could not decode"):
        return "a text is not valid UTF-8. Check what the table's writer stores in processed_data."
    return f"{error.sqlite_errorname if hasattr(error, 'sqlite_errorname') else type(error).__name__}."
