"""Tickets from PostgreSQL, read directly into Arrow with ADBC.

There is no paging: one statement with bound parameters is as fast as the fastest alternatives, measured on 140,000
tickets of 600 characters (docs/benchmarks.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pandas as pd
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from adbc_driver_postgresql import dbapi

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.tickets.sources import base


class PostgresTickets(base.SqlTicketSource):
    """The `ticket` table of a PostgreSQL database, given by its libpq URL (`postgresql://…`)."""

    url: str

    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """See TicketSource; one statement, hence one snapshot."""
        where, parameters = self.select(window, labels)
        sql = f"SELECT {base.TICKET_COLUMNS_SQL} FROM ticket WHERE {where} ORDER BY closed, id"
        return base.tickets_from_arrow(self._query(sql, parameters))

    def fetch(self, sql: str, parameters: base.Parameters, *, is_polling: bool = False) -> list[dict[str, Any]]:
        """See SqlTicketSource."""
        rows: list[dict[str, Any]] = self._query(sql, parameters, is_polling=is_polling).to_pylist()
        return rows

    def describe(self) -> str:
        """See SqlTicketSource."""
        return "PostgreSQL"

    def _query(self, sql: str, parameters: base.Parameters, *, is_polling: bool = False) -> pa.Table:
        # ADBC knows parameters by their numbers alone.
        for number, name in enumerate(parameters, start=1):
            sql = sql.replace(f":{name}", f"${number}")
        url = _with_connect_timeout(self.url) if is_polling else self.url
        try:
            with closing(dbapi.connect(url)) as connection, closing(connection.cursor()) as cursor:
                if is_polling:
                    cursor.execute(f"SET statement_timeout = {base.CENSUS_TIMEOUT_SECONDS * 1_000}")
                cursor.execute(sql, tuple(parameters.values()) or None)
                return cursor.fetch_arrow_table()
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
