"""The windows of batches under the rules: one batch's two, and the unions of those that overlap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gata_assets.batches import Window, parse_batch_id
from gata_assets.tickets.rules import PreparationRules


@dataclass(frozen=True)
class BatchWindows:
    """What a batch (or several) trains on, and the older window before it, which may be empty."""

    training: Window
    older: Window


def windows_of(batch_id: str, rules: PreparationRules) -> BatchWindows:
    """A batch's training window and the older one."""
    batch = parse_batch_id(batch_id)
    return BatchWindows(
        training=batch.training_window(rules.training_period_days),
        older=batch.older_window(rules.low_volume_period_days, rules.training_period_days),
    )


def merge_windows(batches: Iterable[BatchWindows]) -> list[BatchWindows]:
    """The unions of training windows that overlap, each with what the older windows reach back beyond it."""
    spans: list[BatchWindows] = []
    for one in sorted(batches, key=lambda windows: windows.training):
        if spans and one.training.start_at <= spans[-1].training.end_at:
            start_at = spans[-1].training.start_at
            training = Window(start_at, max(spans[-1].training.end_at, one.training.end_at))
            spans[-1] = BatchWindows(training, Window(min(spans[-1].older.start_at, one.older.start_at), start_at))
        else:
            spans.append(BatchWindows(one.training, Window(one.older.start_at, one.training.start_at)))
    return spans
