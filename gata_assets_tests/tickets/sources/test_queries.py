"""A query in place of the ticket table: what it may leave out, what it must give, and that it only reads.

Real: SQLite files, a PostgreSQL server, boto3 over HTTP. Faked: Aurora's Data API, by the project's own server.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from gata_assets.errors import SourceError
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.sources.data_api import DataApiTickets
from gata_assets.tickets.sources.postgres import PostgresTickets
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.data_api import FaultyDataApi
from gata_assets_tests.support.scenario import TRAINING_WINDOW, database_rows

Asked = Callable[[str], TicketSource]
START = TRAINING_WINDOW.start
FOUR = f"SELECT 7 AS id, 'a text' AS processed_data, {START} AS closed, 101 AS closed_group_id_mapped"
SECRET = canary("a value of a query")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("data-api", marks=pytest.mark.server),
    ]
)
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> Asked:
    """Each kind of source in turn, over a database without tickets, with the given query."""

    def source(query: str) -> TicketSource:
        if request.param == "sqlite":
            sqlite3.connect(tmp_path / "empty.sqlite").executescript("CREATE TABLE other (a)").connection.close()
            return SqliteTickets(path=str(tmp_path / "empty.sqlite"), query=query)
        if request.param == "postgresql":
            return PostgresTickets(url=request.getfixturevalue("postgres_url"), query=query)
        api: DataApiTickets = request.getfixturevalue("data_api_source")
        return api.model_copy(update={"query": query})

    return source


def test_columns_that_only_exclude_may_be_left_out(asked: Asked) -> None:
    source = asked(FOUR)
    read = source.read_window(TRAINING_WINDOW)
    assert read.tickets.to_dict("records") == [{"id": 7, "closed": START, "label": 101, "text": "a text"}]
    assert read.counts.account().as_json() == {"in_window": 1, "kept": 1, "excluded": {}}
    assert [day.tickets for day in source.take_census(TRAINING_WINDOW)] == [1]
    assert source.probe().absent_columns == ("via_channel", "routed_by", "initial_group_id")


@pytest.mark.parametrize(
    ("given", "excluded"),
    [
        ("'api' AS via_channel", {}),
        ("'api' AS via_channel, 5 AS initial_group_id", {"routed_by_api": 1}),
        ("'gata-mapped' AS routed_by", {"routed_by_mapping": 1}),
    ],
)
def test_a_ticket_is_excluded_by_the_columns_that_are_there(given: str, excluded: dict[str, int], asked: Asked) -> None:
    account = asked(f"{FOUR}, {given}").read_window(TRAINING_WINDOW).counts.account()
    assert (account.in_window, account.excluded) == (1, excluded)


def test_a_size_limit_holds_without_any_other_reason(asked: Asked) -> None:
    source = asked(FOUR).model_copy(update={"largest_text": 5})
    assert source.read_window(TRAINING_WINDOW).counts.account().excluded == {"too_large": 1}


def test_all_missing_and_mistyped_columns_of_a_query_are_named_at_once(asked: Asked) -> None:
    source = asked(f"SELECT 1 AS id, 2 AS processed_data, '{SECRET}' AS closed, 1 AS Other")
    for read in (
        source.probe,
        lambda: source.read_window(TRAINING_WINDOW),
        lambda: source.take_census(TRAINING_WINDOW),
    ):
        with pytest.raises(SourceError, match="TICKETS_QUERY lacks closed_group_id_mapped") as caught:
            read()
        message = str(caught.value)
        assert (
            "processed_data is integer (whole numbers) where a text is needed: CAST(processed_data AS text)" in message
        )
        assert "closed is text (texts) where a whole number is needed" in message
        assert "via_channel" not in message
        assert SECRET not in message


def test_closed_in_another_unit_is_named_beside_a_missing_column(asked: Asked) -> None:
    source = asked(f"SELECT 1 AS id, 'a' AS processed_data, {START * 1_000} AS closed")
    with pytest.raises(SourceError, match=r"lacks closed_group_id_mapped .*has a closed that looks like milliseconds"):
        source.probe()


def test_a_column_that_is_given_twice_is_refused(asked: Asked) -> None:
    with pytest.raises(SourceError, match=r'"closed" is ambiguous|TICKETS_QUERY gives closed more than once'):
        asked(f"{FOUR}, 5 AS closed").read_window(TRAINING_WINDOW)


@pytest.mark.parametrize(
    "query", ["SELECT * FROM nowhere_at_all", "SELECT id FROM (SELECT 1 AS a) AS b", "SELECT FROM WHERE"]
)
def test_a_query_that_the_database_refuses_is_explained_by_what_it_says(query: str, asked: Asked) -> None:
    with pytest.raises(
        SourceError, match=r"nowhere_at_all|no such column: id|column \"id\"|syntax error|near \"FROM\""
    ):
        asked(query).probe()


def test_an_empty_query_has_its_types_all_the_same(asked: Asked) -> None:
    source = asked(f"SELECT * FROM ({FOUR}) AS t WHERE id = 0")
    assert source.read_window(TRAINING_WINDOW).tickets.empty
    assert source.probe().closed_tickets == 0


def test_parameters_of_sqlite_are_refused(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "t.sqlite").executescript("CREATE TABLE other (a)").connection.close()
    for parameter in ("?", "@other", "$other"):
        source = SqliteTickets(path=str(tmp_path / "t.sqlite"), query=f"{FOUR} WHERE {parameter} = 1")
        with pytest.raises(SourceError, match="TICKETS_QUERY has a parameter"):
            source.probe()


WRITES = {
    "a function that writes": f"{FOUR} WHERE nextval('numbers') > 0",
    "a statement within": f"WITH gone AS (DELETE FROM kept RETURNING 1) {FOUR}",
    "a lock": f"{FOUR} FROM kept FOR UPDATE",
}


@pytest.fixture
def kept(postgres_url: str) -> Iterator[Callable[[], list[tuple[object, ...]]]]:
    """A table with a row and a sequence; gives what they contain."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (a integer); INSERT INTO kept VALUES (1); CREATE SEQUENCE numbers")
        yield lambda: connection.execute(
            "SELECT (SELECT count(*) FROM kept), last_value, is_called FROM numbers"
        ).fetchall()
        connection.execute("DROP TABLE kept; DROP SEQUENCE numbers")


@pytest.mark.server
@pytest.mark.parametrize("kind", WRITES)
def test_a_query_that_would_write_is_refused_by_postgresql(
    kind: str, kept: Callable[[], list[tuple[object, ...]]], postgres_url: str
) -> None:
    before = kept()
    with pytest.raises(SourceError, match=r"read-only transaction|must be at the top level"):
        PostgresTickets(url=postgres_url, query=WRITES[kind]).read_window(TRAINING_WINDOW)
    assert kept() == before


@pytest.mark.server
def test_a_statement_within_a_query_is_refused_through_the_data_api(
    kept: Callable[[], list[tuple[object, ...]]], data_api_source: DataApiTickets
) -> None:
    before = kept()
    source = data_api_source.model_copy(update={"query": WRITES["a statement within"]})
    with pytest.raises(SourceError, match="must be at the top level"):
        source.read_window(TRAINING_WINDOW)
    assert kept() == before


def test_a_query_cannot_write_to_a_file(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "t.sqlite").executescript("CREATE TABLE kept (a)").connection.close()
    before = (tmp_path / "t.sqlite").read_bytes()
    for query in ("DELETE FROM kept RETURNING 1 AS id", "WITH a AS (SELECT 1) DELETE FROM kept RETURNING 1 AS id"):
        with pytest.raises(SourceError, match="syntax error"):
            SqliteTickets(path=str(tmp_path / "t.sqlite"), query=query).probe()
    assert (tmp_path / "t.sqlite").read_bytes() == before


@pytest.mark.server
def test_pages_of_a_query_are_those_of_its_rows(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Callable[[pd.DataFrame], str]
) -> None:
    rows = [{"closed": START + 60 * (n // 7), "text": f"{n} " + "x" * 600, "label": n % 5} for n in range(4_000)]
    url = fill_postgres(database_rows(rows))
    query = (
        "SELECT id + 10 AS id, upper(processed_data) AS processed_data, closed, closed_group_id_mapped FROM ticket "
        "WHERE closed_group_id_mapped <> 3"
    )
    read = data_api_source.model_copy(update={"query": query}).read_window(TRAINING_WINDOW)
    assert sum("LIMIT :most" in call.sql for call in data_api.calls) > 2
    expected = PostgresTickets(url=url, query=query).read_window(TRAINING_WINDOW)
    pd.testing.assert_frame_equal(read.tickets, expected.tickets)
    assert read.counts.account() == expected.counts.account()
    assert read.counts.account().as_json() == {"in_window": 3_200, "kept": 3_200, "excluded": {}}


@pytest.mark.server
def test_rows_of_a_query_that_repeat_an_id_are_an_error(
    data_api_source: DataApiTickets, fill_postgres: Callable[[pd.DataFrame], str]
) -> None:
    rows = [{"closed": START, "text": f"{n} " + "x" * 600} for n in range(2_000)]
    fill_postgres(database_rows(rows))
    query = "SELECT 1 AS id, processed_data, closed, closed_group_id_mapped FROM ticket"
    with pytest.raises(SourceError, match="ids are missing or not unique"):
        data_api_source.model_copy(update={"query": query}).read_window(TRAINING_WINDOW)


@pytest.mark.server
def test_types_of_a_query_are_those_of_its_domains_and_enums(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DOMAIN number_of AS bigint; CREATE TYPE team_of AS ENUM ('Billing')")
    query = (
        f"SELECT CAST(7 AS number_of) AS id, 'a' AS processed_data, {START} AS closed, CAST('Billing' AS team_of) AS "
    )
    source = PostgresTickets(url=postgres_url, query=f"{query} closed_group_id_mapped")
    try:
        assert list(source.read_tickets(TRAINING_WINDOW)["label"]) == ["Billing"]
        wrong = PostgresTickets(url=postgres_url, query="SELECT now() AS closed, 1.5 AS id, ARRAY[1] AS processed_data")
        with pytest.raises(
            SourceError, match=re.escape("processed_data is integer[] where a text is needed")
        ) as caught:
            wrong.probe()
        assert "id is numeric (decimals) where a whole number is needed: CAST(id AS bigint)" in str(caught.value)
        expected = "closed is timestamp with time zone where a whole number is needed: CAST(EXTRACT(EPOCH FROM closed)"
        assert expected in str(caught.value)
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP DOMAIN number_of; DROP TYPE team_of")
