"""What a relay produces from a target, and how often.

Real: each broker as a process, confluent_kafka, a directory, curation. Nothing is faked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gata_assets.ingestion.kafka.relay.cursors import DATASET_MARKS, kept_from, read_relay_cursor
from gata_assets.ingestion.segments.rollup import RollUp
from gata_assets.storage.finished import DatasetFolder, DatasetUse
from gata_assets.storage.local import LocalStore
from gata_assets.tables.manifests import withdrawn
from gata_assets_tests.ingestion.kafka.relay.worlds import RelayWorld, numbers_of, topic_of, write_dataset
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.event_worlds import OTHER, START, STREAM, event
from gata_assets_tests.support.moved_clock import MovedClock
from gata_assets_tests.support.raw_worlds import NOW, curator_of, interaction, item, send

pytestmark = pytest.mark.server


def new_world(directory: Path, broker: Broker) -> RelayWorld:
    """An empty target, and new topics."""
    world = RelayWorld(LocalStore(str(directory / "target")), broker)
    world.create_topics()
    return world


@pytest.fixture
def any_world(tmp_path: Path, kafka_broker: Broker) -> RelayWorld:
    """An empty target, and new topics of each broker in turn."""
    return new_world(tmp_path, kafka_broker)


@pytest.fixture
def world(tmp_path: Path, noida_broker: Broker) -> RelayWorld:
    """An empty target, and new topics."""
    return new_world(tmp_path, noida_broker)


def test_events_are_produced_once_in_order_to_the_topic_of_their_table(any_world: RelayWorld) -> None:
    any_world.append(event(number) for number in range(30))
    any_world.append([event(30, tenant="globex"), event(31, table="items"), event(32, table="unknown")])
    relay = any_world.relay()

    assert relay.run_once()
    any_world.append([event(33)])
    assert relay.run_once()
    assert any_world.relay().run_once()

    found = any_world.read(topic_of(any_world.topics, "interactions"), 32)
    assert numbers_of(found) == [*range(31), 33]
    assert [message.key for message in found[:3]] == ["acme:u0", "acme:u1", "acme:u2"]
    assert found[30].key == "globex:u30"
    assert found[30].value["tenant_id"] == "globex"
    assert found[0].origin
    assert found[0].origin.place == STREAM
    assert found[0].headers["gata-source"] == b"http"
    assert numbers_of(any_world.read(topic_of(any_world.topics, "items"), 1)) == [31]
    assert read_relay_cursor(any_world.store, STREAM).end == 34
    assert any_world.said == []


def test_valid_rows_of_files_that_count_are_produced_once(any_world: RelayWorld, tmp_path: Path) -> None:
    curator = curator_of(any_world.store)
    send(curator, [item(item_id="i1")], tmp_path / "in", data="items")
    rows = [interaction(user_id=f"u{number}", timestamp=f"2026-01-0{number}T00:00:00Z") for number in range(1, 5)]
    old = send(curator, rows[:1], tmp_path / "in", name="old.csv")
    report = send(curator, [*rows, interaction(rating="9")], tmp_path / "in", name="new.csv", replaces=[old.file_id])
    relay = any_world.relay()

    assert relay.run_once()
    assert any_world.relay().run_once()
    send(curator, [interaction(user_id="late")], tmp_path / "in", name="late.csv")
    assert relay.run_once()

    found = any_world.read(topic_of(any_world.topics, "interactions"), 5)
    assert sorted(message.key for message in found) == ["acme:late", *(f"acme:u{number}" for number in range(1, 5))]
    assert numbers_of(found) == [1, 2, 3, 4, 1]
    assert found[0].origin
    assert found[0].origin.place == f"file/acme/interactions/{report.file_id}"
    assert found[0].value["timestamp"] == "2026-01-01T00:00:00Z"
    [of_items] = any_world.read(topic_of(any_world.topics, "items"), 1)
    assert (of_items.key, of_items.value["price"]) == ("acme:i1", 9.5)


def test_what_landed_before_the_first_start_is_produced_if_that_is_asked_for(world: RelayWorld, tmp_path: Path) -> None:
    send(curator_of(world.store, now=NOW - timedelta(days=1)), [interaction()], tmp_path / "in")
    topic = topic_of(world.topics, "interactions")

    assert world.relay().run_once()
    assert world.metrics.registry.get_sample_value("gata_relay_messages_total", {"topic": topic}) is None
    assert world.relay(since=NOW - timedelta(days=2)).run_once()
    assert len(world.read(topic, 1)) == 1


def test_rolled_up_events_are_not_produced_from_their_raw_file_again(world: RelayWorld, tmp_path: Path) -> None:
    world.append(event(number) for number in range(5))
    assert world.relay().run_once()
    list(RollUp(world.store, lambda: NOW).run(even_open=True))
    assert curator_of(world.store).validate_new("interactions")[0].valid == 5
    send(curator_of(world.store), [interaction(user_id="of-a-file")], tmp_path / "in")

    assert world.relay(since=START - timedelta(days=1)).run_once()

    keys = [message.key for message in world.read(topic_of(world.topics, "interactions"), 6)]
    assert keys == [*(f"acme:u{number}" for number in range(5)), "acme:of-a-file"]


def test_rows_of_a_file_are_produced_again_once_others_of_it_are_valid(world: RelayWorld, tmp_path: Path) -> None:
    curator = curator_of(world.store)
    report = send(
        curator, [interaction(), interaction(user_id="u2", timestamp="2018-01-01T00:00:00Z")], tmp_path / "in"
    )
    assert world.relay().run_once()
    rules = replace(curator.rules, earliest_at=START - timedelta(days=5000))
    curator_of(world.store, rules=rules).validate(report.raw_key)

    assert world.relay().run_once()

    keys = [message.key for message in world.read(topic_of(world.topics, "interactions"), 3)]
    assert sorted(keys) == ["acme:u1", "acme:u1", "acme:u2"]


def test_a_finished_dataset_has_a_message_and_a_repetition_has_its_key(any_world: RelayWorld) -> None:
    any_world.datasets = (
        DatasetFolder("acme/features/", DatasetUse.FEATURES, "acme"),
        DatasetFolder("training/gata-general/", DatasetUse.TRAINING, None),
    )
    made = write_dataset(any_world.store, "acme/features/2026010100/", {"batch_id": "2026010100", "is_made": True})
    write_dataset(any_world.store, "acme/features/2026010101/", {"batch_id": "2026010101", "is_made": False})
    any_world.store.write("acme/features/2026010102/manifest.json", withdrawn("features"))
    trained = write_dataset(any_world.store, "training/gata-general/2026010100/", {"batch_id": "2026010100"})
    assert any_world.relay().run_once()
    assert any_world.relay().run_once()
    # A crash before the mark.
    for key in list(any_world.store.list_keys(DATASET_MARKS)):
        any_world.store.delete(key)
    assert any_world.relay().run_once()

    found = any_world.read(any_world.topics.features, 2)
    assert [message.key for message in found] == [made.digest, made.digest]
    assert found[0].value["manifest_uri"] == any_world.store.uri("acme/features/2026010100/manifest.json")
    assert found[0].value["tables"] == {"users.parquet": {"files": 1, "rows": 7, "bytes": 4}}
    assert [message.key for message in any_world.read(any_world.topics.training, 2)] == [trained.digest] * 2


def test_a_dataset_that_is_rebuilt_has_a_message_again(world: RelayWorld) -> None:
    world.datasets = (DatasetFolder("acme/features/", DatasetUse.FEATURES, "acme"),)
    relay = world.relay()
    first = write_dataset(world.store, "acme/features/2026010100/", {"batch_id": "2026010100", "numbers": 1})
    assert relay.run_once()
    second = write_dataset(world.store, "acme/features/2026010100/", {"batch_id": "2026010100", "numbers": 2})
    assert relay.run_once()

    assert [message.key for message in world.read(world.topics.features, 2)] == [first.digest, second.digest]


def test_segments_that_are_not_produced_are_kept_until_they_are(world: RelayWorld) -> None:
    clock = MovedClock(NOW)
    world.append([event(1)])
    relay = world.relay()
    world.append([event(2)], OTHER)
    assert relay.run_once()
    world.append([event(3)])
    roll_up = RollUp(world.store, clock, kept_from=kept_from)
    list(roll_up.run(even_open=True))
    clock.now += timedelta(hours=3)

    assert [done.deleted for done in roll_up.run()] == [0, 1]
    assert relay.run_once()
    # The other stream has no segment any more, so it is not found.
    assert [done.deleted for done in roll_up.run()] == [2]
    assert numbers_of(world.read(topic_of(world.topics, "interactions"), 3)) == [0, 0, 1]


def test_events_whose_segments_were_deleted_are_counted_and_do_not_hold_up_others(world: RelayWorld) -> None:
    clock = MovedClock(NOW)
    relay = world.relay()
    world.append([event(1), event(2)])
    list(RollUp(world.store, clock).run(even_open=True))
    clock.now += timedelta(hours=3)
    list(RollUp(world.store, clock).run())
    world.append([event(3)])

    assert relay.run_once()
    assert relay.run_once()

    assert numbers_of(world.read(topic_of(world.topics, "interactions"), 1)) == [2]
    [(name, fields)] = world.said
    assert (name, fields["offset"], fields["events"]) == ("NOT_PRODUCED", 0, 2)


def test_events_that_were_deleted_before_the_first_start_are_not_missed(world: RelayWorld) -> None:
    clock = MovedClock(NOW)
    world.append([event(1)])
    list(RollUp(world.store, clock).run(even_open=True))
    clock.now += timedelta(hours=3)
    list(RollUp(world.store, clock).run())
    world.append([event(2)])

    assert world.relay().run_once()
    assert numbers_of(world.read(topic_of(world.topics, "interactions"), 1)) == [1]
    assert world.said == []
