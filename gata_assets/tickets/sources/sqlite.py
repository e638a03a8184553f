"""Tickets from a SQLite file: the default, which needs no database server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.tickets.accounting import HourlyCounts
from gata_assets.tickets.arrivals.census import ticket_hash
from gata_assets.tickets.sources import base
from gata_assets.tickets.sources.sql import Parameters, SqlTicketSource
from gata_assets.tickets.sources.table_layout import LAST_PLAUSIBLE, TableLayoutError, require_no_odd

# Rows fetched as Python objects at a time, before conversion to Arrow.
_ROWS_AT_ONCE = 20_000


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
    has_label_sql: ClassVar[str] = (
        "closed_group_id_mapped IN (SELECT value FROM json_each('[' || TRIM(:labels, '{}') || ']'))"
    )
    has_group_sql: ClassVar[str] = "COALESCE(TRIM(initial_group_id), '') NOT IN ('', '0', '0.0')"
    # Texts as bytes, so that invalid UTF-8 does not fail.
    text_bytes_sql: ClassVar[str] = "LENGTH(CAST(processed_data AS BLOB))"
    fingerprint_sql: ClassVar[str] = (
        "ticket_fingerprint(id, closed, closed_group_id_mapped, CAST(processed_data AS BLOB))"
    )

    def _read(self, window: Window, labels: Sequence[int] | None) -> base.WindowRead:
        """Read tickets and counts in one transaction, hence one snapshot."""
        where, parameters = self.select(window, labels)
        batches = []
        with self._connect() as connection:
            connection.execute("BEGIN")
            [odd] = _rows_of(connection, self.odd_sql(), {})
            require_no_odd(odd["odd"], odd["greatest"])
            counts = _rows_of(connection, *self.counts_sql(window))
            cursor = connection.execute(f"{self.tickets_sql(where)} ORDER BY closed, id", parameters)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                batches.append(base.arrow_from_columns(list(zip(*rows, strict=True))))
        table = pa.Table.from_batches(batches, schema=base.TICKETS_ARROW_SCHEMA)
        return base.WindowRead(base.tickets_from_arrow(table), HourlyCounts.of(counts))

    def fetch(self, sql: str, parameters: Parameters, *, is_polling: bool = False) -> list[dict[str, Any]]:  # noqa: ARG002 (a file needs no timeout)
        """See SqlTicketSource."""
        with self._connect() as connection:
            connection.create_aggregate("ticket_fingerprint", 4, _Fingerprint)  # type: ignore[arg-type]
            return _rows_of(connection, sql, parameters)

    def read_layout(self) -> dict[str, str]:
        """See SqlTicketSource; without types, since a column of SQLite may contain values of any."""
        return {row["name"]: "" for row in self.fetch("SELECT name FROM pragma_table_info('ticket')", {})}

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
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                yield connection
        except sqlite3.Error as error:
            kind = TableLayoutError if str(error).startswith(_OF_THE_LAYOUT) else SourceError
            raise kind(f"The ticket store {self.path} cannot be read: {_reason(error)}") from None


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


# SQLite messages that name only tables, columns and files, with advice; other messages may contain row values.
_OF_THE_LAYOUT = ("no such table", "no such column")
_REASONS = {
    "no such table": "It needs the documented table `ticket`.",
    "no such column": "Compare its table `ticket` with the documented one.",
    "file is not a database": "Check TICKETS_URL.",
    "unable to open database file": "Check the file's permissions.",
    "database is locked": "Another program writes to it: wait until it is done.",
}


def _reason(error: sqlite3.Error) -> str:
    for message, advice in _REASONS.items():
        if str(error).startswith(message):
            return f"{error}. {advice}"
    if str(error).startswith("Could not decode"):
        return "a text is not valid UTF-8. Check what the table's writer stores in processed_data."
    return f"{error.sqlite_errorname if hasattr(error, 'sqlite_errorname') else type(error).__name__}."
