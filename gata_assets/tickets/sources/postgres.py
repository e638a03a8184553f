"""Tickets from PostgreSQL, read directly into Arrow with ADBC.

There is no paging: one statement with bound parameters is as fast as the fastest alternatives, measured on 140,000
tickets of 600 characters (docs/benchmarks.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import pandas as pd
from adbc_driver_manager import Error as AdbcError
from adbc_driver_manager.dbapi import Connection
from adbc_driver_postgresql import dbapi

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.tickets.arrivals.census import DayCensus
from gata_assets.tickets.sources.base import (
    CENSUS_TIMEOUT_SECONDS,
    COLUMNS_READ,
    DAY_SQL,
    FINGERPRINT_SQL,
    TICKET_COLUMNS_SQL,
    TRAINING_FILTER_SQL,
    VOLUME_SQL,
    LabelVolume,
    SourceReport,
    TicketSource,
    tickets_from_arrow,
)

_IN_WINDOW = f"closed >= $1 AND closed < $2 AND {TRAINING_FILTER_SQL}"
_VOLUME_SQL = VOLUME_SQL.format(text_bytes="OCTET_LENGTH(processed_data)")
_OF_LABELS = " AND closed_group_id_mapped = ANY (CAST($3 AS bigint[]))"


def _where(window: Window, labels: Sequence[int] | None) -> tuple[str, tuple[int | str, ...]]:
    if labels is None:
        return _IN_WINDOW, (window.start, window.end)
    return _IN_WINDOW + _OF_LABELS, (window.start, window.end, as_array(labels))


class PostgresTickets(TicketSource):
    """The `ticket` table of a PostgreSQL database, given by its libpq URL (`postgresql://…`)."""

    url: str

    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """See TicketSource; one statement, hence one snapshot."""
        where, parameters = _where(window, labels)
        sql = f"SELECT {TICKET_COLUMNS_SQL} FROM ticket WHERE {where} ORDER BY closed, id"
        with self._connect() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(sql, parameters)
            return tickets_from_arrow(cursor.fetch_arrow_table())

    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """See TicketSource; one statement, which the server ends at its timeout."""
        sql = (
            f"SELECT {DAY_SQL} AS day, COUNT(*) AS tickets, {FINGERPRINT_SQL} AS fingerprint "
            f"FROM ticket WHERE {_IN_WINDOW} GROUP BY 1 ORDER BY 1"
        )
        with self._connect(_with_connect_timeout(self.url)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"SET statement_timeout = {CENSUS_TIMEOUT_SECONDS * 1_000}")
            cursor.execute(sql, (window.start, window.end))
            return tuple(DayCensus(*row) for row in cursor.fetchall())

    def measure(self, window: Window, labels: Sequence[int] | None = None) -> tuple[LabelVolume, ...]:
        """See TicketSource."""
        where, parameters = _where(window, labels)
        sql = f"SELECT {_VOLUME_SQL} FROM ticket WHERE {where} GROUP BY 1 ORDER BY 1"
        with self._connect() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(sql, parameters)
            return tuple(LabelVolume(*row) for row in cursor.fetchall())

    def probe(self) -> SourceReport:
        """See TicketSource."""
        with self._connect() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"SELECT {', '.join(COLUMNS_READ)} FROM ticket LIMIT 1")
            cursor.fetchall()
            cursor.execute("SELECT count(*), min(closed), max(closed) FROM ticket WHERE closed > 0")
            [(count, first, last)] = cursor.fetchall()
        return SourceReport("PostgreSQL", count, first, last)

    @contextmanager
    def _connect(self, url: str | None = None) -> Iterator[Connection]:
        try:
            with closing(dbapi.connect(url or self.url)) as connection:
                yield connection
        except AdbcError as error:
            raise SourceError(f"PostgreSQL cannot be read: {_reason(error)}. {_ADVICE}") from None


def _with_connect_timeout(url: str) -> str:
    """Add a connect timeout to the URL, unless it has one."""
    if "connect_timeout=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}connect_timeout={_CONNECT_TIMEOUT_SECONDS}"


_CONNECT_TIMEOUT_SECONDS = 10
_ADVICE = "Check TICKETS_URL, its user's rights (SELECT on ticket), and the documented table"

# SQLSTATE classes whose messages name database objects (tables, columns, roles), never values.
_CLASSES_WITHOUT_VALUES = ("08", "28", "3D", "42", "53", "57")


# libpq's message after a connection attempt. Its message about a malformed URL may contain part of a password.
_NO_CONNECTION = re.compile(r"connection to server .*? failed: (.*)", re.DOTALL)


def _reason(error: AdbcError) -> str:
    """The message of the server or libpq, if it can contain neither row values nor a password."""
    message = " ".join(str(error).split()).split(" Query was:")[0]
    if error.sqlstate:
        if error.sqlstate.startswith(_CLASSES_WITHOUT_VALUES):
            return message
        return f"SQLSTATE {error.sqlstate}"
    attempt = _NO_CONNECTION.search(message)
    return f"no connection: {attempt[1]}" if attempt else "no connection: the URL or the server's name is invalid"


def as_array(labels: Sequence[int]) -> str:
    """Format labels as a PostgreSQL array literal, to bind them as one parameter."""
    return "{" + ",".join(str(int(label)) for label in labels) + "}"
