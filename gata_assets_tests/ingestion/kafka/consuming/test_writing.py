"""The chain of a partition: whoever writes, whatever fails, each message is in it once, in order.

Real: writers, chains, the judge. Faked: the store, in memory, whose calls fail; the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.errors import RegistryError, StoreError
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.kafka.consuming.partition import AssignedPartition, Start
from gata_assets.ingestion.kafka.consuming.rules import ConsumerRules
from gata_assets.ingestion.kafka.consuming.writing import PartitionWriter, Stored
from gata_assets.ingestion.kafka.origin import Origin
from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.ingestion.schemas.coding import AvroRows
from gata_assets.interactions.tables import TABLES
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.ingestion.schemas.registries import SchemasInMemory
from gata_assets_tests.support.event_worlds import START
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.topics import TARGET, judge_of, message, row, segments_of

TOPICS = {"clicks": "interactions"}


def messages(*offsets: int, broken: Sequence[int] = ()) -> list[KafkaMessage]:
    """Messages at those offsets."""
    found = []
    for offset in offsets:
        key, value = message(offset)
        found.append(KafkaMessage(offset, key, b"{" if offset in broken else value, (), START))
    return found


def writer(store: ObjectStore, registry: SchemasInMemory | None = None) -> PartitionWriter:
    return PartitionWriter(store, "clicks", 0, judge_of(TOPICS, registry))


def offsets_of(store: ObjectStore) -> list[int]:
    """The offsets of all that is stored, in the order of the chain."""
    found = []
    for segment in segments_of(store, "clicks"):
        found += sorted([*(one.offset for one in segment.events), *(one.offset for one in segment.rejected)])
    return found


def test_events_and_rejected_messages_are_in_one_object() -> None:
    store = MemoryStore()
    stored = writer(store).store(messages(5, 6, 7, 9, broken=[6]))
    assert stored.segment
    assert (stored.end, stored.segment.first) == (10, 0)
    [segment] = segments_of(store, "clicks")
    assert [one.offset for one in segment.events] == [5, 7, 9]
    assert [(one.offset, one.reason, one.payload) for one in segment.rejected] == [(6, "no_json", b"{")]
    assert len(list(store.list_keys(""))) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 5), st.booleans()), max_size=12), st.integers(1, 40))
def test_two_writers_whose_calls_fail_write_each_message_once(
    turns: list[tuple[int, int, bool]], fails_every: int
) -> None:
    memory = MemoryStore()
    # Each believes that the partition is its own, and reads on from where it thinks that the chain ends.
    positions = [0, 0]
    for number, (who, count, is_carried_out) in enumerate(turns):
        store = FailingStore(memory, number % fails_every, is_carried_out=is_carried_out)
        position = positions[who]
        try:
            positions[who] = writer(store).store(messages(*range(position, position + count))).end
        except StoreError:
            continue
    offsets = offsets_of(memory)
    assert offsets == list(range(len(offsets)))
    assert max(positions) <= len(offsets)


def test_a_late_writer_goes_on_behind_what_another_wrote() -> None:
    store = MemoryStore()
    late, other = writer(store), writer(store)
    assert (late.end(), other.end()) == (0, 0)
    assert other.store(messages(0, 1, 2)).end == 3
    stored = late.store(messages(0, 1, 2, 3, 4))
    assert (stored.end, stored.segment) == (3, None)
    assert late.store(messages(2, 3, 4)).end == 5
    assert offsets_of(store) == [0, 1, 2, 3, 4]


def test_what_we_produced_is_only_passed_and_written_down_late() -> None:
    now = [0.0]
    store, origin = MemoryStore(), Origin(TARGET, "http/00000000000000aa", 7)
    found = PartitionWriter(store, "clicks", 0, judge_of(TOPICS), clock=lambda: now[0])
    own = [replace(one, headers=(origin.header,)) for one in messages(0, 1, 2)]
    assert found.store(own) == Stored(3, skipped=3)
    assert not list(store.list_keys(""))
    now[0] = 700
    stored = found.store([replace(one, offset=one.offset + 3) for one in own])
    assert stored.segment
    assert (stored.end, stored.segment.first, stored.segment.events) == (6, 0, ())
    assert found.store(messages(6)).end == 7
    assert [(one.first, one.end) for one in segments_of(store, "clicks")] == [(0, 6), (6, 7)]


def test_what_cannot_be_judged_waits_and_what_came_before_is_stored() -> None:
    spec, store = TABLES["interactions"], MemoryStore()
    registry = SchemasInMemory({1: avro_schema(spec)})
    avro = AvroRows(spec, SchemasInMemory({1: avro_schema(spec)})).encode(row(2), 1)
    given = messages(0, 1, 2, 3)
    given[2] = replace(given[2], value=avro)
    registry.is_away = True
    stored = writer(store, registry).store(given)
    assert isinstance(stored.blocked, RegistryError)
    assert (stored.end, offsets_of(store)) == (2, [0, 1])
    registry.is_away = False
    assert writer(store, registry).store(given).blocked is None
    assert offsets_of(store) == [0, 1, 2, 3]


def test_a_gap_is_written_down_once() -> None:
    store = MemoryStore()
    writer(store).store(messages(0, 1))
    assert [writer(store).accept_gap(earliest) for earliest in (10, 10, 2)] == [8, 0, 0]
    assert writer(store).store(messages(10)).end == 11
    assert [(one.first, one.end, len(one.events)) for one in segments_of(store, "clicks")] == [
        (0, 2, 2),
        (2, 10, 0),
        (10, 11, 1),
    ]


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def assigned(store: ObjectStore, clock: _Clock, **rules: float) -> AssignedPartition:
    found = AssignedPartition(writer(store), ConsumerRules(**rules), clock)  # type: ignore[arg-type]
    found.begin(Start(0, -1))
    return found


def test_messages_are_due_after_a_time_or_when_they_are_many() -> None:
    clock = _Clock()
    partition = assigned(MemoryStore(), clock, at_most_seconds=2, at_most_bytes=5_000)
    partition.take(messages(0, 1))
    assert partition.due() == []
    clock.now = 2.0
    assert [one.offset for one in partition.due()] == [0, 1]
    partition.stored(Stored(2))
    assert (partition.is_empty, partition.waiting_bytes, partition.oldest_waits_seconds) == (True, 0, 0)
    partition.take(messages(*range(2, 20)))
    due = partition.due()
    assert sum(one.size for one in due) <= 5_000 < sum(one.size for one in messages(*range(2, 20)))
    assert due[0].offset == 2


def test_what_was_not_stored_is_due_again_later_and_later() -> None:
    clock = _Clock()
    partition = assigned(MemoryStore(), clock, at_most_seconds=0)
    partition.take(messages(0, 1, 2))
    pauses = []
    for _ in range(9):
        assert [one.offset for one in partition.due()] == [0, 1, 2]
        partition.fail(StoreError("away"))
        began = clock.now
        while not partition.due():
            clock.now += 0.1
        partition.fail(StoreError("away"))
        pauses.append(clock.now - began)
        clock.now += 100
    assert pauses == sorted(pauses)
    assert pauses[0] < 1 < pauses[-1] < 11
    partition.due()
    assert not partition.stored(Stored(2))
    assert [one.offset for one in partition.due(even_new=True)] == [2]


def test_behind_an_adopted_end_the_broker_has_to_go_on_and_nothing_old_is_taken() -> None:
    partition = assigned(MemoryStore(), _Clock(), at_most_seconds=0)
    partition.take(messages(0, 1, 2))
    partition.due()
    partition.take(messages(3))
    assert partition.stored(Stored(10))
    assert (partition.position, partition.is_empty) == (10, True)
    partition.take(messages(4, 9, 10))
    assert [one.offset for one in partition.due()] == [10]


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_partition_that_does_not_know_where_to_go_on_takes_nothing(is_stopped: bool) -> None:
    clock = _Clock()
    partition = assigned(MemoryStore(), clock)
    if is_stopped:
        partition.stop(StoreError("gap"))
        partition.take(messages(0))
        assert (partition.is_empty, partition.may_start) == (True, False)
        clock.now = 60
        assert partition.may_start
    else:
        assert not partition.may_start
