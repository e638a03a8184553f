"""Loops over word 3-grams: hashes of words become sets of shingles, and candidate pairs are compared exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gata_assets.tables.columns.jit import compiled

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)


@compiled
def _mix(value: np.uint64, word: np.uint64) -> np.uint64:
    value = (value ^ word) * _P1
    value = (value ^ (value >> np.uint64(31))) * _P2
    return value ^ (value >> np.uint64(29))


@compiled
def combine_words(words: NDArray[np.uint64], counts: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hash of each word 3-gram of texts, and where those of each text end (with a 0 before the first).

    `words` are the hashes of all words, `counts` the words of each text; a text of fewer than three words has one hash.
    """
    ends = np.zeros(len(counts) + 1, dtype=np.int64)
    for text in range(len(counts)):
        ends[text + 1] = ends[text] + max(counts[text] - 2, 1)
    found = np.empty(ends[-1], dtype=np.uint64)
    first = 0
    for text in range(len(counts)):
        size = min(counts[text], 3)
        for place in range(ends[text + 1] - ends[text]):
            value = np.uint64(size)
            for word in range(size):
                value = _mix(value, words[first + place + word])
            found[ends[text] + place] = value
        first += counts[text]
    return found, ends


@compiled
def distinct_in_rows(
    values: NDArray[np.uint64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The distinct values of each row, ascending, and where the rows end."""
    found, found_ends = np.empty(len(values), dtype=np.uint64), np.zeros(len(ends), dtype=np.int64)
    at = 0
    for row in range(len(ends) - 1):
        ordered = np.sort(values[ends[row] : ends[row + 1]])
        for place in range(len(ordered)):
            if place == 0 or ordered[place] != ordered[place - 1]:
                found[at] = ordered[place]
                at += 1
        found_ends[row + 1] = at
    return found[:at].copy(), found_ends


@compiled
def compare_candidates(
    order: NDArray[np.int64],
    keys: NDArray[np.uint64],
    band: int,
    shingles: NDArray[np.uint64],
    ends: NDArray[np.int64],
    similarity: float,
    most: int,
    is_large: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """The similar pairs among texts with the same key in a band.

    A pair that shares an earlier band was compared there. A text is compared with the `most` texts after it; the texts
    of larger groups are marked in `is_large`.

    Args:
        order: Positions of texts, by their keys of the band.
        keys: The keys by text and band.
        band: The band.
        shingles: Distinct shingles of all texts, ascending per text.
        ends: Where those of each text end.
        similarity: The least Jaccard similarity.
        most: How many texts a text is compared with.
        is_large: Changed: whether each text is in a group of more than `most` + 1.

    Returns:
        A row per pair: the lower position, the higher one.
    """
    pairs, found = np.empty((1_024, 2), dtype=np.int32), 0
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and keys[order[stop], band] == keys[order[start], band]:
            stop += 1
        if stop - start > most + 1:
            for place in range(start, stop):
                is_large[order[place]] = True
        for place in range(start, stop):
            text = order[place]
            for other_place in range(place + 1, min(place + 1 + most, stop)):
                other = order[other_place]
                if _share_earlier_band(keys, text, other, band):
                    continue
                if _are_similar(shingles, ends, text, other, similarity):
                    pairs = _with_room(pairs, found)
                    pairs[found, 0], pairs[found, 1] = min(text, other), max(text, other)
                    found += 1
        start = stop
    return pairs[:found].copy()


@compiled
def rarest_in_rows(
    values: NDArray[np.uint64], counts: NDArray[np.int64], ends: NDArray[np.int64], similarity: float
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The rarest values of each row, and their rows: two rows with that similarity share at least one of them.

    Sets of at least a Jaccard similarity t share one of the first n - ceil(t * n) + 1 values in any order that is the
    same for all sets. `counts` has the number of rows with each value; values are ascending per row.
    Source: Bayardo, Ma, Srikant, Scaling up all pairs similarity search (2007).
    """
    found, rows, at = np.empty(len(values), dtype=np.uint64), np.empty(len(values), dtype=np.int64), 0
    for row in range(len(ends) - 1):
        start, size = ends[row], ends[row + 1] - ends[row]
        order = np.argsort(counts[start : start + size], kind="mergesort")
        for place in range(size - int(np.ceil(similarity * size - 1e-9)) + 1):
            found[at], rows[at] = values[start + order[place]], row
            at += 1
    return found[:at].copy(), rows[:at].copy()


@compiled
def compare_sharing(
    values: NDArray[np.uint64],
    texts: NDArray[np.int64],
    similar: NDArray[np.int64],
    shingles: NDArray[np.uint64],
    ends: NDArray[np.int64],
    similarity: float,
    enough: int,
    most: int,
    is_capped: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """The similar pairs among texts that share a value; pairs may be repeated.

    Args:
        values: Values of texts, ascending.
        texts: The text of each.
        similar: How many similar texts each text is known to have; with `enough` of them, it is not compared again.
        shingles: Distinct shingles of all texts, ascending per text.
        ends: Where those of each text end.
        similarity: The least Jaccard similarity.
        enough: See `similar`.
        most: With how many of the texts after it a text is compared, for each value.
        is_capped: Changed: whether each text was not compared with all that share a value.

    Returns:
        A row per pair: the lower position, the higher one.
    """
    pairs, found = np.empty((1_024, 2), dtype=np.int32), 0
    start = 0
    while start < len(values):
        stop = start + 1
        while stop < len(values) and values[stop] == values[start]:
            stop += 1
        for place in range(start, stop):
            text = texts[place]
            if stop - start > most + 1 and similar[text] < enough:
                is_capped[text] = True
            for other_place in range(place + 1, min(place + 1 + most, stop)):
                other = texts[other_place]
                if similar[text] >= enough and similar[other] >= enough:
                    continue
                if _are_similar(shingles, ends, text, other, similarity):
                    pairs = _with_room(pairs, found)
                    pairs[found, 0], pairs[found, 1] = min(text, other), max(text, other)
                    found += 1
        start = stop
    return pairs[:found].copy()


@compiled
def _with_room(pairs: NDArray[np.int32], found: int) -> NDArray[np.int32]:
    """The pairs, in twice the space if it is full."""
    if found < len(pairs):
        return pairs
    longer = np.empty((2 * found, 2), dtype=np.int32)
    longer[:found] = pairs
    return longer


@compiled
def _share_earlier_band(keys: NDArray[np.uint64], text: int, other: int, band: int) -> bool:
    for earlier in range(band):  # noqa: SIM110 (numba compiles no generators)
        if keys[text, earlier] == keys[other, earlier]:
            return True
    return False


@compiled
def _are_similar(
    shingles: NDArray[np.uint64], ends: NDArray[np.int64], text: int, other: int, similarity: float
) -> bool:
    at, stop, other_at, other_stop = ends[text], ends[text + 1], ends[other], ends[other + 1]
    size, other_size, shared = stop - at, other_stop - other_at, 0
    if min(size, other_size) < similarity * max(size, other_size) - 1e-9:
        return False
    while at < stop and other_at < other_stop:
        if shingles[at] == shingles[other_at]:
            shared += 1
            at += 1
            other_at += 1
        elif shingles[at] < shingles[other_at]:
            at += 1
        else:
            other_at += 1
    return bool(shared >= similarity * (size + other_size - shared) - 1e-9)
