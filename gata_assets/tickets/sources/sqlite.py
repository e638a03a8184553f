"""Tickets from a SQLite file: the default, which needs no database server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.tickets.arrivals.census import ticket_hash
from gata_assets.tickets.sources import base

# Rows fetched as Python objects at a time, before conversion to Arrow.
_ROWS_AT_ONCE = 20_000


class SqliteTickets(base.SqlTicketSource):
    """The `ticket` table of a SQLite file, opened read-only."""

    path: str

    has_label_sql: ClassVar[str] = (
        "closed_group_id_mapped IN (SELECT value FROM json_each('[' || TRIM(:labels, '{}') || ']'))"
    )
    # Texts as bytes, so that invalid UTF-8 does not fail.
    text_bytes_sql: ClassVar[str] = "LENGTH(CAST(processed_data AS BLOB))"
    fingerprint_sql: ClassVar[str] = (
        "ticket_fingerprint(id, closed, closed_group_id_mapped, CAST(processed_data AS BLOB))"
    )

    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """See TicketSource; one statement, hence one snapshot."""
        where, parameters = self.select(window, labels)
        sql = f"SELECT {base.TICKET_COLUMNS_SQL} FROM ticket WHERE {where} ORDER BY closed, id"
        batches = []
        with self._connect() as connection:
            cursor = connection.execute(sql, parameters)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                batches.append(base.arrow_from_columns(list(zip(*rows, strict=True))))
        return base.tickets_from_arrow(pa.Table.from_batches(batches, schema=base.TICKETS_ARROW_SCHEMA))

    def fetch(self, sql: str, parameters: base.Parameters, *, is_polling: bool = False) -> list[dict[str, Any]]:  # noqa: ARG002 (a file needs no timeout)
        """See SqlTicketSource."""
        with self._connect() as connection:
            connection.row_factory = sqlite3.Row
            connection.create_aggregate("ticket_fingerprint", 4, _Fingerprint)  # type: ignore[arg-type]
            return [dict(row) for row in connection.execute(sql, parameters)]

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
            raise SourceError(f"The ticket store {self.path} cannot be read: {_reason(error)}") from None


class _Fingerprint:
    """A group's fingerprint, as a SQLite aggregate, since SQLite's own sums overflow at 64 bits."""

    def __init__(self) -> None:
        self._total = 0

    def step(self, ticket_id: object, closed: object, label: object, text: object) -> None:
        self._total += ticket_hash(ticket_id, closed, label, text)

    def finalize(self) -> str:
        return str(self._total)


# SQLite messages that name only tables, columns and files, with advice; other messages may contain row values.
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
