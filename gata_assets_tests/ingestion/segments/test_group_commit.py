"""Group commit: many threads append, and each event is stored once, or its caller knows that it may not be.

Real: threads, and the log's own thread. Faked: the store, in memory, whose writes wait, fail, or lose their answers.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event as Signal
from typing import Any

import pytest

from gata_assets.errors import StoreError, TooManyEventsError
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.event import NewEvent
from gata_assets.ingestion.segments.group_commit import EventLog
from gata_assets.storage.objects import Version
from gata_assets_tests.support.event_worlds import STREAM, event, segment_of
from gata_assets_tests.support.memory_store import MemoryStore

PATIENCE = 20


class TroubledStore(MemoryStore):
    """Writes wait while `gate` is closed; the next `failing` ones fail, after they are carried out with `is_done`."""

    def __init__(self, *, failing: float = 0, is_done: bool = False) -> None:
        super().__init__()
        self.gate, self.has_begun = Signal(), Signal()
        self.gate.set()
        self.failing, self.is_done, self.writes = failing, is_done, 0

    def write(self, key: str, content: bytes, **values: Any) -> Version:
        self.has_begun.set()
        assert self.gate.wait(PATIENCE)
        self.writes += 1
        if self.failing <= 0:
            return super().write(key, content, **values)
        self.failing -= 1
        if self.is_done:
            super().write(key, content, **values)
        raise StoreError("The target is away.")


def stored(store: MemoryStore) -> dict[int, NewEvent]:
    """The events by their offsets; each offset once."""
    found = [one for segment in Chain(store, STREAM).segments(0) for one in segment.events]
    assert len({one.offset for one in found}) == len(found)
    return {one.offset: one for one in found}


def numbers(store: MemoryStore) -> list[str]:
    return sorted(one.request_id for one in stored(store).values())


def test_each_event_of_many_threads_is_stored_once_at_its_offset() -> None:
    store = TroubledStore()
    with EventLog(store, STREAM, at_most_seconds=0.005) as log, ThreadPoolExecutor(8) as pool:

        def send(caller: int) -> list[tuple[int, str]]:
            found = []
            for number in range(40):
                events = [event(10_000 * caller + 10 * number + at) for at in range(1 + number % 3)]
                offsets = log.append(events).result(PATIENCE)
                assert list(offsets) == list(range(offsets[0], offsets[0] + len(events)))
                found += [(offset, one.request_id) for offset, one in zip(offsets, events, strict=True)]
            return found

        said = [found for caller in pool.map(send, range(8)) for found in caller]
    assert {offset: one.request_id for offset, one in stored(store).items()} == dict(said)
    assert len(said) == 8 * (13 * 6 + 1)
    assert sorted(stored(store)) == list(range(len(said)))
    assert store.writes < 320


def test_what_comes_while_a_segment_is_written_shares_the_next_one() -> None:
    store = TroubledStore()
    store.gate.clear()
    with EventLog(store, STREAM, at_most_seconds=0) as log:
        first = log.append([event(0)])
        assert store.has_begun.wait(PATIENCE)
        others = [log.append([event(number)]) for number in range(1, 50)]
        assert not first.done()
        store.gate.set()
        assert [one.result(PATIENCE) for one in [first, *others]] == [(number,) for number in range(50)]
    assert store.writes == 2


def test_nothing_is_done_before_it_is_stored() -> None:
    store = TroubledStore()
    seen: list[int] = []
    with EventLog(store, STREAM, at_most_seconds=0) as log:
        for number in range(20):
            done = log.append([event(number)])
            done.add_done_callback(lambda _: seen.append(len(stored(store))))
            done.result(PATIENCE)
    assert seen == list(range(1, 21))


def test_enough_bytes_are_written_at_once() -> None:
    with EventLog(MemoryStore(), STREAM, at_most_seconds=3_600, at_most_bytes=10_000) as log:
        waiting = [log.append([event(number)]) for number in range(20)]
        assert waiting[0].result(PATIENCE) == (0,)


def test_an_append_is_never_divided() -> None:
    store = MemoryStore()
    with EventLog(store, STREAM, at_most_seconds=3_600, at_most_bytes=2_000) as log:
        done = [log.append([event(10 * caller + number) for number in range(5)]) for caller in range(4)]
        assert done[-1].result(PATIENCE) == (15, 16, 17, 18, 19)
    assert {len(segment.events) for segment in Chain(store, STREAM).segments(0)} == {5}


def test_closing_stores_what_waits() -> None:
    store = MemoryStore()
    log = EventLog(store, STREAM, at_most_seconds=3_600)
    done = log.append([event(1)])
    log.close()
    assert (done.result(0), numbers(store)) == ((0,), ["r1"])
    with pytest.raises(StoreError, match="closed"):
        log.append([event(2)])
    log.close()


@pytest.mark.parametrize("is_done", [False, True], ids=["fails", "answer lost"])
def test_a_store_that_fails_for_a_while_delays_events_and_doubles_none(is_done: bool) -> None:
    store = TroubledStore(failing=3, is_done=is_done)
    with EventLog(store, STREAM, at_most_seconds=0) as log:
        assert log.append([event(1), event(2)]).result(PATIENCE) == (0, 1)
        assert log.append([event(3)]).result(PATIENCE) == (2,)
    assert numbers(store) == ["r1", "r2", "r3"]


def test_a_process_that_slept_after_an_answer_was_lost_doubles_nothing() -> None:
    seconds = [0.0]

    class Sleeping(TroubledStore):
        def write(self, key: str, content: bytes, **values: Any) -> Version:
            try:
                return super().write(key, content, **values)
            except StoreError:
                seconds[0] += 10_000
                raise

    store = Sleeping(failing=1, is_done=True)
    with EventLog(store, STREAM, at_most_seconds=0, give_up_after_seconds=1_000_000, clock=lambda: seconds[0]) as log:
        assert log.append([event(1)]).result(PATIENCE) == (0,)
    assert numbers(store) == ["r1"]


@pytest.mark.parametrize("is_done", [False, True], ids=["fails", "answer lost"])
def test_a_store_that_stays_away_fails_every_caller_and_later_ones_go_on(is_done: bool) -> None:
    store = TroubledStore(failing=float("inf"), is_done=is_done)
    with EventLog(store, STREAM, at_most_seconds=0, give_up_after_seconds=0.01) as log:
        failed: list[Future[Any]] = [log.append([event(number)]) for number in range(5)]
        for done in failed:
            with pytest.raises(StoreError, match=r"not stored .* The target is away"):
                done.result(PATIENCE)
        store.failing = 0
        said = log.append([event(9)]).result(PATIENCE)
        assert log.waiting_bytes == 0
    # Whose answer was lost may be there; none twice, and who has an answer at the place that it names.
    assert stored(store)[said[0]].request_id == "r9"
    assert len(numbers(store)) == len({*numbers(store)})
    assert is_done or numbers(store) == ["r9"]


def test_appends_beyond_the_bound_are_refused_and_taken_again_when_there_is_room() -> None:
    store = TroubledStore()
    store.gate.clear()
    with EventLog(store, STREAM, at_most_seconds=0, at_most_waiting_bytes=3_000) as log:
        taken: list[Future[Any]] = []
        while log.waiting_bytes + 1_000 < 3_000:
            taken.append(log.append([event(len(taken))]))
        with pytest.raises(TooManyEventsError, match="nothing was taken"):
            log.append([event(number) for number in range(100, 110)])
        assert 0 < log.waiting_bytes <= 3_000
        assert log.oldest_waits_seconds >= 0
        store.gate.set()
        for done in taken:
            done.result(PATIENCE)
        assert log.append([event(100)]).result(PATIENCE) == (len(taken),)
    assert len(numbers(store)) == len(taken) + 1


def test_an_event_that_cannot_be_stored_is_refused_alone() -> None:
    with EventLog(MemoryStore(), STREAM, at_most_seconds=0) as log:
        for events in ([], [event(1, tenant="../x")], [event(0)] * 1_000_001):
            with pytest.raises(ValueError, match=r"cannot be stored together|An event's tenant"):
                log.append(events)
        assert log.append([event(1)]).result(PATIENCE) == (0,)


def test_a_log_goes_on_behind_what_another_has_written() -> None:
    store = MemoryStore()
    other = Chain(store, STREAM)
    with EventLog(store, STREAM, at_most_seconds=0) as log:
        assert log.append([event(0)]).result(PATIENCE) == (0,)
        assert other.append(segment_of([event(1), event(2)], first=other.end())).is_own
        assert log.append([event(3)]).result(PATIENCE) == (3,)
    assert numbers(store) == ["r0", "r1", "r2", "r3"]


def test_a_future_cannot_be_canceled() -> None:
    with EventLog(MemoryStore(), STREAM) as log:
        done = log.append([event(0)])
        assert not done.cancel()
        assert done.result(PATIENCE) == (0,)
