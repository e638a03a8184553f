"""Ticket sources over the documented table, and over a foreign one through a query: each kind of database in turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pandas as pd
import psycopg
import pytest

from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.sources.data_api import DataApiTickets
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.sources.postgres import PostgresTickets
from gata_assets.tickets.sources.sql_text import parse_query
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.lake.written import lake_of

# The columns of the table `ticket` by other names; `ended` is an instant.
FOREIGN = {
    "id": "number",
    "processed_data": "body",
    "via_channel": "source",
    "routed_by": "router",
    "initial_group_id": "first_team",
    "closed_group_id_mapped": "team",
}
_SAME = ", ".join(f"{foreign} AS {name}" for name, foreign in FOREIGN.items())
QUERIES = {
    "postgresql": f"""
        WITH of_all AS (SELECT *, ':start'::text AS "a (note" FROM cases -- the helpdesk's :own
        )
        SELECT {_SAME}, extract(epoch FROM ended)::bigint AS closed FROM of_all; -- done;
    """,
    "sqlite": f"SELECT {_SAME}, CAST(strftime('%s', ended) AS integer) AS closed FROM cases /* ; */ ;",
}


class SourceOf(Protocol):
    """Makes a source over rows of the table `ticket`, whose labels may get names."""

    def __call__(self, rows: pd.DataFrame, names: Mapping[int, str] | None = None) -> TicketSource:
        """The source."""


def _renamed(names: Mapping[int, str]) -> str:
    quote = "'"
    cases = " ".join(f"WHEN {label} THEN '{name.replace(quote, 2 * quote)}'" for label, name in names.items())
    return f"CASE closed_group_id_mapped {cases} END"


def change_sqlite(path: Path, names: Mapping[int, str] | None, *, is_foreign: bool) -> None:
    """Give labels names, and make the table `ticket` a foreign one."""
    with sqlite3.connect(path) as connection:
        if names is not None:
            # A column of texts: in one of numbers, SQLite makes numbers of names that are digits.
            connection.execute("DROP INDEX IF EXISTS ticket_via_channel_closed_group_id_mapped_closed")
            connection.execute("ALTER TABLE ticket RENAME COLUMN closed_group_id_mapped TO numbered")
            connection.execute("ALTER TABLE ticket ADD COLUMN closed_group_id_mapped text")
            connection.execute(
                f"UPDATE ticket SET closed_group_id_mapped = "
                f"{_renamed(names).replace('CASE closed_group_id_mapped', 'CASE numbered')}"
            )
        if is_foreign:
            same = ", ".join(f"{name} AS {foreign}" for name, foreign in FOREIGN.items())
            connection.execute(
                f"CREATE TABLE cases AS SELECT {same}, strftime('%Y-%m-%dT%H:%M:%SZ', closed, 'unixepoch') AS ended "
                "FROM ticket"
            )
            connection.execute("DROP TABLE ticket")
    connection.close()


def change_postgres(url: str, names: Mapping[int, str] | None, *, is_foreign: bool) -> None:
    """Give labels names, and make the table `ticket` a foreign one."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS cases")
        if names is not None:
            connection.execute(f"ALTER TABLE ticket ALTER closed_group_id_mapped TYPE text USING {_renamed(names)}")
        if is_foreign:
            same = ", ".join(f"{name} AS {foreign}" for name, foreign in FOREIGN.items())
            connection.execute(f"CREATE TABLE cases AS SELECT {same}, to_timestamp(closed) AS ended FROM ticket")
            connection.execute("DROP TABLE ticket")


@pytest.fixture
def no_foreign_table(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no table `cases` in the PostgreSQL of the session: its enums would stay."""
    yield
    if "postgres_url" in request.fixturenames:
        with psycopg.connect(request.getfixturevalue("postgres_url"), autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS cases")


_SERVED = [(f"{kind}{how}", pytest.mark.server) for how in ("", "-query") for kind in ("postgresql", "data-api")]


_DATABASES = ["sqlite", "sqlite-query", *(pytest.param(name, marks=mark) for name, mark in _SERVED)]


@pytest.fixture(params=_DATABASES)
def database_source_of(request: pytest.FixtureRequest, tmp_path: Path, no_foreign_table: None) -> SourceOf:
    """Each kind of database in turn, which contains the given rows: its table, or a query."""
    return _source_of(request.param, request, tmp_path)


@pytest.fixture(params=["lake", *_DATABASES])
def source_of(request: pytest.FixtureRequest, tmp_path: Path, no_foreign_table: None) -> SourceOf:
    """Each kind of ticket source in turn, with the given rows: a lake, or a database."""
    return _source_of(request.param, request, tmp_path)


def _source_of(of_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> SourceOf:
    kind, is_foreign = of_kind.removesuffix("-query"), of_kind.endswith("-query")

    def source(rows: pd.DataFrame, names: Mapping[int, str] | None = None) -> TicketSource:
        if kind == "lake":
            return lake_of(tmp_path / "lake", rows, names)
        query = parse_query(QUERIES["sqlite" if kind == "sqlite" else "postgresql"]) if is_foreign else None
        if kind == "sqlite":
            create_sqlite(tmp_path / "tickets.sqlite", rows)
            change_sqlite(tmp_path / "tickets.sqlite", names, is_foreign=is_foreign)
            return SqliteTickets(path=str(tmp_path / "tickets.sqlite"), query=query)
        if is_foreign:
            # The enums of a table `cases` that an earlier call made.
            with psycopg.connect(request.getfixturevalue("postgres_url"), autocommit=True) as connection:
                connection.execute("DROP TABLE IF EXISTS cases")
        fill: Callable[[pd.DataFrame], str] = request.getfixturevalue("fill_postgres")
        url = fill(rows)
        change_postgres(url, names, is_foreign=is_foreign)
        if kind == "postgresql":
            return PostgresTickets(url=url, query=query)
        api: DataApiTickets = request.getfixturevalue("data_api_source")
        return api.model_copy(update={"query": query})

    return source
