"""The embedded ticket store, written: a SQLite file with the documented ticket table. `sources.sqlite` reads it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl

from gata_assets.errors import SettingsError, SourceError
from gata_assets.tickets.sources.ddl import SQLITE_DDL
from gata_assets.tickets.sources.ticket_table import TICKET_COLUMNS

_UPSERT = (
    f"INSERT INTO ticket ({', '.join(TICKET_COLUMNS)}) VALUES ({', '.join('?' * len(TICKET_COLUMNS))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in TICKET_COLUMNS[1:])}"
)


class StoreTransaction:
    """Rows that are in the store together, or none of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._before = self._count()

    def upsert(self, rows: pl.DataFrame) -> None:
        """Add rows of the ticket table, or replace those of the same ids."""
        self._connection.executemany(_UPSERT, rows.select(TICKET_COLUMNS).iter_rows())

    def tickets(self) -> pl.DataFrame:
        """The `id` of each ticket, and when it was `closed` in epoch seconds, 0 or null while it is open."""
        found = self._connection.execute("SELECT id, closed FROM ticket").fetchall()
        return pl.DataFrame(found, schema={"id": pl.Int64, "closed": pl.Int64}, orient="row")

    def delete(self, ids: Iterable[int]) -> None:
        """Delete tickets."""
        self._connection.executemany("DELETE FROM ticket WHERE id = ?", ((one,) for one in ids))

    def new_tickets(self) -> int:
        """How many tickets the store did not have before."""
        return self._count() - self._before

    def _count(self) -> int:
        [(tickets,)] = self._connection.execute("SELECT COUNT(*) FROM ticket")
        return int(tickets)


@contextmanager
def store_transaction(path: Path) -> Iterator[StoreTransaction]:
    """A transaction on the ticket store, which is created with the documented table if there is none.

    It is committed at the end, and after an error, or if the process is killed, the store is as before.

    Raises:
        SettingsError: The file has a table `ticket` that is not the documented one.
        SourceError: It cannot be written.
    """
    is_new = not path.exists()
    is_committed = False
    try:
        with _connected(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            _require_table(connection, path)
            yield StoreTransaction(connection)
            connection.execute("COMMIT")
            is_committed = True
    finally:
        if is_new and not is_committed and path.exists() and not path.stat().st_size:
            path.unlink()


def overwrite_freed(path: Path) -> None:
    """Rewrite the store without the bytes of rows that were deleted or replaced; raises SourceError."""
    with _connected(path) as connection:
        connection.execute("VACUUM")


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Texts of customers are for the owner, as those in quarantine.
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise SourceError(f"The ticket store {path} cannot be written: {_reason(error)}") from None
    except OSError as error:
        raise SourceError(f"The ticket store {path} cannot be written: {error.strerror}.") from None


def _require_table(connection: sqlite3.Connection, path: Path) -> None:
    found = {name: bool(key) for _, name, _, _, _, key in connection.execute("PRAGMA table_info(ticket)")}
    if not found:
        for statement in filter(str.strip, SQLITE_DDL.split(";")):
            connection.execute(statement)
        return
    if missing := [name for name in TICKET_COLUMNS if name not in found]:
        raise SettingsError(f"{_OTHER.format(path=path)} it lacks {', '.join(missing)}. {_REMEDY}")
    if [name for name, is_key in found.items() if is_key] != ["id"]:
        raise SettingsError(f"{_OTHER.format(path=path)} its primary key is not id. {_REMEDY}")


_OTHER = "TICKETS_URL: the table ticket of {path} is not one that tickets can be put into:"
_REMEDY = "Name a file of its own, which is created: TICKETS_URL=sqlite:///tickets.sqlite"


def _reason(error: sqlite3.Error) -> str:
    """What is known to contain no value, and what to do."""
    if str(error).startswith("database is locked"):
        return f"{error}. Another program writes to it: wait until it is done."
    if str(error).startswith(("disk I/O", "database or disk is full", "unable to open", "attempt")):
        return f"{error}."
    if "not a database" in str(error):
        return "it is no SQLite file. Check TICKETS_URL."
    return f"{error.sqlite_errorname if hasattr(error, 'sqlite_errorname') else type(error).__name__}."
