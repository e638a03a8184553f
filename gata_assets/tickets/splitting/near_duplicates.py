"""Near-duplicate texts: pairs whose sets of word 3-grams have a Jaccard similarity of at least a threshold.

MinHash signatures (rensa) in bands give candidates, which are compared exactly: a pair that is found is similar, and a
similar pair is found with a probability of at least 0.999. The result depends on the texts alone, not on their order or
on threads. docs/adr/0008-near-duplicates.md has the reasons and what was measured.
Source: Broder, On the resemblance and containment of documents (1997); Leskovec, Rajaraman, Ullman, Mining of Massive
Datasets, chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from rensa import RMinHash

from gata_assets.tables.columns.arrow_buffers import text_buffers
from gata_assets.tables.columns.hashing import hash_texts
from gata_assets.tickets.splitting.shingles import (
    combine_words,
    compare_candidates,
    compare_sharing,
    distinct_in_rows,
    rarest_in_rows,
)
from gata_assets.tickets.texts import as_arrow

_HASHES = 128
_SEED = 42
_LEAST_RECALL = 0.999
# Texts at once: their words take 16 bytes each while they are hashed. Signatures pass through Python numbers.
_TEXTS_AT_ONCE = 10_000
_SIGNATURES_AT_ONCE = 2_000
# With how many of the texts that follow it a text is compared, in a band, and for each of its rarest shingles in large
# groups. All pairs of a group of copies of a form letter would take time and memory with the square of their number.
MOST_COMPARED = 128
MOST_SHARING = 32


@dataclass(frozen=True)
class Pairs:
    """Pairs of near-duplicate texts, by their positions, `first` < `second`.

    `are_all` says that every pair that shares a band was compared. Otherwise texts are uncertain (`is_uncertain` has an
    element per text) that have fewer than MOST_COMPARED near-duplicates, and share rare 3-grams with more texts than
    they were compared with.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    are_all: bool
    is_uncertain: NDArray[np.bool_]

    def among(self, present: NDArray[np.bool_]) -> Pairs:
        """The pairs of which both texts are present."""
        kept = present[self.first] & present[self.second]
        return Pairs(self.first[kept], self.second[kept], self.are_all, self.is_uncertain & present)

    def clusters(self, texts: int) -> NDArray[np.int64]:
        """For each of `texts` texts, the lowest position among those that it is connected to by pairs."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        edges = coo_array((np.ones(len(self.first), np.int8), (self.first, self.second)), shape=(texts, texts))
        _, component = connected_components(edges, directed=False)
        lowest = np.full(texts, texts, dtype=np.int64)
        np.minimum.at(lowest, component, np.arange(texts))
        found: NDArray[np.int64] = lowest[component]
        return found

    def have_twin(self, is_test: NDArray[np.bool_], is_train: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which texts in test have a near-duplicate in train; a text on both sides is its own."""
        found = is_test & is_train
        for text, other in ((self.first, self.second), (self.second, self.first)):
            found[text[is_test[text] & is_train[other]]] = True
        return found


@dataclass(frozen=True)
class Sketches:
    """What texts are compared by: their distinct word 3-grams as 64-bit hashes, ascending per text (`ends` has the end
    of each text's), and a key per text and band.
    """

    shingles: NDArray[np.uint64]
    ends: NDArray[np.int64]
    keys: NDArray[np.uint64]
    similarity: float

    @classmethod
    def of(cls, texts: pl.Series, *, similarity: float) -> Sketches:
        """Sketch texts, which are distinct and have single spaces.

        Args:
            texts: A column of strings.
            similarity: The threshold for which bands are chosen, 0.5 to 1.
        """
        parts = [_shingles(texts[start : start + _TEXTS_AT_ONCE]) for start in range(0, len(texts), _TEXTS_AT_ONCE)]
        rows = rows_per_band(similarity)
        keys = [_band_keys(shingles, ends, rows) for shingles, ends in parts]
        sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(ends) for _, ends in parts)])
        shingles = [shingles for shingles, _ in parts] or [np.zeros(0, np.uint64)]
        return cls(
            np.concatenate(shingles),
            np.cumsum(sizes),
            np.concatenate(keys) if keys else np.zeros((0, _HASHES // rows), np.uint64),
            similarity,
        )

    def find_pairs(self, texts: NDArray[np.int64] | None = None) -> Pairs:
        """Find the near-duplicates among all texts, or among those at the given ascending positions."""
        among = np.arange(len(self.keys)) if texts is None else texts
        found = [np.zeros((0, 2), np.int32)]
        is_large = np.zeros(len(self.keys), dtype=np.bool_)
        for band in range(self.keys.shape[1]):
            # Stable, so that texts of a group are in the order of their positions.
            order = among[np.argsort(self.keys[among, band], kind="stable")]
            found.append(
                compare_candidates(
                    order, self.keys, band, self.shingles, self.ends, self.similarity, MOST_COMPARED, is_large
                )
            )
        is_capped = np.zeros(len(self.keys), dtype=np.bool_)
        if is_large.any():
            similar = np.bincount(np.concatenate(found).ravel(), minlength=len(self.keys))
            found.append(self._compare_rarest(np.flatnonzero(is_large), similar, is_capped))
        pairs = np.unique(np.concatenate(found), axis=0)
        return Pairs(pairs[:, 0], pairs[:, 1], not is_large.any(), is_capped)

    def _compare_rarest(
        self, texts: NDArray[np.int64], similar: NDArray[np.int64], is_capped: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        """Compare texts of large groups that share one of their rarest shingles.

        Mail with a common signature is in groups of thousands without being similar: in such a group a text would be
        compared with others only.
        """
        sizes = self.ends[texts + 1] - self.ends[texts]
        ends = np.concatenate([[0], np.cumsum(sizes)])
        places = np.repeat(self.ends[texts] - ends[:-1], sizes) + np.arange(ends[-1])
        shingles = self.shingles[places]
        _, code, texts_with = np.unique(shingles, return_inverse=True, return_counts=True)
        values, rows = rarest_in_rows(shingles, texts_with[code], ends, self.similarity)
        order = np.argsort(values, kind="stable")
        return compare_sharing(
            values[order],
            texts[rows[order]],
            similar,
            self.shingles,
            self.ends,
            self.similarity,
            MOST_COMPARED,
            MOST_SHARING,
            is_capped,
        )


class NearDuplicates:
    """The near-duplicates among the texts of a table, for any of its parts."""

    def __init__(self, texts: pl.Series, *, similarity: float) -> None:
        """`texts` are distinct and have single spaces; the position of a text is its rank."""
        self.similarity = similarity
        self.texts = len(texts)
        sketches = Sketches.of(texts, similarity=similarity)
        self._pairs = sketches.find_pairs()
        self._sketches = None if self._pairs.are_all else sketches

    def among(self, ranks: NDArray[np.int64], *, are_alone: bool = False) -> Pairs:
        """The pairs among the texts with these ranks.

        In large groups, which pairs are compared depends on the other texts. With `are_alone` these texts are then
        compared by themselves, so that the result is that of a table which has no others.
        """
        present = np.zeros(self.texts, dtype=np.bool_)
        present[ranks] = True
        if are_alone and self._sketches and not present.all():
            return self._sketches.find_pairs(np.flatnonzero(present))
        return self._pairs.among(present)


def rows_per_band(similarity: float) -> int:
    """The most rows per band with which a pair of that similarity shares a band with a probability of 0.999."""
    return max(
        rows
        for rows in range(1, _HASHES + 1)
        if 1 - (1 - similarity**rows) ** (_HASHES // rows) >= _LEAST_RECALL or rows == 1
    )


def _shingles(texts: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The distinct 3-grams of each text, ascending; a text of fewer words has one of all of its words."""
    words = texts.str.split(" ")
    hashes = hash_texts(*text_buffers(words.explode(keep_nulls=True, empty_as_null=True)), _SEED)
    shingles, ends = combine_words(hashes, words.list.len().to_numpy().astype(np.int64))
    return distinct_in_rows(shingles, ends)


def _band_keys(shingles: NDArray[np.uint64], ends: NDArray[np.int64], rows: int) -> NDArray[np.uint64]:
    bands = _HASHES // rows
    keys = np.empty((len(ends) - 1, bands), dtype=np.uint64)
    for start in range(0, len(keys), _SIGNATURES_AT_ONCE):
        part = ends[start : start + _SIGNATURES_AT_ONCE + 1]
        tokens = shingles[part[0] : part[-1]]
        signatures = RMinHash.digest_matrix_from_flat_token_hashes(tokens, part - part[0], _HASHES, _SEED)
        values = np.array(signatures.to_rows(), dtype=np.uint64)[:, : bands * rows].reshape(-1, bands, rows)
        mixed = np.zeros(values.shape[:2], dtype=np.uint64)
        for row in range(rows):
            mixed = (mixed ^ values[:, :, row]) * np.uint64(0x9E3779B185EBCA87)
            mixed ^= mixed >> np.uint64(29)
        keys[start : start + len(mixed)] = mixed
    return keys


def distinct_texts(texts: pd.Series[str], ranks: NDArray[np.int64]) -> pl.Series:
    """A text for each rank from 0, ascending; a missing text, whose rank is -1, is left out."""
    _, first = np.unique(ranks, return_index=True)
    first = first[ranks[first] >= 0]
    return pl.Series(pl.from_arrow(as_arrow(texts.iloc[first])))
