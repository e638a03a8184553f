"""Tickets from Aurora PostgreSQL through the RDS Data API: planned, read in pages, and verified.

The service has no cursor and no snapshot across calls, and returns at most 1 MiB per call. So a census (tickets, bytes
and a fingerprint per day) plans the pages; keyset pages on (closed, id) are read; then a second census verifies that
the rows match the table. Days that changed in between are read again. Measurements: docs/adr/0002-data-api.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import boto3
import pyarrow as pa
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from pydantic import PrivateAttr

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.ticket_contract import source as contract
from gata_assets.ticket_contract.accounting import HourlyCounts
from gata_assets.ticket_contract.census import SECONDS_PER_DAY
from gata_assets.tickets.sources import data_api_client, data_api_pages
from gata_assets.tickets.sources.data_api_client import DataApiClient, ResponseTooLargeError
from gata_assets.tickets.sources.data_api_pages import LARGEST_TEXT, DayCount, PagePlan, end_key
from gata_assets.tickets.sources.sql import Parameters, Result, SqlTicketSource
from gata_assets.tickets.sources.table_layout import LAYOUT_SQL, TableLayoutError, query_layout_sql

_RESPONSE_LIMIT_BYTES = 1_048_576
# The target size of a page: the limit minus a margin for days whose texts are longer than the previous day's.
_PAGE_BYTES = int(_RESPONSE_LIMIT_BYTES * 0.92)
_MAX_ROUNDS = 5
# An hour has a row of 60 bytes for each reason: at most 650 KB.
_DAYS_COUNTED_AT_ONCE = 90
_CHANNEL_TYPE_SQL = (
    "SELECT quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS name FROM pg_attribute a "
    "JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace "
    "WHERE a.attrelid = to_regclass('ticket') AND a.attname = 'via_channel' AND t.typtype = 'e'"
)


class DataApiTickets(SqlTicketSource):
    """The `ticket` table of an Aurora PostgreSQL cluster, through the RDS Data API.

    The database's name comes from the secret. The AWS SDK's own variables (region, endpoints, credentials) apply.
    """

    cluster_arn: str
    secret_arn: str
    region: str
    # A row has at most 64 KB, a response 1 MiB.
    tickets_at_once: ClassVar[int] = 15
    resume_wait_seconds: float = data_api_client.RESUME_WAIT_SECONDS
    _database: str | None = PrivateAttr(default=None)
    # The enum of `via_channel`; the documented one until the table turns out to have another, or none.
    _channel_type: str | None = PrivateAttr(default="channel")

    def window_sql(self) -> str:
        """See SqlTicketSource.

        There is no index on `closed` alone. Listing all channels lets PostgreSQL use the index on (via_channel,
        closed), so that a page reads its own days instead of scanning the table. The list is a subquery, since
        enum_range() alone is evaluated for every scanned row (a census took 563 ms instead of 248).
        """
        if self.query is not None or self._channel_type is None:
            return super().window_sql()
        listed = f"CAST((SELECT enum_range(CAST(NULL AS {self._channel_type}))) AS {self._channel_type}[])"
        return f"(via_channel = ANY ({listed}) OR via_channel IS NULL) AND {super().window_sql()}"

    def _read(self, window: Window, labels: Sequence[contract.Label] | None) -> contract.WindowRead:
        """Read in several statements, verified to match the table as a single statement saw it."""
        return _Reading(self, self._client(), window, labels).run()

    def fetch(self, sql: str, parameters: Parameters, *, is_polling: bool = False) -> list[dict[str, Any]]:
        """See SqlTicketSource; one call, which the service ends after 45 s."""
        rows, _ = self._client(is_polling=is_polling).execute(sql, parameters)
        return rows

    def read_layout(self, *, is_polling: bool) -> dict[str, str]:
        """See SqlTicketSource."""
        sql = LAYOUT_SQL if self.query is None else query_layout_sql(self.relation)
        return {row["name"]: row["type"] for row in self.fetch(sql, {}, is_polling=is_polling)}

    def _explained(self, run: Callable[[], Result], *, is_checked: bool = True, is_polling: bool = False) -> Result:
        """Run statements again without the documented enum if the table has none of that name."""
        try:
            return super()._explained(run, is_checked=is_checked, is_polling=is_polling)
        except TableLayoutError:
            if self.query is not None:
                raise
            [found] = self.fetch(_CHANNEL_TYPE_SQL, {}) or [{"name": None}]
            if found["name"] == self._channel_type:
                raise
            self._channel_type = found["name"]
        return super()._explained(run, is_checked=is_checked, is_polling=is_polling)

    def describe(self) -> str:
        """See SqlTicketSource."""
        return f"Aurora PostgreSQL, database {self._database}, through the RDS Data API"

    def _client(self, *, is_polling: bool = False) -> DataApiClient:
        config = Config(
            region_name=self.region,
            read_timeout=contract.CENSUS_TIMEOUT_SECONDS if is_polling else data_api_client.READ_TIMEOUT_SECONDS,
            connect_timeout=data_api_client.CONNECT_TIMEOUT_SECONDS,
            # DataApiClient retries; two layers of retries would multiply.
            retries={"total_max_attempts": 1},
        )
        patient = config.merge(Config(retries={"mode": "standard", "total_max_attempts": 3}))
        quick = config.merge(Config(read_timeout=data_api_client.CONNECT_TIMEOUT_SECONDS))
        try:
            secrets = boto3.client("secretsmanager", config=quick if is_polling else patient)
            client = boto3.client("rds-data", config=config)
        except (BotoCoreError, ValueError) as error:
            raise SourceError(f"The AWS SDK cannot be set up: {error}. Check the variables AWS_….") from None
        if self._database is None:
            self._database = data_api_client.read_database_name(secrets, self.secret_arn)
        return DataApiClient(
            client=client,
            cluster_arn=self.cluster_arn,
            secret_arn=self.secret_arn,
            database=self._database,
            resume_wait_seconds=0.0 if is_polling else self.resume_wait_seconds,
            max_attempts=1 if is_polling else data_api_client.MAX_ATTEMPTS,
        )


class _Reading:
    """One read of a window: its census, its pages, its verification, and the counts of all tickets."""

    def __init__(
        self, source: DataApiTickets, client: DataApiClient, window: Window, labels: Sequence[contract.Label] | None
    ) -> None:
        self._source = source
        self._client = client
        self._has_names = source.has_names
        self._window = window
        self._labels = labels
        self._where, self._parameters = source.select(window, labels)
        # Actual bytes of JSON per estimated byte, adjusted with every response.
        self._scale = 1.0

    def run(self) -> contract.WindowRead:
        """Read until a census verifies the rows; raises SourceError if the table changes during every round."""
        if self._labels is not None and not self._labels:
            return contract.WindowRead(contract.no_tickets(has_names=self._has_names), self._count())
        census = self._take_census()
        rows: dict[int, pa.Table] = {}
        spans = [(min(census), max(census))] if census else []
        for _ in range(_MAX_ROUNDS):
            for first, last in spans:
                rows.update(self._read_days(first, last, census))
            census = self._take_census()
            rows = {day: table for day, table in rows.items() if day in census}
            stale = {day for day, count in census.items() if not data_api_pages.is_verified(count, rows.get(day))}
            if not stale:
                counts = self._count()
                # With labels, the census is of these alone, and cannot verify the counts of all.
                stale = set() if self._labels is not None else data_api_pages.differing_days(counts, census)
            if not stale:
                schema = contract.arrow_schema(has_names=self._has_names)
                table = pa.concat_tables([schema.empty_table(), *(rows[day] for day in sorted(rows))])
                return contract.WindowRead(contract.tickets_from_arrow(table, has_names=self._has_names), counts)
            spans = data_api_pages.runs_of_days(sorted(stale & census.keys()))
        raise SourceError(
            f"Tickets closed in {self._window} differed from their counts in each of {_MAX_ROUNDS} reads ({len(stale)} "
            "days in the last one). If the ticket table is being written, wait until that is done and run the batch "
            "again; if not, ids are missing or not unique (`gata tickets check` lists them)."
        )

    def _take_census(self) -> dict[int, DayCount]:
        sql = self._source.census_sql(self._where, f"COALESCE(SUM({self._source.text_bytes_sql}), 0) AS text_bytes")
        found, _ = self._client.execute(sql, self._parameters)
        return {row["day"]: DayCount(**row) for row in found}

    def _count(self) -> HourlyCounts:
        """Count all tickets of the window by hour and reason, in parts whose rows fit a response."""
        [odd], _ = self._client.execute(self._source.odd_sql(), {})
        self._source.require_no_odd(**odd)
        rows: list[dict[str, Any]] = []
        for part in data_api_pages.parts_of(self._window, _DAYS_COUNTED_AT_ONCE):
            found, _ = self._client.execute(*self._source.counts_sql(part))
            rows += found
        return HourlyCounts.of(rows)

    def _read_days(self, first: int, last: int, census: Mapping[int, DayCount]) -> dict[int, pa.Table]:
        """Read all rows of the days `first` to `last`; returns them by day."""
        plan = PagePlan.of([census[day] for day in range(first, last + 1) if day in census])
        end = min(self._window.end, (last + 1) * SECONDS_PER_DAY)
        after = end_key(max(self._window.start, first * SECONDS_PER_DAY))
        pages: list[pa.Table] = []
        while after < end_key(end):
            # After a span's end key, the next row is at least a second later.
            at = after[0] + (after[1] == data_api_pages.MAX_ID)
            horizon = min(end, plan.horizon(at, 2 * _PAGE_BYTES / self._scale))
            rows, limit = self._read_page(after, horizon, plan.row_bytes(at))
            if rows:
                columns = [[row[name] for row in rows] for name in contract.TICKETS_ARROW_SCHEMA.names]
                pages.append(pa.Table.from_batches([contract.arrow_from_columns(columns, has_names=self._has_names)]))
                after = (rows[-1]["closed"], rows[-1]["id"])
            if len(rows) < limit:
                after = end_key(horizon)
        return data_api_pages.by_day(pages)

    def _read_page(self, after: tuple[int, int], horizon: int, row_bytes: float) -> tuple[list[dict[str, Any]], int]:
        """Read the rows after the key (closed, id) and before the horizon, as many as fit a response.

        Returns:
            The rows, and the limit that was requested.
        """
        # `closed >= :start` repeats the comparison of pairs in a form that every query plan can use.
        sql = (
            f"{self._source.tickets_sql(self._where)} AND (closed, id) > (:after_closed, :after_id) "
            "ORDER BY closed, id LIMIT :most"
        )
        parameters = {
            **self._parameters,
            **{"start": max(self._window.start, after[0]), "end": horizon},
            **{"after_closed": after[0], "after_id": after[1]},
        }
        while True:
            limit = max(1, int(_PAGE_BYTES / (row_bytes * self._scale)))
            try:
                rows, size = self._client.execute(sql, {**parameters, "most": limit})
            except ResponseTooLargeError:
                if limit == 1:
                    raise self._too_large(after, horizon) from None
                self._scale *= 2
                continue
            if rows:
                self._scale = max(size / (len(rows) * row_bytes), self._scale / 2)
            return rows, limit

    def _too_large(self, after: tuple[int, int], horizon: int) -> SourceError:
        """The error about a row that no response can contain: the day of the largest text, and what to do."""
        sql = (
            f"SELECT closed, COALESCE({self._source.text_bytes_sql}, 0) AS text_bytes FROM {self._source.relation} "
            f"WHERE {self._where} AND (closed, id) > (:after_closed, :after_id) ORDER BY 2 DESC, 1 LIMIT 1"
        )
        keys = {"start": max(self._window.start, after[0]), "end": horizon}
        found, _ = self._client.execute(
            sql, {**self._parameters, **keys, "after_closed": after[0], "after_id": after[1]}
        )
        [row] = found or [{"closed": after[0], "text_bytes": LARGEST_TEXT}]
        day = data_api_pages.date_of(row["closed"])
        return SourceError(f"{self._source.what}, closed on {day}: {data_api_pages.say_too_large(row['text_bytes'])}.")
