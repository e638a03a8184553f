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

from gata_assets.core.rules import SplitMethod
from gata_assets.core.text_groups import TextGroups, named
from gata_assets.errors import SplitError

SKLEARN_SEED = 42


@dataclass(frozen=True)
class Split:
    """Two tables of the same columns: every ticket is in exactly one."""

    train: pd.DataFrame
    test: pd.DataFrame


def split_tickets(tickets: pd.DataFrame, *, method: SplitMethod, seed: int) -> Split:
    """Divide tickets (`id`, `closed`, `label`, `text`) 90/10 by the chosen method; see the two functions below."""
    if method is SplitMethod.SKLEARN:
        return split_with_sklearn(tickets)
    return split_by_text(tickets, seed=seed)


def split_by_text(tickets: pd.DataFrame, *, seed: int) -> Split:
    """Divide tickets so that every label's test share is at its quota and equal texts stay together.

    Texts stand in the order of a keyed hash (BLAKE2b of the text, the key is the seed). A label's head is as many of
    its texts, from the first, as bring its test tickets nearest to `test_quota`, without texts that are larger than
    `largest_test_text`, and at most half of its texts. A text is tested on if it is in the head of the label that has
    most of its tickets. Hence: the order of rows changes nothing; and to take one ticket away moves at most the text
    at the end of its label's head (docs/adr/0001-split.md says when it can be more).

    Both sides are ordered by (`closed`, `id`). Raises SplitError naming the labels that have fewer than two
    distinct texts, or that cannot be on both sides.
    """
    ordered = tickets.sort_values(["closed", "id"], ignore_index=True)
    text_codes, texts = pd.factorize(ordered["text"])
    label_codes, labels = pd.factorize(ordered["label"], sort=True)
    groups = TextGroups.of(text_codes, label_codes, _hash_texts(texts, seed), np.asarray(labels, dtype=np.int64))
    is_test = groups.choose_test_texts()[text_codes]
    return Split(train=ordered[~is_test].reset_index(drop=True), test=ordered[is_test].reset_index(drop=True))


def _hash_texts(texts: pd.Index[str], seed: int) -> NDArray[np.uint64]:
    """One 64-bit hash a text; texts that collide (in one of 10^9 batches of 100,000 texts) follow one another in
    the order of their first tickets.
    """
    key = seed.to_bytes(8, "big")
    digests = b"".join(blake2b(text.encode(), digest_size=8, key=key).digest() for text in texts)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


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
