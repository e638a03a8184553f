"""Tickets per label in the training window, and the decision whether to build a low-volume dataset.

Rules follow the Gata data-prep documentation. Relabeling and removing tickets belong to `low_volume`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

MIN_LOW_VOLUME_LABELS = 2


def count_labels(tickets: pd.DataFrame, *, low_volume_threshold: float) -> pd.DataFrame:
    """Count tickets by label.

    Args:
        tickets: Tickets with the column `label`.
        low_volume_threshold: The share (0 to 1) below which a label is low-volume.

    Returns:
        A `LabelCounts` table, most tickets first, equal counts by label.
    """
    counts = tickets.groupby("label", observed=True).size().rename("count").reset_index()
    counts["share"] = counts["count"] / len(tickets)
    counts["is_low_volume"] = counts["share"] < low_volume_threshold
    counts = counts.astype({"label": "Int64", "count": "Int64", "share": "float64", "is_low_volume": "bool"})
    return counts.sort_values(["count", "label"], ascending=[False, True], ignore_index=True)


@dataclass(frozen=True)
class LowVolumeDecision:
    """Whether to build a low-volume dataset, and why."""

    is_needed: bool
    reason: str
    low_volume_labels: tuple[int, ...]


def decide_low_volume(label_counts: pd.DataFrame, *, min_count: int) -> LowVolumeDecision:
    """Decide whether to build a low-volume dataset: if at least 2 low-volume labels have at least `min_count` tickets
    in the training window.

    Returns:
        The decision. Its `low_volume_labels` (ascending) include labels below `min_count`, since they may reach it with
        the older tickets.
    """
    low = label_counts[label_counts["is_low_volume"]]
    enough = int((low["count"] >= min_count).sum())
    is_needed = enough >= MIN_LOW_VOLUME_LABELS
    reason = (
        f"{enough} of {len(low)} low-volume labels have at least {min_count} tickets in the training window; "
        f"{MIN_LOW_VOLUME_LABELS} are needed"
    )
    return LowVolumeDecision(is_needed, reason, tuple(sorted(int(label) for label in low["label"])))
