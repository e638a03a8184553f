"""What becomes of low-volume tickets: in the general dataset, and in the one of their own.

The two policies and the low-volume selection; counting and the decision live in `core.label_counts`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.errors import DataRuleError
from gata_assets.tickets.label_counts import LowVolumeDecision
from gata_assets.tickets.rules import LowVolumePolicy, PreparationRules

# The router asks the low-volume model when the general model predicts this label.
ASK_LOW_VOLUME_LABEL = 0


@dataclass(frozen=True)
class GeneralTickets:
    """The tickets of the general dataset, which of the window's they are, and how many were relabelled or removed."""

    tickets: pd.DataFrame
    is_kept: NDArray[np.bool_]
    relabelled: int
    removed: int


def apply_low_volume_policy(
    tickets: pd.DataFrame, decision: LowVolumeDecision, rules: PreparationRules
) -> GeneralTickets:
    """Relabel or remove the low-volume tickets of the training window, as LOW_VOLUME_POLICY says.

    Takes and gives `Tickets` columns. Raises DataRuleError when fewer than two labels are left to learn.
    """
    is_low_volume = tickets["label"].isin(decision.low_volume_labels)
    affected = int(is_low_volume.sum())
    new_label = _label_of_low_volume_tickets(decision.is_made, rules)
    if new_label is None:
        is_kept = ~is_low_volume.to_numpy(dtype=bool)
        general = GeneralTickets(tickets[is_kept].reset_index(drop=True), is_kept, relabelled=0, removed=affected)
    else:
        labels = tickets["label"].mask(is_low_volume, new_label)
        all_kept = np.ones(len(tickets), dtype=bool)
        general = GeneralTickets(tickets.assign(label=labels), all_kept, relabelled=affected, removed=0)
    _require_two_labels(general.tickets, decision, rules)
    return general


def _label_of_low_volume_tickets(is_made: bool, rules: PreparationRules) -> int | None:
    if rules.low_volume_policy is LowVolumePolicy.ROUTER:
        return ASK_LOW_VOLUME_LABEL if is_made else rules.low_volume_fallback_label
    return rules.low_volume_fallback_label if is_made else None


def _require_two_labels(general: pd.DataFrame, decision: LowVolumeDecision, rules: PreparationRules) -> None:
    labels = general["label"].nunique()
    if labels < 2:
        raise DataRuleError(
            f"general_split: {labels} label is left of the training window's tickets, and a router needs two. "
            f"{len(decision.low_volume_labels)} labels have a share below LOW_VOLUME_THRESHOLD="
            f"{rules.low_volume_threshold}: lower it, or look at why all tickets carry one label."
        )


def select_low_volume_tickets(
    training_tickets: pd.DataFrame,
    older_tickets: pd.DataFrame,
    decision: LowVolumeDecision,
    *,
    min_count: int,
) -> pd.DataFrame:
    """The low-volume labels' tickets of the training window and of the older one, labels with fewer than
    `min_count` tickets in all dropped.

    `Tickets` columns, ordered by (`closed`, `id`). A ticket that was written again between the two reads and is
    in both counts once, with its row of the training window.
    """
    if not decision.is_made:
        return training_tickets.iloc[:0].reset_index(drop=True)
    tickets = pd.concat([training_tickets, older_tickets], ignore_index=True)
    tickets = tickets[tickets["label"].isin(decision.low_volume_labels)]
    tickets = tickets.drop_duplicates("id", keep="first")
    counts = tickets["label"].map(tickets["label"].value_counts())
    return tickets[counts >= min_count].sort_values(["closed", "id"], ignore_index=True)
