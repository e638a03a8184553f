"""Tickets from a SQLite file: the default, which needs no database server."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.tickets.arrivals.census import DayCensus, ticket_hash
from gata_assets.tickets.sources.base import (
    COLUMNS_READ,
    DAY_SQL,
    TICKET_COLUMNS_SQL,
    TICKETS_ARROW_SCHEMA,
    TRAINING_FILTER_SQL,
    VOLUME_SQL,
    LabelVolume,
    SourceReport,
    TicketSource,
    arrow_from_columns,
    tickets_from_arrow,
)

# Rows fetched as Python objects at a time, before conversion to Arrow.
_ROWS_AT_ONCE = 20_000

_IN_WINDOW = f"closed >= :start AND closed < :end AND {TRAINING_FILTER_SQL}"
_VOLUME_SQL = VOLUME_SQL.format(text_bytes="LENGTH(CAST(processed_data AS BLOB))")
_OF_LABELS = " AND closed_group_id_mapped IN (SELECT value FROM json_each(:labels))"


def _where(window: Window, labels: Sequence[int] | None) -> tuple[str, dict[str, object]]:
    parameters: dict[str, object] = {"start": window.start, "end": window.end}
    if labels is None:
        return _IN_WINDOW, parameters
    return _IN_WINDOW + _OF_LABELS, {**parameters, "labels": json.dumps([int(label) for label in labels])}


class SqliteTickets(TicketSource):
    """The `ticket` table of a SQLite file, opened read-only."""

    path: str

    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """See TicketSource; one statement, hence one snapshot."""
        where, parameters = _where(window, labels)
        sql = f"SELECT {TICKET_COLUMNS_SQL} FROM ticket WHERE {where} ORDER BY closed, id"
        batches = []
        with self._connect() as connection:
            cursor = connection.execute(sql, parameters)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                batches.append(arrow_from_columns(list(zip(*rows, strict=True))))
        return tickets_from_arrow(pa.Table.from_batches(batches, schema=TICKETS_ARROW_SCHEMA))

    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """See TicketSource; one statement. Texts are hashed as bytes, so that invalid UTF-8 does not fail."""
        sql = (
            f"SELECT {DAY_SQL}, COUNT(*), "
            "ticket_fingerprint(id, closed, closed_group_id_mapped, CAST(processed_data AS BLOB)) "
            f"FROM ticket WHERE {_IN_WINDOW} GROUP BY 1 ORDER BY 1"
        )
        with self._connect() as connection:
            connection.create_aggregate("ticket_fingerprint", 4, _Fingerprint)  # type: ignore[arg-type]
            rows = connection.execute(sql, {"start": window.start, "end": window.end}).fetchall()
        return tuple(DayCensus(*row) for row in rows)

    def measure(self, window: Window, labels: Sequence[int] | None = None) -> tuple[LabelVolume, ...]:
        """See TicketSource."""
        where, parameters = _where(window, labels)
        sql = f"SELECT {_VOLUME_SQL} FROM ticket WHERE {where} GROUP BY 1 ORDER BY 1"
        with self._connect() as connection:
            return tuple(LabelVolume(*row) for row in connection.execute(sql, parameters))

    def probe(self) -> SourceReport:
        """See TicketSource."""
        with self._connect() as connection:
            connection.execute(f"SELECT {', '.join(COLUMNS_READ)} FROM ticket LIMIT 1").fetchall()
            row = connection.execute("SELECT count(*), min(closed), max(closed) FROM ticket WHERE closed > 0")
            count, first, last = row.fetchone()
        return SourceReport(f"SQLite file {self.path}", count, first, last)

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
