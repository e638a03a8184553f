"""A batch's windows over interactions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from gata_assets.batches import Batch, Window, from_day_on, parse_batch_id
from gata_assets.interactions.rules import InteractionRules


@dataclass(frozen=True)
class InteractionWindows:
    """A batch's `window` `[B - INTERACTION_PERIOD days, B)`, and the `seen` window, whose items are never negatives."""

    window: Window
    seen: Window


def interaction_windows(batch_id: str, rules: InteractionRules) -> InteractionWindows:
    """A batch's windows; both end where the batch starts."""
    batch = parse_batch_id(batch_id)
    return InteractionWindows(_before(batch, rules.period_days), _before(batch, rules.seen_period_days))


def windows_from_day_on(batch_id: str, rules: InteractionRules, earliest: date) -> InteractionWindows:
    """A batch's windows, without the days before `earliest`, whose interactions do not count."""
    windows = interaction_windows(batch_id, rules)
    return InteractionWindows(from_day_on(windows.window, earliest), from_day_on(windows.seen, earliest))


def _before(batch: Batch, period_days: int) -> Window:
    return Window(batch.starts_at - timedelta(days=period_days), batch.starts_at)
