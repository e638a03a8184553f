"""What of compose.yaml takes rows and events: single events and messages go through all of its services.

Real: the commands, variables and health checks of the file, as processes of this machine, their ends by SIGTERM; a
broker. Not real: containers and their images; the S3 server is moto, the broker that of noida-db.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.request import Request, urlopen

import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.cursor import find_streams
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.compose import DEPLOY, ENVIRONMENT, SERVICES, localized, stop, wait_for
from gata_assets_tests.support.loopback import free_port

pytestmark = [pytest.mark.process, pytest.mark.server]
RUNNING = ("service", "consumer", "relay", "rollup")
ROW = {"user_id": "u1", "item_id": "i1", "interaction_type": "view", "timestamp": "2026-01-10T09:00:00Z"}


@dataclass
class Ingestion:
    """The services that take rows and events, running."""

    variables: dict[str, str]
    ports: dict[str, int]
    home: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def command(self, name: str) -> list[str]:
        """The command of a service, with the places of this machine."""
        said = SERVICES[name].get("entrypoint", []) + SERVICES[name]["command"]
        return [localized(word, self.ports, DEPLOY / "compose") for word in said]

    def is_healthy(self, name: str) -> bool:
        """What the health check of a service says."""
        check = [localized(word, self.ports) for word in SERVICES[name]["healthcheck"]["test"][1:]]
        return subprocess.run(check, env=self.variables, capture_output=True).returncode == 0

    def lines(self, name: str) -> list[dict[str, Any]]:
        """What a service has written."""
        found: list[dict[str, Any]] = [
            json.loads(line) for line in (self.home / f"{name}.log").read_text().splitlines()
        ]
        return found


@pytest.fixture(scope="module")
def ingestion(moto_url: str, noida_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingestion]:
    """Everything of the file that takes rows and events, in its order."""
    home = tmp_path_factory.mktemp("ingestion")
    ports = {
        "s3:8333": int(moto_url.rpartition(":")[2]),
        "kafka:9092": noida_broker.port,
        "service:8002": free_port(),
        "consumer:8003": free_port(),
        "relay:8004": free_port(),
    }
    variables = {name: localized(value, ports) for name, value in ENVIRONMENT.items()}
    variables |= {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(home),
        "PYTHONPATH": str(DEPLOY.parent),
        "KAFKA_METRICS_PORT": str(ports["consumer:8003"]),
        "TARGET_BUCKET": f"compose-{home.name}".replace("_", "-"),
    }
    stack = Ingestion(variables, ports, home)
    with ExitStack() as stopping:
        for name in ("bucket", "topics"):
            # Once more: both outlive the containers.
            for _ in range(2):
                subprocess.run(stack.command(name), env=variables, cwd=home, check=True, timeout=120)
        for name in RUNNING:
            log = stopping.enter_context((home / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                stack.command(name), env=variables, cwd=home, stdout=log, stderr=log, start_new_session=True
            )
            stack.processes[name] = process
            stopping.callback(stop, process)
        for name in ("service", "consumer", "relay"):
            wait_for(f"first line of {name}", lambda: stack.lines(name), tries=600)  # noqa: B023 (in this turn)
            wait_for(f"health of {name}", lambda: stack.is_healthy(name), tries=20)  # noqa: B023 (in this turn)
        yield stack


def test_events_and_messages_go_through_all_services_until_sigterm(ingestion: Ingestion, noida_broker: Broker) -> None:
    store = store_of(ingestion)
    secret, _ = KeyStore(store, lambda: datetime.now(UTC)).create("acme", ["ingest"])
    url = f"http://127.0.0.1:{ingestion.ports['service:8002']}"
    with urlopen(f"{url}/health", timeout=60) as answer:
        health = json.load(answer)
    assert (health["status"], health["kafka_configured"]) == ("healthy", True)

    # An event by HTTP is produced by the relay.
    request = Request(
        f"{url}/v1/events?table=interactions",
        json.dumps(ROW).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"},
    )
    with urlopen(request, timeout=60) as answer:
        assert answer.status == 202
    [message] = noida_broker.read("interactions-raw", lambda found: len(found) > 0)
    assert json.loads(message.value() or b"")["tenant_id"] == "acme"

    # A message of another producer is stored by the consumer; what the relay produced comes in no second time.
    noida_broker.send(
        "interactions-raw", [(b"acme:u2", json.dumps(ROW | {"user_id": "u2", "tenant_id": "acme"}).encode())]
    )
    noida_broker.send("interactions-raw", [(b"acme:u3", b"no JSON")])
    wait_for("messages", lambda: len(arrived(store)) >= 3, tries=300)
    assert sorted(arrived(store)) == ["rejected", "u1", "u2"]
    [dead] = noida_broker.read("interactions-raw.dlq", lambda found: len(found) > 0)
    assert dead.value() == b"no JSON"

    # The roll-up looks at each stream, whose hours are not over.
    wait_for("roll-up", lambda: ingestion.lines("rollup"), tries=100)
    assert ingestion.lines("rollup")[0]["event"] == "EVENTS_ROLLED_UP"

    started = monotonic()
    for process in ingestion.processes.values():
        process.terminate()
    ended = {name: process.wait(60) for name, process in ingestion.processes.items()}
    assert ended == dict.fromkeys(RUNNING, 0)
    assert monotonic() - started < 40, "longer than stop_grace_period"


def store_of(ingestion: Ingestion) -> S3StoreResource:
    own = ingestion.variables
    return S3StoreResource(
        bucket=own["TARGET_BUCKET"],
        s3=S3Resource(
            endpoint_url=own["AWS_ENDPOINT_URL"],
            region_name=own["AWS_DEFAULT_REGION"],
            aws_access_key_id=own["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=own["AWS_SECRET_ACCESS_KEY"],
        ),
    )


def arrived(store: S3StoreResource) -> list[str]:
    """The users of all events in segments, and a word for each rejected message."""
    segments = [segment for stream in find_streams(store) for segment in Chain(store, stream).segments(0)]
    users = [json.loads(event.payload)["user_id"] for segment in segments for event in segment.events]
    return users + ["rejected" for segment in segments for _ in segment.rejected]
