"""Ticket tables that differ from the documented one: read right, or refused with all of their differences.

Real: SQLite files, a PostgreSQL server, sockets. Faked: Aurora's Data API, by the project's own server.
"""

from __future__ import annotations

import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import psycopg
import pytest

from gata_assets.errors import SourceError
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.sources.data_api import DataApiTickets
from gata_assets.tickets.sources.postgres import PostgresTickets
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets.tickets.sources.ticket_table import COLUMNS
from gata_assets_tests.support.scenario import TRAINING_WINDOW, database_rows
from gata_assets_tests.tickets.sources.conftest import SourceOf

ForeignTable = Callable[..., TicketSource]
START = TRAINING_WINDOW.start
ROW = {
    "id": 1,
    "processed_data": "a text",
    "via_channel": "email",
    "routed_by": "gata",
    "initial_group_id": None,
    "closed": START,
    "closed_group_id_mapped": 101,
}


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("data-api", marks=pytest.mark.server),
    ]
)
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ForeignTable]:
    """A source over a ticket table without constraints and enums: rows that differ from ROW, types by column, and the
    columns that it lacks.
    """
    cleared: list[str] = []

    def table(*rows: dict[str, object], lacks: tuple[str, ...] = (), **types: str) -> TicketSource:
        columns = {name: types.get(name, "integer" if "number" in kind else "text") for name, kind in COLUMNS.items()}
        columns["closed_group_id_mapped"] = types.get("closed_group_id_mapped", "bigint")
        columns = {name: kind for name, kind in columns.items() if name not in lacks}
        definition = f"CREATE TABLE ticket ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
        values = [[{**ROW, "id": number, **row}[name] for name in columns] for number, row in enumerate(rows, start=1)]
        if request.param == "sqlite":
            (tmp_path / "foreign.sqlite").unlink(missing_ok=True)
            with sqlite3.connect(tmp_path / "foreign.sqlite") as connection:
                connection.execute(definition)
                connection.executemany(f"INSERT INTO ticket VALUES ({', '.join('?' * len(columns))})", values)
            connection.close()
            return SqliteTickets(path=str(tmp_path / "foreign.sqlite"))
        url: str = request.getfixturevalue("fill_postgres")(database_rows([{}]))
        cleared.append(url)
        with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE ticket; DROP TYPE channel; DROP TYPE router; {definition}")
            cursor.executemany(f"INSERT INTO ticket VALUES ({', '.join(['%s'] * len(columns))})", values)
        if request.param == "postgresql":
            return PostgresTickets(url=url)
        source: DataApiTickets = request.getfixturevalue("data_api_source")
        return source

    yield table
    for url in cleared:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS ticket")


def test_missing_values_exclude_no_ticket(foreign: ForeignTable) -> None:
    source = foreign(
        {"routed_by": None, "processed_data": "routed by nobody known"},
        {"via_channel": None, "processed_data": "no channel"},
        {"via_channel": None, "initial_group_id": 55, "processed_data": "no channel and a group"},
        {"via_channel": "api", "initial_group_id": 55, "processed_data": "routed by its creator"},
        {"routed_by": "gata-mapped", "processed_data": "mapped"},
        {"via_channel": "api", "initial_group_id": 5, "routed_by": "gata-mapped", "processed_data": "both"},
        {"closed": None, "processed_data": "open"},
        {"closed_group_id_mapped": None, "processed_data": "no label"},
    )
    read = source.read_window(TRAINING_WINDOW)
    assert list(read.tickets["text"]) == ["routed by nobody known", "no channel", "no channel and a group", "no label"]
    assert read.counts.account().as_json() == {
        "in_window": 7,
        "kept": 4,
        "excluded": {"routed_by_api": 2, "routed_by_mapping": 1},
    }
    assert sum(day.tickets for day in source.take_census(TRAINING_WINDOW)) == 4
    assert sum(volume.tickets for volume in source.measure(TRAINING_WINDOW)) == 4


def test_an_empty_text_where_a_number_belongs_is_a_missing_number(tmp_path: Path) -> None:
    columns = ", ".join(COLUMNS)
    rows = [
        {"via_channel": "api", "initial_group_id": "", "processed_data": "api without a group"},
        {"via_channel": "api", "initial_group_id": " ", "processed_data": "api and a blank"},
        {"via_channel": "api", "initial_group_id": "0", "processed_data": "api and a zero"},
        {"via_channel": "api", "initial_group_id": "55", "processed_data": "routed"},
        {"closed": "", "processed_data": "open"},
        {"closed_group_id_mapped": "", "processed_data": "no label"},
    ]
    with sqlite3.connect(tmp_path / "imported.sqlite") as connection:
        connection.execute(f"CREATE TABLE ticket ({columns})")
        for number, row in enumerate(rows):
            values = {**ROW, "id": number, **row}
            connection.execute(f"INSERT INTO ticket VALUES ({', '.join('?' * len(COLUMNS))})", [*values.values()])
    connection.close()
    read = SqliteTickets(path=str(tmp_path / "imported.sqlite")).read_window(TRAINING_WINDOW)
    assert list(read.tickets["text"]) == ["api without a group", "api and a blank", "api and a zero", "no label"]
    assert read.tickets["label"].isna().tolist() == [False, False, False, True]
    assert read.counts.account().excluded == {"routed_by_api": 1}


def test_tickets_with_a_longer_text_are_left_out_and_counted(source_of: SourceOf) -> None:
    source = source_of(database_rows([{"text": "é" * 50}, {"text": "x" * 101}, {"text": "x" * 70_000}]))
    limited = source.model_copy(update={"largest_text": 100})
    read = limited.read_window(TRAINING_WINDOW)
    assert list(read.tickets["id"]) == [1]
    assert read.counts.account().excluded == {"too_large": 2}
    assert [volume.tickets for volume in limited.measure(TRAINING_WINDOW)] == [1]
    assert source.probe().largest_text == 70_000


def test_a_text_over_the_data_apis_limit_is_named_by_its_day_with_the_remedy(
    fill_postgres: Callable[[pd.DataFrame], str], data_api_source: DataApiTickets
) -> None:
    fill_postgres(database_rows([{"text": "small"}, {"text": "x" * 70_000, "closed": START + 86_400 * 3}]))
    with pytest.raises(SourceError, match=r"closed on 2025-10-07: a text of 70,000 bytes is over .*MAX_TICKET_BYTES="):
        data_api_source.read_window(TRAINING_WINDOW)


def test_all_missing_columns_are_named_at_once(foreign: ForeignTable) -> None:
    source = foreign(ROW, lacks=("routed_by", "closed_group_id_mapped", "initial_group_id"))
    for read in (source.probe, lambda: source.read_window(TRAINING_WINDOW)):
        with pytest.raises(SourceError, match="Table ticket lacks ") as caught:
            read()
        for name in ("routed_by (a text)", "closed_group_id_mapped (a whole number, or a name)", "initial_group_id"):
            assert name in str(caught.value)
        assert '"Your own tickets"' in str(caught.value)


@pytest.mark.server
def test_columns_of_other_types_are_named_with_what_is_needed(
    fill_postgres: Callable[[pd.DataFrame], str], data_api_source: DataApiTickets
) -> None:
    url = fill_postgres(database_rows([{}]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE ticket ALTER closed DROP DEFAULT")
        connection.execute("ALTER TABLE ticket ALTER closed TYPE timestamptz USING to_timestamp(closed)")
        connection.execute("ALTER TABLE ticket ALTER initial_group_id TYPE text USING 'none'")
    for source in (PostgresTickets(url=url), data_api_source):
        with pytest.raises(SourceError) as caught:
            source.read_window(TRAINING_WINDOW)
        assert "closed is timestamp with time zone where a whole number is needed" in str(caught.value)
        assert "initial_group_id is text (texts) where a whole number is needed" in str(caught.value)


@pytest.mark.server
def test_a_table_outside_of_the_search_path_is_said_to_be_missing(
    fill_postgres: Callable[[pd.DataFrame], str], data_api_source: DataApiTickets
) -> None:
    url = fill_postgres(database_rows([{}]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS helpdesk CASCADE; CREATE SCHEMA helpdesk")
        connection.execute("ALTER TABLE ticket SET SCHEMA helpdesk; ALTER TYPE channel SET SCHEMA helpdesk")
    try:
        for source in (PostgresTickets(url=url), data_api_source):
            with pytest.raises(SourceError, match="no table ticket that this user can see"):
                source.read_window(TRAINING_WINDOW)
        there = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dhelpdesk"
        assert len(PostgresTickets(url=there).read_window(TRAINING_WINDOW).tickets) == 1
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA helpdesk CASCADE; DROP TYPE router")


@pytest.mark.parametrize(
    ("closed", "said"),
    [
        (START * 1_000, "closed looks like milliseconds"),
        (START * 1_000_000, "closed looks like microseconds"),
        (START * 1_000_000_000, "closed looks like nanoseconds"),
        (20_251_005, "closed reaches to 1970-08-23 at most: it is not in seconds"),
    ],
)
def test_closed_in_another_unit_is_named(closed: int, said: str, foreign: ForeignTable) -> None:
    with pytest.raises(SourceError, match=said):
        foreign({"closed": closed}, closed="bigint").probe()


@pytest.mark.parametrize(
    ("closed", "said"),
    [
        ("2025-10-05 12:00:00", "closed is text (ISO 8601 instants) where a whole number is needed."),
        ("2025-10-05T12:00:00.5Z", "closed is text (ISO 8601 instants)"),
        (1_759_665_600.5, "closed is real (decimals) where a whole number is needed: CAST(closed AS bigint)."),
        ("1759665600", "closed is text (whole numbers) where a whole number is needed: CAST(closed AS bigint)."),
        (
            "1759665600000",
            "closed is text (milliseconds) where a whole number is needed: CAST(closed AS bigint) / 1000.",
        ),
        ("in October", "closed is text (texts) where a whole number is needed."),
    ],
)
def test_closed_that_is_no_whole_number_is_named(closed: object, said: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "odd.sqlite") as connection:
        connection.execute(f"CREATE TABLE ticket ({', '.join(COLUMNS)})")
        connection.execute(f"INSERT INTO ticket VALUES ({', '.join('?' * 7)})", [*{**ROW, "closed": closed}.values()])
    connection.close()
    with pytest.raises(SourceError, match=re.escape(said)):
        SqliteTickets(path=str(tmp_path / "odd.sqlite")).probe()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on loopback where connections are accepted, and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        opened, is_over = [], []

        def accept() -> None:
            while not is_over:
                try:
                    opened.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        is_over.append(True)
        thread.join()
        for connection in opened:
            connection.close()


@pytest.mark.server
@pytest.mark.slow
def test_a_server_that_accepts_and_never_answers_ends_in_an_error(silent_port: int) -> None:
    source = PostgresTickets(url=f"postgresql://u@127.0.0.1:{silent_port}/gata", connect_seconds=2)
    for read in (source.probe, lambda: source.take_census(TRAINING_WINDOW)):
        with pytest.raises(SourceError, match=r"timeout expired|did not answer within"):
            read()


@pytest.fixture
def mute_port(postgres_url: str) -> Iterator[int]:
    """A port on loopback that passes everything to PostgreSQL and back, and nothing more once tickets are counted."""
    [directory] = parse_qs(urlsplit(postgres_url).query)["host"]
    opened: list[socket.socket] = []
    is_mute = Event()

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65_536):
                if b"COUNT(*)" in content:
                    is_mute.set()
                if not is_mute.is_set():
                    target.sendall(content)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, database = server.accept()[0], socket.socket(socket.AF_UNIX)
                database.connect(f"{directory}/.s.PGSQL.5432")
                opened.extend((client, database))
                for source, target in ((client, database), (database, client)):
                    Thread(target=copy, args=(source, target), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    for connection in opened:
        connection.close()


@pytest.mark.server
@pytest.mark.slow
def test_a_server_that_falls_silent_in_the_middle_of_a_statement_ends_in_an_error(
    mute_port: int, fill_postgres: Callable[[pd.DataFrame], str]
) -> None:
    fill_postgres(database_rows([{}]))
    url = f"postgresql://postgres@127.0.0.1:{mute_port}/gata"
    with pytest.raises(SourceError, match="accepted the connection and did not answer within 6 s"):
        PostgresTickets(url=url, connect_seconds=1, statement_seconds=1).read_window(TRAINING_WINDOW)


@pytest.mark.server
@pytest.mark.slow
def test_a_statement_that_takes_too_long_ends_in_an_error(fill_postgres: Callable[[pd.DataFrame], str]) -> None:
    url = fill_postgres(database_rows([{}]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE ticket RENAME TO kept")
        connection.execute(
            "CREATE VIEW ticket AS SELECT kept.* FROM kept, LATERAL (SELECT pg_sleep(30), kept.id) AS slow"
        )
    try:
        with pytest.raises(SourceError, match=r"canceling statement due to statement timeout"):
            PostgresTickets(url=url, statement_seconds=1).read_window(TRAINING_WINDOW)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP VIEW ticket; DROP TABLE kept; DROP TYPE channel; DROP TYPE router")
