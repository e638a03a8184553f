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
from gata_assets.errors import SplitError

# A tenth of every label is tested on.
TEST_TENTHS = 1
SKLEARN_SEED = 42
_HASH_RANGE = 2**64


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


def test_quota(tickets: int) -> int:
    """The test rows that a label of so many tickets should have: a tenth, halves rounded up, at least one."""
    return max(1, (tickets * TEST_TENTHS + 5) // 10)


def split_by_text(tickets: pd.DataFrame, *, seed: int) -> Split:
    """Divide tickets so that every label's test share is at its quota and equal texts stay together.

    Texts stand in the order of a keyed hash (BLAKE2b of the text, the key is the seed); a label's test side is
    the shortest head of its texts whose tickets come nearest to `test_quota`. A text that occurs under several
    labels has one side for all of them, by its hash alone, and each label fills up its quota from texts of its
    own. Hence: the order of rows changes nothing, and to take one ticket away moves at most the text at the
    boundary of its label.

    Both sides are ordered by (`closed`, `id`). Raises SplitError naming the labels that have fewer than two
    distinct texts, or that cannot be on both sides.
    """
    ordered = tickets.sort_values(["closed", "id"], ignore_index=True)
    text_codes, texts = pd.factorize(ordered["text"])
    label_codes, labels = pd.factorize(ordered["label"], sort=True)
    groups = _TextGroups.of(text_codes, label_codes, _hash_texts(texts, seed), np.asarray(labels, dtype=np.int64))
    is_test = groups.choose_test_texts()[text_codes]
    return Split(train=ordered[~is_test].reset_index(drop=True), test=ordered[is_test].reset_index(drop=True))


def _hash_texts(texts: pd.Index[str], seed: int) -> NDArray[np.uint64]:
    """One 64-bit hash a text; texts that collide (in one of 10^9 batches of 100,000 texts) follow one another in
    the order of their first tickets.
    """
    key = seed.to_bytes(8, "big")
    digests = b"".join(blake2b(text.encode(), digest_size=8, key=key).digest() for text in texts)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


@dataclass(frozen=True)
class _TextGroups:
    """Tickets grouped by (label, text), in the order of the texts' hashes; arrays of one element a group."""

    label: NDArray[np.int64]
    text: NDArray[np.int64]
    tickets: NDArray[np.int64]
    is_shared: NDArray[np.bool_]
    hashes: NDArray[np.uint64]
    label_names: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        text_codes: NDArray[np.int64],
        label_codes: NDArray[np.int64],
        hashes: NDArray[np.uint64],
        label_names: NDArray[np.int64],
    ) -> _TextGroups:
        pairs, sizes = np.unique(label_codes.astype(np.int64) * len(hashes) + text_codes, return_counts=True)
        label, text = np.divmod(pairs, len(hashes))
        order = np.lexsort((text, hashes[text], label))
        occurrences = np.bincount(text, minlength=len(hashes))
        return cls(
            label=label[order],
            text=text[order],
            tickets=sizes[order].astype(np.int64),
            is_shared=occurrences[text[order]] > 1,
            hashes=hashes,
            label_names=label_names,
        )

    def choose_test_texts(self) -> NDArray[np.bool_]:
        """Whether each text is tested on."""
        starts = np.searchsorted(self.label, np.arange(len(self.label_names) + 1))
        slices = [slice(starts[i], starts[i + 1]) for i in range(len(self.label_names))]
        self._require_two_texts(slices)
        is_test = np.zeros(len(self.hashes), dtype=np.bool_)
        shared = np.unique(self.text[self.is_shared])
        is_test[shared] = self.hashes[shared] < np.uint64(_HASH_RANGE // 10 * TEST_TENTHS)
        self._put_shared_only_labels_on_both_sides(slices, is_test)
        for label_slice in slices:
            self._fill_quota(label_slice, is_test)
        return is_test

    def _require_two_texts(self, slices: list[slice]) -> None:
        too_few = [int(self.label_names[i]) for i, s in enumerate(slices) if s.stop - s.start < 2]
        if too_few:
            raise SplitError(
                f"{len(too_few)} of {len(slices)} labels have fewer than two distinct texts and cannot be in train "
                f"and in test: {_named(too_few)}. Map these groups to another one, or raise LOW_VOLUME_THRESHOLD "
                "or LOW_VOLUME_MIN_COUNT so that they are not trained on by themselves."
            )

    def _put_shared_only_labels_on_both_sides(self, slices: list[slice], is_test: NDArray[np.bool_]) -> None:
        """A label without a text of its own relies on its shared texts: where these are all on one side, the one
        nearest to the boundary changes it, if no other label is emptied by that.
        """
        for label, label_slice in enumerate(slices):
            texts = self.text[label_slice]
            if not self.is_shared[label_slice].all() or 0 < is_test[texts].sum() < len(texts):
                continue
            candidates = texts[::-1] if is_test[texts].all() else texts
            for text in candidates:
                is_test[text] = not is_test[text]
                if all(self._can_be_on_both_sides(slices[other], is_test) for other in self._labels_of(text)):
                    break
                is_test[text] = not is_test[text]
            else:
                raise SplitError(
                    f"Label {self.label_names[label]} shares all of its {len(texts)} texts with other labels in such "
                    "a way that not all of them can be in train and in test. Map the groups to one another."
                )

    def _labels_of(self, text: int) -> list[int]:
        return [int(label) for label in self.label[self.text == text]]

    def _can_be_on_both_sides(self, label_slice: slice, is_test: NDArray[np.bool_]) -> bool:
        own = int((~self.is_shared[label_slice]).sum())
        tested = int(is_test[self.text[label_slice][self.is_shared[label_slice]]].sum())
        trained = label_slice.stop - label_slice.start - own - tested
        return (own >= 2) or (own == 1 and tested + trained > 0) or (tested > 0 and trained > 0)

    def _fill_quota(self, label_slice: slice, is_test: NDArray[np.bool_]) -> None:
        """Put the head of a label's own texts into test: as long as brings its test tickets nearest to the quota."""
        shared = self.is_shared[label_slice]
        texts, tickets = self.text[label_slice], self.tickets[label_slice]
        own = texts[~shared]
        if not len(own):
            return
        shared_is_test = is_test[texts[shared]]
        missing = test_quota(int(tickets.sum())) - int(tickets[shared][shared_is_test].sum())
        heads = np.concatenate(([0], np.cumsum(tickets[~shared])))
        # argmin takes the first of equals, that is the shorter head.
        length = int(np.argmin(np.abs(heads - missing)))
        shortest = 0 if shared_is_test.any() else 1
        longest = len(own) if (~shared_is_test).any() else len(own) - 1
        is_test[own[: min(max(length, shortest), longest)]] = True


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
            f"{_named(too_few)}. Map these groups to another one, or raise LOW_VOLUME_THRESHOLD."
        )
    if -(-len(labels) // 10) < len(names):
        raise SplitError(
            f"A tenth of {len(labels)} tickets is fewer than their {len(names)} labels, so not every label can be "
            "tested on. Widen TRAINING_PERIOD or LOW_VOLUME_PERIOD."
        )
    train, test = train_test_split(np.arange(len(labels)), test_size=0.1, stratify=labels, random_state=SKLEARN_SEED)
    return Split(train=ordered.iloc[train].reset_index(drop=True), test=ordered.iloc[test].reset_index(drop=True))


def _named(labels: list[int], most: int = 10) -> str:
    shown = ", ".join(str(label) for label in labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"
