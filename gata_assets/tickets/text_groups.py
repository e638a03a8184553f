"""Which texts are tested on: quotas, heads of labels, and what holds them to one another.

Arrays and labels only; frames, seeds and hashes belong to `core.splits`. The rules and why they are these stand in
docs/adr/0001-split.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gata_assets.errors import SplitError

# A tenth of every label is tested on.
TEST_TENTHS = 1


def test_quota(tickets: int) -> int:
    """The test rows that a label of so many tickets should have: a tenth, halves rounded up, at least one."""
    return max(1, (tickets * TEST_TENTHS + 5) // 10)


def largest_test_text(quota: int) -> int:
    """The most tickets of a label that a text may have to be tested on: its quota, rounded down to a power of two
    so that it seldom changes, at least two. A larger text would be most of the test side, or more.
    """
    return int(2 ** (max(quota, 2).bit_length() - 1))


@dataclass(frozen=True)
class TextGroups:
    """Tickets grouped by (label, text), by label and then in the order of the texts' hashes.

    Arrays of one element a group: code of the `label`, rank of the `text`, and the number of `tickets`. `label_names`
    has the labels by code.
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
        """Group tickets, given each ticket's place in the order of hashes and the code of its label."""
        texts = int(text_ranks.max()) + 1
        pairs, sizes = np.unique(label_codes.astype(np.int64) * texts + text_ranks, return_counts=True)
        label, text = np.divmod(pairs, texts)
        return cls(label, text, sizes.astype(np.int64), label_names, texts)

    def choose_test_texts(self) -> NDArray[np.bool_]:
        """Whether each text is tested on, by its rank; raises SplitError where a label cannot be on both sides."""
        starts = np.searchsorted(self.label, np.arange(len(self.label_names) + 1))
        slices = [slice(starts[n], starts[n + 1]) for n in range(len(self.label_names))]
        self._require_two_texts(slices)
        is_small = self._find_small_texts(slices)
        is_in_head = np.zeros(len(self.text), dtype=np.bool_)
        for of_label in slices:
            self._mark_head(of_label, is_small, is_in_head)
        decides = self._find_deciding_groups()
        is_test = np.zeros(self.texts, dtype=np.bool_)
        is_test[self.text[decides]] = is_in_head[decides]
        return _Repair(self, slices, is_small).repair(is_test)

    def _require_two_texts(self, slices: list[slice]) -> None:
        too_few = [int(self.label_names[n]) for n, s in enumerate(slices) if s.stop - s.start < 2]
        if too_few:
            raise SplitError(
                f"{len(too_few)} of {len(slices)} labels have fewer than two distinct texts and cannot be in train "
                f"and in test: {named(too_few)}. Map these groups to another one, or raise LOW_VOLUME_MIN_COUNT (of "
                "the low-volume dataset) or LOW_VOLUME_THRESHOLD (of the general one) so that they are not trained on."
            )

    def _find_small_texts(self, slices: list[slice]) -> NDArray[np.bool_]:
        """Whether each text is small enough, in all of its labels, to be tested on."""
        is_small = np.ones(self.texts, dtype=np.bool_)
        for of_label in slices:
            limit = largest_test_text(test_quota(int(self.tickets[of_label].sum())))
            is_small[self.text[of_label][self.tickets[of_label] > limit]] = False
        return is_small

    def _mark_head(self, of_label: slice, is_small: NDArray[np.bool_], is_in_head: NDArray[np.bool_]) -> None:
        small = np.flatnonzero(is_small[self.text[of_label]]) + of_label.start
        sums = np.cumsum(self.tickets[small])
        quota = test_quota(int(self.tickets[of_label].sum()))
        # argmin takes the first of equals, that is the shorter head.
        length = int(np.argmin(np.abs(sums - quota))) + 1 if len(small) else 0
        at_most = max(1, (of_label.stop - of_label.start) // 2)
        is_in_head[small[: min(length, at_most)]] = True

    def _find_deciding_groups(self) -> NDArray[np.int64]:
        """For each text the group of the label that has most of its tickets; of equals, of the lowest label."""
        order = np.lexsort((self.label, -self.tickets, self.text))
        return order[np.unique(self.text[order], return_index=True)[1]]


# Bounds of the search for one label. Real ones need a move or two; what needs more is labels that are all but one.
_MOST_TRIES = 2_000
_MOST_MOVES = 200


@dataclass
class _Repair:
    """Moves single texts, so that labels that are on one side only get a text on the other."""

    groups: TextGroups
    slices: list[slice]
    is_small: NDArray[np.bool_]
    tries: int = 0

    def repair(self, is_test: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The sides after all labels are on both; raises SplitError for one for which no way was found."""
        for label, of_label in enumerate(self.slices):
            if self._is_on_both_sides(label, is_test):
                continue
            self.tries = 0
            repaired = self._move_one(label, is_test, frozenset())
            texts = of_label.stop - of_label.start
            if repaired is None:
                raise SplitError(
                    f"Label {self.groups.label_names[label]} shares its {texts} texts with other "
                    "labels in such a way that no division was found in which each has some in train and some in "
                    "test. Map the groups to one another."
                )
            is_test = repaired
        return is_test

    def _is_on_both_sides(self, label: int, is_test: NDArray[np.bool_]) -> bool:
        tested = is_test[self.groups.text[self.slices[label]]]
        return bool(tested.any() and not tested.all())

    def _move_one(self, label: int, is_test: NDArray[np.bool_], moved: frozenset[int]) -> NDArray[np.bool_] | None:
        """Move one of a label's texts, none that has been moved already: its own first, then small ones before large,
        then the nearest to the end of the head.
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
        """Move a text, and in labels that this puts on one side, another one, and so on; None if that leads nowhere."""
        self.tries += 1
        if self.tries > _MOST_TRIES or len(moved) > _MOST_MOVES:
            return None
        changed = is_test.copy()
        changed[text] = not changed[text]
        labels = self._labels_of(text)
        for label in labels:
            if not self._is_on_both_sides(label, changed):
                followed = self._move_one(label, changed, moved)
                if followed is None:
                    return None
                changed = followed
        return changed if all(self._is_on_both_sides(label, changed) for label in labels) else None

    def _labels_of(self, text: int) -> list[int]:
        return [int(label) for label in self.groups.label[self.groups.text == text]]


def named(labels: list[int], most: int = 10) -> str:
    """Labels as text, the first ten by name."""
    shown = ", ".join(str(label) for label in labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"
