"""The contract that every ticket source meets: a lake, SQLite, PostgreSQL, and Aurora through the RDS Data API.

Real: a SQLite file, a PostgreSQL server, boto3 over HTTP. Faked: Aurora's Data API, by the project's own server over
that PostgreSQL.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.sandbox.sample_tickets import generate_tickets
from gata_assets.tables.outcomes import broken
from gata_assets.tickets.checks import check_table
from gata_assets.tickets.schema import tickets_schema
from gata_assets.tickets.sources.data_api import DataApiTickets
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.sources.postgres import PostgresTickets
from gata_assets.tickets.sources.sql import SqlTicketSource
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.lake.written import lake_of
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.scenario import TRAINING_WINDOW, database_rows
from gata_assets_tests.tickets.sources.conftest import SourceOf

SECRET = canary("a value")

EMPTY_WINDOW = Window(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC))


def test_exactly_the_tickets_that_train_are_read(source_of: SourceOf) -> None:
    source = source_of(
        database_rows(
            [
                {"text": "by mail"},
                {"via_channel": "api", "initial_group_id": 55, "text": "api routed by its creator"},
                {"via_channel": "api", "initial_group_id": 0, "text": "api group 0"},
                {"via_channel": "api", "initial_group_id": None, "text": "api no group"},
                {"via_channel": "web", "initial_group_id": 55, "text": "web with a group"},
                {"routed_by": "gata-mapped", "text": "mapped by the router"},
                {"routed_by": "external", "text": "routed elsewhere"},
                {"closed": 0, "closed_group_id": None, "closed_group_id_mapped": None, "text": "open"},
            ]
        )
    )
    read = source.read_tickets(TRAINING_WINDOW)
    assert list(read["text"]) == ["by mail", "api group 0", "api no group", "web with a group", "routed elsewhere"]


def test_a_window_includes_its_first_second_and_not_its_end(source_of: SourceOf) -> None:
    start, end = TRAINING_WINDOW.start, TRAINING_WINDOW.end
    source = source_of(database_rows([{"closed": at} for at in (start - 1, start, end - 1, end)]))
    assert list(source.read_tickets(TRAINING_WINDOW)["closed"]) == [start, end - 1]


def test_rows_come_in_the_order_of_closed_and_id_with_the_types_of_the_schema(source_of: SourceOf) -> None:
    start = TRAINING_WINDOW.start
    source = source_of(
        database_rows([{"id": 9, "closed": start + 5}, {"id": 2, "closed": start + 5}, {"id": 30, "closed": start}])
    )
    read = source.read_tickets(TRAINING_WINDOW)
    assert list(read["id"]) == [30, 2, 9]
    assert broken(check_table(tickets_schema(TRAINING_WINDOW), read)) == []


def test_labels_select_and_no_label_selects_nothing(source_of: SourceOf) -> None:
    source = source_of(database_rows([{"label": label} for label in (101, 2**40, 103, 2**40, None)]))
    assert list(source.read_tickets(TRAINING_WINDOW, [2**40, 103, 999])["label"]) == [2**40, 103, 2**40]
    nothing = source.read_tickets(TRAINING_WINDOW, [])
    assert nothing.empty
    assert broken(check_table(tickets_schema(TRAINING_WINDOW), nothing)) == []


def test_a_missing_label_is_left_to_the_checks(source_of: SourceOf) -> None:
    read = source_of(database_rows([{"label": None}, {"label": 101}])).read_tickets(TRAINING_WINDOW)
    assert [outcome.rule for outcome in check_table(tickets_schema(TRAINING_WINDOW), read)] == ["label not_nullable"]


def test_a_window_without_tickets_gives_an_empty_table_of_the_right_types(source_of: SourceOf) -> None:
    read = source_of(database_rows([{}])).read_tickets(EMPTY_WINDOW)
    assert read.empty
    assert broken(check_table(tickets_schema(EMPTY_WINDOW), read)) == []


def test_thousands_of_tickets_closed_in_one_second_are_each_read_once(source_of: SourceOf) -> None:
    rows = [{"closed": TRAINING_WINDOW.start + 7, "text": f"bulk {n} " + "word " * 100} for n in range(5_000)]
    read = source_of(database_rows(rows)).read_tickets(TRAINING_WINDOW)
    assert list(read["id"]) == list(range(1, 5_001))


def test_texts_come_back_as_they_are(source_of: SourceOf) -> None:
    texts = ["a" * 60_000, 'quotes " and \\ and \n', "umlaute äöü €", ":name $1 %s ?", " "]
    read = source_of(database_rows([{"text": text} for text in texts])).read_tickets(TRAINING_WINDOW)
    assert list(read["text"]) == texts


def test_tickets_are_found_by_who_asked_and_read_by_their_ids(source_of: SourceOf) -> None:
    rows = [{"routed_by": "external"}, {"text": "not theirs"}, {"routed_by": "external", "closed": 0, "text": "open"}]
    source = source_of(database_rows(rows))
    if not isinstance(source, SqlTicketSource):
        return
    assert source.find_tickets(["external"]) is None
    asked = source.model_copy(update={"requester_column": "routed_by"})
    assert asked.find_tickets(["external", "nobody", "' OR '1'='1"]) == {1, 3}
    assert asked.find_tickets(["External", "' OR '1'='1"]) == frozenset()
    read = [(row["id"], row["closed"], row["label"], row["text"]) for row in asked.read_by_id([3, 1, 9])]
    assert read == [(1, TRAINING_WINDOW.start + 60, 101, "ticket number 1"), (3, 0, 101, "open")]
    with pytest.raises(SourceError, match="no_such_column"):
        source.model_copy(update={"requester_column": "no_such_column"}).find_tickets(["external"])


def test_a_probe_counts_closed_tickets_and_reports_their_span(source_of: SourceOf) -> None:
    start = TRAINING_WINDOW.start
    report = source_of(database_rows([{"closed": start}, {"closed": start + 60}, {"closed": 0}])).probe()
    assert (report.closed_tickets, report.first_closed, report.last_closed) == (2, start, start + 60)


def test_a_missing_table_is_an_error_that_names_it(
    database_source_of: SourceOf, request: pytest.FixtureRequest
) -> None:
    source = database_source_of(database_rows([{}]))
    assert isinstance(source, SqlTicketSource)
    table = "cases" if source.query else "ticket"
    if isinstance(source, SqliteTickets):
        with sqlite3.connect(source.path) as connection:
            connection.execute(f"DROP TABLE {table}")
        connection.close()
    else:
        with psycopg.connect(request.getfixturevalue("postgres_url"), autocommit=True) as connection:
            connection.execute(f"DROP TABLE {table}")
    with pytest.raises(SourceError, match=table):
        source.read_tickets(TRAINING_WINDOW)
    with pytest.raises(SourceError, match=table):
        source.probe()


def test_a_missing_file_is_an_error_that_says_how_to_create_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="`gata sample-data` creates one"):
        SqliteTickets(path=str(tmp_path / "none.sqlite")).read_tickets(TRAINING_WINDOW)


def test_a_file_that_is_no_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "no.sqlite").write_text("not a database, not at all " * 100)
    with pytest.raises(SourceError, match=r"no\.sqlite cannot be read: file is not a database"):
        SqliteTickets(path=str(tmp_path / "no.sqlite")).probe()


def sqlite_with(path: Path, *changes: dict[str, str]) -> SqliteTickets:
    """A file without types and constraints, with a row per argument: what is changed, as SQL."""
    fine = {
        "processed_data": "'fine'",
        "via_channel": "'email'",
        "routed_by": "'gata'",
        "initial_group_id": "NULL",
        "closed": str(TRAINING_WINDOW.start),
        "closed_group_id_mapped": "101",
    }
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE ticket (id, {', '.join(fine)})")
        for number, changed in enumerate(changes):
            values = {"id": str(number), **fine, **changed}
            connection.execute(f"INSERT INTO ticket VALUES ({', '.join(values.values())})")
    connection.close()
    return SqliteTickets(path=str(path))


@pytest.mark.parametrize(
    ("column", "value", "alone", "beside_others"),
    [
        ("id", f"'{SECRET}'", "id is text (texts) where a whole number is needed", "contain str; three integers"),
        ("closed_group_id_mapped", "101.5", "closed_group_id_mapped is real (decimals)", "contain float"),
        ("processed_data", "x'707269766174650a'", "processed_data is blob where a text is needed", "contain bytes"),
        ("processed_data", "CAST(x'7072697661746580' AS TEXT)", *["a text is not valid UTF-8"] * 2),
    ],
)
def test_values_of_another_type_are_an_error_without_the_value(
    column: str, value: str, alone: str, beside_others: str, tmp_path: Path
) -> None:
    odd = {column: value}
    for name, rows, why in (("alone", [odd], alone), ("beside", [{}, odd], beside_others)):
        with pytest.raises(SourceError, match=re.escape(why)) as caught:
            sqlite_with(tmp_path / f"{name}.sqlite", *rows).read_tickets(TRAINING_WINDOW)
        assert SECRET not in str(caught.value)


def test_a_locked_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "tickets.sqlite", database_rows([{}]))
    with sqlite3.connect(tmp_path / "tickets.sqlite") as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match=r"database is locked\. Another program writes to it"):
            SqliteTickets(path=str(tmp_path / "tickets.sqlite")).probe()
    writer.close()


def test_an_unreachable_postgresql_is_an_error_without_the_password() -> None:
    with pytest.raises(SourceError, match="PostgreSQL cannot be read") as caught:
        PostgresTickets(url=f"postgresql://reader:{SECRET}@127.0.0.1:9/gata").probe()
    assert SECRET not in str(caught.value)


def test_a_message_of_postgresql_with_a_value_is_not_repeated(fill_postgres: Callable[[pd.DataFrame], str]) -> None:
    url = fill_postgres(database_rows([{}]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE ticket")
        connection.execute(
            f"CREATE VIEW ticket AS SELECT 1 AS id, '{SECRET}' AS processed_data, 'email' AS via_channel, "
            f"'gata' AS routed_by, 0 AS initial_group_id, CAST(lower('{SECRET.upper()}') AS integer) AS closed, "
            "1 AS closed_group_id_mapped FROM pg_class"
        )
    try:
        with pytest.raises(SourceError, match="SQLSTATE 22P02") as caught:
            PostgresTickets(url=url).read_tickets(TRAINING_WINDOW)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP VIEW ticket")
    assert SECRET not in str(caught.value).lower()


def test_every_source_reads_the_same_rows(
    tmp_path: Path, fill_postgres: Callable[[pd.DataFrame], str], data_api_source: DataApiTickets
) -> None:
    rows = generate_tickets(datetime(2025, 12, 1).date(), datetime(2026, 1, 1).date(), tickets_per_day=60)
    create_sqlite(tmp_path / "tickets.sqlite", rows)
    embedded = SqliteTickets(path=str(tmp_path / "tickets.sqlite")).read_tickets(TRAINING_WINDOW)
    postgres = PostgresTickets(url=fill_postgres(rows)).read_tickets(TRAINING_WINDOW)
    api = data_api_source.read_tickets(TRAINING_WINDOW)
    lake = lake_of(tmp_path / "lake", rows).read_tickets(TRAINING_WINDOW)
    assert len(embedded) > 1_000
    pd.testing.assert_frame_equal(embedded, lake)
    pd.testing.assert_frame_equal(embedded, postgres)
    pd.testing.assert_frame_equal(embedded, api)


def test_a_census_counts_the_days_that_have_tickets_which_train(source_of: SourceOf) -> None:
    start, day = TRAINING_WINDOW.start, 86_400
    source = source_of(
        database_rows(
            [
                {"closed": start},
                {"closed": start + 5},
                {"closed": start + 9, "routed_by": "gata-mapped"},
                {"closed": start + 3 * day},
                {"closed": TRAINING_WINDOW.end},
                {"closed": 0},
            ]
        )
    )
    census = source.take_census(TRAINING_WINDOW)
    assert [(one.day, one.tickets) for one in census] == [(start // day, 2), (start // day + 3, 1)]
    assert source.take_census(EMPTY_WINDOW) == ()


CHANGED = {
    "another text": {"text": "other"},
    "another label": {"label": 102},
    "no label": {"label": None},
    "another second": {"closed": TRAINING_WINDOW.start + 7},
    "another id": {"id": 77},
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_fingerprint_follows_all_that_is_prepared_and_nothing_else(change: str, source_of: SourceOf) -> None:
    rows: list[dict[str, object]] = [{"id": n, "closed": TRAINING_WINDOW.start + n, "text": f"t {n}"} for n in (1, 2)]
    before = source_of(database_rows(rows)).take_census(TRAINING_WINDOW)
    otherwise = [{**row, "probability": 0.9, "initial_group_id": 5} for row in reversed(rows)]
    assert source_of(database_rows(otherwise)).take_census(TRAINING_WINDOW) == before
    changed = source_of(database_rows([{**rows[0], **CHANGED[change]}, rows[1]])).take_census(TRAINING_WINDOW)
    assert [one.tickets for one in changed] == [2]
    assert changed != before


def test_every_source_takes_the_same_census(
    tmp_path: Path, fill_postgres: Callable[[pd.DataFrame], str], data_api_source: DataApiTickets
) -> None:
    rows = generate_tickets(datetime(2025, 12, 1).date(), datetime(2026, 1, 1).date(), tickets_per_day=60)
    odd = [{"text": 'quotes " and \\ and \n', "label": None}, {"text": "umlaute äöü €"}, {"text": " ", "label": 2**40}]
    rows = pd.concat([rows, database_rows([{**row, "id": 900_000 + n} for n, row in enumerate(odd)])])
    create_sqlite(tmp_path / "tickets.sqlite", rows)
    embedded = SqliteTickets(path=str(tmp_path / "tickets.sqlite")).take_census(TRAINING_WINDOW)
    postgres = PostgresTickets(url=fill_postgres(rows)).take_census(TRAINING_WINDOW)
    api = data_api_source.take_census(TRAINING_WINDOW)
    lake = lake_of(tmp_path / "lake", rows).take_census(TRAINING_WINDOW)
    assert len(embedded) > 30
    assert embedded == postgres == api == lake
