"""`gata publish`: as a process that is ended by SIGTERM, and what it refuses; and Kafka in `/health`.

Real: processes, a broker, ports, a directory. Nothing is faked.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from gata_assets.ingestion.segments.chain import Chain
from gata_assets.storage.local import LocalStore
from gata_assets_tests.cli.servers.test_serve import serving
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import gata
from gata_assets_tests.support.event_worlds import STREAM, event, segment_of
from gata_assets_tests.support.loopback import free_port

pytestmark = [pytest.mark.process, pytest.mark.server]
VALUE = canary("a value of a row")


def test_it_produces_until_sigterm_and_shows_counts_and_no_value(noida_broker: Broker, tmp_path: Path) -> None:
    topic = noida_broker.new_topic()
    variables = {
        "TARGET_DIR": str(tmp_path / "target"),
        "KAFKA_BOOTSTRAP_SERVERS": noida_broker.connection.bootstrap_servers,
        "KAFKA_TOPIC_INTERACTIONS": topic,
    }
    odd = replace(event(0), payload=VALUE.encode())
    personal = replace(event(1), payload=json.dumps({"user_id": VALUE}).encode())
    chain = Chain(LocalStore(variables["TARGET_DIR"]), STREAM)
    assert chain.end() == 0
    chain.append(segment_of([odd, personal]))
    command = [sys.executable, "-m", "gata_assets", "publish", "--json", "--metrics", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, **variables}, cwd=tmp_path, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            first = json.loads(process.stdout.readline())
            assert (first["event"], first["host"]) == ("METRICS_READY", "127.0.0.1")
            with pytest.raises(ConnectionRefusedError):
                # It would come through if all addresses were served.
                socket.create_connection(("127.0.0.2", first["port"])).close()
            [message] = noida_broker.read(topic, lambda messages: len(messages) > 0)
            with urllib.request.urlopen(f"http://127.0.0.1:{first['port']}/metrics") as answer:
                metrics = answer.read().decode()
            process.send_signal(signal.SIGTERM)
            output, errors = process.stdout.read(), process.stderr.read()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
    assert json.loads(message.value() or b"")["user_id"] == VALUE
    assert [json.loads(line)["event"] for line in output.splitlines()] == ["PUBLISHING", "NOT_PRODUCED"]
    assert "gata_relay_left_out_total 1.0" in metrics
    assert VALUE not in output + errors + metrics


def test_without_brokers_it_says_which_setting_names_them(tmp_path: Path) -> None:
    ran = gata(tmp_path, "publish", "--once")
    assert ran.returncode == 2
    assert "KAFKA_BOOTSTRAP_SERVERS is unset" in ran.stderr


def test_a_topic_of_an_unknown_table_is_refused(tmp_path: Path) -> None:
    ran = gata(tmp_path, "publish", "--once", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", KAFKA_TOPICS="orders-raw=orders")
    assert ran.returncode == 2
    assert "orders-raw has rows of a table orders, and there is none" in ran.stderr


def test_health_says_that_kafka_is_configured_and_away(tmp_path: Path) -> None:
    variables = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "SERVICE_NAME": "rows"}
    with serving(tmp_path, **variables) as (_, url), urllib.request.urlopen(f"{url}/health") as answer:
        found = json.load(answer)
    assert (found["kafka_configured"], found["kafka_connected"]) == (True, False)
    assert (found["status"], found["service"]) == ("degraded", "rows")
