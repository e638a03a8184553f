"""The windows of a batch over interactions, and the days (UTC) that they touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from gata_assets.batches import Batch, Window, parse_batch_id
from gata_assets.interactions.rules import InteractionRules


@dataclass(frozen=True)
class InteractionWindows:
    """A batch's interactions, `[B - INTERACTION_PERIOD days, B)`, and those of which no item is a negative."""

    window: Window
    seen: Window


def interaction_windows(batch_id: str, rules: InteractionRules) -> InteractionWindows:
    """The windows of a batch; both end where it begins."""
    batch = parse_batch_id(batch_id)
    return InteractionWindows(_before(batch, rules.period_days), _before(batch, rules.seen_period_days))


def windows_from_day_on(batch_id: str, rules: InteractionRules, earliest: date) -> InteractionWindows:
    """The windows of a batch, without days on which nothing counts."""
    whole = interaction_windows(batch_id, rules)
    return InteractionWindows(from_day_on(whole.window, earliest), from_day_on(whole.seen, earliest))


def _before(batch: Batch, period_days: int) -> Window:
    return Window(batch.starts_at - timedelta(days=period_days), batch.starts_at)


def from_day_on(window: Window, earliest: date) -> Window:
    """The part of a window from a day on; of one that ends before it, nothing at its end."""
    first_at = datetime.combine(earliest, datetime.min.time(), UTC)
    return Window(min(max(window.start_at, first_at), window.end_at), window.end_at)


def days_of(window: Window) -> list[date]:
    """The days that a window touches, in their order."""
    if window.end_at <= window.start_at:
        return []
    first, last = window.start_at.date(), (window.end_at - timedelta(microseconds=1)).date()
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]


def stretches(days: Sequence[date]) -> list[tuple[date, date]]:
    """Days as spans without a gap, each by its first and last day."""
    spans: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if spans and day - spans[-1][1] == timedelta(days=1):
            spans[-1] = spans[-1][0], day
        else:
            spans.append((day, day))
    return spans
