"""Reading through the RDS Data API: pages, verification, waiting and retrying.

Real: PostgreSQL, boto3, HTTP. Faked: Aurora's Data API, by the project's own server, which also injects faults and
changes rows while a client pages.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.errors import DatabaseStillResumingError, SourceError
from gata_assets.ticket_contract.source import TICKETS_ARROW_SCHEMA
from gata_assets.tickets.sources.data_api import DataApiTickets, _Reading
from gata_assets.tickets.sources.data_api_client import DataApiClient, ResponseTooLargeError, read_database_name
from gata_assets.tickets.sources.data_api_pages import (
    DayCount,
    PagePlan,
    by_day,
    end_key,
    fingerprint,
    runs_of_days,
)
from gata_assets.tickets.sources.postgres import PostgresTickets
from gata_assets_tests.conftest import REGION
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.data_api import FaultyDataApi
from gata_assets_tests.support.scenario import TRAINING_WINDOW, database_rows

Fill = Callable[[pd.DataFrame], str]
DAY = 86_400
ONE_MEBIBYTE = 1_048_576


def tickets_over_days(count: int, *, days: int = 40, text_bytes: int = 600) -> pd.DataFrame:
    """Tickets spread evenly over the first days of the training window."""
    step = days * DAY // count
    return database_rows(
        [
            {"closed": TRAINING_WINDOW.start + n * step, "text": f"{n} " + "x" * text_bytes, "label": 100 + n % 7}
            for n in range(count)
        ]
    )


@pytest.fixture
def client(data_api: FaultyDataApi) -> DataApiClient:
    """A client that retries after a hundredth of a second."""
    return client_of(data_api, read_timeout_seconds=60)


def client_of(data_api: FaultyDataApi, read_timeout_seconds: float) -> DataApiClient:
    config = Config(read_timeout=read_timeout_seconds, retries={"total_max_attempts": 1})
    return DataApiClient(
        client=boto3.client("rds-data", config=config),
        cluster_arn=data_api.resource_arn,
        secret_arn=data_api.secret_arn,
        database=data_api.database,
        sleep=lambda _: time.sleep(0.01),
    )


def test_pages_fill_the_limit_and_never_pass_it(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    url = fill_postgres(tickets_over_days(6_000))
    read = data_api_source.read_tickets(TRAINING_WINDOW)
    pd.testing.assert_frame_equal(read, PostgresTickets(url=url).read_tickets(TRAINING_WINDOW))
    assert [call.error for call in data_api.calls if call.error] == []
    pages = [call.response_bytes for call in data_api.calls if "LIMIT" in call.sql]
    assert min(pages[:-1]) > 0.8 * ONE_MEBIBYTE
    assert max(pages) <= ONE_MEBIBYTE


def test_page_sizes_follow_texts_that_grow_and_shrink(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    # Within one day, which the plan by days cannot know: long texts in bursts, of characters that double in JSON.
    sizes = [100] * 3_000 + [20_000] * 120 + [100] * 3_000
    rows = [
        {"closed": TRAINING_WINDOW.start + n, "text": ('"' if size > 100 else "x") * size}
        for n, size in enumerate(sizes)
    ]
    url = fill_postgres(database_rows(rows))
    read = data_api_source.read_tickets(TRAINING_WINDOW)
    pd.testing.assert_frame_equal(read, PostgresTickets(url=url).read_tickets(TRAINING_WINDOW))
    refused = [call for call in data_api.calls if call.error]
    assert 0 < len(refused) < 12
    asked_after_growth = [call.response_bytes for call in data_api.calls if "LIMIT" in call.sql][-2:]
    assert max(asked_after_growth) > 0.15 * ONE_MEBIBYTE


_KINDS = {"pg_attribute": "layout", "AS odd": "odd", "AS hour": "counts", "GROUP BY": "census", "LIMIT": "page"}


def kinds_of(data_api: FaultyDataApi) -> list[str]:
    """What each call asked for."""
    return [next(kind for part, kind in _KINDS.items() if part in call.sql) for call in data_api.calls]


def test_days_without_tickets_cost_no_call(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    fill_postgres(database_rows([{"closed": TRAINING_WINDOW.start + n * 10 * DAY} for n in range(8)]))
    assert len(data_api_source.read_tickets(TRAINING_WINDOW)) == 8
    assert kinds_of(data_api) == ["layout", "census", "page", "census", "odd", "counts"]


def test_an_empty_window_costs_the_censuses_and_the_counts_alone(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    fill_postgres(database_rows([{"closed": 5}]))
    assert data_api_source.read_tickets(TRAINING_WINDOW).empty
    assert kinds_of(data_api) == ["layout", "census", "census", "odd", "counts"]


def test_every_value_from_outside_is_a_bound_parameter(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    fill_postgres(tickets_over_days(50))
    data_api_source.read_tickets(TRAINING_WINDOW, [101, 102])
    for call, kind in zip(data_api.calls, kinds_of(data_api), strict=True):
        if kind in ("layout", "odd"):
            continue
        is_of_all_labels = "AS hour" in call.sql
        assert {"start", "end", *([] if is_of_all_labels else ["labels"])} <= set(call.parameter_names)
        # Numbers in a statement are its own constants: none is a time, an id or a label.
        assert {int(number) for number in re.findall(r"\d+", call.sql)} <= {0, 1, 2, 15, 60, 5, DAY, 3_600}


CHANGES = {
    "a row that was read is closed again later": "UPDATE ticket SET closed = closed + 30 * 86400 WHERE id = 2",
    "a row that was not read moves to where was read": (
        "UPDATE ticket SET closed = (SELECT min(closed) + 1 FROM ticket) WHERE id = 5990"
    ),
    "a row that was read leaves the window": "UPDATE ticket SET closed = 0 WHERE id = 3",
    "a row that was read is deleted": "DELETE FROM ticket WHERE id = 4",
    "a row that was read gets another label": "UPDATE ticket SET closed_group_id_mapped = 999 WHERE id = 5",
    "a row that was read gets another text": "UPDATE ticket SET processed_data = 'rewritten' WHERE id = 6",
    "a row arrives where was read": (
        "INSERT INTO ticket SELECT 99001, processed_data, via_channel, probability, routed_by, created, null, null, "
        "closed, 7, 7 FROM ticket WHERE id = 7"
    ),
    "a row arrives on a day that had none": (
        "INSERT INTO ticket SELECT 99002, processed_data, via_channel, probability, routed_by, created, null, null, "
        "closed + 80 * 86400, 7, 7 FROM ticket WHERE id = 7"
    ),
    "all rows of a day go": "DELETE FROM ticket WHERE closed < (SELECT min(closed) + 86400 FROM ticket)",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("at_call", [2, 4, 6])
def test_rows_that_change_between_pages_are_neither_lost_nor_duplicated(
    change: str, at_call: int, data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    url = fill_postgres(tickets_over_days(6_000))

    def before_execute(number: int, sql: str, parameters: dict[str, Any]) -> None:
        if number == at_call:
            with psycopg.connect(url, autocommit=True) as connection:
                assert connection.execute(CHANGES[change]).rowcount >= 1

    data_api.before_execute = before_execute
    read = data_api_source.read_tickets(TRAINING_WINDOW)
    pd.testing.assert_frame_equal(read, PostgresTickets(url=url).read_tickets(TRAINING_WINDOW))


def test_only_the_days_that_changed_are_read_again(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    url = fill_postgres(tickets_over_days(6_000))

    def before_execute(number: int, sql: str, parameters: dict[str, Any]) -> None:
        if number == 7:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("UPDATE ticket SET closed_group_id_mapped = 999 WHERE id = 5")

    data_api.before_execute = before_execute
    data_api_source.read_tickets(TRAINING_WINDOW)
    assert kinds_of(data_api)[-5:] == ["census", "page", "census", "odd", "counts"]
    assert data_api.calls[-4].response_bytes < 0.2 * ONE_MEBIBYTE


def test_a_table_that_keeps_changing_is_an_error(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    url = fill_postgres(tickets_over_days(100))

    def before_execute(number: int, sql: str, parameters: dict[str, Any]) -> None:
        if "GROUP BY" in sql:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("UPDATE ticket SET closed_group_id_mapped = closed_group_id_mapped + 1 WHERE id = 5")

    data_api.before_execute = before_execute
    with pytest.raises(SourceError, match=r"differed from their counts in each of 5 reads \(1 days in the last one\)"):
        data_api_source.read_tickets(TRAINING_WINDOW)


@pytest.mark.parametrize("error", ["DatabaseResumingException", "ThrottlingException", "StatementTimeoutException"])
def test_transient_errors_are_retried_on_every_call(
    error: str, data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    url = fill_postgres(tickets_over_days(3_000))
    for skip in range(0, 20, 2):
        data_api.fail_next(error, skip=skip)
    read = data_api_source.read_tickets(TRAINING_WINDOW)
    pd.testing.assert_frame_equal(read, PostgresTickets(url=url).read_tickets(TRAINING_WINDOW))
    assert [call.error for call in data_api.calls] == [error, None] * (len(data_api.calls) // 2)
    assert len(data_api.calls) >= 8


def test_a_database_that_resumes_for_a_while_is_waited_for(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    fill_postgres(tickets_over_days(10))
    data_api.resume_for(1.5)
    assert len(data_api_source.read_tickets(TRAINING_WINDOW)) == 10
    assert {call.error for call in data_api.calls} == {"DatabaseResumingException", None}


def test_waiting_for_a_resuming_database_ends_when_its_time_in_all_is_used_up(
    data_api: FaultyDataApi, fill_postgres: Fill
) -> None:
    fill_postgres(tickets_over_days(10))
    source = DataApiTickets(
        cluster_arn=data_api.resource_arn, secret_arn=data_api.secret_arn, region=REGION, resume_wait_seconds=1.0
    )
    data_api.resume_for(60)
    started = time.monotonic()
    with pytest.raises(DatabaseStillResumingError, match="still resuming after 1 s of waiting"):
        source.read_tickets(TRAINING_WINDOW)
    assert time.monotonic() - started < 10


def test_two_minutes_are_waited_in_all_with_jitter(data_api: FaultyDataApi, client: DataApiClient) -> None:
    waits: list[float] = []
    client.sleep = waits.append
    data_api.resume_for(60)
    with pytest.raises(DatabaseStillResumingError):
        client.execute("SELECT 1 AS one", {})
    assert sum(waits) == pytest.approx(120)
    assert len({round(wait, 6) for wait in waits}) > len(waits) // 2
    assert max(waits) <= 8.25


def test_a_response_that_comes_too_late_is_requested_again(data_api: FaultyDataApi) -> None:
    client = client_of(data_api, read_timeout_seconds=2)
    data_api.hang_next(3)
    rows, _ = client.execute("SELECT 1 AS one", {})
    assert rows == [{"one": 1}]
    assert len(data_api.calls) == 2


def test_throttling_that_lasts_ends_in_an_error_that_counts_the_attempts(
    data_api: FaultyDataApi, client: DataApiClient
) -> None:
    data_api.fail_next("ThrottlingException", times=99)
    with pytest.raises(SourceError, match=r"ThrottlingException \(after 6 attempts\)"):
        client.execute("SELECT 1 AS one", {})
    assert len(data_api.calls) == 6


def test_throttling_after_a_resume_is_retried(data_api: FaultyDataApi, client: DataApiClient) -> None:
    data_api.fail_next("DatabaseResumingException", times=8)
    data_api.fail_next("ThrottlingException", times=3, skip=8)
    assert client.execute("SELECT 1 AS one", {})[0] == [{"one": 1}]


@pytest.mark.parametrize("error", ["BadRequestException", "ForbiddenException", "InternalServerErrorException"])
def test_anything_else_fails_at_once(error: str, data_api: FaultyDataApi, client: DataApiClient) -> None:
    data_api.fail_next(error, times=99)
    with pytest.raises(SourceError, match=error):
        client.execute("SELECT 1 AS one", {})
    assert len(data_api.calls) == 1


def test_a_response_over_the_limit_has_an_error_of_its_own(client: DataApiClient) -> None:
    with pytest.raises(ResponseTooLargeError):
        client.execute("SELECT repeat('x', 60000) AS text FROM generate_series(1, 30)", {})


def test_a_statement_that_fails_shows_no_value(client: DataApiClient) -> None:
    with pytest.raises(SourceError, match="BadRequestException") as caught:
        client.execute("SELECT CAST(:label AS bigint) AS label", {"label": canary("a label")})
    assert canary("a label") not in str(caught.value)


def test_a_secret_that_cannot_be_read_says_which_right_is_missing(data_api: FaultyDataApi) -> None:
    with pytest.raises(SourceError, match=r"ResourceNotFoundException.*secretsmanager:GetSecretValue"):
        read_database_name(boto3.client("secretsmanager"), data_api.secret_arn + "-other")


@given(days=st.sets(st.integers(0, 200), min_size=1))
def test_runs_cover_every_day_once(days: set[int]) -> None:
    runs = runs_of_days(sorted(days))
    covered = [day for first, last in runs for day in range(first, last + 1)]
    assert days <= set(covered)
    assert len(covered) == len(set(covered))


@given(
    sizes=st.dictionaries(st.integers(0, 60), st.integers(1, 10**7), min_size=1),
    closed=st.integers(0, 61 * DAY),
    ahead=st.floats(1, 10**7),
)
def test_a_horizon_is_a_step_forward_until_the_census_has_ended(
    sizes: dict[int, int], closed: int, ahead: float
) -> None:
    census = [DayCount(day, 1, "", text_bytes=size) for day, size in sorted(sizes.items())]
    horizon = PagePlan.of(census).horizon(closed, ahead)
    assert end_key(horizon) > end_key(closed) or closed >= (max(sizes) + 1) * DAY


@given(counts=st.lists(st.integers(0, 7_000), min_size=2, max_size=4).filter(lambda counts: sum(counts) < 9_000))
@settings(max_examples=12)
def test_days_of_any_size_one_after_another_are_read_once(counts: list[int]) -> None:
    """The page logic alone, over a database that is a sorted list: a step that does not advance would never end."""
    rows = [
        {"id": day * 10_000 + n, "closed": TRAINING_WINDOW.start + day * DAY + n % DAY, "label": 1, "text": "x" * 600}
        for day, count in enumerate(counts)
        for n in range(count)
    ]
    client = ListClient(sorted(rows, key=lambda row: (row["closed"], row["id"])))
    source = DataApiTickets(cluster_arn="", secret_arn="", region="")
    read = _Reading(source, client, TRAINING_WINDOW, None).run().tickets  # type: ignore[arg-type]
    assert list(read["id"]) == [row["id"] for row in client.rows]
    assert client.calls < 30


class ListClient:
    """A DataApiClient over rows in a list; gives up after 100 calls."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.calls = 0

    def execute(self, sql: str, parameters: dict[str, int]) -> tuple[list[dict[str, Any]], int]:
        self.calls += 1
        assert self.calls < 100
        if "AS odd" in sql:
            return [{"odd": 0, "greatest": None}], 1
        if "AS hour" in sql:
            hours = Counter(row["closed"] // 3_600 for row in self.rows)
            return [{"hour": hour, "reason": None, "tickets": count} for hour, count in hours.items()], 1
        if "GROUP BY" in sql:
            days = by_day([pa.Table.from_pylist(self.rows, schema=TICKETS_ARROW_SCHEMA)])
            census = [
                {"day": day, "tickets": len(table), "text_bytes": 600 * len(table), "fingerprint": fingerprint(table)}
                for day, table in days.items()
            ]
            return census, 100
        after, end = (parameters["after_closed"], parameters["after_id"]), parameters["end"]
        page = [row for row in self.rows if (row["closed"], row["id"]) > after and row["closed"] < end]
        page = page[: parameters["most"]]
        return page, 680 * len(page)


def test_a_day_of_many_pages_before_another_day_is_read(
    data_api: FaultyDataApi, data_api_source: DataApiTickets, fill_postgres: Fill
) -> None:
    rows = [{"closed": TRAINING_WINDOW.start + n, "text": f"{n} " + "x" * 600} for n in range(6_000)]
    rows += [{"closed": TRAINING_WINDOW.start + 2 * DAY + n} for n in range(50)]
    fill_postgres(database_rows(rows))
    assert len(data_api_source.read_tickets(TRAINING_WINDOW)) == 6_050
    assert len(data_api.calls) < 12
