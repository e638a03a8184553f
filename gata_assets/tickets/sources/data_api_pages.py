"""Paging of a window, and verification of rows against a census: pure functions, no database.

`data_api` takes the census and reads the pages.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pyarrow as pa

from gata_assets.batches import Window, group_runs
from gata_assets.ticket_contract.accounting import SECONDS_PER_HOUR, HourlyCounts
from gata_assets.ticket_contract.census import SECONDS_PER_DAY, DayCensus, ticket_hash

MAX_ID = 2**63 - 1
# JSON around a text: names, id, closed and label; an initial estimate, corrected with every response.
JSON_OVERHEAD_BYTES = 95


# A row of the RDS Data API has at most 64 KB: this many bytes of a text fit with the other columns.
LARGEST_TEXT = 65_000


def say_too_large(text_bytes: int) -> str:
    """What is wrong with a text over the limit, and what to do."""
    return (
        f"a text of {text_bytes:,} bytes is over the RDS Data API's limit for a row (64 KB): shorten its "
        "processed_data; or leave such tickets out, counted: MAX_TICKET_BYTES=60000"
    )


@dataclass(frozen=True)
class DayCount(DayCensus):
    """A day of the census for paging, with the bytes of the day's texts."""

    text_bytes: int


def fingerprint(rows: pa.Table) -> str:
    """The fingerprint of rows, computed as in the census's SQL."""
    columns = (rows.column(name).to_pylist() for name in ("id", "closed", "label", "text"))
    return str(sum(ticket_hash(*row) for row in zip(*columns, strict=True)))


@dataclass(frozen=True)
class PagePlan:
    """Cumulative estimated JSON bytes by day, which determine how far a page may reach."""

    days: list[int]
    sums: list[int]
    bytes_per_row: list[float]

    @classmethod
    def of(cls, census: Sequence[DayCount]) -> PagePlan:
        """Plan the days of a census, given in ascending order."""
        sizes = [count.text_bytes + count.tickets * JSON_OVERHEAD_BYTES for count in census]
        return cls(
            days=[count.day for count in census],
            sums=list(accumulate(sizes)),
            bytes_per_row=[size / count.tickets for size, count in zip(sizes, census, strict=True)],
        )

    def row_bytes(self, closed: int) -> float:
        """The mean row size in bytes on the first day at or after `closed`'s day."""
        return self.bytes_per_row[self._position(closed)]

    def horizon(self, closed: int, size: float) -> int:
        """The end (epoch seconds) of the day by which at least `size` bytes have accumulated from `closed`'s day on."""
        position = self._position(closed)
        before = self.sums[position - 1] if position else 0
        reached = min(bisect_right(self.sums, before + size), len(self.days) - 1)
        return (self.days[reached] + 1) * SECONDS_PER_DAY

    def _position(self, closed: int) -> int:
        return min(bisect_right(self.days, closed // SECONDS_PER_DAY - 1), len(self.days) - 1)


def end_key(instant: int) -> tuple[int, int]:
    """The largest possible key (closed, id) of rows closed before the instant."""
    return (instant - 1, MAX_ID)


def date_of(closed: int) -> str:
    """The day of an instant as `YYYY-MM-DD`."""
    return f"{datetime.fromtimestamp(closed, UTC):%Y-%m-%d}"


def runs_of_days(days: Sequence[int], max_gap: int = 3) -> list[tuple[int, int]]:
    """Group ascending days into ranges to read together; days at most `max_gap` apart share a range."""
    return [(run[0], run[-1]) for run in group_runs(days, lambda day, other: other - day <= max_gap)]


def by_day(pages: Sequence[pa.Table]) -> dict[int, pa.Table]:
    """Split pages by day; rows are ordered by `closed`, so a day is a slice."""
    if not pages:
        return {}
    table = pa.concat_tables(pages)
    tickets = Counter(closed // SECONDS_PER_DAY for closed in table.column("closed").to_pylist())
    starts = accumulate(tickets.values(), initial=0)
    return {day: table.slice(start, count) for (day, count), start in zip(tickets.items(), starts, strict=False)}


def is_verified(count: DayCount, rows: pa.Table | None) -> bool:
    """Whether a day's rows match its census exactly."""
    return rows is not None and len(rows) == count.tickets and fingerprint(rows) == count.fingerprint


def parts_of(window: Window, days: int) -> Iterator[Window]:
    """A window in parts of at most that many days."""
    start_at = window.start_at
    while start_at < window.end_at:
        end_at = min(start_at + timedelta(days=days), window.end_at)
        yield Window(start_at, end_at)
        start_at = end_at


def differing_days(counts: HourlyCounts, census: Mapping[int, DayCensus]) -> set[int]:
    """The days whose number of training tickets differs between the counts and the census."""
    trains = counts.reasons == ""
    found = Counter[int]()
    for hour, tickets in zip(counts.hours[trains].tolist(), counts.tickets[trains].tolist(), strict=True):
        found[hour * SECONDS_PER_HOUR // SECONDS_PER_DAY] += tickets
    return {day for day in found.keys() | census.keys() if found[day] != (census[day].tickets if day in census else 0)}
