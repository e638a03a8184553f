"""Loaders that create the ticket table (`ticket_table`) and fill it with sample tickets.

In production, the PostgreSQL table also has a pgvector embedding of the text: this project does not read it, and
omitting it avoids the extension.
Reading tickets does not belong here, nor does generating them (`sandbox.sample_tickets`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from gata_assets.tickets.sources.ticket_table import CHANNELS, ROUTERS, TICKET_COLUMNS, postgres_ddl, sqlite_ddl

__all__ = ["CHANNELS", "POSTGRES_DDL", "ROUTERS", "SQLITE_DDL", "TICKET_COLUMNS", "create_sqlite", "insert_postgres"]

SQLITE_DDL, POSTGRES_DDL = sqlite_ddl(), postgres_ddl()


def create_sqlite(path: Path, tickets: pd.DataFrame) -> int:
    """Write a SQLite file with the ticket table and these tickets.

    The file is written to a temporary directory next to `path` and renamed over it, so that readers see the old file or
    the complete new one. After an error, `path` is unchanged.

    Args:
        path: The file; missing parent directories are created.
        tickets: The columns `TICKET_COLUMNS`.

    Returns:
        The number of rows.

    Raises:
        KeyError: If a column is missing.
        sqlite3.IntegrityError: If rows violate the table's constraints.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A directory rather than a file, so that SQLite's journal is removed too if writing fails.
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as directory:
        temporary = Path(directory) / path.name
        placeholders = ", ".join("?" * len(TICKET_COLUMNS))
        insert = f"INSERT INTO ticket ({', '.join(TICKET_COLUMNS)}) VALUES ({placeholders})"
        with closing(sqlite3.connect(temporary)) as connection, connection:
            connection.executescript(SQLITE_DDL)
            connection.executemany(insert, _rows(tickets))
        temporary.replace(path)
    return len(tickets)


def insert_postgres(url: str, tickets: pd.DataFrame) -> int:
    """Insert tickets into the ticket table of a PostgreSQL database, in one transaction.

    Creates the table if the search path has none. After an error, the database is unchanged.

    Returns:
        The number of rows.

    Raises:
        ModuleNotFoundError: Without the extra `local`.
        KeyError: If a column is missing.
        psycopg.Error: If the database rejects a row, for example an id that exists already.
    """
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "writing to PostgreSQL needs psycopg: pip install 'gata-assets[local]'", name=error.name
        ) from error

    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        table = cursor.execute("SELECT to_regclass('ticket')").fetchone()
        if table == (None,):
            cursor.execute(POSTGRES_DDL)
        with cursor.copy(f"COPY ticket ({', '.join(TICKET_COLUMNS)}) FROM STDIN") as copy:
            for row in _rows(tickets):
                copy.write_row(row)
    return len(tickets)


def _rows(tickets: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """The tickets as Python values: SQLite would store a NumPy integer as a blob."""
    # Nullable integers, because ids with nulls may arrive as floats, which COPY rejects for a bigint.
    typed = tickets.astype({name: "Int64" for name in TICKET_COLUMNS if "group_id" in name})
    columns = [[None if cell is pd.NA else cell for cell in typed[name].tolist()] for name in TICKET_COLUMNS]
    return zip(*columns, strict=True)
