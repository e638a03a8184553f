"""The choice of test texts: each label's quota and head, and the repair of labels that end up on one side.

Arrays and labels only; frames, seeds and hashes belong to `splits`. docs/adr/0001-split.md explains the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gata_assets.errors import SplitError
from gata_assets.tickets.rules import DEFAULT_TEST_SHARE


def quota_for_test(tickets: int, share: float = DEFAULT_TEST_SHARE) -> int:
    """The number of test rows for a label with this many tickets: that share, halves rounded up, at least one.

    Of the share as it is written, such as 1/10: a product with the float could round a half down.
    """
    of_all, parts = Fraction(str(share)).as_integer_ratio()
    return max(1, (2 * tickets * of_all + parts) // (2 * parts))


def largest_test_text(quota: int) -> int:
    """The largest number of a label's tickets that a text in test may have: the label's quota, rounded down to a power
    of two so that it seldom changes, at least two. A larger text would be most of the test side, or more.
    """
    return int(2 ** (max(quota, 2).bit_length() - 1))


@dataclass(frozen=True)
class TextGroups:
    """Tickets grouped by (label, text), ordered by label and then by the texts' hashes.

    Arrays have one element per group: the `label`'s code, the `text`'s rank, and the number of `tickets`.
    `label_names` has the labels by code; `texts` is the number of distinct texts.
    """

    label: NDArray[np.int64]
    text: NDArray[np.int64]
    tickets: NDArray[np.int64]
    label_names: NDArray[np.int64]
    texts: int

    @classmethod
    def of(
        cls, text_ranks: NDArray[np.int64], label_codes: NDArray[np.int64], label_names: NDArray[np.int64]
    ) -> TextGroups:
        """Group tickets, given the rank of each ticket's text in the order of hashes and its label's code."""
        texts = int(text_ranks.max()) + 1
        pairs, sizes = np.unique(label_codes.astype(np.int64) * texts + text_ranks, return_counts=True)
        label, text = np.divmod(pairs, texts)
        return cls(label, text, sizes.astype(np.int64), label_names, texts)

    def choose_test_texts(self, test_share: float = DEFAULT_TEST_SHARE) -> NDArray[np.bool_]:
        """Choose the test texts.

        Args:
            test_share: The share of each label's tickets to test on, at most 0.5.

        Returns:
            Whether each text is in test, by its rank.

        Raises:
            SplitError: If a label cannot be on both sides.
        """
        starts = np.searchsorted(self.label, np.arange(len(self.label_names) + 1))
        slices = [slice(starts[n], starts[n + 1]) for n in range(len(self.label_names))]
        self._require_two_texts(slices)
        quotas = [quota_for_test(int(self.tickets[label_slice].sum()), test_share) for label_slice in slices]
        is_small = self._find_small_texts(slices, quotas)
        is_in_head = np.zeros(len(self.text), dtype=np.bool_)
        for label_slice, quota in zip(slices, quotas, strict=True):
            self._mark_head(label_slice, quota, is_small, is_in_head)
        decides = self._find_deciding_groups()
        is_test = np.zeros(self.texts, dtype=np.bool_)
        is_test[self.text[decides]] = is_in_head[decides]
        return _Repair(self, slices, is_small).repair(is_test)

    def _require_two_texts(self, slices: list[slice]) -> None:
        too_few = [int(self.label_names[n]) for n, s in enumerate(slices) if s.stop - s.start < 2]
        if too_few:
            raise SplitError(
                f"{len(too_few)} of {len(slices)} labels have fewer than two distinct texts and cannot be in train "
                f"and in test: {format_labels(too_few)}. Map these groups to another one, or raise "
                "LOW_VOLUME_MIN_COUNT (low-volume dataset) or LOW_VOLUME_THRESHOLD (general dataset) to exclude them."
            )

    def _find_small_texts(self, slices: list[slice], quotas: list[int]) -> NDArray[np.bool_]:
        """Whether each text is small enough, in all of its labels, to be in test."""
        is_small = np.ones(self.texts, dtype=np.bool_)
        for label_slice, quota in zip(slices, quotas, strict=True):
            limit = largest_test_text(quota)
            is_small[self.text[label_slice][self.tickets[label_slice] > limit]] = False
        return is_small

    def _mark_head(
        self, label_slice: slice, quota: int, is_small: NDArray[np.bool_], is_in_head: NDArray[np.bool_]
    ) -> None:
        small = np.flatnonzero(is_small[self.text[label_slice]]) + label_slice.start
        sums = np.cumsum(self.tickets[small])
        # argmin returns the first of equals, which is the shorter head.
        length = int(np.argmin(np.abs(sums - quota))) + 1 if len(small) else 0
        max_length = max(1, (label_slice.stop - label_slice.start) // 2)
        is_in_head[small[: min(length, max_length)]] = True

    def _find_deciding_groups(self) -> NDArray[np.int64]:
        """For each text, the group of the label that has most of its tickets; ties go to the lowest label."""
        order = np.lexsort((self.label, -self.tickets, self.text))
        return order[np.unique(self.text[order], return_index=True)[1]]


# Limits of the search for one label. Real data needs a move or two; more only for labels with almost the same texts.
_MAX_ATTEMPTS = 2_000
_MAX_MOVES = 200


@dataclass
class _Repair:
    """Moves single texts so that every label is on both sides."""

    groups: TextGroups
    slices: list[slice]
    is_small: NDArray[np.bool_]
    attempts: int = 0

    def repair(self, is_test: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the sides with all labels on both; raises SplitError if the search fails for a label."""
        for label, label_slice in enumerate(self.slices):
            if self._is_on_both_sides(label, is_test):
                continue
            self.attempts = 0
            repaired = self._move_text(label, is_test, frozenset())
            texts = label_slice.stop - label_slice.start
            if repaired is None:
                raise SplitError(
                    f"Label {self.groups.label_names[label]} shares its {texts} texts with other labels, and no split "
                    "was found in which each of them has texts in train and in test. Map these groups to one another.",
                    label=int(self.groups.label_names[label]),
                )
            is_test = repaired
        return is_test

    def _is_on_both_sides(self, label: int, is_test: NDArray[np.bool_]) -> bool:
        tested = is_test[self.groups.text[self.slices[label]]]
        return bool(tested.any() and not tested.all())

    def _move_text(self, label: int, is_test: NDArray[np.bool_], moved: frozenset[int]) -> NDArray[np.bool_] | None:
        """Move one of a label's texts that has not moved yet: unshared texts first, then small before large, then
        those nearest to the end of the head.
        """
        texts, tickets = self.groups.text[self.slices[label]], self.groups.tickets[self.slices[label]]
        is_shared = np.array([len(self._labels_of(int(text))) > 1 for text in texts])
        nearness = np.arange(len(texts)) * (-1 if is_test[texts].all() else 1)
        for text in texts[np.lexsort((nearness, np.where(self.is_small[texts], 0, tickets), is_shared))]:
            if int(text) not in moved:
                found = self._follow(int(text), is_test, moved | {int(text)})
                if found is not None:
                    return found
        return None

    def _follow(self, text: int, is_test: NDArray[np.bool_], moved: frozenset[int]) -> NDArray[np.bool_] | None:
        """Move a text, then another one in each label that is now on one side, recursively; None if that fails."""
        self.attempts += 1
        if self.attempts > _MAX_ATTEMPTS or len(moved) > _MAX_MOVES:
            return None
        changed = is_test.copy()
        changed[text] = not changed[text]
        labels = self._labels_of(text)
        for label in labels:
            if not self._is_on_both_sides(label, changed):
                followed = self._move_text(label, changed, moved)
                if followed is None:
                    return None
                changed = followed
        return changed if all(self._is_on_both_sides(label, changed) for label in labels) else None

    def _labels_of(self, text: int) -> list[int]:
        return [int(label) for label in self.groups.label[self.groups.text == text]]


def format_labels(labels: list[int], limit: int = 10) -> str:
    """Format labels for a message: the first `limit`, and the number of the others."""
    shown = ", ".join(str(label) for label in labels[:limit])
    return shown if len(labels) <= limit else f"{shown} and {len(labels) - limit} more"
