"""`gata consume` and `gata quarantine messages`: a process that is ended by SIGTERM, and what it left.

Real: processes, a broker, a directory, HTTP. Nothing is faked.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.topics import message, row, stored_messages, until

TOPIC = "interactions-raw"
TAIL = ("events", "tail", "--tenant", "acme", "--table", "interactions")


def lines(ran: Ran) -> list[dict[str, Any]]:
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def fetch(port: int) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return bytes(answer.read())


@pytest.mark.process
def test_a_consumer_stores_shows_metrics_and_leaves_when_it_is_ended(noida_broker: Broker, tmp_path: Path) -> None:
    noida_broker.create_topic(TOPIC)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    unknown = json.dumps(row(9, timestamp=now)).encode()
    noida_broker.send(TOPIC, [*(message(number) for number in range(5)), (b"globex", unknown), (b"acme", b"{")])
    variables: dict[str, Any] = {
        "KAFKA_BOOTSTRAP_SERVERS": noida_broker.connection.bootstrap_servers,
        "KAFKA_METRICS_PORT": "0",
        "TENANTS": "acme",
    }
    command = [sys.executable, "-m", "gata_assets", "consume", "--json", "--topic", TOPIC]
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    with process.stdout:
        ready = json.loads(process.stdout.readline())
        assert (ready["event"], ready["topics"]) == ("CONSUMER_READY", [TOPIC])
        store = LocalStore(str(tmp_path / "gata-data"))
        until(lambda: stored_messages(store, TOPIC) == 7)
        counted = b'gata_events_accepted_total{table="interactions"} 5.0'
        until(lambda: counted in fetch(ready["metrics_port"]))
        process.send_signal(signal.SIGTERM)
        said = [json.loads(line)["event"] for line in process.stdout]
    assert process.wait(30) == 0
    assert said == ["PARTITION_STARTED", "PARTITION_LEFT"]
    assert lines(gata(tmp_path, *TAIL, **variables))[-1]["rows"] == 5
    [one, other] = lines(gata(tmp_path, "quarantine", "messages", **variables))
    assert (one["reason"], one["messages"], other["reason"]) == ("no_json", 1, "unknown_tenant")
    variables["TENANTS"] = "acme,globex"
    [done] = lines(gata(tmp_path, "quarantine", "messages", "--replay", **variables))
    assert (done["taken"], done["rejected"]) == (1, {"no_json": 1})
    [done] = lines(gata(tmp_path, "quarantine", "messages", "--replay", **variables))
    assert done["taken"] == 0
    [file] = (tmp_path / "gata-data" / "globex" / "raw" / "interactions").rglob("*.zst")
    [traced] = lines(gata(tmp_path, "trace", file.name, "1", "--tenant", "globex", **variables))
    assert (traced["stream"], traced["offset"]) == (f"kafka/{TOPIC}/0", 5)
    [none] = lines(gata(tmp_path, "consume", "--json", "--accept-gap", f"{TOPIC}/0", **variables))
    assert none["event"] == "NO_GAP"


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ((), {}, "set KAFKA_BOOTSTRAP_SERVERS"),
        (("--topic", "other"), {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "no table is read from other"),
        (("--accept-gap", "x"), {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "TOPIC/PARTITION"),
    ],
)
def test_what_cannot_be_consumed_is_said(
    arguments: tuple[str, ...], variables: dict[str, Any], said: str, tmp_path: Path
) -> None:
    ran = gata(tmp_path, "consume", *arguments, **variables)
    assert ran.returncode == 2
    assert said in ran.stderr
