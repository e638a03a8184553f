"""The split of a batch's tickets by its rules, with the twins across it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.tickets.rules import NearDuplicatePolicy, PreparationRules, SplitMethod
from gata_assets.tickets.splitting.splits import Split, rank_texts, split_tickets
from gata_assets.tickets.splitting.twins import Twins, count_twins, find_near_duplicates

if TYPE_CHECKING:
    from gata_assets.tickets.splitting.near_duplicates import NearDuplicates


def split_by_rules(
    tickets: pd.DataFrame,
    rules: PreparationRules,
    ranks: NDArray[np.int64] | None = None,
    near: NearDuplicates | None = None,
) -> tuple[Split, Twins | None]:
    """Split tickets by the rules, and count the twins across the split; ranks and near-duplicates that are not known
    are worked out.
    """
    policy = rules.near_duplicates
    if ranks is None and (policy is not NearDuplicatePolicy.OFF or rules.split_method is SplitMethod.BY_TEXT):
        ranks = rank_texts(tickets["text"], seed=rules.split_seed)
    if ranks is not None and near is None and policy is not NearDuplicatePolicy.OFF:
        near = find_near_duplicates(tickets["text"], ranks, similarity=rules.near_duplicate_similarity)
    if ranks is None or near is None:
        return _split(tickets, rules, ranks), None
    # Clusters decide what is written, so they must not depend on the other batches of a range.
    is_grouped = policy is NearDuplicatePolicy.GROUP
    pairs = near.among(ranks, are_alone=is_grouped)
    clusters = pairs.clusters(near.texts) if is_grouped else None
    split = _split(tickets, rules, ranks, clusters)
    return split, count_twins(split, pairs, texts=near.texts, similarity=near.similarity)


def _split(
    tickets: pd.DataFrame,
    rules: PreparationRules,
    ranks: NDArray[np.int64] | None,
    clusters: NDArray[np.int64] | None = None,
) -> Split:
    return split_tickets(
        tickets,
        method=rules.split_method,
        seed=rules.split_seed,
        test_share=rules.test_share,
        text_ranks=ranks,
        clusters=clusters,
    )
