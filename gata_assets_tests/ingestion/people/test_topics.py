"""People erased from topics: deleted where that loses nothing, said where it cannot be, and never back by delivery.

Real: brokers (noida, which deletes records, and Tansu, which does not), the consumer, segments, the tail. Faked: the
store in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from confluent_kafka import Consumer, TopicPartition

from gata_assets.governance.privacy.locators import Cleared, People
from gata_assets.governance.privacy.searching import Search
from gata_assets.ingestion.kafka.origin import Origin, target_id
from gata_assets.ingestion.kafka.topics import dead_letters_of
from gata_assets.ingestion.people.topics import TopicHaystack, TopicLocator, TopicPlaces
from gata_assets_tests.ingestion.people.test_event_log import PERSON, erase, request, roll_up, tail
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.event_worlds import START, STREAM
from gata_assets_tests.support.memory_store import MemoryStore
from gata_assets_tests.support.topics import consumer_of, running, stored_messages, until

OWN, GROUP = "group", "another-service"
# What the curator takes for the present is some hours later.


def sent(user: str, tenant: str = "acme", at: datetime = START - timedelta(hours=1)) -> tuple[bytes, bytes]:
    """A message of a row."""
    row = f'{{"user_id": "{user}", "item_id": "i1", "interaction_type": "view", "timestamp": "{at:%FT%TZ}"}}'
    return f"{tenant}:{user}".encode(), row.encode()


THEIRS = sent(PERSON)
MESSAGES = [sent("u1"), THEIRS, sent(PERSON, "globex"), (b"acme", f"broken {PERSON}".encode()), sent("u2")]


def places_of(broker: Broker, store: MemoryStore, topic: str) -> TopicPlaces:
    return TopicPlaces(store, broker.connection, OWN, (topic,))


def consume(broker: Broker, store: MemoryStore, topic: str, messages: int) -> None:
    """Consume until so many are stored, in all."""
    with running(consumer_of(broker.connection, topic, store, group=OWN)):
        until(lambda: stored_messages(store, topic) == messages)


@contextmanager
def client(broker: Broker, group: str) -> Iterator[Consumer]:
    found = Consumer({**broker.connection.client_config(), "group.id": group, "log_level": 0})
    try:
        yield found
    finally:
        found.close()


def first_offset(broker: Broker, topic: str) -> int:
    with client(broker, "who-looks") as found:
        return found.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[0]


def produced(store: MemoryStore, offset: int) -> tuple[str, bytes]:
    """The header of a message that the target has produced."""
    return Origin(target_id(store), STREAM, offset).header


def cleared(places: TopicPlaces, store: MemoryStore) -> dict[str, Cleared]:
    """What erasing the topics says, by the place."""
    return {one.place: one for one in TopicLocator(places).erase(request(store, START))}


def values_left(places: TopicPlaces) -> dict[str, int]:
    people = People("acme", (PERSON,))
    return {one.key: one.values for one in TopicHaystack(places).search(Search(people), people) if one.values}


def test_what_is_consumed_is_deleted_and_comes_in_no_second_time(noida_broker: Broker) -> None:
    store, topic = MemoryStore(), noida_broker.new_topic()
    letters = noida_broker.create_topic(dead_letters_of(topic))
    places = places_of(noida_broker, store, topic)
    noida_broker.send(topic, MESSAGES)
    consume(noida_broker, store, topic, 5)
    noida_broker.read(letters, lambda found: len(found) == 1)
    assert values_left(places) == {f"{topic}/0": 3, f"{letters}/0": 1}
    exported = {
        one.key: [row["offset"] for row in one.rows] for one in TopicLocator(places).export(People("acme", (PERSON,)))
    }
    assert exported == {f"{topic}/0": [1, 3], f"{letters}/0": [0]}
    erase(store, request(store, START))
    done = cleared(places, store)
    assert [(one.objects, dict(one.removed), one.remains) for one in done.values()] == [
        (1, {"messages": 2}, ""),
        (1, {"messages": 1}, ""),
    ]
    assert values_left(places) == {}
    assert first_offset(noida_broker, topic) == 4
    # The consumer is not stopped by what is missing; what happened before is left out, what happens later counts.
    noida_broker.send(topic, [THEIRS, sent(PERSON, at=START + timedelta(minutes=5)), sent("u3")])
    consume(noida_broker, store, topic, 6)
    for is_rolled_up in (False, True):
        if is_rolled_up:
            roll_up(store)
        assert sorted(tail(store).values()) == sorted(["u1", "u2", "u3", PERSON])
        assert tail(store, "globex") == {(f"kafka/{topic}/0", 2): PERSON}


def test_what_has_still_to_be_read_is_not_deleted(noida_broker: Broker) -> None:
    store, topic = MemoryStore(), noida_broker.new_topic()
    places, kafka = places_of(noida_broker, store, topic), f"kafka: {topic}"
    noida_broker.send(topic, MESSAGES)
    remains = cleared(places, store)[kafka].remains
    assert remains.startswith(f"2 messages of {topic}/0: not all up to offset 3 are in raw files, run `gata consume`")
    assert remains.endswith("168.0 hours after they were sent: set at most 24 hours.")
    consume(noida_broker, store, topic, 5)
    assert "not all up to offset 3 are in raw files" in cleared(places, store)[kafka].remains
    roll_up(store)
    with client(noida_broker, GROUP) as other:
        other.assign([TopicPartition(topic, 0, 0)])
        other.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
        remains = cleared(places, store)[kafka].remains
        assert f"consumer groups have not read up to offset 3: {GROUP}." in remains
        assert first_offset(noida_broker, topic) == 0
        other.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    assert cleared(places, store)[kafka].remains == ""
    assert first_offset(noida_broker, topic) == 4


def test_what_the_target_has_produced_is_deleted_though_nobody_consumes_it(noida_broker: Broker) -> None:
    store, topic = MemoryStore(), noida_broker.new_topic()
    places = places_of(noida_broker, store, topic)
    for number, message in enumerate((THEIRS, sent("u1"))):
        noida_broker.send(topic, [message], headers=[produced(store, number)])
    noida_broker.send(topic, [sent("u2")])
    done = cleared(places, store)[f"kafka: {topic}"]
    assert (done.removed, done.remains) == ({"messages": 1}, "")
    assert first_offset(noida_broker, topic) == 1
    noida_broker.send(topic, [THEIRS])
    assert "not all up to offset 3" in cleared(places, store)[f"kafka: {topic}"].remains


def test_brokers_that_delete_nothing_are_said(tansu_broker: Broker) -> None:
    store, topic = MemoryStore(), tansu_broker.new_topic()
    tansu_broker.send(topic, [THEIRS], headers=[produced(store, 0)])
    remains = cleared(places_of(tansu_broker, store, topic), store)[f"kafka: {topic}"].remains
    assert remains.startswith(f"1 messages of {topic}/0: the brokers did not delete records (_TRANSPORT).")
    assert remains.endswith("The topic has no retention.ms: set one of at most 24 hours, or they stay.")
