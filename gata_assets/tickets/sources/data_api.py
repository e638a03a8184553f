"""Tickets from Aurora PostgreSQL through the RDS Data API: planned, read in pages, and proved.

The service gives no cursor and no snapshot over several calls, and at most 1 MiB a call. So a census (tickets,
bytes and a fingerprint by day) plans the pages; then keyset pages on (closed, id) are read; then a second census
proves that what was read is what the table holds. Days that changed in between are read again.
docs/adr/0002-data-api.md says what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import boto3
import pandas as pd
import pyarrow as pa
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from pydantic import PrivateAttr

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.tickets.arrivals.census import SECONDS_PER_DAY, DayCensus
from gata_assets.tickets.sources.base import (
    CENSUS_TIMEOUT_SECONDS,
    COLUMNS_READ,
    DAY_SQL,
    FINGERPRINT_SQL,
    TICKET_COLUMNS_SQL,
    TICKETS_ARROW_SCHEMA,
    TRAINS_SQL,
    VOLUME_SQL,
    LabelVolume,
    SourceReport,
    TicketSource,
    arrow_from_columns,
    no_tickets,
    tickets_from_arrow,
)
from gata_assets.tickets.sources.data_api_client import (
    CONNECT_TIMEOUT_SECONDS,
    MOST_ATTEMPTS,
    READ_TIMEOUT_SECONDS,
    RESUME_WAIT_SECONDS,
    DataApiClient,
    ResponseTooLargeError,
    read_database_name,
)
from gata_assets.tickets.sources.data_api_pages import (
    MAX_ID,
    DayCount,
    PagePlan,
    by_day,
    date_of,
    is_proved,
    just_before,
    runs_of_days,
)
from gata_assets.tickets.sources.postgres import as_array

_RESPONSE_LIMIT_BYTES = 1_048_576
# What a page aims at: the limit less a margin for days whose texts are longer than the day before's.
_PAGE_BYTES = int(_RESPONSE_LIMIT_BYTES * 0.92)
_MOST_ROUNDS = 5

# There is no index on `closed` alone. To name all channels lets PostgreSQL use the one on (via_channel, closed),
# so that a page costs what its own days hold and not a scan of the table. They are named by a subquery, since
# enum_range() alone is worked out again for every row that a scan looks at (a census took 563 ms instead of 248).
_IN_WINDOW = (
    "via_channel = ANY (CAST((SELECT enum_range(CAST(NULL AS channel))) AS channel[])) "
    f"AND closed >= :start AND closed < :end AND {TRAINS_SQL}"
)
_VOLUME_SQL = VOLUME_SQL.format(text_bytes="OCTET_LENGTH(processed_data)")
_OF_LABELS = " AND closed_group_id_mapped = ANY (CAST(:labels AS bigint[]))"


class DataApiTickets(TicketSource):
    """The `ticket` table of an Aurora PostgreSQL cluster, through the RDS Data API.

    The database's name comes from the secret. The AWS SDK's own variables (region, endpoints, credentials) hold.
    """

    cluster_arn: str
    secret_arn: str
    region: str
    resume_wait_seconds: float = RESUME_WAIT_SECONDS
    _database: str | None = PrivateAttr(default=None)
    _calls: int = PrivateAttr(default=0)

    @property
    def calls(self) -> int:
        """The requests that were sent to the Data API so far."""
        return self._calls

    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """See TicketSource; several statements, proved to equal the table as one of them saw it."""
        if labels is not None and not labels:
            return no_tickets()
        client = self._client()
        try:
            return _Reading(client, window, labels).run()
        finally:
            self._calls += client.calls

    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """See TicketSource; one call, which the service itself ends after 45 s."""
        client = self._client(is_patient=False)
        sql = (
            f"SELECT {DAY_SQL} AS day, COUNT(*) AS tickets, {FINGERPRINT_SQL} AS fingerprint "
            f"FROM ticket WHERE {_IN_WINDOW} GROUP BY 1 ORDER BY 1"
        )
        try:
            found, _ = client.execute(sql, {"start": window.start, "end": window.end})
        finally:
            self._calls += client.calls
        return tuple(DayCensus(**row) for row in found)

    def measure(self, window: Window, labels: Sequence[int] | None = None) -> tuple[LabelVolume, ...]:
        """See TicketSource; one call."""
        where = _IN_WINDOW + ("" if labels is None else _OF_LABELS)
        bounds: dict[str, int | str] = {"start": window.start, "end": window.end}
        client = self._client()
        try:
            found, _ = client.execute(
                f"SELECT {_VOLUME_SQL} FROM ticket WHERE {where} GROUP BY 1 ORDER BY 1",
                bounds if labels is None else {**bounds, "labels": as_array(labels)},
            )
        finally:
            self._calls += client.calls
        return tuple(LabelVolume(**row) for row in found)

    def look(self) -> SourceReport:
        """See TicketSource."""
        client = self._client()
        try:
            client.execute(f"SELECT {', '.join(COLUMNS_READ)} FROM ticket LIMIT 1", {})
            [row], _ = client.execute(
                "SELECT COUNT(*) AS count, MIN(closed) AS first, MAX(closed) AS last FROM ticket WHERE closed > :open",
                {"open": 0},
            )
        finally:
            self._calls += client.calls
        return SourceReport(
            f"Aurora PostgreSQL, database {client.database}, through the RDS Data API",
            row["count"],
            row["first"],
            row["last"],
        )

    def _client(self, *, is_patient: bool = True) -> DataApiClient:
        config = Config(
            region_name=self.region,
            read_timeout=READ_TIMEOUT_SECONDS if is_patient else CENSUS_TIMEOUT_SECONDS,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            # Retries are counted in one place, DataApiClient; two layers of them would multiply.
            retries={"total_max_attempts": 1},
        )
        quick = config.merge(Config(read_timeout=CONNECT_TIMEOUT_SECONDS))
        try:
            secrets = boto3.client("secretsmanager", config=Config(region_name=self.region) if is_patient else quick)
            client = boto3.client("rds-data", config=config)
        except (BotoCoreError, ValueError) as error:
            raise SourceError(f"The AWS SDK cannot be set up: {error}. Look at the variables AWS_….") from None
        if self._database is None:
            self._database = read_database_name(secrets, self.secret_arn)
        return DataApiClient(
            client=client,
            cluster_arn=self.cluster_arn,
            secret_arn=self.secret_arn,
            database=self._database,
            resume_wait_seconds=self.resume_wait_seconds if is_patient else 0.0,
            most_attempts=MOST_ATTEMPTS if is_patient else 1,
        )


class _Reading:
    """One read of a window: its census, its pages, its proof."""

    def __init__(self, client: DataApiClient, window: Window, labels: Sequence[int] | None) -> None:
        self._client = client
        self._window = window
        self._where = _IN_WINDOW + ("" if labels is None else _OF_LABELS)
        self._labels = {} if labels is None else {"labels": as_array(labels)}
        # Bytes of JSON that an estimated byte really takes; follows the answers up and down.
        self._scale = 1.0

    def run(self) -> pd.DataFrame:
        """Read until a census proves the rows; raises SourceError when the table changes every time."""
        census = self._take_census()
        rows: dict[int, pa.Table] = {}
        spans = [(min(census), max(census))] if census else []
        for _ in range(_MOST_ROUNDS):
            for first, last in spans:
                rows.update(self._read_days(first, last, census))
            census = self._take_census()
            rows = {day: table for day, table in rows.items() if day in census}
            stale = {day for day, count in census.items() if not is_proved(count, rows.get(day))}
            if not stale:
                return self._in_order(rows)
            spans = runs_of_days(sorted(stale))
        raise SourceError(
            f"Tickets closed in {self._window} changed during each of {_MOST_ROUNDS} reads ({len(stale)} days the "
            "last time). Wait until the writer of the ticket table is done and run the batch again."
        )

    def _take_census(self) -> dict[int, DayCount]:
        sql = (
            f"SELECT {DAY_SQL} AS day, COUNT(*) AS tickets, "
            f"SUM(OCTET_LENGTH(processed_data)) AS text_bytes, {FINGERPRINT_SQL} AS fingerprint "
            f"FROM ticket WHERE {self._where} GROUP BY 1 ORDER BY 1"
        )
        found, _ = self._client.execute(sql, self._bounds(self._window.start, self._window.end))
        return {row["day"]: DayCount(**row) for row in found}

    def _bounds(self, start: int, end: int) -> dict[str, int | str]:
        return {"start": start, "end": end, **self._labels}

    def _read_days(self, first: int, last: int, census: Mapping[int, DayCount]) -> dict[int, pa.Table]:
        """All rows of the days `first` to `last`, by day."""
        plan = PagePlan.of([census[day] for day in range(first, last + 1) if day in census])
        end = min(self._window.end, (last + 1) * SECONDS_PER_DAY)
        after = just_before(max(self._window.start, first * SECONDS_PER_DAY))
        pages: list[pa.Table] = []
        while after < just_before(end):
            # Where a span has been read to its end, the next row is a second later at the earliest.
            at = after[0] + (after[1] == MAX_ID)
            horizon = min(end, plan.horizon(at, 2 * _PAGE_BYTES / self._scale))
            rows, most = self._read_page(after, horizon, plan.row_bytes(at))
            if rows:
                pages.append(_as_table(rows))
                after = (rows[-1]["closed"], rows[-1]["id"])
            if len(rows) < most:
                after = just_before(horizon)
        return by_day(pages)

    def _read_page(self, after: tuple[int, int], horizon: int, row_bytes: float) -> tuple[list[dict[str, Any]], int]:
        """The rows after a (closed, id) and before the horizon, as many as fit an answer; and how many were asked."""
        # `closed >= :start` says again what the comparison of pairs says, in a form that every plan can use.
        sql = (
            f"SELECT {TICKET_COLUMNS_SQL} FROM ticket WHERE {self._where} "
            "AND (closed, id) > (:after_closed, :after_id) ORDER BY closed, id LIMIT :most"
        )
        keys = {"after_closed": after[0], "after_id": after[1]}
        bounds = self._bounds(max(self._window.start, after[0]), horizon)
        while True:
            most = max(1, int(_PAGE_BYTES / (row_bytes * self._scale)))
            try:
                rows, size = self._client.execute(sql, {**bounds, **keys, "most": most})
            except ResponseTooLargeError:
                if most == 1:
                    raise SourceError(
                        f"Table ticket: a row closed on {date_of(after[0])} or later is over the 1 MiB that the RDS "
                        "Data API answers at once. Shorten its processed_data."
                    ) from None
                self._scale *= 2
                continue
            if rows:
                self._scale = max(size / (len(rows) * row_bytes), self._scale / 2)
            return rows, most

    def _in_order(self, rows: Mapping[int, pa.Table]) -> pd.DataFrame:
        tables = [rows[day] for day in sorted(rows)]
        table = pa.concat_tables(tables) if tables else TICKETS_ARROW_SCHEMA.empty_table()
        return tickets_from_arrow(table)


def _as_table(rows: list[dict[str, Any]]) -> pa.Table:
    columns = [[row[name] for row in rows] for name in TICKETS_ARROW_SCHEMA.names]
    return pa.Table.from_batches([arrow_from_columns(columns)])
