"""`gata privacy erase` of events: from segments, raw files and topics; the tail and later deliveries bring nobody back.

Real: the commands, settings, the event log, a directory, S3 over HTTP (moto), a broker. Nothing is faked.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gata_assets.cli.main import main
from gata_assets.cli.raw_files.outcomes import open_curator
from gata_assets.definitions.stores import build_store
from gata_assets.ingestion.kafka.origin import Origin, target_id
from gata_assets.ingestion.segments.event import NewEvent
from gata_assets.ingestion.segments.group_commit import EventLog
from gata_assets.settings.model import load_settings
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.event_worlds import STREAM, event

PERSON = f"user-{canary('whose events are erased')}"
NAMESAKE = f"{PERSON}-2"
TOPIC = "interactions-raw"
TAIL = ("events", "tail", "--tenant", "acme", "--table", "interactions")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The target of the settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRIVACY_KEYS", f"1:{canary('a key of the tests')}{canary('and more of it')}")
    if request.param == "s3":
        monkeypatch.setenv("TARGET_BUCKET", request.getfixturevalue("bucket"))
    else:
        monkeypatch.setenv("TARGET_DIR", str(tmp_path / "target"))
    return build_store(load_settings())


def gata(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    ran: Result = CliRunner().invoke(main, arguments)
    assert ran.exit_code == code, ran.output
    assert PERSON not in ran.output or arguments == TAIL
    return [json.loads(line) for line in ran.stdout.splitlines()]


def of(user: str, at: datetime, tenant: str = "acme") -> NewEvent:
    """An event of a user that happened at an instant, and arrives now."""
    found = event(1, tenant=tenant)
    row = json.loads(found.payload) | {"user_id": user, "timestamp": f"{at:%FT%TZ}"}
    return replace(found, payload=json.dumps(row).encode(), received_at=datetime.now(UTC))


def append(store: ObjectStore, *events: NewEvent) -> None:
    with EventLog(store, STREAM, at_most_seconds=0) as log:
        for one in events:
            log.append([one]).result(20)


def tail() -> list[str]:
    """The users whose events can be read."""
    *rows, _ = gata(*TAIL)
    return sorted(row["row"]["user_id"] for row in rows)


def curated() -> dict[str, list[tuple[int, int]]]:
    """The curated rows of users: the number of each record in its raw file, and its offset in its stream."""
    found = {}
    for user in (NAMESAKE, "u1", PERSON):
        ran = CliRunner().invoke(
            main, ["trace", "--tenant", "acme", "--table", "interactions", "--key", f"user_id={user}"]
        )
        rows = [json.loads(line) for line in ran.stdout.splitlines()][:-1]
        found[user] = [(row["record"], row["offset"]) for row in rows]
    return found


def test_whose_events_are_erased_does_not_come_back_by_them(
    store: ObjectStore, noida_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", noida_broker.connection.bootstrap_servers)
    now = datetime.now(UTC)
    before = now - timedelta(hours=1)
    theirs = of(PERSON, before)
    append(store, of(NAMESAKE, before), theirs, replace(theirs, payload=f"no json: {PERSON}".encode()))
    gata("events", "rollup", "--all")
    append(store, theirs, of("u1", before), of(PERSON, before, "globex"))
    noida_broker.send(TOPIC, [(b"acme", theirs.payload)], headers=[Origin(target_id(store), STREAM, 1).header])
    assert tail() == sorted([NAMESAKE, PERSON, PERSON, "u1"])
    *places, last = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON)
    assert (last["event"], last["left"]) == ("PEOPLE_ERASED", [])
    removed = {place["place"]: place["removed"] for place in places}
    assert removed["events: segments"] == {"events": 3, "rejected_messages": 0}
    assert removed["interactions: raw files, staged and rejected rows"]["records"] == 3
    assert removed[f"kafka: {TOPIC}"] == {"messages": 1}
    # Erasing curates what is left; the numbers of records are others than those in segments.
    assert (tail(), curated()) == ([], {NAMESAKE: [(1, 0)], "u1": [(1, 4)], PERSON: []})
    gata("verify")
    # Whoever comes back is a new customer from then on.
    append(store, theirs, of(PERSON, datetime.now(UTC) + timedelta(minutes=1)))
    assert tail() == [PERSON]
    gata("events", "rollup", "--all")
    assert tail() == [PERSON]
    curator = open_curator(load_settings(), "acme")
    curator.validate_new("interactions")
    assert list(curator.curate("interactions", curator.stale("interactions")))
    assert (tail(), curated()) == ([], {NAMESAKE: [(1, 0)], "u1": [(1, 4)], PERSON: [(2, 7)]})
