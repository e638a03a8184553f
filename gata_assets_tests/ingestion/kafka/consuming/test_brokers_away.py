"""Brokers that go away and come back while they are consumed and produced to: none is missing, and none is there twice.

Real: a broker as a process, which is killed, ended and frozen, and is started again on its port with its data; relay
and consumer with their clients, directories. Nothing is faked.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from itertools import count
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from time import sleep

import pytest

from gata_assets.ingestion.kafka.topics import KafkaTopics
from gata_assets.storage.local import LocalStore
from gata_assets_tests.ingestion.kafka.relay.worlds import RelayWorld
from gata_assets_tests.support.brokers import Broker, noida
from gata_assets_tests.support.command import PROGRAM, environment
from gata_assets_tests.support.event_worlds import event
from gata_assets_tests.support.topics import (
    consumer_of,
    message,
    running,
    segments_of,
    stored_messages,
    until,
    users_of,
)

pytestmark = [pytest.mark.process, pytest.mark.server]

_PARTITIONS = 3
# A killed noida loses what it confirmed in its last second.
_SYNCED_SECONDS = 4.0
_PATIENCE_SECONDS = 90.0
_HOW = {"killed": signal.SIGKILL, "ended": signal.SIGTERM, "frozen": signal.SIGSTOP}


def send_away(broker: Broker, how: str) -> None:
    if how == "frozen":
        assert broker.process
        broker.process.send_signal(signal.SIGSTOP)
        return
    if how == "killed":
        sleep(_SYNCED_SECONDS)
    broker.end(_HOW[how])


def bring_back(broker: Broker, how: str) -> None:
    if how == "frozen":
        assert broker.process
        broker.process.send_signal(signal.SIGCONT)
    else:
        broker.start()


@pytest.mark.parametrize(
    ("rounds", "events"),
    [
        (["killed"], 100),
        pytest.param(["killed", "ended", "frozen"] * 4, 5_000, marks=pytest.mark.soak),
    ],
    ids=["few", "many"],
)
def test_brokers_that_go_away_and_come_back_cost_no_message(rounds: list[str], events: int, tmp_path: Path) -> None:
    lines: list[str] = []
    numbers = count()

    def said(name: str) -> int:
        return sum(f'"{name}"' in line for line in lines)

    def is_stored() -> bool:
        return {*users_of(segments_of(store, topic, _PARTITIONS))} >= {("acme", f"u{number}") for number in appended}

    def append() -> None:
        new = [next(numbers) for _ in range(events)]
        appended.update(new)
        world.append(event(number) for number in new)

    appended: set[int] = set()
    with noida() as broker:
        topic = broker.new_topic(_PARTITIONS)
        topics = KafkaTopics({topic: "interactions"}, f"{topic}-features", f"{topic}-training")
        world = RelayWorld(LocalStore(str(tmp_path / "one")), broker, topics)
        store, end = LocalStore(str(tmp_path / "other")), Flag()
        relay = Thread(target=world.relay(patience=2).run, args=(end,))
        with running(consumer_of(broker.connection, topic, store, write_line=lines.append)) as consumer:
            relay.start()
            try:
                for number, how in enumerate(rounds, 1):
                    append()
                    until(is_stored, "what was sent", _PATIENCE_SECONDS, 0.1)
                    waits = world.metric("gata_relay_failures_total")
                    send_away(broker, how)
                    append()
                    until(lambda n=number: said("BROKERS_AWAY") == n, "the consumer's word", _PATIENCE_SECONDS)
                    until(lambda w=waits: world.metric("gata_relay_failures_total") > w, "the relay's word")
                    metrics = consumer.metrics.text().decode()
                    assert "gata_kafka_brokers_answer 0.0" in metrics
                    assert "gata_events_waiting_bytes 0.0" in metrics
                    # What was not confirmed when the broker froze waits too.
                    until(lambda: world.metric('gata_relay_waiting{kind="events"}') >= events, "the relay's count")
                    bring_back(broker, how)
                    until(lambda n=number: said("BROKERS_BACK") == n, "that they are back", _PATIENCE_SECONDS)
                    assert "gata_kafka_brokers_answer 1.0" in consumer.metrics.text().decode()
                until(is_stored, "what was sent", _PATIENCE_SECONDS, 0.1)
            finally:
                end.set()
                relay.join()
        found = users_of(segments_of(store, topic, _PARTITIONS))
        sent = broker.read(topic, lambda messages: len(messages) >= found.total())
    # The relay repeats what was not confirmed: each message is there once, as often as the broker has it.
    assert found == Counter(("acme", json.loads(one.value() or b"")["user_id"]) for one in sent)
    assert {*found} == {("acme", f"u{number}") for number in appended}
    assert [name for name, _ in world.said if name != "PRODUCING_WAITS"] == ["PRODUCING_AGAIN"] * len(rounds)
    assert not said("PARTITION_STOPPED")


def test_a_consumer_ends_while_the_broker_is_frozen(tmp_path: Path) -> None:
    with noida() as broker:
        topic = broker.create_topic("interactions-raw")
        broker.send(topic, [message(number) for number in range(50)])
        variables = environment(
            KAFKA_BOOTSTRAP_SERVERS=broker.connection.bootstrap_servers,
            KAFKA_METRICS_PORT="0",
            TARGET_DIR=str(tmp_path / "target"),
        )
        store = LocalStore(variables["TARGET_DIR"])
        command = [*PROGRAM, "consume", "--json", "--topic", topic]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            until(lambda: stored_messages(store, topic) == 50)
            send_away(broker, "frozen")
            process.terminate()
            output, errors = process.communicate(timeout=_PATIENCE_SECONDS)
        finally:
            process.kill()
            bring_back(broker, "frozen")
    assert process.returncode == 0, errors
    assert [json.loads(line)["event"] for line in output.splitlines()][-2:] == ["PARTITION_LEFT", "GROUP_NOT_LEFT"]
