"""The train/test split of tickets.

`split_by_text` is the project's own method, see docs/adr/0001-split.md. `split_with_sklearn` reproduces the tool that
this project replaces. Writing the result belongs elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.errors import SplitError
from gata_assets.tickets.rules import DEFAULT_TEST_SHARE, SplitMethod
from gata_assets.tickets.splitting.text_groups import TextGroups, format_labels

SKLEARN_SEED = 42


@dataclass(frozen=True)
class Split:
    """Two tables with the same columns: every ticket is in exactly one.

    The arrays have an element per row, first for `train`, then for `test`: `group_codes` are equal for rows that stay
    together, `text_ranks` for equal texts. `divided_texts` is the number of near-duplicate texts that could not stay
    together. `test_share` is the share of tickets that was asked for.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    group_codes: NDArray[np.int64] | None = None
    text_ranks: NDArray[np.int64] | None = None
    divided_texts: int = 0
    test_share: float = DEFAULT_TEST_SHARE


def split_tickets(
    tickets: pd.DataFrame,
    *,
    method: SplitMethod,
    seed: int,
    test_share: float = DEFAULT_TEST_SHARE,
    text_ranks: NDArray[np.int64] | None = None,
    clusters: NDArray[np.int64] | None = None,
) -> Split:
    """Split tickets (`id`, `closed`, `label`, `text`) by the chosen method; see the two functions below."""
    if method is SplitMethod.SKLEARN:
        return split_with_sklearn(tickets, test_share=test_share, text_ranks=text_ranks)
    return split_by_text(tickets, seed=seed, test_share=test_share, text_ranks=text_ranks, clusters=clusters)


def split_by_text(
    tickets: pd.DataFrame,
    *,
    seed: int,
    test_share: float = DEFAULT_TEST_SHARE,
    text_ranks: NDArray[np.int64] | None = None,
    clusters: NDArray[np.int64] | None = None,
) -> Split:
    """Split tickets so that every label's test rows match its quota and equal texts stay together.

    Texts are ordered by a keyed hash (BLAKE2b of the text, the key is the seed). A label's head is the shortest prefix
    of its texts that brings its test tickets nearest to `quota_for_test`, without texts larger than
    `largest_test_text`, and at most half of its texts. A text is in test if it is in the head of the label that has
    most of its tickets. Therefore the order of rows has no effect, and removing a ticket moves at most the text at the
    end of its label's head (docs/adr/0001-split.md lists the exceptions).

    With `clusters`, each cluster of near-duplicate texts is treated as one text, at the place of its first one. Where
    that leaves a label with a single cluster, or no split, the texts of the label's clusters are treated one by one.

    Args:
        tickets: `Tickets` columns.
        seed: The key of the hash.
        test_share: The share of tickets to test on, at most 0.5.
        text_ranks: The result of `rank_texts` for these rows, alone or as part of a larger table.
        clusters: By rank, the lowest rank in the text's cluster.

    Returns:
        Both sides, each ordered by (`closed`, `id`).

    Raises:
        SplitError: If labels have fewer than two distinct texts or cannot be on both sides; the message lists them.
    """
    ranks = rank_texts(tickets["text"], seed=seed) if text_ranks is None else text_ranks
    order = np.lexsort((tickets["id"].to_numpy(dtype=np.int64), tickets["closed"].to_numpy(dtype=np.int64)))
    ranks = ranks[order]
    label_codes, labels = pd.factorize(tickets["label"].to_numpy(dtype=np.int64)[order], sort=True)
    names = np.asarray(labels, dtype=np.int64)
    clustered = groups = ranks if clusters is None else clusters[ranks]
    while True:
        groups = _divide_only_groups(groups, ranks, label_codes)
        try:
            is_test = TextGroups.of(groups, label_codes, names).choose_test_texts(test_share)[groups]
            break
        except SplitError as error:
            # Labels that share clusters may leave no split: then the texts of the label's clusters are divided.
            of_label = names[label_codes] == error.label
            if not (groups[of_label] != ranks[of_label]).any():
                raise
            groups = np.where(np.isin(groups, groups[of_label]), ranks, groups)
    divided = len(np.unique(ranks[np.isin(clustered, clustered[groups != clustered])]))
    return Split(
        train=tickets.iloc[order[~is_test]].reset_index(drop=True),
        test=tickets.iloc[order[is_test]].reset_index(drop=True),
        group_codes=np.concatenate([groups[~is_test], groups[is_test]]),
        text_ranks=np.concatenate([ranks[~is_test], ranks[is_test]]),
        divided_texts=divided,
        test_share=test_share,
    )


def _divide_only_groups(
    groups: NDArray[np.int64], ranks: NDArray[np.int64], label_codes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Divide the clusters of labels that have a single one and several texts into their texts.

    Returns:
        The groups of the rows.
    """
    divided = groups
    while True:
        groups_of = np.bincount(np.unique(np.stack([label_codes, divided]), axis=1)[0])
        texts_of = np.bincount(np.unique(np.stack([label_codes, ranks]), axis=1)[0])
        needed = divided[((groups_of < 2) & (texts_of > 1))[label_codes]]
        if not len(needed):
            return divided
        divided = np.where(np.isin(divided, needed), ranks, divided)


def rank_texts(texts: pd.Series[str], *, seed: int) -> NDArray[np.int64]:
    """Rank each row's text, from 0, among the distinct texts in the order of their keyed hashes.

    In a subset of the rows the ranks differ but their order does not, so ranks computed once serve every part of a
    table. Texts whose 64-bit hashes collide (one in 10^9 batches of 100,000 texts) are ordered by text. A missing text
    has rank -1.
    """
    codes, uniques = pd.factorize(texts)
    distinct = uniques.tolist()
    key = seed.to_bytes(8, "big")
    digests = b"".join(blake2b(text.encode(), digest_size=8, key=key).digest() for text in distinct)
    hashes = np.frombuffer(digests, dtype=">u8").astype(np.uint64)
    order = np.argsort(hashes)
    if len(np.unique(hashes)) < len(hashes):
        order = np.array(sorted(order, key=lambda code: (hashes[code], distinct[code])))
    # One extra element at the end, which -1, the code of a missing text, selects.
    ranks = np.full(len(order) + 1, -1, dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks[codes]


def split_with_sklearn(
    tickets: pd.DataFrame,
    *,
    test_share: float = DEFAULT_TEST_SHARE,
    text_ranks: NDArray[np.int64] | None = None,
) -> Split:
    """Apply `train_test_split(test_size=test_share, stratify=label, random_state=42)` to the tickets ordered by
    (`closed`, `id`), and keep its row order.

    Equal texts may be on both sides.

    Raises:
        SplitError: If labels have fewer than two tickets, or that share of the tickets is fewer than the labels.
    """
    from sklearn.model_selection import train_test_split  # 0.6 s to import, for this method alone

    order = np.lexsort((tickets["id"].to_numpy(dtype=np.int64), tickets["closed"].to_numpy(dtype=np.int64)))
    ordered = tickets.iloc[order]
    labels = ordered["label"].to_numpy(dtype=np.int64)
    names, counts = np.unique(labels, return_counts=True)
    too_few = [int(name) for name in names[counts < 2]]
    if too_few:
        raise SplitError(
            f"{len(too_few)} of {len(names)} labels have fewer than two tickets and cannot be in train and in test: "
            f"{format_labels(too_few)}. Map these groups to another one, or raise LOW_VOLUME_THRESHOLD."
        )
    # As scikit-learn rounds.
    if math.ceil(test_share * len(labels)) < len(names):
        raise SplitError(
            f"TEST_SHARE={test_share} of {len(labels)} tickets is fewer than their {len(names)} labels, so not every "
            "label can be in test. Widen TRAINING_PERIOD or LOW_VOLUME_PERIOD, or raise TEST_SHARE."
        )
    train, test = train_test_split(
        np.arange(len(labels)), test_size=test_share, stratify=labels, random_state=SKLEARN_SEED
    )
    return Split(
        train=ordered.iloc[train].reset_index(drop=True),
        test=ordered.iloc[test].reset_index(drop=True),
        text_ranks=None if text_ranks is None else text_ranks[order[np.concatenate([train, test])]],
        test_share=test_share,
    )
