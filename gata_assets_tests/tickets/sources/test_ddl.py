"""The ticket table: what the loaders write can be read back, and invalid rows are rejected.

Real: SQLite files and a PostgreSQL server (fixture `postgres_url`), in a schema of this module's own, so that
a table `ticket` of other tests is neither seen nor touched. Faked: psycopg's absence, by hiding the module.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from datetime import date
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from gata_assets.sandbox.sample_tickets import generate_tickets
from gata_assets.tickets.sources.ddl import (
    CHANNELS,
    ROUTERS,
    SQLITE_DDL,
    TICKET_COLUMNS,
    create_sqlite,
    insert_postgres,
)

SELECT = f"SELECT {', '.join(TICKET_COLUMNS)} FROM ticket ORDER BY id"


@pytest.fixture(scope="module")
def tickets() -> pd.DataFrame:
    return generate_tickets(date(2025, 12, 1), date(2025, 12, 31))


@pytest.fixture
def empty_schema_url(postgres_url: str) -> str:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS ticket_table_test CASCADE")
        connection.execute("CREATE SCHEMA ticket_table_test")
    return make_conninfo(postgres_url, options="-c search_path=ticket_table_test")


def as_plain_rows(tickets: pd.DataFrame) -> list[tuple[object, ...]]:
    rows = tickets.itertuples(index=False, name=None)
    return [tuple(None if cell is pd.NA else cell for cell in row) for row in rows]


def rows_of_sqlite(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(SELECT).fetchall()


def with_cell(tickets: pd.DataFrame, column: str, value: object) -> pd.DataFrame:
    changed = tickets.head(3).copy()
    changed[column] = [*changed[column].tolist()[:2], value]
    return changed


def test_a_sqlite_file_contains_every_ticket_as_generated(tmp_path: Path, tickets: pd.DataFrame) -> None:
    path = tmp_path / "sample.sqlite"
    assert create_sqlite(path, tickets) == len(tickets) > 1000
    assert rows_of_sqlite(path) == as_plain_rows(tickets)


def test_sqlite_stores_integers_and_nulls_as_such(tmp_path: Path, tickets: pd.DataFrame) -> None:
    create_sqlite(tmp_path / "sample.sqlite", tickets)
    with closing(sqlite3.connect(tmp_path / "sample.sqlite")) as connection:
        types = {
            name: {row[0] for row in connection.execute(f"SELECT DISTINCT typeof({name}) FROM ticket")}
            for name in TICKET_COLUMNS
        }
    assert types["id"] == types["created"] == types["closed"] == {"integer"}
    assert types["initial_group_id"] == types["closed_group_id_mapped"] == {"integer", "null"}
    assert types["probability"] == {"real"}


def test_missing_parent_directories_are_created(tmp_path: Path, tickets: pd.DataFrame) -> None:
    path = tmp_path / "a" / "b" / "sample.sqlite"
    create_sqlite(path, tickets.head(3))
    assert len(rows_of_sqlite(path)) == 3


def test_an_existing_file_is_replaced_and_nothing_is_left_beside_it(
    tmp_path: Path,
    tickets: pd.DataFrame,
) -> None:
    path = tmp_path / "sample.sqlite"
    create_sqlite(path, tickets)
    create_sqlite(path, tickets.head(2))
    assert rows_of_sqlite(path) == as_plain_rows(tickets.head(2))
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_of_the_old_file_keeps_reading_the_old_tickets(
    tmp_path: Path,
    tickets: pd.DataFrame,
) -> None:
    path = tmp_path / "sample.sqlite"
    create_sqlite(path, tickets)
    with closing(sqlite3.connect(path)) as reader:
        cursor = reader.execute(SELECT)
        first = cursor.fetchone()
        create_sqlite(path, tickets.head(2))
        assert [first, *cursor.fetchall()] == as_plain_rows(tickets)


@pytest.mark.parametrize(
    ("column", "value"),
    [("via_channel", "pigeon"), ("routed_by", "nobody"), ("probability", 1.5), ("processed_data", None)],
)
def test_a_row_that_sqlite_refuses_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, tickets: pd.DataFrame, column: str, value: object
) -> None:
    path = tmp_path / "sample.sqlite"
    create_sqlite(path, tickets)
    with pytest.raises(sqlite3.IntegrityError, match="constraint failed"):
        create_sqlite(path, with_cell(tickets, column, value))
    assert len(rows_of_sqlite(path)) == len(tickets)
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_column_is_named(tmp_path: Path, tickets: pd.DataFrame) -> None:
    with pytest.raises(KeyError, match="routed_by"):
        create_sqlite(tmp_path / "sample.sqlite", tickets.drop(columns="routed_by"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("via_channel = 'api' AND closed >= 5", "ticket_via_channel_closed"),
        (
            "via_channel = 'api' AND closed_group_id_mapped = 5 AND closed >= 5",
            "ticket_via_channel_label_closed",
        ),
        ("id = 5", "PRIMARY KEY"),
    ],
)
def test_sqlite_looks_tickets_up_by_index(condition: str, index: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SQLITE_DDL)
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT * FROM ticket WHERE {condition}").fetchall()
    assert index in plan[0][-1]


def test_postgresql_contains_every_ticket_as_generated(empty_schema_url: str, tickets: pd.DataFrame) -> None:
    assert insert_postgres(empty_schema_url, tickets) == len(tickets)
    with psycopg.connect(empty_schema_url) as connection:
        rows = connection.execute(SELECT).fetchall()
    assert rows == as_plain_rows(tickets)


def test_tickets_are_added_to_a_postgresql_table_that_exists(
    empty_schema_url: str,
    tickets: pd.DataFrame,
) -> None:
    assert insert_postgres(empty_schema_url, tickets.head(5)) == 5
    assert insert_postgres(empty_schema_url, tickets.iloc[5:12]) == 7
    with psycopg.connect(empty_schema_url) as connection:
        assert connection.execute(SELECT).fetchall() == as_plain_rows(tickets.head(12))


def test_group_ids_that_arrive_as_floats_are_written_as_integers(
    empty_schema_url: str,
    tickets: pd.DataFrame,
) -> None:
    floats = tickets.astype({name: "float64" for name in TICKET_COLUMNS if "group_id" in name})
    insert_postgres(empty_schema_url, floats)
    with psycopg.connect(empty_schema_url) as connection:
        assert connection.execute(SELECT).fetchall() == as_plain_rows(tickets)


def test_an_id_that_exists_already_adds_nothing_to_postgresql(
    empty_schema_url: str,
    tickets: pd.DataFrame,
) -> None:
    insert_postgres(empty_schema_url, tickets.head(5))
    with pytest.raises(psycopg.errors.UniqueViolation):
        insert_postgres(empty_schema_url, tickets.iloc[4:20])
    with psycopg.connect(empty_schema_url) as connection:
        assert connection.execute("SELECT count(*) FROM ticket").fetchone() == (5,)


@pytest.mark.parametrize(
    ("column", "value"),
    [("via_channel", "pigeon"), ("routed_by", "nobody"), ("probability", 1.5), ("processed_data", None)],
)
def test_a_row_that_postgresql_refuses_makes_not_even_the_table(
    empty_schema_url: str, tickets: pd.DataFrame, column: str, value: object
) -> None:
    with pytest.raises((psycopg.errors.DataError, psycopg.errors.IntegrityError)):
        insert_postgres(empty_schema_url, with_cell(tickets, column, value))
    with psycopg.connect(empty_schema_url) as connection:
        assert connection.execute("SELECT to_regclass('ticket')").fetchone() == (None,)


def test_postgresql_has_the_documented_types_and_indexes(
    empty_schema_url: str,
    tickets: pd.DataFrame,
) -> None:
    insert_postgres(empty_schema_url, tickets.head(1))
    with psycopg.connect(empty_schema_url) as connection:
        columns = connection.execute(
            "SELECT column_name, udt_name, is_nullable FROM information_schema.columns "
            "WHERE table_name = 'ticket' AND table_schema = 'ticket_table_test' ORDER BY ordinal_position"
        ).fetchall()
        indexes = connection.execute(
            "SELECT split_part(indexdef, ' USING btree ', 2) FROM pg_indexes "
            "WHERE tablename = 'ticket' AND schemaname = 'ticket_table_test'"
        ).fetchall()
        channels = connection.execute("SELECT unnest(enum_range(NULL::channel))::text").fetchall()
        routers = connection.execute("SELECT unnest(enum_range(NULL::router))::text").fetchall()
    assert columns == [
        ("id", "int4", "NO"),
        ("processed_data", "text", "NO"),
        ("via_channel", "channel", "NO"),
        ("probability", "float4", "NO"),
        ("routed_by", "router", "NO"),
        ("created", "int4", "NO"),
        ("initial_group_id", "int8", "YES"),
        ("initial_group_id_mapped", "int8", "YES"),
        ("closed", "int4", "YES"),
        ("closed_group_id", "int8", "YES"),
        ("closed_group_id_mapped", "int8", "YES"),
    ]
    assert {row[0] for row in indexes} == {
        "(id)",
        "(via_channel, closed)",
        "(via_channel, closed_group_id_mapped, closed)",
    }
    assert [row[0] for row in channels] == list(CHANNELS)
    assert [row[0] for row in routers] == list(ROUTERS)


def test_without_psycopg_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
    tickets: pd.DataFrame,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ModuleNotFoundError, match=r"gata-assets\[local\]"):
        insert_postgres("postgresql://nowhere.invalid/none", tickets)
