"""Consumers of real brokers: everything comes in once, whatever is away meanwhile, and what is lost is said.

Real: two brokers, the client, S3 over HTTP, directories. Faked: the registry, in memory. Consumers run in threads.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from dagster_aws.s3 import S3Resource

from gata_assets.errors import StoreError
from gata_assets.ingestion.kafka.consuming.client import earliest_offset
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.kafka.consuming.rules import ConsumerRules
from gata_assets.ingestion.kafka.consuming.writing import PartitionWriter
from gata_assets.ingestion.kafka.origin import Origin
from gata_assets.ingestion.kafka.topics import dead_letters_of
from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.ingestion.schemas.coding import AvroRows
from gata_assets.ingestion.schemas.registry import SchemaId
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.quarantined import find_rejected
from gata_assets.ingestion.segments.tail import Tail
from gata_assets.interactions.tables import TABLES
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.ingestion.schemas.registries import SchemasInMemory
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.event_worlds import START
from gata_assets_tests.support.fault_proxy import S3_ERROR, FaultProxy, Faults, Manner
from gata_assets_tests.support.memory_store import MemoryStore
from gata_assets_tests.support.raw_worlds import curator_of
from gata_assets_tests.support.topics import (
    TARGET,
    Sent,
    consumer_of,
    decoder_of,
    judge_of,
    message,
    row,
    running,
    segments_of,
    stored_messages,
    until,
    users_of,
)

SCHEMAS: dict[SchemaId, Any] = {1: avro_schema(TABLES["interactions"])}


def avro(number: int) -> bytes:
    return AvroRows(TABLES["interactions"], SchemasInMemory({**SCHEMAS})).encode(row(number), 1)


def sample(metrics: str, name: str, **labels: object) -> float:
    """The value of a metric."""
    found = [line for line in metrics.splitlines() if line.startswith(name)]
    found = [line for line in found if all(f'{label}="{value}"' in line for label, value in labels.items())]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def test_json_and_avro_of_several_tenants_come_in_and_the_rest_is_in_quarantine_and_dead_letters(
    kafka_broker: Broker, any_store: ObjectStore
) -> None:
    topic = kafka_broker.new_topic(2)
    letters = kafka_broker.create_topic(dead_letters_of(topic))
    registry = SchemasInMemory({**SCHEMAS})
    sent = [message(number, ("acme", "globex")[number % 2]) for number in range(100)]
    sent += [(b"acme:u%d" % number, avro(number)) for number in range(100, 120)]
    kafka_broker.send(topic, sent)
    poison: list[Sent] = [(b"acme", b"{"), (b"acme", b"\0\0\0\0\7x"), (None, b"{}"), (b"globex", message(1, "acme")[1])]
    kafka_broker.send(topic, poison, headers=[("request-id", b"r-1")])
    kafka_broker.send(topic, [message(1)], headers=[Origin(TARGET, "http/00000000000000aa", 7).header])
    judge = judge_of({topic: "interactions"}, registry)
    with running(consumer_of(kafka_broker.connection, topic, any_store, judge=judge)) as consumer:
        until(lambda: stored_messages(any_store, topic, 2) == 124)
        copies = kafka_broker.read(letters, lambda found: len(found) >= 4)
        until(lambda: sample(consumer.metrics.text().decode(), "gata_kafka_stored_offset") >= 124)
    assert Counter(dict(copy.headers() or ())["gata-reason"] for copy in copies) == {
        b"no_json": 1,
        b"unknown_schema": 1,
        b"no_tenant": 1,
        b"tenant_differs_from_key": 1,
    }
    assert {(copy.key(), copy.value()) for copy in copies} == {*poison}
    headers = [dict(copy.headers() or ()) for copy in copies]
    places = {(found["gata-partition"], found["gata-offset"]) for found in headers}
    rejected = [(number, one) for number in range(2) for one in find_rejected(any_store, f"kafka/{topic}/{number}")]
    assert places == {(b"%d" % number, b"%d" % one.offset) for number, one in rejected}
    assert {one.headers for _, one in rejected} == {(("request-id", b"r-1"),)}
    text = consumer.metrics.text().decode()
    assert sample(text, "gata_kafka_messages_rejected_total", topic=topic) == 4
    assert sample(text, "gata_kafka_messages_skipped_total", topic=topic) == 1
    assert sample(text, "gata_events_accepted_total", table="interactions") == 120
    tail = Tail(curator_of(any_store), lambda _: (), decoder_of(registry)).read("interactions")
    assert (len(tail.rows), tail.rejected) == (70, 0)
    # What is stored and copied is committed when it ends.
    client = Consumer({**kafka_broker.connection.client_config(), "group.id": "group"})
    committed = client.committed([TopicPartition(topic, number) for number in range(2)], timeout=5)
    client.close()
    assert [place.offset for place in committed] == [Chain(any_store, f"kafka/{topic}/{n}").end() for n in range(2)]


def test_two_consumers_that_compete_write_each_message_once(noida_broker: Broker, tmp_path: Path) -> None:
    topic, store = noida_broker.new_topic(2), LocalStore(str(tmp_path))
    one, other = (consumer_of(noida_broker.connection, topic, store, group=name) for name in ("one", "other"))
    with running(one), running(other):
        for first in range(0, 2_000, 200):
            noida_broker.send(topic, [message(number) for number in range(first, first + 200)])
        until(lambda: stored_messages(store, topic, 2) >= 2_000)
    assert users_of(segments_of(store, topic, 2)) == Counter(("acme", f"u{number}") for number in range(2_000))
    adopted = [sample(each.metrics.text().decode(), "gata_kafka_segments_adopted_total") for each in (one, other)]
    assert sum(adopted) > 0


def test_partitions_move_between_the_members_of_a_group(tansu_broker: Broker) -> None:
    topic, store = tansu_broker.new_topic(2), MemoryStore()
    lines: list[str] = []

    def owners() -> int:
        return sum("PARTITION_STARTED" in line for line in lines) - sum("PARTITION_LEFT" in line for line in lines)

    connection = tansu_broker.connection
    with running(consumer_of(connection, topic, store, write_line=lines.append)):
        tansu_broker.send(topic, [message(number) for number in range(100)])
        until(lambda: stored_messages(store, topic, 2) == 100)
        with running(consumer_of(connection, topic, store, write_line=lines.append)):
            tansu_broker.send(topic, [message(number) for number in range(100, 200)])
            until(lambda: len(lines) >= 6 and owners() == 2)
            tansu_broker.send(topic, [message(number) for number in range(200, 300)])
        tansu_broker.send(topic, [message(number) for number in range(300, 400)])
        until(lambda: stored_messages(store, topic, 2) == 400)
    assert users_of(segments_of(store, topic, 2)) == Counter(("acme", f"u{number}") for number in range(400))


class _AwayStore(MemoryStore):
    """A store that fails while the flag is set."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = Flag()

    def write(self, *arguments: Any, **named: Any) -> Version:
        if self.is_away.is_set():
            raise StoreError("The target is away.")
        return super().write(*arguments, **named)


def test_while_the_target_is_away_memory_is_bounded_and_nothing_is_poison(noida_broker: Broker) -> None:
    topic, store = noida_broker.new_topic(), _AwayStore()
    rules = ConsumerRules(0.05, at_most_bytes=100_000, at_most_waiting_bytes=1_000_000, session_seconds=6)
    store.is_away.set()
    lines: list[str] = []
    with running(consumer_of(noida_broker.connection, topic, store, rules=rules, write_line=lines.append)) as consumer:
        for first in range(0, 12_000, 1_000):
            noida_broker.send(topic, [message(number) for number in range(first, first + 1_000)])
        until(lambda: any("TARGET_AWAY" in line for line in lines))
        until(lambda: sample(consumer.metrics.text().decode(), "gata_events_waiting_bytes") >= 1_000_000)
        waiting = sample(consumer.metrics.text().decode(), "gata_events_waiting_bytes")
        # What was on its way when the partition was paused comes on top.
        assert waiting < 1_000_000 + 2_000 * 600
        assert sample(consumer.metrics.text().decode(), "gata_events_oldest_waits_seconds") > 0
        store.is_away.clear()
        until(lambda: stored_messages(store, topic) == 12_000)
    assert users_of(segments_of(store, topic)) == Counter(("acme", f"u{number}") for number in range(12_000))
    assert len(lines) < 10


def test_while_s3_is_away_messages_wait(
    noida_broker: Broker, moto_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, faults, lines = noida_broker.new_topic(), Faults(), list[str]()
    with FaultProxy("s3", moto_url, faults, S3_ERROR) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        store = S3StoreResource(bucket=bucket, s3=S3Resource(max_attempts=1))
        with running(consumer_of(noida_broker.connection, topic, store, write_line=lines.append)):
            noida_broker.send(topic, [message(number) for number in range(100)])
            until(lambda: stored_messages(store, topic) == 100)
            faults.begin(Manner.REFUSED, first=1, last=10**9)
            noida_broker.send(topic, [message(number) for number in range(100, 200)])
            until(lambda: any("TARGET_AWAY" in line for line in lines))
            # Of calls that are carried out all the same, none is carried out twice.
            faults.begin(Manner.UNANSWERED, first=1, last=4)
            until(lambda: len(faults.failed) == 4)
            faults.begin()
            until(lambda: stored_messages(store, topic) == 200)
            assert users_of(segments_of(store, topic)) == Counter(("acme", f"u{number}") for number in range(200))


def test_while_the_registry_is_away_avro_waits(noida_broker: Broker) -> None:
    topic, store, registry = noida_broker.new_topic(), MemoryStore(), SchemasInMemory({**SCHEMAS})
    registry.is_away = True
    noida_broker.send(topic, [message(0), (b"acme", avro(1)), message(2)])
    judge, lines = judge_of({topic: "interactions"}, registry), list[str]()
    consumer = consumer_of(noida_broker.connection, topic, store, judge=judge, write_line=lines.append)
    with running(consumer):
        until(lambda: any("REGISTRY_AWAY" in line for line in lines))
        until(lambda: stored_messages(store, topic) == 1)
        registry.is_away = False
        until(lambda: stored_messages(store, topic) == 3)
    assert not list(find_rejected(store, f"kafka/{topic}/0"))


def _deleted(broker: Broker, topic: str, before: int) -> None:
    admin = broker.admin()
    for done in admin.delete_records([TopicPartition(topic, 0, before)]).values():
        done.result(20)


def _stopped(lines: list[str]) -> list[int]:
    found = (json.loads(line) for line in lines)
    return [line["lost"] for line in found if line["event"] == "PARTITION_STOPPED"]


def test_what_a_broker_deleted_unread_stops_the_partition_until_it_is_accepted(noida_broker: Broker) -> None:
    topic, store, lines = noida_broker.new_topic(), MemoryStore(), list[str]()
    connection = noida_broker.connection
    noida_broker.send(topic, [message(number) for number in range(20)])
    # What was gone before the first was read is no loss.
    _deleted(noida_broker, topic, 5)
    with running(consumer_of(connection, topic, store)):
        until(lambda: stored_messages(store, topic) == 15)
    noida_broker.send(topic, [message(number) for number in range(20, 30)])
    _deleted(noida_broker, topic, 24)
    with running(consumer_of(connection, topic, store, write_line=lines.append)) as consumer:
        until(lambda: _stopped(lines) == [4])
        until(lambda: sample(consumer.metrics.text().decode(), "gata_kafka_gap_messages", topic=topic) == 4)
        assert sample(consumer.metrics.text().decode(), "gata_kafka_partition_is_stopped") == 1
        assert stored_messages(store, topic) == 15
        writer = PartitionWriter(store, topic, 0, judge_of({topic: "interactions"}))
        assert writer.accept_gap(earliest_offset(connection, topic, 0)) == 4
        # It is looked at again by itself.
        until(lambda: stored_messages(store, topic) == 21)
        until(lambda: sample(consumer.metrics.text().decode(), "gata_kafka_partition_is_stopped") == 0)
    assert [user for _, user in sorted(users_of(segments_of(store, topic)))][:1] == ["u10"]


def test_a_broker_that_forgot_offsets_stops_the_partition(noida_broker: Broker) -> None:
    topic, store, lines = noida_broker.new_topic(), MemoryStore(), list[str]()
    noida_broker.send(topic, [message(number) for number in range(3)])
    judge = judge_of({topic: "interactions"})
    writer = PartitionWriter(store, topic, 0, judge)
    writer.end()
    writer.accept_gap(100)
    with running(consumer_of(noida_broker.connection, topic, store, write_line=lines.append)):
        until(lambda: _stopped(lines) == [0])
    assert "was deleted and created again" in next(line for line in lines if "PARTITION_STOPPED" in line)
    assert stored_messages(store, topic) == 0


def test_copies_that_a_killed_process_did_not_make_are_made_by_the_next(noida_broker: Broker) -> None:
    topic, store = noida_broker.new_topic(), MemoryStore()
    letters = noida_broker.create_topic(dead_letters_of(topic))
    noida_broker.send(topic, [message(0)])
    with running(consumer_of(noida_broker.connection, topic, store)):
        until(lambda: stored_messages(store, topic) == 1)
    noida_broker.send(topic, [(b"acme", b"{"), (b"acme", b"[")])
    # It stored them, and was killed before it made the copies and committed.
    broken = [KafkaMessage(1, b"acme", b"{", (), START), KafkaMessage(2, b"acme", b"[", (), START)]
    PartitionWriter(store, topic, 0, judge_of({topic: "interactions"})).store(broken)
    with running(consumer_of(noida_broker.connection, topic, store)):
        copies = noida_broker.read(letters, lambda found: len({copy.value() for copy in found}) >= 2)
    assert {copy.value() for copy in copies} == {b"{", b"["}
