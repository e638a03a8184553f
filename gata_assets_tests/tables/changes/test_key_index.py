"""The index of keys against dictionaries of sets, and collisions of hashes.

All real; nothing is faked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.changes.key_index import NO_ENTRIES, Hashes, KeyIndex, Segment, merge

# Few, so that they meet; the least and greatest too.
HASHES = (0, 1, 2, 1 << 63, (1 << 64) - 1)
ENTRIES = st.lists(st.tuples(st.sampled_from(HASHES), st.integers(-3, 3)), max_size=8)
Entries = Sequence[tuple[int, int]]
Known = dict[int, set[int]]


def segment_of(entries: Entries) -> Segment:
    return Segment.of(hashes(entries), np.array([partition for _, partition in entries], np.int32))


def hashes(entries: Entries) -> Hashes:
    return np.array([key for key, _ in entries], np.uint64)


def sets_of(entries: Entries) -> Known:
    found: Known = {}
    for key, partition in entries:
        found.setdefault(key, set()).add(partition)
    return found


def sets_in(segment: Segment) -> Known:
    pairs = list(zip(segment.hashes.tolist(), segment.partitions.tolist(), strict=True))
    # In order, each once.
    assert pairs == sorted({*pairs})
    return sets_of(pairs)


def newest_first(segments: Sequence[Entries]) -> Known:
    """The first that has entries of a hash has all of them."""
    found: Known = {}
    for entries in reversed(segments):
        found |= sets_of(entries)
    return found


@given(ENTRIES)
def test_a_segment_has_each_entry_once_in_order(entries: Entries) -> None:
    assert sets_in(segment_of(entries)) == sets_of(entries)


@given(st.lists(ENTRIES, max_size=4), st.integers(1, 9))
def test_merged_in_ranges_all_entries_are_there_once_in_order(segments: list[Entries], sorted_at_once: int) -> None:
    taken = [segment_of(entries) for entries in segments]
    merged = merge(taken, sorted_at_once=sorted_at_once)
    assert sets_in(merged) == sets_of([entry for entries in segments for entry in entries])
    assert taken == []


@given(st.lists(ENTRIES, max_size=4), st.lists(st.sampled_from((*HASHES, 7)), max_size=6))
def test_each_hash_is_found_with_all_of_its_partitions(segments: list[Entries], wanted: list[int]) -> None:
    known = newest_first(segments)
    places, partitions = KeyIndex(tuple(map(segment_of, segments))).find(np.array(wanted, np.uint64))
    found = sorted(zip(places.tolist(), partitions.tolist(), strict=True))
    assert found == sorted(
        (place, partition) for place, key in enumerate(wanted) for partition in known.get(key, set())
    )


@given(st.lists(ENTRIES, max_size=4))
def test_segments_are_merged_into_one_that_finds_the_same(segments: list[Entries]) -> None:
    assert sets_in(KeyIndex(tuple(map(segment_of, segments))).merged()) == newest_first(segments)


@given(st.lists(ENTRIES, max_size=3), ENTRIES, ENTRIES)
def test_entries_are_added_and_removed(segments: list[Entries], added: Entries, removed: Entries) -> None:
    index, known = KeyIndex(tuple(map(segment_of, segments))), newest_first(segments)
    newest = index.with_entries(segment_of(added), segment_of(removed))
    after = {
        key: (known.get(key, set()) | sets_of(added).get(key, set())) - sets_of(removed).get(key, set())
        for key in {*known, *sets_of(added)}
    }
    touched = {*sets_of(added), *sets_of(removed)}
    assert sets_in(newest) == {key: found for key, found in after.items() if key in touched and found}


@given(st.lists(ENTRIES, max_size=3), ENTRIES)
def test_what_was_added_is_found_beside_what_was_known(segments: list[Entries], added: Entries) -> None:
    index, known = KeyIndex(tuple(map(segment_of, segments))), newest_first(segments)
    after = KeyIndex((index.with_entries(segment_of(added)), *index.segments))
    for key, partition in added:
        known.setdefault(key, set()).add(partition)
    assert sets_in(after.merged()) == known


def test_an_empty_index_finds_nothing() -> None:
    for index in (KeyIndex(), KeyIndex((NO_ENTRIES,))):
        places, partitions = index.find(np.array([1], np.uint64))
        assert len(places) == len(partitions) == 0
        assert index.merged().rows == 0
