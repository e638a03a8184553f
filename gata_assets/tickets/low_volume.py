"""Low-volume labels: tickets per label, the decision whether to build a low-volume dataset, and what follows from it.

That is the policies for the general dataset, and the selection for the low-volume dataset. Rules follow the Gata
data-prep documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.errors import DataRuleError
from gata_assets.tickets.rules import LowVolumePolicy, PreparationRules

# The router asks the low-volume model when the general model predicts this label.
ASK_LOW_VOLUME_LABEL = 0
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


@dataclass(frozen=True)
class GeneralTickets:
    """The general dataset's tickets, and how many were relabeled or removed.

    `is_kept` has one element per ticket of the training window.
    """

    tickets: pd.DataFrame
    is_kept: NDArray[np.bool_]
    relabeled: int
    removed: int


def apply_low_volume_policy(
    tickets: pd.DataFrame, decision: LowVolumeDecision, rules: PreparationRules, *, fallback_label: int
) -> GeneralTickets:
    """Relabel or remove the training window's low-volume tickets according to LOW_VOLUME_POLICY.

    Args:
        tickets: The training window's tickets, `Tickets` columns.
        decision: Which labels are low-volume, and whether they get a dataset.
        rules: The policy.
        fallback_label: The label of LOW_VOLUME_FALLBACK_LABEL, which may be a name in the rules.

    Raises:
        DataRuleError: If fewer than two labels remain.
    """
    is_low_volume = tickets["label"].isin(decision.low_volume_labels)
    affected = int(is_low_volume.sum())
    new_label = label_of_low_volume_tickets(decision.is_needed, rules.low_volume_policy, fallback_label)
    if new_label is None:
        is_kept = ~is_low_volume.to_numpy(dtype=bool)
        general = GeneralTickets(tickets[is_kept].reset_index(drop=True), is_kept, relabeled=0, removed=affected)
    else:
        labels = tickets["label"].mask(is_low_volume, new_label)
        is_kept = np.ones(len(tickets), dtype=bool)
        general = GeneralTickets(tickets.assign(label=labels), is_kept, relabeled=affected, removed=0)
    _require_two_labels(general.tickets, decision, rules)
    return general


def label_of_low_volume_tickets(has_dataset: bool, policy: LowVolumePolicy, fallback_label: int) -> int | None:
    """The label that low-volume tickets get in the general dataset; None if it does not contain them."""
    if policy is LowVolumePolicy.ROUTER:
        return ASK_LOW_VOLUME_LABEL if has_dataset else fallback_label
    return fallback_label if has_dataset else None


def _require_two_labels(general: pd.DataFrame, decision: LowVolumeDecision, rules: PreparationRules) -> None:
    labels = general["label"].nunique()
    if labels < 2:
        raise DataRuleError(
            f"general_split: the training window's tickets have {labels} label left, and a router needs two. "
            f"{len(decision.low_volume_labels)} labels have a share below LOW_VOLUME_THRESHOLD="
            f"{rules.low_volume_threshold}: lower it, or check why all tickets have the same label."
        )


@dataclass(frozen=True)
class LowVolumeTickets:
    """The low-volume dataset's tickets, and how many of the given ones were left out.

    `other_labels` have a label that is not low-volume (all of them, without a dataset), `read_twice` are in both
    windows, and `below_min_count` have a label with too few tickets.
    """

    tickets: pd.DataFrame
    other_labels: int
    read_twice: int
    below_min_count: int


def select_low_volume_tickets(
    training_tickets: pd.DataFrame, older_tickets: pd.DataFrame, decision: LowVolumeDecision, *, min_count: int
) -> LowVolumeTickets:
    """Select the low-volume labels' tickets of both windows, without labels that have fewer than `min_count` in total.

    A ticket that is in both windows, because it was updated between the two reads, counts once, with its row of the
    training window. Without a low-volume dataset there are none.

    Returns:
        `Tickets` columns, ordered by (`closed`, `id`), and the counts.
    """
    given = len(training_tickets) + len(older_tickets)
    if not decision.is_needed:
        return LowVolumeTickets(training_tickets.iloc[:0].reset_index(drop=True), given, 0, 0)
    training = training_tickets[training_tickets["label"].isin(decision.low_volume_labels)]
    older = older_tickets[older_tickets["label"].isin(decision.low_volume_labels)]
    tickets = pd.concat([training, older], ignore_index=True)
    distinct = tickets.drop_duplicates("id", keep="first")
    counts = distinct["label"].map(distinct["label"].value_counts())
    kept = distinct[counts >= min_count].sort_values(["closed", "id"], ignore_index=True)
    return LowVolumeTickets(
        kept,
        other_labels=given - len(tickets),
        read_twice=len(tickets) - len(distinct),
        below_min_count=len(distinct) - len(kept),
    )
