"""How the training window's tickets fall on labels, and whether that calls for a low-volume dataset.

Rules follow the Gata data-prep documentation. Nothing here moves or relabels a ticket.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

MIN_LOW_VOLUME_LABELS = 2


def count_labels(tickets: pd.DataFrame, *, low_volume_threshold: float) -> pd.DataFrame:
    """Count tickets by label: a `LabelCounts` table, most tickets first, equal counts by label.

    `share` is count / all tickets; `is_low_volume` is share < `low_volume_threshold` (a share of 1).
    """
    counts = tickets.groupby("label", observed=True).size().rename("count").reset_index()
    counts["share"] = counts["count"] / len(tickets)
    counts["is_low_volume"] = counts["share"] < low_volume_threshold
    counts = counts.astype({"label": "Int64", "count": "Int64", "share": "float64", "is_low_volume": "bool"})
    return counts.sort_values(["count", "label"], ascending=[False, True], ignore_index=True)


@dataclass(frozen=True)
class LowVolumeDecision:
    """Whether a low-volume dataset is made, and why."""

    is_made: bool
    reason: str
    low_volume_labels: tuple[int, ...]


def decide_low_volume(label_counts: pd.DataFrame, *, min_count: int) -> LowVolumeDecision:
    """A low-volume dataset is made when at least 2 low-volume labels have at least `min_count` tickets in the
    training window.

    `low_volume_labels` are all low-volume labels, ascending, those below `min_count` too: with the older
    tickets they may reach it.
    """
    low = label_counts[label_counts["is_low_volume"]]
    enough = int((low["count"] >= min_count).sum())
    is_made = enough >= MIN_LOW_VOLUME_LABELS
    reason = (
        f"{enough} of {len(low)} low-volume labels have at least {min_count} tickets in the training window; "
        f"{MIN_LOW_VOLUME_LABELS} are needed"
    )
    return LowVolumeDecision(is_made, reason, tuple(sorted(int(label) for label in low["label"])))
