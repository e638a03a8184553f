"""Tickets from PostgreSQL directly: the package's ADBC statement against other ways to read the same rows.

All readers send the same statement, return the pandas frame of `TicketSource` (nullable 64-bit integers, Arrow-backed
text), and are interleaved. Not measured: a network; the server is on a Unix socket. Rows are about 600 characters.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.csv
from adbc_driver_postgresql import dbapi

from benchmarks.harness import BATCH, Goal, Result, Table, in_turns
from benchmarks.servers import postgres, postgres_version
from benchmarks.tickets import make_tickets
from gata_assets.batches import Window
from gata_assets.ticket_contract.source import TICKETS_ARROW_SCHEMA, tickets_from_arrow
from gata_assets.tickets.sources.postgres import PostgresTickets

_DAYS = 90
_GOAL_RATE = 250_000
_GOAL_OF_FASTEST = 1.5
_CURSOR_ROWS = 20_000
_OURS = "ours: ADBC, bound parameters"


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few tickets."""
    tickets, times = (5_000, 1) if quick else (140_000, 5)
    window = BATCH.training_window(_DAYS)
    tickets_table = make_tickets(window, tickets, labels=17, seed=1)
    with postgres(tickets_table) as url:
        version = postgres_version(url)
        readers = _readers(url, window)
        expected = readers[_OURS]()
        for name, read in readers.items():
            if not _is_same(read(), expected):
                raise RuntimeError(f"{name} does not return the same rows")
        seconds = in_turns(readers, times=times)
    rates = {name: len(expected) / taken for name, taken in seconds.items()}
    fastest = max(rates, key=lambda name: rates[name])
    behind = rates[fastest] / rates[_OURS]
    return Result(
        what=(
            f"{len(expected):,} tickets of about 600 characters, PostgreSQL {version} on a Unix socket, one statement "
            "(training tickets closed in the window, ordered by closed and id) to the pandas frame of `TicketSource`, "
            f"compared for equality; median of {times}, readers interleaved after one unmeasured round."
        ),
        says=(
            f"One ADBC statement reads {rates[_OURS]:,.0f} tickets/s; the fastest is `{fastest}` with "
            f"{rates[fastest]:,.0f}, {behind:.2f} times ours."
        ),
        tables=[
            Table(
                "To the same frame:",
                ["reader", "seconds", "tickets/s", "rate / ours"],
                [[name, seconds[name], rates[name], rates[name] / rates[_OURS]] for name in readers],
            )
        ],
        goals=[
            Goal(
                f"at least {_GOAL_RATE:,} tickets/s, or within {_GOAL_OF_FASTEST} times of the fastest",
                f"{rates[_OURS]:,.0f} tickets/s, fastest / ours {behind:.2f}",
                rates[_OURS] >= _GOAL_RATE or behind <= _GOAL_OF_FASTEST,
            )
        ],
    )


def _readers(url: str, window: Window) -> dict[str, Callable[[], pd.DataFrame]]:
    source = PostgresTickets(url=url)
    where = f"closed >= {window.start} AND closed < {window.end} AND ({source.reason_sql()}) IS NULL"
    sql = f"{source.tickets_sql(where)} ORDER BY closed, id"
    return {
        _OURS: lambda: source.read_tickets(window),
        "ADBC, literals in the SQL": lambda: _read_with_adbc(url, sql),
        "psycopg, server-side cursor": lambda: _read_with_cursor(url, sql),
        "psycopg, COPY binary to Python rows": lambda: _read_with_copy_binary(url, sql),
        "psycopg, COPY CSV to pyarrow.csv": lambda: _read_with_copy_csv(url, sql),
    }


def _read_with_adbc(url: str, sql: str) -> pd.DataFrame:
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return tickets_from_arrow(cursor.fetch_arrow_table())


def _read_with_cursor(url: str, sql: str) -> pd.DataFrame:
    batches = []
    with psycopg.connect(url) as connection, connection.cursor("tickets", binary=True) as cursor:
        cursor.execute(sql.encode())
        while rows := cursor.fetchmany(_CURSOR_ROWS):
            batches.append(_as_arrow(rows))
    return tickets_from_arrow(pa.Table.from_batches(batches, schema=TICKETS_ARROW_SCHEMA))


def _read_with_copy_binary(url: str, sql: str) -> pd.DataFrame:
    statement = f"COPY ({sql}) TO STDOUT (FORMAT binary)".encode()
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["int4", "int4", "int8", "text"])
        rows = list(copy.rows())
    return tickets_from_arrow(pa.Table.from_batches([_as_arrow(rows)], schema=TICKETS_ARROW_SCHEMA))


def _read_with_copy_csv(url: str, sql: str) -> pd.DataFrame:
    received = BytesIO()
    statement = f"COPY ({sql}) TO STDOUT (FORMAT csv)".encode()
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for data in copy:
            received.write(data)
    received.seek(0)
    table = pyarrow.csv.read_csv(
        received,
        read_options=pyarrow.csv.ReadOptions(column_names=TICKETS_ARROW_SCHEMA.names),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={field.name: field.type for field in TICKETS_ARROW_SCHEMA}
        ),
    )
    return tickets_from_arrow(table)


def _as_arrow(rows: list[tuple[object, ...]]) -> pa.RecordBatch:
    columns = [
        pa.array(column, type=field.type)
        for column, field in zip(zip(*rows, strict=True), TICKETS_ARROW_SCHEMA, strict=True)
    ]
    return pa.record_batch(columns, schema=TICKETS_ARROW_SCHEMA)


def _is_same(read: pd.DataFrame, expected: pd.DataFrame) -> bool:
    return bool((read.dtypes == expected.dtypes).all()) and read.equals(expected)
