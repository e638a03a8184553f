"""Roll-up: every event of every stream is in one raw file, once, whatever happens meanwhile.

Real: roll-ups, raw files and their validation. Faked: the clock, and the store, in memory, whose calls fail in turn;
the oracle counts events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.errors import ConflictError, DamagedTableError, DataRuleError, ObjectNotFoundError, StoreError
from gata_assets.ingestion.segments.chain import SHORTEST_GRACE, Chain, segment_key
from gata_assets.ingestion.segments.cursor import find_streams, read_cursor
from gata_assets.ingestion.segments.event import Event, NewEvent
from gata_assets.ingestion.segments.rollup import RolledUp, RollUp, RollUpRules
from gata_assets.ingestion.segments.trace import trace
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets_tests.support.event_worlds import OTHER, PARTITION, START, STREAM, event, rolled_up, segment_of
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore, PausingStore
from gata_assets_tests.support.raw_worlds import curator_of, quarantined

HOUR = timedelta(hours=1)
Found = Counter[tuple[str, Event]]


@dataclass
class Clock:
    now: datetime = START + 10 * HOUR

    def __call__(self) -> datetime:
        return self.now


def put(store: ObjectStore, stream: str, *parts: Sequence[NewEvent], gap: int = 0) -> Found:
    """Append segments, and say which events are where."""
    chain = Chain(store, stream)
    found: Found = Counter()
    for events in parts:
        first = chain.end()
        segment = segment_of(events, first=first, end=first + len(events) + gap, stream=stream)
        assert chain.append(segment).is_own
        found.update((stream, one) for one in segment.events)
    return found


def in_files(store: ObjectStore) -> Found:
    return Counter((stream, one) for stream, _, one in rolled_up(store))


def roll_up(store: ObjectStore, clock: Clock | None = None, **rules: object) -> list[RolledUp]:
    return list(RollUp(store, clock or Clock(), RollUpRules(**rules)).run())  # type: ignore[arg-type]


def raw_files(store: ObjectStore) -> dict[str, bytes]:
    return {key: store.read(key) for key in store.list_keys("") if "/raw/" in key or "/events/" in key}


def test_an_hour_becomes_a_file_for_each_tenant_table_and_source(any_store: ObjectStore) -> None:
    sent = put(
        any_store,
        STREAM,
        [event(1), event(2, tenant="globex"), event(3, table="items")],
        [event(4, source="webhook/shop.v2"), event(5)],
    )
    sent += put(any_store, PARTITION, [event(6, source="kafka/interactions-raw/0")], gap=3)
    done = roll_up(any_store)
    assert [(one.stream, len(one.files), one.events, one.end) for one in done] == [
        (STREAM, 4, 5, 5),
        (PARTITION, 1, 1, 4),
    ]
    assert in_files(any_store) == sent
    names = [key.rpartition("-")[0].rpartition("-")[0] for key in raw_files(any_store) if "/raw/" in key]
    assert names == [
        "acme/raw/interactions/2026-01-10/events-http-2026011009",
        "acme/raw/interactions/2026-01-10/events-kafka-interactions-raw-0-2026011009",
        "acme/raw/interactions/2026-01-10/events-webhook-shop-v2-2026011009",
        "acme/raw/items/2026-01-10/events-http-2026011009",
        "globex/raw/interactions/2026-01-10/events-http-2026011009",
    ]


def test_an_open_hour_waits_until_it_is_past(any_store: ObjectStore) -> None:
    clock = Clock(START + HOUR)
    put(any_store, STREAM, [event(1)], [event(3_599)])
    assert roll_up(any_store, clock) == [RolledUp(STREAM, (), 0, 0, 0, START + timedelta(seconds=1))]
    clock.now += timedelta(minutes=2)
    assert [(len(one.files), one.events) for one in roll_up(any_store, clock)] == [(1, 2)]
    assert roll_up(any_store, clock) == [RolledUp(STREAM, (), 0, 2, 0)]


def test_an_hour_ends_with_the_first_segment_of_another() -> None:
    store, clock = MemoryStore(), Clock(START + 3 * HOUR + timedelta(minutes=1))
    sent = put(store, STREAM, [event(1)], [event(2), event(3_601)], [event(3_602)], [event(7_300)], [event(10_801)])
    assert [(len(one.files), one.end) for one in roll_up(store, clock)] == [(2, 4)]
    assert in_files(store) + Counter({(STREAM, event(7_300).at(4)): 1, (STREAM, event(10_801).at(5)): 1}) == sent
    assert [one.events for one in RollUp(store, clock).run(even_open=True)] == [2]
    assert in_files(store) == sent


def test_much_is_rolled_up_before_its_hour_is_past() -> None:
    store, clock = MemoryStore(), Clock(START)
    sent = put(store, STREAM, *([event(number)] for number in range(10)))
    assert [(len(one.files), one.end) for one in roll_up(store, clock, at_most_segments=4)] == [(2, 8)]
    assert [one.events for one in roll_up(store, Clock(), at_most_bytes=150)] == [2]
    assert in_files(store) == sent


def test_the_same_range_gives_the_same_keys_and_bytes() -> None:
    one, two = MemoryStore(), MemoryStore()
    for store in (one, two):
        put(store, STREAM, [event(1), event(2, tenant="globex")], [event(3)])
        roll_up(store, Clock(START + timedelta(hours=2 if store is one else 20)))
    assert raw_files(one) == raw_files(two)
    assert len(raw_files(one)) == 4


def test_ranges_with_the_same_content_are_files_of_their_own() -> None:
    store = MemoryStore()
    same = [event(1)]
    sent = put(store, STREAM, same) + put(store, OTHER, same)
    roll_up(store)
    sent += put(store, STREAM, same)
    roll_up(store)
    assert in_files(store) == sent
    assert len(raw_files(store)) == 6


def test_segments_are_deleted_a_grace_time_after_they_were_rolled_up(any_store: ObjectStore) -> None:
    clock = Clock()
    sent = put(any_store, STREAM, [event(1)], [event(2)])
    roll_up(any_store, clock)
    sent += put(any_store, STREAM, [event(3)])
    clock.now += SHORTEST_GRACE
    assert [one.deleted for one in roll_up(any_store, clock, grace=2 * SHORTEST_GRACE)] == [0]
    clock.now += SHORTEST_GRACE
    assert [one.deleted for one in roll_up(any_store, clock, grace=2 * SHORTEST_GRACE)] == [2]
    assert Chain(any_store, STREAM).first_offsets(0) == [2]
    clock.now += 2 * SHORTEST_GRACE
    assert [one.deleted for one in roll_up(any_store, clock, grace=2 * SHORTEST_GRACE)] == [1]
    assert roll_up(any_store, clock, grace=2 * SHORTEST_GRACE) == [], "a stream without a segment is not looked at"
    assert read_cursor(any_store, STREAM).past == ()
    sent += put(any_store, STREAM, [event(4)])
    roll_up(any_store, clock)
    assert in_files(any_store) == sent
    with pytest.raises(ValueError, match="kept for 1:00:00 at least"):
        RollUpRules(grace=timedelta(minutes=59))


def test_a_writer_that_wakes_up_after_its_stream_is_gone_is_told_and_repeats_no_event() -> None:
    """Whatever its key: that of its last segment, or the first one of the stream; and it can go on behind the end."""
    for first in (0, 1):
        store, clock, seconds = MemoryStore(), Clock(), 0.0
        sent = put(store, STREAM, *[[event(1)]] * first)
        slept = Chain(store, STREAM, clock=lambda: seconds)  # noqa: B023 (called in this turn)
        assert slept.end() == first
        late = segment_of([event(2)], first=first)
        sent += put(store, STREAM, [event(2)])
        for _ in range(2):
            roll_up(store, clock)
            clock.now += timedelta(days=400)
        assert list(store.list_keys("ingestion/segments/")) == []
        assert len(list(store.list_keys("ingestion/rolled_up/"))) == 1
        seconds = timedelta(days=400).total_seconds()
        with pytest.raises(ConflictError, match="it is not known whether its events count"):
            slept.append(late)
        # What it wrote is found, is no event, and goes.
        assert [(one.events, one.deleted) for one in roll_up(store, clock)] == [(0, 1)]
        assert list(store.list_keys("ingestion/segments/")) == []
        sent += put(store, STREAM, [event(3)])
        assert Chain(store, STREAM).first_offsets(0) == [first + 1]
        roll_up(store, clock)
        assert in_files(store) == sent


def test_a_missing_segment_stops_the_roll_up_of_its_stream() -> None:
    store = MemoryStore()
    put(store, STREAM, [event(1)], [event(2)], [event(3)])
    store.delete(segment_key(STREAM, 1))
    with pytest.raises(DamagedTableError, match="is missing"):
        roll_up(store)
    assert in_files(store) == Counter()
    store = MemoryStore()
    put(store, STREAM, [event(1)], [event(2)])
    with pytest.raises(StoreError):
        roll_up(FailingStore(store, writes_until_plan(store) + 1))
    assert read_cursor(store, STREAM).plan
    store.delete(segment_key(STREAM, 1))
    with pytest.raises(ObjectNotFoundError, match="restore it"):
        roll_up(store)


def writes_until_plan(store: MemoryStore) -> int:
    """How many calls a roll-up makes up to the one that writes its plan."""
    for calls in range(1, 100):
        copy = store.copy()
        with suppress(StoreError):
            roll_up(FailingStore(copy, calls + 1))
        if read_cursor(copy, STREAM).plan:
            return calls
    raise AssertionError


SOURCES = ["http", "webhook/a", "webhook/a.b"]
NEW = st.builds(
    lambda number, tenant, table, source, payload: replace(
        event(number, tenant=tenant, table=table, source=source), payload=payload
    ),
    st.integers(0, 20_000),
    st.sampled_from(["acme", "globex"]),
    st.sampled_from(["interactions", "items"]),
    st.sampled_from(SOURCES),
    # Of objects, line breaks become spaces: those of the tests have none.
    st.sampled_from([b'{"a": 1}', b"\n", b"", b"[1]", b"\xff\x00"])
    | st.binary(max_size=5).filter(lambda b: b[:1] != b"{"),
)
STEP: st.SearchStrategy[Any] = st.one_of(
    st.tuples(st.just("append"), st.sampled_from([STREAM, OTHER, PARTITION]), st.lists(NEW, max_size=4)),
    st.tuples(st.just("roll up"), st.integers(0, 12), st.just([])),
    st.tuples(st.just("cut short"), st.integers(1, 25), st.just([])),
    st.tuples(st.just("answer lost"), st.integers(1, 12), st.just([])),
    st.tuples(st.just("meanwhile"), st.integers(1, 25), st.just([])),
)


@settings(max_examples=80)
@given(st.lists(STEP, max_size=14))
def test_no_event_is_lost_or_there_twice_in_any_interleaving(steps: list[tuple[str, object, list[NewEvent]]]) -> None:
    store, clock, sent = MemoryStore(), Clock(START), Counter[tuple[str, Event]]()
    rules = {"at_most_segments": 3, "grace": SHORTEST_GRACE}
    for word, value, events in steps:
        if word == "append":
            assert isinstance(value, str)
            sent += put(store, value, events, gap=0 if events else 1)
            continue
        assert isinstance(value, int)
        clock.now += timedelta(minutes=30)
        target: MemoryStore = store
        if word == "roll up":
            clock.now += value * timedelta(minutes=20)
        elif word == "meanwhile":
            target = PausingStore(store, value, lambda: list(roll_up(store, clock, **rules)))  # type: ignore[arg-type]
        else:
            target = FailingStore(store, value, is_carried_out=word == "answer lost")
        with suppress(StoreError) if isinstance(target, FailingStore) else nullcontext():
            roll_up(target, clock, **rules)
        # Nothing twice at any time, and what is in no file is in a segment behind the cursor.
        waiting = Counter(
            (stream, one)
            for stream in find_streams(store)
            for segment in Chain(store, stream).segments(read_cursor(store, stream).end)
            for one in segment.events
        )
        found = in_files(store)
        assert max(found.values(), default=1) == 1
        assert found.keys() | waiting.keys() == sent.keys()
    list(RollUp(store, clock).run(even_open=True))
    assert in_files(store) == sent


def world() -> MemoryStore:
    store = MemoryStore()
    put(store, STREAM, [event(1), event(2, tenant="globex")], [event(3_601), event(3_602, source="webhook/a")])
    put(store, OTHER, [event(4)])
    return store


@pytest.mark.parametrize("is_carried_out", [False, True], ids=["killed", "answer lost"])
def test_a_roll_up_that_ends_at_any_call_is_finished_by_the_next(is_carried_out: bool) -> None:
    whole = world()
    clock = Clock()
    roll_up(whole, clock)
    clock.now += 3 * HOUR
    for calls in range(1, 200):
        store, now = world(), Clock()
        failing = FailingStore(store, calls, is_carried_out=is_carried_out)
        with suppress(StoreError):
            roll_up(failing, now)
            now.now += 3 * HOUR
            roll_up(failing, now)
        now.now += 3 * HOUR
        roll_up(store, now)
        assert raw_files(store) == raw_files(whole)
        if failing.calls < calls:
            break
    else:
        raise AssertionError("it never came to its end")
    assert calls > 10


def test_a_raw_file_that_is_there_has_its_origins_and_is_never_written_again() -> None:
    for pause in range(1, 200):
        store = world()
        seen: list[dict[str, Version]] = []

        def look(store: MemoryStore = store, seen: list[dict[str, Version]] = seen) -> None:
            list(rolled_up(store))
            seen.append({key: store.version(key) for key in raw_files(store)})

        pausing = PausingStore(store, pause, look)
        with suppress(StoreError):
            roll_up(FailingStore(pausing, pause + 1))
        if not seen:
            break
        roll_up(store)
        assert {key: store.version(key) for key in seen[0]} == seen[0]
    assert pause > 10


def test_two_roll_ups_at_once_write_the_same_files_whenever_they_meet() -> None:
    whole = world()
    roll_up(whole)
    for pause in range(1, 200):
        store = world()

        def meanwhile(store: MemoryStore = store) -> None:
            # As one that sees more, and cuts ranges otherwise.
            put(store, STREAM, [event(7_300)])
            list(RollUp(store, Clock(), RollUpRules(at_most_segments=1)).run(even_open=True))

        pausing = PausingStore(store, pause, meanwhile)
        roll_up(pausing)
        if pausing.calls < pause:
            break
        roll_up(store)
        found = in_files(store)
        assert found == in_files(whole) + Counter({(STREAM, event(7_300).at(4)): 1})
    assert pause > 10


def test_whatever_an_event_is_its_file_is_read_and_it_alone_is_rejected() -> None:
    store = MemoryStore()
    good = event(1)
    odd = [b"", b"\n\n", b"[1]", b"PAR1", b"{\\rtf1", b"\x1f\x8b\x08", b'{"a": "\n"}', b'{"user_id": 1}', b"\x00\xff"]
    odd += [good.payload.replace(b"}", b', "unheard_of": 1}'), good.payload + b"," + good.payload, b'{"a": {"b": 1}}']
    put(store, STREAM, [*(replace(good, payload=payload) for payload in odd), good])
    roll_up(store)
    [report] = curator_of(store, now=START + 2 * HOUR).validate_new(INTERACTIONS)
    assert (report.refused, report.rows, report.valid, report.rejected) == (None, len(odd) + 1, 1, len(odd))
    rejected = quarantined(curator_of(store), report)
    assert rejected["source_record"].to_list() == list(range(1, len(odd) + 1))
    found = trace(store, "acme", INTERACTIONS, rejected["source_file"][3], 4)
    assert (found.stream, found.offset, found.request_id, found.form) == (STREAM, 3, "r1", "text")
    assert found.received_at == START + timedelta(seconds=1)
    with pytest.raises(DataRuleError, match="1 to 13"):
        trace(store, "acme", INTERACTIONS, report.raw_key, 14)
    with pytest.raises(ObjectNotFoundError, match="not one of single events"):
        trace(store, "acme", INTERACTIONS, "other.jsonl.zst", 1)


def test_a_file_of_nothing_but_invalid_events_is_in_quarantine_and_not_refused() -> None:
    store = MemoryStore()
    put(store, STREAM, [replace(event(1), payload=b"no json")])
    roll_up(store)
    [report] = curator_of(store, now=START + 2 * HOUR).validate_new(INTERACTIONS)
    assert (report.refused, report.rows, report.rejected) == (None, 1, 1)


def test_what_is_no_json_is_decoded_before_it_becomes_a_line() -> None:
    store = MemoryStore()
    put(store, STREAM, [replace(event(1), payload=b"\x00avro")])

    def decode(one: Event) -> bytes:
        return event(1).payload if one.payload.startswith(b"\x00") else one.payload

    list(RollUp(store, Clock(), decode=decode).run())
    assert in_files(store) == Counter({(STREAM, event(1).at(0)): 1})
