"""PostgreSQL behind the local Data API: a connection pool, and single statements within the service's limits.

Opening, resetting and canceling connections, streaming results, size limits, and mapping database errors to AWS errors
belong here; translation of SQL and values (`sql`), HTTP and faults (`server`) do not.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

import psycopg
from psycopg import generators, pq
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.string import TextLoader

from gata_assets.sandbox.data_api import sql
from gata_assets.sandbox.data_api.sql import Bound, Column, DataApiError, bad_request

RESPONSE_LIMIT_BYTES = 1024 * 1024
ROW_LIMIT_BYTES = 64 * 1024

# Chunks of 64, 256 and 1000 rows take the same time (11 ms per 0.86 MB); 64 needs the least memory.
_CHUNK_ROWS = 64

_CONNECT_SECONDS = 10
_STATEMENT_CANCELLED = "57014"
_COPY = (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)

# The session settings that json_column relies on: every type as PostgreSQL's text output in a fixed format.
_SESSION = (
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c bytea_output=hex -c extra_float_digits=1"
    " -c standard_conforming_strings=on"
)
_AS_TEXT = AdaptersMap()
_AS_TEXT.register_loader(sql.UNSPECIFIED, TextLoader)


@dataclass(frozen=True)
class Outcome:
    """A statement's result: columns (None if it returns no rows), rows as a JSON array, and the update count."""

    columns: list[Column] | None
    rows_json: str
    updated: int

    def as_body(self, *, as_json: bool, with_metadata: bool) -> bytes:
        """The body of an Execute response."""
        # Assembled as text, because the rows are JSON text already and may be 1 MiB.
        members = ['"generatedFields":[]', f'"numberOfRecordsUpdated":{self.updated}']
        if self.columns is not None and as_json:
            members.append(f'"formattedRecords":{encode_basestring(self.rows_json)}')
        elif self.columns is not None:
            members.append(f'"records":{self.rows_json}')
            if with_metadata:
                members.append(f'"columnMetadata":{json.dumps([c.metadata() for c in self.columns])}')
        return ("{" + ",".join(members) + "}").encode()


class Postgres:
    """Runs statements on a PostgreSQL server, each in its own transaction; thread-safe."""

    def __init__(self, postgres_url: str) -> None:
        self._url = postgres_url
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, int], list[psycopg.Connection[Any]]] = {}
        self._busy: set[psycopg.Connection[Any]] = set()
        self._types: dict[str, dict[int, tuple[str, str]]] = {}
        self._closed = False

    def run(
        self, database: str, statement: str, parameters: Sequence[Bound], *, as_json: bool, timeout_seconds: float
    ) -> Outcome:
        """Run and commit a statement; raises DataApiError if the database rejects it or a size limit is exceeded."""
        encoded = sql.encode_text(statement)
        connection = self._acquire(database, timeout_seconds)
        try:
            return self._run(connection, database, encoded, parameters, as_json)
        except psycopg.OperationalError as error:
            raise _connection_lost() from error
        finally:
            self._release(connection, (database, round(timeout_seconds * 1000)))

    def close(self) -> None:
        """Close the idle connections and cancel the statements of the others, which close afterwards."""
        with self._lock:
            self._closed = True
            idle = [connection for pool in self._idle.values() for connection in pool]
            self._idle.clear()
            # Under the lock, because a busy connection is closed only after it has left this set.
            for connection in self._busy:
                connection.pgconn.get_cancel().cancel()
        for connection in idle:
            connection.close()

    def _acquire(self, database: str, timeout_seconds: float) -> psycopg.Connection[Any]:
        milliseconds = round(timeout_seconds * 1000)
        with self._lock:
            if self._closed:
                raise DataApiError("ServiceUnavailableError", "The server is stopping")
            pool = self._idle.setdefault((database, milliseconds), [])
            connection = pool.pop() if pool else None
            if connection is not None:
                self._busy.add(connection)
                return connection
        options = conninfo_to_dict(self._url).get("options") or ""
        conninfo = make_conninfo(
            self._url,
            dbname=database,
            client_encoding="utf8",
            options=f"{options} {_SESSION} -c statement_timeout={milliseconds}",
            # Of a host that accepts connections and never answers; as the service, before the client's own 50 s.
            connect_timeout=conninfo_to_dict(self._url).get("connect_timeout") or _CONNECT_SECONDS,
        )
        try:
            connection = psycopg.connect(conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            raise _connection_error(error) from error
        with self._lock:
            self._busy.add(connection)
        return connection

    def _release(self, connection: psycopg.Connection[Any], key: tuple[str, int]) -> None:
        # A SET, a temporary table or a lock must not reach the next call; costs 0.1 ms.
        clean = connection.pgconn.transaction_status == pq.TransactionStatus.IDLE and (
            connection.pgconn.exec_(b"DISCARD ALL").status == pq.ExecStatus.COMMAND_OK
        )
        with self._lock:
            self._busy.discard(connection)
            keep = clean and not self._closed
            if keep:
                self._idle.setdefault(key, []).append(connection)
        if not keep:
            connection.close()

    def _run(
        self,
        connection: psycopg.Connection[Any],
        database: str,
        statement: bytes,
        parameters: Sequence[Bound],
        as_json: bool,
    ) -> Outcome:
        pgconn = connection.pgconn
        columns: list[Column] | None = None
        parts: list[str] = []
        size = len("[]")
        updated = 0
        # libpq itself instead of a psycopg cursor: Cursor.stream() refuses statements without rows, and
        # Cursor.execute() takes the whole result into memory before it can be measured.
        pgconn.send_query_params(statement, [p.value for p in parameters], [p.oid for p in parameters])
        pgconn.set_chunked_rows_mode(_CHUNK_ROWS)
        connection.wait(generators.send(pgconn))
        try:
            for result in _results(connection):
                if result.status == pq.ExecStatus.COMMAND_OK:
                    updated = result.command_tuples or 0
                elif result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.TUPLES_CHUNK):
                    if columns is None:
                        columns = self._columns(database, result)
                    rows = _rows_as_json(result, columns, as_json)
                    if rows:
                        part = ",".join(rows)
                        size += _utf8_length(part) + bool(parts)
                        if size > RESPONSE_LIMIT_BYTES:
                            raise bad_request("Database returned more than the allowed response size limit")
                        parts.append(part)
        finally:
            _end(connection)
        if pgconn.transaction_status != pq.TransactionStatus.IDLE:
            raise bad_request("Transactions are not supported here: the statement left one open")
        return Outcome(columns, "[" + ",".join(parts) + "]", updated)

    def _columns(self, database: str, result: pq.abc.PGresult) -> list[Column]:
        columns = []
        for index in range(result.nfields):
            label, oid = (result.fname(index) or b"").decode(), result.ftype(index)
            name, category = self._type(database, oid)
            if category == "A":
                raise DataApiError("UnsupportedResultException", f"Array columns are not supported here: {label}")
            columns.append(Column(label, oid, name))
        return columns

    def _type(self, database: str, oid: int) -> tuple[str, str]:
        # One catalog query per database, repeated for a type created later. The current connection is still sending
        # rows, so this uses another.
        if oid not in self._types.get(database, {}):
            connection = self._acquire(database, 0)
            try:
                rows = connection.execute("SELECT oid::int8, typname, typcategory::text FROM pg_type").fetchall()
            finally:
                self._release(connection, (database, 0))
            self._types[database] = {oid: (name, category) for oid, name, category in rows}
        return self._types[database][oid]


def _next_result(connection: psycopg.Connection[Any]) -> pq.abc.PGresult | None:
    # get_result alone would keep the GIL while the database works: a pg_sleep(30) then stops every thread.
    result: pq.abc.PGresult | None = connection.wait(generators.fetch(connection.pgconn))
    return result


def _results(connection: psycopg.Connection[Any]) -> Iterator[pq.abc.PGresult]:
    while (result := _next_result(connection)) is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = _statement_error(connection.pgconn, result)
            while _next_result(connection) is not None:
                pass
            raise error
        if result.status in _COPY:
            raise bad_request("COPY is not supported here")
        yield result


def _end(connection: psycopg.Connection[Any]) -> None:
    # Results over a limit are canceled, not read. A COPY never ends by itself: its connection stays active and is
    # therefore not reused.
    if connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
        connection.pgconn.get_cancel().cancel()
        while (result := _next_result(connection)) is not None and result.status not in _COPY:
            pass


def _rows_as_json(result: pq.abc.PGresult, columns: Sequence[Column], as_json: bool) -> list[str]:
    transformer = Transformer(_AS_TEXT)
    transformer.set_pgresult(result)
    texts: list[tuple[str | None, ...]] = transformer.load_rows(0, result.ntuples, tuple)
    rows = sql.json_rows(columns, texts) if as_json else sql.field_rows(columns, texts)
    for row in rows:
        # A character is at most four bytes, so nearly every row is done with one len().
        if len(row) > ROW_LIMIT_BYTES // 4 and _utf8_length(row) > ROW_LIMIT_BYTES:
            raise bad_request("Database returned more than the allowed row size limit")
    return rows


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _connection_lost() -> DataApiError:
    return DataApiError("DatabaseUnavailableException", "The connection to PostgreSQL was lost")


def _statement_error(pgconn: pq.abc.PGconn, result: pq.abc.PGresult) -> DataApiError:
    code = result.error_field(pq.DiagnosticField.SQLSTATE)
    if code is None:
        return _connection_lost()
    message = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
    text = f"ERROR: {message}; SQLState: {code.decode()}"
    if code.decode() == _STATEMENT_CANCELLED:
        return DataApiError("StatementTimeoutException", text, {"dbConnectionId": pgconn.backend_pid})
    return bad_request(text)


def _connection_error(error: psycopg.OperationalError) -> DataApiError:
    # libpq gives no SQLSTATE here, and puts the address before the server's message, which starts at FATAL.
    _, found, message = str(error).partition("FATAL:")
    if not found:
        return DataApiError("DatabaseUnavailableException", "PostgreSQL is not reachable")
    return bad_request(f"FATAL: {message.strip().splitlines()[0]}")
