"""What a relay does when it is killed, when the broker is away, and with what no broker takes.

Real: a broker as a process (stopped and continued by signals), killed processes, a directory. Nothing is faked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from gata_assets.ingestion.kafka.connected import BrokerProbe
from gata_assets.ingestion.kafka.relay.cursors import read_relay_cursor
from gata_assets.ingestion.kafka.topics import KafkaTopics
from gata_assets.storage.finished import DatasetFolder, DatasetUse
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import Version
from gata_assets.tables.manifests import Manifest
from gata_assets_tests.ingestion.kafka.relay.worlds import RelayWorld, numbers_of, topic_of
from gata_assets_tests.support.brokers import Broker, noida
from gata_assets_tests.support.event_worlds import STREAM, event
from gata_assets_tests.support.loopback import free_port
from gata_assets_tests.support.raw_worlds import NOW, Row, curator_of, interaction, item, send

pytestmark = [pytest.mark.server, pytest.mark.process]

_EVENTS = 60
_CODE = (
    "import sys\nfrom gata_assets_tests.ingestion.kafka.relay.test_failures import produce_until_killed\n"
    "produce_until_killed(*sys.argv[1:])"
)


class KillingStore(LocalStore):
    """A directory whose process is killed when a cursor or a mark is to be written the n-th time."""

    left = 0

    def write(self, key: str, content: bytes, **options: Any) -> Version:
        """See ObjectStore."""
        if key.startswith("ingestion/kafka/relay/"):
            KillingStore.left -= 1
            if KillingStore.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().write(key, content, **options)


def produce_until_killed(directory: str, port: str, topic: str, after: str) -> None:
    """Produce, in a process that ends between the brokers' confirmation and its record in the target."""
    KillingStore.left = int(after)
    topics = KafkaTopics({topic: "interactions"}, f"{topic}-features", f"{topic}-training")
    RelayWorld(KillingStore(directory), Broker(int(port), ()), topics).relay().run_once()


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.soak)])
def test_a_relay_that_is_killed_before_it_moves_its_cursor_leaves_nothing_out(
    kills: int, noida_broker: Broker, tmp_path: Path
) -> None:
    topic = noida_broker.new_topic()
    directory = str(tmp_path / "target")
    topics = KafkaTopics({topic: "interactions"}, f"{topic}-features", f"{topic}-training")
    world = RelayWorld(LocalStore(directory), noida_broker, topics)
    world.relay()
    rows = [interaction(user_id=f"row{number}") for number in range(_EVENTS)]
    send(curator_of(world.store), rows, tmp_path / "in")
    each = _EVENTS // kills
    for attempt in range(kills):
        world.append(event(number) for number in range(attempt * each, attempt * each + each))
        # The cursor, then the mark of the file.
        command = [sys.executable, "-c", _CODE, directory, str(noida_broker.port), topic, str(attempt % 2)]
        assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert world.relay().run_once()

    found = world.read(topic, _EVENTS * 2 + each)
    events = [message for message in found if message.origin and message.origin.place == STREAM]
    first_seen = list(dict.fromkeys(numbers_of(events)))
    assert first_seen == list(range(kills * each))
    assert len(events) > len(first_seen)
    assert {message.key for message in found} == {
        *(f"acme:u{number}" for number in range(kills * each)),
        *(f"acme:row{number}" for number in range(_EVENTS)),
    }


@contextmanager
def stopped(broker: Broker) -> Iterator[None]:
    """The broker answers nothing meanwhile, and loses nothing."""
    assert broker.process
    broker.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        broker.process.send_signal(signal.SIGCONT)


def test_a_broker_that_is_away_delays_events_and_is_counted(tmp_path: Path) -> None:
    with noida() as broker:
        world = RelayWorld(LocalStore(str(tmp_path / "target")), broker)
        world.create_topics()
        world.append([event(0)])
        assert world.relay().run_once()
        with stopped(broker):
            world.append([event(1), event(2)])
            assert not world.relay(patience=0.5).run_once()
            assert world.metric('gata_relay_waiting{kind="events"}') == 2
            assert world.metric("gata_relay_oldest_waits_seconds") == (NOW - event(1).received_at).total_seconds()
            assert world.metric("gata_relay_failures_total") == 1
            assert read_relay_cursor(world.store, STREAM).end == 1
        assert world.relay().run_once()
        assert world.metric('gata_relay_waiting{kind="events"}') == 0

        found = numbers_of(world.read(topic_of(world.topics, "interactions"), 3))

    assert list(dict.fromkeys(found)) == [0, 1, 2]
    [(name, fields)] = world.said
    assert name == "PRODUCING_WAITS"
    assert "did not confirm 2 messages" in str(fields["reason"])


def test_a_file_waits_for_a_broker_that_is_away(noida_broker: Broker, tmp_path: Path) -> None:
    world = RelayWorld(LocalStore(str(tmp_path / "target")), noida_broker)
    world.create_topics()
    send(curator_of(world.store), [interaction(user_id="u1")], tmp_path / "in")
    with stopped(noida_broker):
        assert not world.relay(patience=0.5).run_once()
        assert world.metric('gata_relay_waiting{kind="files"}') == 1
    assert world.relay().run_once()

    assert {message.key for message in world.read(topic_of(world.topics, "interactions"), 1)} == {"acme:u1"}
    assert world.metric('gata_relay_waiting{kind="files"}') == 0


def test_a_datasets_message_waits_for_a_broker_that_is_away(noida_broker: Broker, tmp_path: Path) -> None:
    world = RelayWorld(LocalStore(str(tmp_path / "target")), noida_broker)
    world.create_topics()
    world.datasets = (DatasetFolder("training/gata-general/", DatasetUse.TRAINING, None),)
    manifest = Manifest("gata-general", details={"batch_id": "2026010100"})
    world.store.write("training/gata-general/2026010100/manifest.json", manifest.encode())
    with stopped(noida_broker):
        assert not world.relay(patience=0.5).run_once()
        assert world.metric('gata_relay_waiting{kind="datasets"}') == 1
    assert world.relay().run_once()

    assert {message.key for message in world.read(world.topics.training, 1)} == {manifest.digest}


def test_a_relay_that_runs_on_produces_what_came_while_the_broker_was_away(
    noida_broker: Broker, tmp_path: Path
) -> None:
    world = RelayWorld(LocalStore(str(tmp_path / "target")), noida_broker)
    world.create_topics()
    end = Event()
    thread = Thread(target=world.relay(patience=3).run, args=(end,))
    with stopped(noida_broker):
        thread.start()
        for number in range(5):
            world.append([event(number)])
    try:
        found = world.read(topic_of(world.topics, "interactions"), 5)
    finally:
        end.set()
        thread.join()

    assert list(dict.fromkeys(numbers_of(found))) == [0, 1, 2, 3, 4]


def test_what_no_broker_takes_is_left_out_and_named_without_a_value(noida_broker: Broker, tmp_path: Path) -> None:
    world = RelayWorld(LocalStore(str(tmp_path / "target")), noida_broker)
    world.create_topics()
    canary = "canary-5b1f0c77e2d94a"
    large = replace(event(1), payload=b'{"user_id": "%s", "x": "%s"}' % (canary.encode(), b"x" * 2_000_000))
    unreadable = replace(event(2), payload=canary.encode())
    world.append([event(0), large, unreadable, event(3)])

    assert world.relay().run_once()

    assert numbers_of(world.read(topic_of(world.topics, "interactions"), 2)) == [0, 3]
    assert [name for name, _ in world.said] == ["NOT_PRODUCED", "TOO_LARGE"]
    assert f"{STREAM}@1" in str(world.said[1][1])
    assert canary not in str(world.said)


def test_a_topic_that_cannot_be_produced_to_delays_no_other(noida_broker: Broker, tmp_path: Path) -> None:
    topic = noida_broker.new_topic()
    topics = KafkaTopics({"no topic": "interactions", topic: "items"}, "features", "training")
    world = RelayWorld(LocalStore(str(tmp_path / "target")), noida_broker, topics)
    canary = "canary-91d3a6fe0b7c48"
    world.append([replace(event(0), payload=b'{"user_id": "%s"}' % canary.encode())])
    world.append([event(0, table="items")], "http/00000000000000bb")

    assert not world.relay(patience=5).run_once()

    assert len(world.read(topic, 1)) == 1
    [(name, fields)] = world.said
    assert name == "PRODUCING_WAITS"
    assert "refused messages of the topic no topic" in str(fields["reason"])
    assert canary not in str(world.said)


@pytest.mark.parametrize(("table", "row"), [("interactions", interaction), ("items", item)])
def test_a_staged_part_of_other_bytes_is_not_produced(
    table: str, row: Callable[..., Row], noida_broker: Broker, tmp_path: Path
) -> None:
    world = RelayWorld(LocalStore(str(tmp_path / "target")), noida_broker)
    world.create_topics()
    curator = curator_of(world.store)
    damaged, whole = (
        send(curator, [row(item_id=name)], tmp_path / "in", name=f"{name}.csv", data=table) for name in ("i1", "i2")
    )
    # Another file's rows, which can be read.
    world.store.write(damaged.parts[0].key, world.store.read(whole.parts[0].key))

    assert not world.relay().run_once()

    [found] = world.read(topic_of(world.topics, table), 1)
    assert found.origin
    assert found.origin.place == f"file/acme/{table}/{whole.file_id}"
    assert "is missing or damaged" in str(world.said)


def test_a_probe_says_whether_a_broker_answers(noida_broker: Broker) -> None:
    now = 0.0
    away = BrokerProbe(Broker(free_port(), ()).connection)
    probe = BrokerProbe(noida_broker.connection, lambda: now)

    assert probe()
    assert not away()
    with stopped(noida_broker):
        assert probe(), "it was asked a moment ago"
        now = 6.0
        assert not probe()
    now = 12.0
    assert probe()
