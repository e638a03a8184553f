"""Why a batch has no training rows, or no negatives among them: with numbers, and the settings that decide."""

from __future__ import annotations

from collections.abc import Mapping

from gata_assets.interactions.rules import InteractionType, SamplingRules

# Numbers of a batch without training rows: the positives of the user and of the item with most, before the minimums.
MOST_OF_A_USER, MOST_OF_AN_ITEM = "most_positives_of_a_user", "most_positives_of_an_item"


def why_no_rows(numbers: Mapping[str, int | float], rules: SamplingRules) -> str:
    """Why interactions of a window give no training rows; `numbers` are those of negative_samples."""
    if not (positives := int(numbers["left_out_by_minimum"])):
        kinds = ", ".join(kind.value for kind in InteractionType if kind in rules.positive_types)
        return (
            f"0 training rows: no interaction in the window is a positive, of POSITIVE_INTERACTION_TYPES ({kinds}). "
            "Look at what types the files have, and at the setting"
        )
    of_user, of_item = int(numbers[MOST_OF_A_USER]), int(numbers[MOST_OF_AN_ITEM])
    per_user = f"MIN_INTERACTIONS_PER_USER ({rules.min_interactions_per_user})"
    per_item = f"MIN_INTERACTIONS_PER_ITEM ({rules.min_interactions_per_item})"
    found = []
    if of_user < rules.min_interactions_per_user:
        found.append(f"no user has {per_user} positives, the largest has {of_user:,}")
    if of_item < rules.min_interactions_per_item:
        found.append(f"no item has {per_item} positives, the largest has {of_item:,}")
    if not found:
        found.append(
            f"no users with {per_user} and items with {per_item} positives are left once those with fewer are left "
            f"out, and then those that have fewer without them; before that the largest user has {of_user:,}, the "
            f"largest item {of_item:,}"
        )
    return (
        f"0 training rows of {positives:,} positives: {'; '.join(found)}. Smaller minimums keep more, and so does a "
        "longer INTERACTION_PERIOD"
    )


def why_no_negatives(numbers: Mapping[str, int | float]) -> str:
    """Why training rows are positives alone; empty if they are not."""
    if not numbers["positives"] or numbers["negatives"]:
        return ""
    return (
        f"0 negatives: each user with positives has met all {int(numbers['candidates']):,} items of the catalog that "
        "were available before the batch. More items give negatives"
    )
