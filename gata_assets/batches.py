"""Batch IDs, their time windows, and ranges of batches and days.

A batch ID is an hour, `YYYYMMDDHH` in UTC. Pure: the current time is an argument; no database, file or setting is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from gata_assets.errors import BatchIdError

BATCH_ID_FORMAT = "%Y%m%d%H"
BATCH_ID_EXAMPLE = "2026010203"
LATEST = "latest"

T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Window:
    """A half-open time range `[start_at, end_at)` in UTC, for `closed` in whole epoch seconds."""

    start_at: datetime
    end_at: datetime

    @property
    def start(self) -> int:
        """`start_at` in epoch seconds."""
        return int(self.start_at.timestamp())

    @property
    def end(self) -> int:
        """`end_at` in epoch seconds."""
        return int(self.end_at.timestamp())

    def contains(self, other: Window) -> bool:
        """Whether the other window is inside this one."""
        return self.start_at <= other.start_at and other.end_at <= self.end_at

    def __str__(self) -> str:
        return f"[{self.start_at:%Y-%m-%d %H:%M}, {self.end_at:%Y-%m-%d %H:%M}) UTC"


@dataclass(frozen=True, order=True)
class Batch:
    """One hour's batch."""

    starts_at: datetime

    @property
    def batch_id(self) -> str:
        """The hour as `YYYYMMDDHH`."""
        return self.starts_at.strftime(BATCH_ID_FORMAT)

    def training_window(self, period_days: int) -> Window:
        """`[B - period_days, 00:00 of B's day)`: starts at the batch's hour and ends with the last second of the day
        before the batch.
        """
        midnight = self.starts_at.replace(hour=0)
        return Window(self.starts_at - timedelta(days=period_days), midnight)

    def older_window(self, period_days: int, training_period_days: int) -> Window:
        """`[B - period_days, B - training_period_days)`: the low-volume window before the training window; empty if the
        periods are equal.
        """
        start_at, end_at = (self.starts_at - timedelta(days=days) for days in (period_days, training_period_days))
        return Window(start_at, end_at)


def parse_batch_id(batch_id: str) -> Batch:
    """Parse `YYYYMMDDHH`.

    Raises:
        BatchIdError: For any other format, or an hour that does not exist, such as hour 24 or 30 February.
    """
    if not re.fullmatch(r"(19[7-9]|[2-9][0-9]{2})[0-9]{7}", batch_id, flags=re.ASCII):
        raise BatchIdError(
            f"'{batch_id[:40]}' is not a batch ID: ten digits YYYYMMDDHH (UTC, from 1970) are needed, "
            f"for example {BATCH_ID_EXAMPLE} for 2 January 2026, 03:00."
        )
    try:
        return Batch(datetime.strptime(batch_id, BATCH_ID_FORMAT).replace(tzinfo=UTC))
    except ValueError:
        raise BatchIdError(
            f"'{batch_id}' is not a batch ID: there is no such hour. YYYYMMDDHH needs a month 01-12, "
            f"a day that the month has and an hour 00-23, for example {BATCH_ID_EXAMPLE}."
        ) from None


def is_batch_id(name: str) -> bool:
    """Whether a name is a batch ID, as folders of batches have it."""
    try:
        parse_batch_id(name)
    except BatchIdError:
        return False
    return True


def find_batch_id(text: str, *, now: datetime) -> str:
    """What people call a batch, as its ID: `latest` is the hour that began last, a day its first hour.

    Any other text is returned as it is.
    """
    if text == LATEST:
        return Batch(now.astimezone(UTC)).batch_id
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, flags=re.ASCII):
        return text.replace("-", "") + "00"
    return text


def batches_between(first: Batch, last: Batch, *, every_hours: int = 1) -> list[Batch]:
    """The batches from `first` to `last`, every `every_hours` hours; `last` is included if a step falls on it."""
    hours = int((last.starts_at - first.starts_at) / timedelta(hours=1))
    return [Batch(first.starts_at + timedelta(hours=hour)) for hour in range(0, hours + 1, every_hours)]


def group_runs(items: Iterable[T], is_next: Callable[[T, T], bool]) -> list[list[T]]:
    """Group ascending items into runs, in each of which an item is the next one after the item before it."""
    runs: list[list[T]] = []
    for item in items:
        if runs and is_next(runs[-1][-1], item):
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def consecutive(batch_ids: Sequence[str]) -> list[list[str]]:
    """Group ascending batch IDs into runs of consecutive hours."""
    instants = [parse_batch_id(batch_id).starts_at for batch_id in batch_ids]
    runs = group_runs(instants, lambda instant, other: other - instant == timedelta(hours=1))
    return [[Batch(instant).batch_id for instant in run] for run in runs]


def require_existing_batch(batch_id: str, *, first_batch_id: str, now: datetime) -> Batch:
    """Parse a batch ID and require that the batch has started.

    Args:
        batch_id: `YYYYMMDDHH`.
        first_batch_id: The earliest batch allowed.
        now: The current time, timezone-aware.

    Raises:
        BatchIdError: If the ID is malformed, in the future or before the first batch.
    """
    batch = parse_batch_id(batch_id)
    first = parse_batch_id(first_batch_id)
    if batch < first:
        raise BatchIdError(
            f"Batch {batch_id} is before the first batch {first_batch_id}. "
            "Choose a later one, or set FIRST_BATCH_ID to an earlier hour."
        )
    newest = Batch(now.astimezone(UTC).replace(minute=0, second=0, microsecond=0))
    if batch > newest:
        raise BatchIdError(
            f"Batch {batch_id} is in the future: the newest batch is {newest.batch_id} (it is now "
            f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC)."
        )
    return batch


def from_day_on(window: Window, earliest: date) -> Window:
    """The window's part from a day on; an empty window at its end if it ends before that day."""
    first_at = datetime.combine(earliest, datetime.min.time(), UTC)
    return Window(min(max(window.start_at, first_at), window.end_at), window.end_at)


def days_of(window: Window) -> list[date]:
    """The days that overlap the window, ascending."""
    if window.end_at <= window.start_at:
        return []
    first, last = window.start_at.date(), (window.end_at - timedelta(microseconds=1)).date()
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]


def day_ranges(days: Sequence[date]) -> list[tuple[date, date]]:
    """Group days into ranges without gaps, each given by its first and last day."""
    runs = group_runs(sorted(set(days)), lambda day, other: other - day == timedelta(days=1))
    return [(run[0], run[-1]) for run in runs]
