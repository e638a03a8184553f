"""Twins across the split: test rows whose text, or a near-duplicate of it, is in train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.tables.outcomes import Outcome
from gata_assets.tickets.splitting.splits import Split

if TYPE_CHECKING:
    from gata_assets.tickets.splitting.near_duplicates import NearDuplicates, Pairs


@dataclass(frozen=True)
class Twins:
    """The test rows of a split that have a twin in train: their number, in all and by label.

    `uncertain_texts` were not compared with all texts that they share rare 3-grams with: the number may be too low by
    their rows. `divided_texts` is the number of texts whose cluster could not stay on one side.
    """

    similarity: float
    test_rows: int
    with_twin: int
    by_label: Mapping[int, int]
    uncertain_texts: int
    divided_texts: int

    @classmethod
    def of_no_rows(cls, similarity: float) -> Twins:
        """The twins of a dataset that does not exist."""
        return cls(similarity, 0, 0, {}, 0, 0)

    @property
    def share(self) -> float:
        """The share of test rows with a twin, 0 to 1."""
        return self.with_twin / self.test_rows if self.test_rows else 0.0

    def as_json(self) -> dict[str, object]:
        """As in manifests."""
        return {
            "similarity": self.similarity,
            "test_rows": self.test_rows,
            "test_rows_with_twin": self.with_twin,
            "share": round(self.share, 6),
            "by_label": {str(label): rows for label, rows in self.by_label.items()},
            "uncertain_texts": self.uncertain_texts,
            "divided_texts": self.divided_texts,
        }

    def check(self, *, most_share: float, is_grouped: bool) -> list[Outcome]:
        """Check that at most that share of the test rows has a twin; where near-duplicates are grouped, that none has
        but those of clusters that had to be divided.
        """
        rule = f"at most {most_share:.1%} of the test rows have a near-duplicate in train"
        advice = "NEAR_DUPLICATES=group keeps near-duplicates on one side."
        if is_grouped:
            rule, most_share = "no test row has a near-duplicate in train that was found", 0.0
            advice = (
                f"{self.divided_texts:,} texts are of labels that have near-duplicates only: map these labels to "
                "another one, or lower NEAR_DUPLICATE_SIMILARITY to see fewer as near-duplicates."
                if self.divided_texts
                else "This is a bug in the split; please report it."
            )
        failed = self.with_twin if self.share > most_share else 0
        outcomes = [Outcome(rule, failed, self.test_rows, advice, unit="test rows")]
        rule = "every text is compared with all that share rare words with it"
        advice = "The number of test rows with a twin may be too low by the rows of these texts."
        outcomes.append(Outcome(rule, self.uncertain_texts, max(self.uncertain_texts, 1), advice, unit="texts"))
        return outcomes


def find_near_duplicates(texts: pd.Series[str], ranks: NDArray[np.int64], *, similarity: float) -> NearDuplicates:
    """Find the near-duplicates among the distinct texts of rows, given the rank of each row's text (`rank_texts`)."""
    # Loads Polars and compiled loops, 0.4 s, for this alone.
    from gata_assets.tickets.splitting.near_duplicates import NearDuplicates, distinct_texts

    return NearDuplicates(distinct_texts(texts, ranks), similarity=similarity)


def count_twins(split: Split, pairs: Pairs, *, texts: int, similarity: float) -> Twins:
    """Count the test rows with a twin in train; `pairs` are of the split's `text_ranks`, below `texts`."""
    assert split.text_ranks is not None  # noqa: S101 - the caller has ranked the texts
    ranks = split.text_ranks
    train, test = ranks[: len(split.train)], ranks[len(split.train) :]
    is_test, is_train = (np.zeros(texts, dtype=np.bool_) for _ in range(2))
    is_test[test] = is_train[train] = True
    has_twin = pairs.have_twin(is_test, is_train)[test]
    labels = split.test["label"].to_numpy(dtype=np.int64)[has_twin]
    names, rows = np.unique(labels, return_counts=True)
    by_label = dict(zip(names.tolist(), rows.tolist(), strict=True))
    return Twins(
        similarity, len(test), int(has_twin.sum()), by_label, int(pairs.is_uncertain.sum()), split.divided_texts
    )
