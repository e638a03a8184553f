"""Tickets from PostgreSQL, read directly into Arrow with ADBC.

There is no paging: one statement with bound parameters is as fast as the fastest alternatives, measured on 140,000
tickets of 600 characters (docs/benchmarks.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Event, Thread
from typing import Any

import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from adbc_driver_postgresql import dbapi

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.ticket_contract import source as contract
from gata_assets.ticket_contract.accounting import HourlyCounts
from gata_assets.tickets.sources.sql import Parameters, SqlTicketSource
from gata_assets.tickets.sources.sql_text import replace_parameters
from gata_assets.tickets.sources.table_layout import LAYOUT_SQL, TableLayoutError, query_layout_sql


class PostgresTickets(SqlTicketSource):
    """The `ticket` table of a PostgreSQL database, given by its libpq URL (`postgresql://…`).

    Connecting takes `connect_seconds` at most (for each host of the URL), a statement `statement_seconds`.
    """

    url: str
    connect_seconds: int = 10
    statement_seconds: int = 600

    def _read(self, window: Window, labels: Sequence[contract.Label] | None) -> contract.WindowRead:
        """Read tickets and counts in one transaction, hence one snapshot."""
        where, parameters = self.select(window, labels)
        statements = [
            (self.odd_sql(), {}),
            self.counts_sql(window),
            (f"{self.tickets_sql(where)} ORDER BY closed, id", parameters),
        ]
        odd, counts, tickets = self._query(statements, self.statement_seconds)
        self.require_no_odd(**odd.to_pylist()[0])
        rows = contract.tickets_from_arrow(tickets, has_names=self.has_names)
        return contract.WindowRead(rows, HourlyCounts.of(counts.to_pylist()))

    def fetch(self, sql: str, parameters: Parameters, *, is_polling: bool = False) -> list[dict[str, Any]]:
        """See SqlTicketSource."""
        seconds = min(self.statement_seconds, contract.CENSUS_TIMEOUT_SECONDS) if is_polling else self.statement_seconds
        rows: list[dict[str, Any]] = self._query([(sql, parameters)], seconds)[0].to_pylist()
        return rows

    def describe(self) -> str:
        """See SqlTicketSource."""
        return "PostgreSQL"

    def read_layout(self, *, is_polling: bool) -> dict[str, str]:
        """See SqlTicketSource."""
        sql = LAYOUT_SQL if self.query is None else query_layout_sql(self.relation)
        return {row["name"]: row["type"] for row in self.fetch(sql, {}, is_polling=is_polling)}

    def _query(self, statements: Sequence[tuple[str, Parameters]], seconds: int) -> list[pa.Table]:
        """Run statements in one transaction, in a thread of its own: a server that stops answering in the middle of a
        statement leaves libpq waiting, and the thread is left to the end of the process.
        """
        tables: list[pa.Table] = []
        errors: list[Exception] = []
        is_done = Event()

        def run() -> None:
            try:
                with self._cursor(seconds) as cursor:
                    for sql, parameters in statements:
                        cursor.execute(_numbered(sql, parameters), tuple(parameters.values()) or None)
                        tables.append(cursor.fetch_arrow_table())
            except Exception as error:  # noqa: BLE001 (raised again by the caller's thread)
                errors.append(error)
            finally:
                is_done.set()

        Thread(target=run, name="postgresql", daemon=True).start()
        # The server ends a statement by itself; a connection attempt tries each host in turn.
        hosts = self.url.count(",") + 1
        limit = hosts * self.connect_seconds + len(statements) * seconds + _GRACE_SECONDS
        if not is_done.wait(limit):
            raise SourceError(
                f"PostgreSQL accepted the connection and did not answer within {limit} s. {self._advice}."
            )
        for error in errors:
            if isinstance(error, AdbcError):
                kind = TableLayoutError if (error.sqlstate or "").startswith(_OF_THE_LAYOUT) else SourceError
                raise kind(f"PostgreSQL cannot be read: {_reason(error)}. {self._advice}.") from None
            raise error
        return tables

    @property
    def _advice(self) -> str:
        if self.query is None:
            return "Check TICKETS_URL, its user's rights (SELECT on ticket), and the documented table"
        return "Check TICKETS_URL, its user's rights (SELECT on what TICKETS_QUERY names), and TICKETS_QUERY"

    @contextmanager
    def _cursor(self, seconds: int) -> Iterator[dbapi.Cursor]:
        url = _with_connect_timeout(self.url, self.connect_seconds)
        with closing(dbapi.connect(url)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(f"SET statement_timeout = {seconds * 1_000}")
            yield cursor


def _numbered(sql: str, parameters: Parameters) -> str:
    """The statement with numbers for the names of its parameters: ADBC knows no names."""
    return replace_parameters(sql, {name: f"${number}" for number, name in enumerate(parameters, start=1)})


def _with_connect_timeout(url: str, seconds: int) -> str:
    """Add a connect timeout to the URL, unless it has one."""
    if "connect_timeout=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}connect_timeout={seconds}"


_GRACE_SECONDS = 2

# SQLSTATE classes whose messages name commands and database objects (tables, columns, roles), never values.
_CLASSES_WITHOUT_VALUES = ("08", "0A", "25", "28", "3D", "42", "53", "57")
# An undefined table, column, type or operator, and a type that does not fit.
_OF_THE_LAYOUT = ("42P01", "42703", "42704", "42883", "42804", "42846")

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
