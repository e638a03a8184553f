"""The training and older windows of batches, and the unions of windows that overlap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gata_assets.batches import Window, parse_batch_id
from gata_assets.tickets.rules import PreparationRules


@dataclass(frozen=True)
class BatchWindows:
    """The training window of a batch or of several, and the older window before it, which may be empty."""

    training: Window
    older: Window


def windows_of(batch_id: str, rules: PreparationRules) -> BatchWindows:
    """A batch's training window and older window."""
    batch = parse_batch_id(batch_id)
    return BatchWindows(
        training=batch.training_window(rules.training_period_days),
        older=batch.older_window(rules.low_volume_period_days, rules.training_period_days),
    )


def merge_windows(batches: Iterable[BatchWindows]) -> list[BatchWindows]:
    """Merge training windows that overlap; each union's older window starts with the earliest older window in it."""
    merged: list[BatchWindows] = []
    for batch in sorted(batches, key=lambda windows: windows.training):
        if merged and batch.training.start_at <= merged[-1].training.end_at:
            last = merged[-1]
            training = Window(last.training.start_at, max(last.training.end_at, batch.training.end_at))
            older = Window(min(last.older.start_at, batch.older.start_at), last.training.start_at)
            merged[-1] = BatchWindows(training, older)
        else:
            merged.append(BatchWindows(batch.training, Window(batch.older.start_at, batch.training.start_at)))
    return merged
