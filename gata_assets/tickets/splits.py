"""The division of tickets into train and test.

`split_by_text` is the project's own; docs/adr/0001-split.md says why it is as it is. `split_with_sklearn`
reproduces the tool that this project replaces. What is written where is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.errors import SplitError
from gata_assets.tickets.rules import SplitMethod
from gata_assets.tickets.text_groups import TextGroups, named

SKLEARN_SEED = 42


@dataclass(frozen=True)
class Split:
    """Two tables of the same columns: every ticket is in exactly one.

    `text_codes`, where they are known, are whole numbers that are equal for equal texts: those of `train`, then those
    of `test`.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    text_codes: NDArray[np.int64] | None = None


def split_tickets(
    tickets: pd.DataFrame, *, method: SplitMethod, seed: int, text_ranks: NDArray[np.int64] | None = None
) -> Split:
    """Divide tickets (`id`, `closed`, `label`, `text`) 90/10 by the chosen method; see the two functions below."""
    if method is SplitMethod.SKLEARN:
        return split_with_sklearn(tickets)
    return split_by_text(tickets, seed=seed, text_ranks=text_ranks)


def split_by_text(tickets: pd.DataFrame, *, seed: int, text_ranks: NDArray[np.int64] | None = None) -> Split:
    """Divide tickets so that every label's test share is at its quota and equal texts stay together.

    Texts stand in the order of a keyed hash (BLAKE2b of the text, the key is the seed). A label's head is as many of
    its texts, from the first, as bring its test tickets nearest to `test_quota`, without texts that are larger than
    `largest_test_text`, and at most half of its texts. A text is tested on if it is in the head of the label that has
    most of its tickets. Hence: the order of rows changes nothing; and to take one ticket away moves at most the text
    at the end of its label's head (docs/adr/0001-split.md says when it can be more).

    `text_ranks` are what `rank_texts` gave for these rows, alone or among others. Both sides are ordered by
    (`closed`, `id`). Raises SplitError naming the labels that have fewer than two distinct texts, or that cannot be
    on both sides.
    """
    ranks = rank_texts(tickets["text"], seed=seed) if text_ranks is None else text_ranks
    order = np.lexsort((tickets["id"].to_numpy(dtype=np.int64), tickets["closed"].to_numpy(dtype=np.int64)))
    ranks = ranks[order]
    label_codes, labels = pd.factorize(tickets["label"].to_numpy(dtype=np.int64)[order], sort=True)
    is_test = TextGroups.of(ranks, label_codes, np.asarray(labels, dtype=np.int64)).choose_test_texts()[ranks]
    return Split(
        train=tickets.iloc[order[~is_test]].reset_index(drop=True),
        test=tickets.iloc[order[is_test]].reset_index(drop=True),
        text_codes=np.concatenate([ranks[~is_test], ranks[is_test]]),
    )


def rank_texts(texts: pd.Series[str], *, seed: int) -> NDArray[np.int64]:
    """The place of each row's text, from 0, among the distinct texts in the order of their keyed hashes.

    Among fewer rows the places differ and their order does not, so that ranks worked out once serve every part of a
    table. Texts whose 64-bit hashes collide (in one of 10^9 batches of 100,000 texts) stand in their own order. A
    missing text has rank -1.
    """
    codes, uniques = pd.factorize(texts)
    distinct = uniques.tolist()
    key = seed.to_bytes(8, "big")
    digests = b"".join(blake2b(text.encode(), digest_size=8, key=key).digest() for text in distinct)
    hashes = np.frombuffer(digests, dtype=">u8").astype(np.uint64)
    order = np.argsort(hashes)
    if len(np.unique(hashes)) < len(hashes):
        order = np.array(sorted(order, key=lambda code: (hashes[code], distinct[code])))
    # One more than there are texts: -1, the code of a missing text, leads to it.
    ranks = np.full(len(order) + 1, -1, dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks[codes]


def split_with_sklearn(tickets: pd.DataFrame) -> Split:
    """Exactly `train_test_split(test_size=0.1, stratify=label, random_state=42)` over the tickets ordered by
    (`closed`, `id`), its order of rows kept.

    Equal texts may land on both sides. Raises SplitError for labels with fewer than two tickets, and where a
    tenth of the tickets is fewer than the labels.
    """
    from sklearn.model_selection import train_test_split  # 0.6 s to import, for this method alone

    ordered = tickets.sort_values(["closed", "id"], ignore_index=True)
    labels = ordered["label"].to_numpy(dtype=np.int64)
    names, counts = np.unique(labels, return_counts=True)
    too_few = [int(name) for name in names[counts < 2]]
    if too_few:
        raise SplitError(
            f"{len(too_few)} of {len(names)} labels have fewer than two tickets and cannot be in train and in test: "
            f"{named(too_few)}. Map these groups to another one, or raise LOW_VOLUME_THRESHOLD."
        )
    if -(-len(labels) // 10) < len(names):
        raise SplitError(
            f"A tenth of {len(labels)} tickets is fewer than their {len(names)} labels, so not every label can be "
            "tested on. Widen TRAINING_PERIOD or LOW_VOLUME_PERIOD."
        )
    train, test = train_test_split(np.arange(len(labels)), test_size=0.1, stratify=labels, random_state=SKLEARN_SEED)
    return Split(train=ordered.iloc[train].reset_index(drop=True), test=ordered.iloc[test].reset_index(drop=True))
