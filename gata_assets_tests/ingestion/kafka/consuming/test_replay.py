"""Rejected messages: moved to quarantine by the roll-up, judged again, and each that is an event then comes in once.

Real: writers, roll-ups, replays, raw files. Faked: the store, in memory, whose calls fail in turn.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from gata_assets.errors import DamagedTableError, StoreError
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.kafka.consuming.replay import Replay, quarantined_streams, waiting_in_quarantine
from gata_assets.ingestion.kafka.consuming.writing import PartitionWriter
from gata_assets.ingestion.segments.quarantined import find_rejected
from gata_assets.ingestion.segments.rollup import RollUp
from gata_assets.ingestion.segments.trace import trace
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.event_worlds import START, rolled_up
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore, PausingStore
from gata_assets_tests.support.topics import decoder_of, judge_of, message

STREAM = "kafka/clicks/0"
TOPICS = {"clicks": "interactions"}
HEADERS = (("request-id", b"r-1"), ("empty", None))


def came(offset: int, tenant: str) -> KafkaMessage:
    key, value = message(offset, tenant)
    return KafkaMessage(offset, key, value, HEADERS, START + timedelta(seconds=offset))


def filled(store: ObjectStore) -> None:
    """Two ranges of messages of three tenants, of which acme alone is known, and one that is none."""
    writer = PartitionWriter(store, "clicks", 0, judge_of(TOPICS, tenants=("acme",)))
    for first in (0, 6):
        tenants = ("acme", "globex", "initech", "globex")
        writer.store([*(came(first + number, tenant) for number, tenant in enumerate(tenants)), broken(first + 5)])
        roll_up(store)


def broken(offset: int) -> KafkaMessage:
    return KafkaMessage(offset, None, None, (), START)


def roll_up(store: ObjectStore) -> None:
    list(RollUp(store, lambda: START, decode=decoder_of()).run(even_open=True))


def replay(store: ObjectStore, *tenants: str) -> list[tuple[int, int, Counter[str]]]:
    """For each range: its first offset, the messages that came in, and those that are rejected still."""
    found = Replay(store, judge_of(TOPICS, tenants=tenants), decoder_of()).run(STREAM)
    return [(one.first, sum(len(file.offsets) for file in one.files), one.rejected) for one in found]


def in_files(store: ObjectStore) -> Counter[tuple[str, int, str]]:
    """The tenant, offset and user of each record of each raw file."""
    return Counter((one.tenant, one.offset, json.loads(one.payload)["user_id"]) for _, _, one in rolled_up(store))


def expected(*tenants: str) -> Counter[tuple[str, int, str]]:
    given = (("acme", 0), ("globex", 1), ("initech", 2), ("globex", 3))
    return Counter((name, at + first, f"u{at + first}") for first in (0, 6) for name, at in given if name in tenants)


def test_messages_come_in_once_their_tenant_is_known_each_once(any_store: ObjectStore) -> None:
    filled(any_store)
    assert list(quarantined_streams(any_store)) == [STREAM]
    assert in_files(any_store) == expected("acme")
    both = Counter(unknown_tenant=1, no_value=1)
    assert replay(any_store, "acme", "globex") == [(0, 2, both), (6, 2, both)]
    assert replay(any_store, "acme", "globex") == [(0, 0, both), (6, 0, both)]
    assert in_files(any_store) == expected("acme", "globex")
    assert [one.offset for one in waiting_in_quarantine(any_store, STREAM)] == [2, 5, 8, 11]
    assert replay(any_store, "acme", "initech") == [(first, 1, Counter(no_value=1)) for first in (0, 6)]
    assert in_files(any_store) == expected("acme", "globex", "initech")
    [key] = {key for _, key, one in rolled_up(any_store) if (one.tenant, one.offset) == ("initech", 8)}
    origin = trace(any_store, "initech", "interactions", key, 1)
    assert (origin.stream, origin.offset, origin.request_id) == (STREAM, 8, "r-1")


def test_quarantine_has_messages_as_they_came_wherever_they_are() -> None:
    store = MemoryStore()
    filled(store)
    writer = PartitionWriter(store, "clicks", 0, judge_of(TOPICS, tenants=()))
    writer.store([came(12, "acme")])
    found = list(find_rejected(store, STREAM))
    assert [one.offset for one in found] == [1, 2, 3, 5, 7, 8, 9, 11, 12]
    assert (found[0].key, found[0].payload, found[0].headers) == (*message(1, "globex"), HEADERS)
    assert (found[3].key, found[3].payload, found[3].headers) == (None, None, ())
    assert [one.offset for one in find_rejected(store, STREAM, 8)] == [8, 9, 11, 12]
    roll_up(store)
    assert list(find_rejected(store, STREAM)) == found


def _calls(store: MemoryStore, tenants: Sequence[str]) -> int:
    counting = FailingStore(store.copy(), float("inf"))
    replay(counting, *tenants)
    return counting.calls


def test_a_replay_that_fails_at_any_call_is_finished_by_the_next() -> None:
    start = MemoryStore()
    filled(start)
    tenants = ("acme", "globex", "initech")
    for is_carried_out in (False, True):
        for number in range(1, _calls(start, tenants) + 1):
            store = start.copy()
            with suppress(StoreError):
                replay(FailingStore(store, number, is_carried_out=is_carried_out), *tenants)
            # In between fewer tenants may be known: what was taken stays taken.
            replay(store, "acme")
            replay(store, *tenants)
            assert in_files(store) == expected(*tenants), (number, is_carried_out)


def test_two_replays_at_once_take_each_message_once() -> None:
    start = MemoryStore()
    filled(start)
    tenants = ("acme", "globex", "initech")
    for number in range(1, _calls(start, tenants) + 1):
        store = start.copy()

        def other(store: MemoryStore = store) -> None:
            replay(store, "acme", "globex")

        replay(PausingStore(store, number, other), *tenants)
        assert in_files(store) == expected(*tenants), number


def test_a_damaged_record_of_what_was_taken_stops_the_replay() -> None:
    store = MemoryStore()
    filled(store)
    replay(store, "acme", "globex")
    [key, _] = [key for key in store.list_keys("ingestion/quarantine/") if key.endswith(".json")]
    store.write(key, b"{}")
    with suppress(DamagedTableError):
        replay(store, "acme", "globex", "initech")
        raise AssertionError
    assert in_files(store) == expected("acme", "globex")
