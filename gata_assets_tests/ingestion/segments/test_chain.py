"""The contract of a chain, on a directory and on S3 over HTTP; and what a lost answer or a long sleep does to it.

Real: both stores. Faked: the store in memory whose calls fail, and the clock.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError, StoreError
from gata_assets.ingestion.segments.chain import SHORTEST_GRACE, Appended, Chain, segment_key
from gata_assets.ingestion.segments.cursor import Cursor, find_streams, read_cursor, write_cursor
from gata_assets.ingestion.segments.event import Segment
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.event_worlds import OTHER, PARTITION, STREAM, event, segment_of
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore


@dataclass
class Clock:
    seconds: float = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


def put(chain: Chain, *numbers: int, gap: int = 0) -> Segment:
    """Append events behind the chain's end."""
    first = chain.end()
    events = [event(number) for number in numbers]
    segment = segment_of(events, first=first, end=first + len(events) + gap, stream=chain.stream)
    assert chain.append(segment) == Appended(segment.end, is_own=True)
    return segment


def test_a_chain_begins_with_0_and_goes_on_where_it_ends(any_store: ObjectStore) -> None:
    chain = Chain(any_store, STREAM)
    assert chain.end() == 0
    written = [put(chain, 1, 2), put(chain, 3)]
    assert chain.end() == 3
    assert list(any_store.list_keys("ingestion/")) == [segment_key(STREAM, 0), segment_key(STREAM, 2)]
    again = Chain(any_store, STREAM)
    assert again.end() == 3
    assert list(again.segments(0)) == written
    assert list(again.segments(2)) == list(again.follow(2)) == written[1:]
    assert list(again.segments(3)) == []


def test_offsets_of_a_broker_may_have_gaps(any_store: ObjectStore) -> None:
    chain = Chain(any_store, PARTITION)
    chain.end()
    # What the broker has no longer, and the marks of transactions, have no event.
    first = Segment(PARTITION, 0, 12, (event(1).at(7), event(2).at(9)))
    assert chain.append(first).is_own
    assert chain.append(Segment(PARTITION, 12, 20, ())).is_own
    assert list(Chain(any_store, PARTITION).segments(0)) == [first, Segment(PARTITION, 12, 20, ())]


def test_who_finds_a_key_taken_goes_on_behind_what_is_there(any_store: ObjectStore) -> None:
    fast, slow = Chain(any_store, STREAM), Chain(any_store, STREAM)
    assert (fast.end(), slow.end()) == (0, 0)
    put(fast, 1, 2)
    put(fast, 3)
    found = slow.append(segment_of([event(9)]))
    assert (found.end, found.is_own) == (3, False)
    put(slow, 9)
    numbers = [one.request_id for segment in Chain(any_store, STREAM).segments(0) for one in segment.events]
    assert numbers == ["r1", "r2", "r3", "r9"]


def test_writers_of_one_chain_never_fork_it(any_store: ObjectStore) -> None:
    def write(writer: int) -> None:
        chain = Chain(any_store, STREAM)
        for number in range(6):
            while True:
                first = chain.end()
                if chain.append(segment_of([event(writer * 100 + number)] * (1 + number % 2), first=first)).is_own:
                    break

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    segments = list(Chain(any_store, STREAM).segments(0))
    assert [segment.first for segment in segments] == [0, *(segment.end for segment in segments[:-1])]
    assert sorted(segment.events[0].request_id for segment in segments) == sorted(
        f"r{writer * 100 + number}" for writer in range(4) for number in range(6)
    )
    assert len(list(any_store.list_keys("ingestion/"))) == len(segments)


def test_streams_are_found_by_their_folders(any_store: ObjectStore) -> None:
    for stream in (PARTITION, STREAM, OTHER, "kafka/interactions-raw/11"):
        put(Chain(any_store, stream), 1)
    any_store.write("ingestion/segments/other/x", b"")
    assert list(find_streams(any_store)) == [STREAM, OTHER, PARTITION, "kafka/interactions-raw/11"]


def test_a_cursor_replaces_only_the_version_that_was_read(any_store: ObjectStore) -> None:
    before = read_cursor(any_store, STREAM)
    assert before == Cursor()
    after = write_cursor(any_store, STREAM, Cursor(5))
    assert read_cursor(any_store, STREAM) == after
    with pytest.raises(ConflictError):
        write_cursor(any_store, STREAM, before)
    any_store.write("ingestion/rolled_up/http/00000000000000aa.json", b"{}")
    with pytest.raises(DamagedTableError, match=r"rolled_up/http/00000000000000aa\.json does not say"):
        read_cursor(any_store, STREAM)


def test_a_segment_that_begins_elsewhere_is_refused() -> None:
    chain = Chain(MemoryStore(), STREAM)
    put(chain, 1)
    for segment in (
        segment_of([event(2)]),
        segment_of([event(2)], first=2),
        segment_of([event(2)], first=1, stream=OTHER),
    ):
        with pytest.raises(ValueError, match="begins with offset 1"):
            chain.append(segment)


def test_a_missing_segment_in_the_middle_is_reported() -> None:
    store = MemoryStore()
    chain = Chain(store, STREAM)
    for number in range(3):
        put(chain, number)
    store.delete(segment_key(STREAM, 1))
    with pytest.raises(DamagedTableError, match=rf"{segment_key(STREAM, 1)} is missing"):
        list(chain.segments(0))


def test_a_segment_under_another_key_is_damaged() -> None:
    store = MemoryStore()
    put(Chain(store, STREAM), 1)
    store.write(segment_key(STREAM, 1), store.read(segment_key(STREAM, 0)))
    with pytest.raises(DamagedTableError, match="of another place"):
        Chain(store, STREAM).end()
    with pytest.raises(ObjectNotFoundError):
        Chain(store, STREAM).read(2)


def test_a_write_whose_answer_was_lost_is_adopted_as_ones_own() -> None:
    store = MemoryStore()
    broken = FailingStore(store, 1, is_carried_out=True)
    chain = Chain(broken, STREAM)
    chain.end()
    segment = segment_of([event(1)])
    with pytest.raises(StoreError, match="away"):
        chain.append(segment)
    broken._fails_at = float("inf")
    assert chain.append(segment).is_own
    assert list(Chain(store, STREAM).segments(0)) == [segment]


def test_a_writer_that_slept_finds_the_end_of_a_chain_that_was_rolled_up_meanwhile() -> None:
    store, clock = MemoryStore(), Clock()
    sleeper, other = Chain(store, STREAM, clock=clock), Chain(store, STREAM, clock=clock)
    sleeper.end()
    put(other, 1)
    write_cursor(store, STREAM, Cursor(1))
    store.delete(segment_key(STREAM, 0))
    clock.seconds += SHORTEST_GRACE.total_seconds()
    assert sleeper.end() == 1
    put(sleeper, 2)
    assert [segment.first for segment in Chain(store, STREAM).segments(1)] == [1]


def test_a_write_that_took_as_long_as_segments_are_kept_is_not_said_to_be_stored() -> None:
    store, clock = MemoryStore(), Clock()
    sleeper, other = Chain(store, STREAM, clock=clock), Chain(store, STREAM, clock=clock)
    sleeper.end()
    put(other, 1)
    put(other, 2)
    write_cursor(store, STREAM, Cursor(2))
    for first in (0, 1):
        store.delete(segment_key(STREAM, first))
    clock.seconds += SHORTEST_GRACE.total_seconds()
    with pytest.raises(ConflictError, match="not known whether"):
        sleeper.append(segment_of([event(9)]))
    assert sleeper.end() == 2
    put(sleeper, 9)
    assert [segment.first for segment in Chain(store, STREAM).segments(2)] == [2]
