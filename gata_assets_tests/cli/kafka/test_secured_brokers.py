"""Brokers that demand TLS or a login: what goes through, and what `gata consume` and `gata publish` say if it does not.

Real: a broker behind TLS of a test's own authority, a broker that refuses every login, processes, a directory. Faked:
the login that lets in, which a door before the broker demands in its place.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.topics import KafkaTopics
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.settings.model import parse_settings
from gata_assets.storage.local import LocalStore
from gata_assets_tests.ingestion.kafka.relay.worlds import RelayWorld
from gata_assets_tests.support.broker_doors import Authority, Login, door, new_authority
from gata_assets_tests.support.brokers import Broker, tansu, tansu_with_logins
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import PROGRAM, Ran, environment, gata
from gata_assets_tests.support.event_worlds import STREAM, event, segment_of
from gata_assets_tests.support.loopback import free_port
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

PASSWORD, WRONG = canary("a password of brokers"), canary("another password of brokers")
TOPIC = "interactions-raw"


@dataclass(frozen=True)
class Secured:
    """Brokers behind a door, and the variables of who may come in."""

    broker: Broker
    variables: dict[str, str]
    authority: Authority
    login: Login | None


@contextmanager
def secured(directory: Path, mechanism: str | None = None, host: str = "127.0.0.1") -> Iterator[Secured]:
    """A broker behind TLS for that host, and a login by that mechanism if there is one; it has the topic."""
    authority = new_authority(directory, "authority")
    login = Login(mechanism, "gata", PASSWORD) if mechanism else None
    port, behind = free_port(), free_port()
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL" if login else "SSL",
        "KAFKA_SSL_CA": str(authority.path),
        "KAFKA_METRICS_PORT": "0",
        **({"KAFKA_SASL_MECHANISM": mechanism or "", "KAFKA_SASL_USERNAME": "gata"} if login else {}),
        **({"KAFKA_SASL_PASSWORD": PASSWORD} if login else {}),
    }
    with ExitStack() as stack:
        stack.enter_context(door(port, behind, authority.sign(host), login))
        if host == "127.0.0.1":
            broker = stack.enter_context(tansu(behind, parse_settings(variables).kafka.connection))
            broker.create_topic(TOPIC)
        else:
            # No client comes so far.
            broker = Broker(behind, ())
        yield Secured(broker, variables, authority, login)


@pytest.mark.parametrize("mechanism", [None, "PLAIN", "SCRAM-SHA-256"])
def test_messages_go_both_ways_through_tls_and_a_login(mechanism: str | None, tmp_path: Path) -> None:
    with secured(tmp_path, mechanism) as found:
        chain = Chain(LocalStore(str(tmp_path / "one")), STREAM)
        assert chain.end() == 0
        chain.append(segment_of([event(number) for number in range(20)]))
        published = gata(tmp_path, "publish", "--once", TARGET_DIR=str(tmp_path / "one"), **found.variables)
        assert published.returncode == 0, published.stderr
        found.broker.send(TOPIC, [message(number) for number in range(20, 30)])
        store = LocalStore(str(tmp_path / "other"))
        with running(consumer_of(found.broker.connection, TOPIC, store)):
            until(lambda: stored_messages(store, TOPIC) >= 30)
        assert users_of(segments_of(store, TOPIC)) == {("acme", f"u{number}"): 1 for number in range(30)}
        if found.login:
            assert {*found.login.answered} == {True}
        assert PASSWORD not in published.stdout + published.stderr


def test_the_command_consumes_through_tls_and_a_login(tmp_path: Path) -> None:
    with secured(tmp_path, "SCRAM-SHA-512") as found:
        found.broker.send(TOPIC, [message(number) for number in range(10)])
        command = [*PROGRAM, "consume", "--json", "--topic", TOPIC]
        variables = environment(**found.variables, TARGET_DIR=str(tmp_path / "target"))
        process = subprocess.Popen(
            command, cwd=tmp_path, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            store = LocalStore(str(tmp_path / "target"))
            until(lambda: stored_messages(store, TOPIC) == 10)
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 0
        assert "PARTITION_LEFT" in output
        assert PASSWORD not in output + errors


REFUSED = {
    "an authority that nobody knows": ("KAFKA_SSL_CA", "127.0.0.1:", "certificate verify failed"),
    "a certificate of another host": ("KAFKA_SSL_CA", "127.0.0.1:", "certificate verify failed"),
    "a wrong password": ("KAFKA_SASL_PASSWORD", "127.0.0.1:", "_AUTHENTICATION"),
    "a mechanism that the broker has not": ("KAFKA_SASL_MECHANISM", "supported mechanisms: SCRAM-SHA-512"),
}


def refused(what: str, directory: Path, *command: str) -> Ran:
    """How a command ends if the brokers do not let it in."""
    mechanism = None if "authority" in what or "host" in what else "SCRAM-SHA-512"
    host = "localhost" if "host" in what else "127.0.0.1"
    with secured(directory, mechanism, host) as found:
        changed = {
            "an authority that nobody knows": {"KAFKA_SSL_CA": str(new_authority(directory, "nobody").path)},
            "a wrong password": {"KAFKA_SASL_PASSWORD": WRONG},
            "a mechanism that the broker has not": {"KAFKA_SASL_MECHANISM": "PLAIN"},
        }
        return gata(directory, *command, **{**found.variables, **changed.get(what, {})})


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("command", ["consume", "publish"])
def test_a_command_ends_where_brokers_do_not_let_it_in(command: str, what: str, tmp_path: Path) -> None:
    ran = refused(what, tmp_path, command)
    assert ran.returncode == 1
    assert [part for part in REFUSED[what] if part not in ran.stderr] == [], ran.stderr
    assert not any(secret in ran.stdout + ran.stderr for secret in (PASSWORD, WRONG))


def test_a_gap_cannot_be_accepted_of_brokers_that_do_not_let_in(tmp_path: Path) -> None:
    ran = refused("a wrong password", tmp_path, "consume", "--accept-gap", f"{TOPIC}/0")
    assert ran.returncode == 1
    assert "KAFKA_SASL_PASSWORD" in ran.stderr


@pytest.mark.parametrize("command", ["consume", "publish"])
def test_a_broker_of_another_project_refuses_a_login_that_it_does_not_know(command: str, tmp_path: Path) -> None:
    with tansu_with_logins() as connection:
        ran = gata(
            tmp_path,
            command,
            KAFKA_BOOTSTRAP_SERVERS=connection.bootstrap_servers,
            KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
            KAFKA_SASL_MECHANISM="SCRAM-SHA-256",
            KAFKA_SASL_USERNAME="gata",
            KAFKA_SASL_PASSWORD=PASSWORD,
        )
    assert ran.returncode == 1
    assert "unknown-user. Look at KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM" in ran.stderr
    assert PASSWORD not in ran.stdout + ran.stderr


@pytest.mark.parametrize("content", [None, "no certificate"])
@pytest.mark.parametrize("command", ["consume", "publish"])
def test_a_file_of_certificates_that_cannot_be_read_is_named(command: str, content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    variables = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA": str(path)}
    ran = gata(tmp_path, command, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", **variables)
    assert ran.returncode == 2
    assert f"The file is {path}." in ran.stderr


def test_who_comes_without_tls_waits_and_says_what_to_look_at(tmp_path: Path) -> None:
    with secured(tmp_path) as found:
        plain = KafkaConnection(found.variables["KAFKA_BOOTSTRAP_SERVERS"])
        lines: list[str] = []
        store = LocalStore(str(tmp_path / "target"))
        with running(consumer_of(plain, TOPIC, store, write_line=lines.append)) as consumer:
            until(lambda: any("BROKERS_AWAY" in line for line in lines))
            assert "gata_kafka_brokers_answer 0.0" in consumer.metrics.text().decode()
        topics = KafkaTopics({TOPIC: "interactions"}, "features", "training")
        world = RelayWorld(LocalStore(str(tmp_path / "one")), found.broker, topics)
        world.append([event(0)])
        assert not world.relay(patience=1, connection=plain).run_once()
    reasons = [json.loads(line)["reason"] for line in lines] + [str(fields["reason"]) for _, fields in world.said]
    assert all("KAFKA_SECURITY_PROTOCOL: brokers that expect TLS" in reason for reason in reasons), reasons
