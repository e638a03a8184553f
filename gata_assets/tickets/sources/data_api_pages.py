"""How a window is cut into pages, and how what was read is compared with a census: values only, no database.

`data_api_source` takes the census, reads the pages and asks here what comes next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

import pyarrow as pa

from gata_assets.tickets.arrivals.census import SECONDS_PER_DAY, DayCensus, ticket_hash

MAX_ID = 2**63 - 1
# JSON around a text: names, id, closed and label; the first guess, corrected by every answer.
JSON_OVERHEAD_BYTES = 95


@dataclass(frozen=True)
class DayCount(DayCensus):
    """One day of a census that plans pages: it knows the bytes of the day's texts as well."""

    text_bytes: int


def fingerprint(rows: pa.Table) -> str:
    """The fingerprint of rows, as the census's SQL computes it."""
    columns = (rows.column(name).to_pylist() for name in ("id", "closed", "label", "text"))
    return str(sum(ticket_hash(*row) for row in zip(*columns, strict=True)))


@dataclass(frozen=True)
class PagePlan:
    """Estimated JSON bytes by day, summed up, to say how far a page may look ahead."""

    days: list[int]
    sums: list[int]
    bytes_per_row: list[float]

    @classmethod
    def of(cls, census: Sequence[DayCount]) -> PagePlan:
        """The plan for the days of a census, which come in order."""
        sizes = [count.text_bytes + count.tickets * JSON_OVERHEAD_BYTES for count in census]
        return cls(
            days=[count.day for count in census],
            sums=list(accumulate(sizes)),
            bytes_per_row=[size / count.tickets for size, count in zip(sizes, census, strict=True)],
        )

    def row_bytes(self, closed: int) -> float:
        """The mean size of the rows of the first day that is not before `closed`'s."""
        return self.bytes_per_row[self._position(closed)]

    def horizon(self, closed: int, size: float) -> int:
        """The end of the day (epoch seconds) up to which there are at least `size` bytes from `closed`'s day on."""
        position = self._position(closed)
        before = self.sums[position - 1] if position else 0
        reached = min(bisect_right(self.sums, before + size), len(self.days) - 1)
        return (self.days[reached] + 1) * SECONDS_PER_DAY

    def _position(self, closed: int) -> int:
        return min(bisect_right(self.days, closed // SECONDS_PER_DAY - 1), len(self.days) - 1)


def just_before(instant: int) -> tuple[int, int]:
    """The key (closed, id) that every row closed before the instant is at or below, and no later row."""
    return (instant - 1, MAX_ID)


def date_of(closed: int) -> str:
    """The day of an instant, for people."""
    return f"{datetime.fromtimestamp(closed, UTC):%Y-%m-%d}"


def runs_of_days(days: Sequence[int], most_gap: int = 3) -> list[tuple[int, int]]:
    """Days as spans: days that are at most `most_gap` apart are read together."""
    runs: list[tuple[int, int]] = []
    for day in days:
        if runs and day - runs[-1][1] <= most_gap:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def by_day(pages: Sequence[pa.Table]) -> dict[int, pa.Table]:
    """Pages cut into days; rows are ordered by `closed`, so that a day is a slice."""
    if not pages:
        return {}
    table = pa.concat_tables(pages)
    days = [closed // SECONDS_PER_DAY for closed in table.column("closed").to_pylist()]
    slices: dict[int, pa.Table] = {}
    start = 0
    while start < len(days):
        stop = bisect_right(days, days[start])
        slices[days[start]] = table.slice(start, stop - start)
        start = stop
    return slices


def is_proved(count: DayCount, rows: pa.Table | None) -> bool:
    """Whether what was read of a day is exactly what the census counted."""
    return rows is not None and len(rows) == count.tickets and fingerprint(rows) == count.fingerprint
