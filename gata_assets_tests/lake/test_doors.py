"""Tickets by every door: rows and files by HTTP, events, webhooks, messages; to offline rows, traced, and replayed.

Real: the service on a port, a broker, roll-up, and the commands in this process, on a directory. Given: the service's
clock.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gata_assets.ingestion.kafka.consuming.decoding import MessageDecoder
from gata_assets.ingestion.kafka.consuming.judging import Judge
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.interactions.curated.curator import Curator
from gata_assets.lake.tables import TICKETS
from gata_assets.settings.model import parse_settings
from gata_assets.settings.table_specs import all_tables, curation_rules
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.http_service import TENANT, RunningService
from gata_assets_tests.support.raw_worlds import NOW
from gata_assets_tests.support.signed_webhooks import VARIABLES, registered, send
from gata_assets_tests.support.topics import MAX_BYTES, TARGET, consumer_of, running, stored_messages, until

SETTINGS = parse_settings({})
TABLES, RULES = all_tables(SETTINGS), curation_rules(SETTINGS)
ROWS, EVENTS, UPLOAD = "/internal/data/tickets", "/v1/events?table=tickets", "data_type=tickets"
CREATED = "2026-01-05T10:00:00Z"


def ticket(ticket_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": ticket_id,
        "created_at": CREATED,
        "status": "open",
        "description": f"<p>Text {ticket_id}</p>",
    } | fields


def page(*tickets: dict[str, Any]) -> dict[str, Any]:
    return {"tickets": [{**one, "group_id": 7} for one in tickets], "groups": [{"id": 7, "name": "Printers"}]}


def lines(ran: Ran, code: int = 0) -> list[dict[str, Any]]:
    assert ran.returncode == code, ran.stdout + ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def curate(directory: Path) -> dict[int, dict[str, Any]]:
    """The offline tickets by their ids, once events are rolled up and the lake is up to date."""
    lines(gata(directory, "events", "rollup", "--all"))
    ran = gata(directory, "prepare", "2026011100", "--only", "lake", "--summary", "json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    files = (directory / "gata-data" / TENANT / "curated" / TICKETS).glob("*/tickets*.parquet")
    return {row["id"]: row for file in files for row in pl.read_parquet(file).to_dicts()}


def traced(directory: Path, ticket_id: int) -> dict[str, Any]:
    """The only record of a ticket."""
    key = ("--table", TICKETS, "--key", f"id={ticket_id}")
    [found, last] = lines(gata(directory, "trace", "--tenant", TENANT, *key))
    assert (found["counts"], last["rows"], last["is_current"]) == (True, 1, True)
    return found


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """The target of commands in `tmp_path`."""
    return LocalStore(str(tmp_path / "gata-data"))


@pytest.fixture
def service(store: LocalStore) -> Iterator[RunningService]:
    """A service with a key of the tenant, and a source of webhooks."""
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest", "validate"])
    registered(store, "desk", table=TICKETS, is_flattened=True)

    def curator_of(tenant: str, now: datetime) -> Curator:
        return Curator(store, tenant, RULES, now, TABLES)

    with RunningService(store, secret=secret, tables=TABLES, curator_of=curator_of, webhook_secrets=VARIABLES) as found:
        yield found


@pytest.mark.server
def test_rows_pages_and_files_by_http_end_in_offline_tickets_and_are_traced(
    service: RunningService, tmp_path: Path
) -> None:
    pretty = json.dumps(page(ticket(1), ticket(2, status="nonsense")), indent=2).encode()
    rows = [
        service.ask("POST", ROWS, pretty, {"Content-Type": "application/json"}),
        service.post(ROWS, [ticket(3, tags=["a"], via={"channel": "web"}), page(ticket(4))]),
        service.upload(gzip.compress(json.dumps(page(ticket(5), ticket(6))).encode()), "page-1.json.gz", UPLOAD),
        service.upload("".join(f"{json.dumps(ticket(number))}\n" for number in (7, 8)).encode(), "t.jsonl", UPLOAD),
        service.upload(f"id,created_at,description\n9,{CREATED},plain\n".encode(), "t.csv", UPLOAD),
    ]
    assert [(answer.status, answer.json["rows_accepted"]) for answer in rows] == [(200, n) for n in (1, 2, 2, 2, 1)]
    assert rows[0].json["validation_errors"] == [{"rule": "status_is_known", "rows": 1}]
    tickets = curate(tmp_path)
    assert sorted(tickets) == [1, 3, 4, 5, 6, 7, 8, 9]
    assert {tickets[number]["group"] for number in (1, 4, 5)} == {"Printers"}
    assert (tickets[3]["tags"], tickets[3]["channel"], tickets[3]["body"]) == (["a"], "web", "Text 3")
    for number, answer, record in ((4, rows[1], 2), (6, rows[2], 2), (8, rows[3], 2)):
        found = traced(tmp_path, number)
        assert (found["file_id"], found["record"]) == (answer.json["file_id"], record)
        assert (found["request_id"], found["curated_partition"]) == (answer.headers["x-request-id"], CREATED[:10])


@pytest.mark.server
def test_events_and_webhooks_end_in_offline_tickets_and_are_traced(service: RunningService, tmp_path: Path) -> None:
    mapped = {name: f"detail.{name}" for name in ("id", "created_at", "status", "description", "tags")}
    words = [word for name, field in mapped.items() for word in ("--map", f"{name}={field}")]
    saved = gata(
        tmp_path, "mapping", "save", TICKETS, "desk", "--tenant", TENANT, *words, "--files", "events-webhook-desk-*"
    )
    assert saved.returncode == 0, saved.stderr
    answer = service.post(EVENTS, [ticket(1, tags=["a", "b"]), ticket(2, status="nonsense")])
    hook = send(service, {"type": "ticket.created", "detail": ticket(3, tags=["c"])}, "event-3", name="desk")
    assert (answer.status, hook.status) == (202, 202)
    tail = lines(gata(tmp_path, "events", "tail", "--tenant", TENANT, "--table", TICKETS))[-1]
    assert (tail["rows"], tail["rejected"]) == (2, 1)
    tickets = curate(tmp_path)
    assert {number: found["tags"] for number, found in tickets.items()} == {1: ["a", "b"], 3: ["c"]}
    of_event, of_hook = traced(tmp_path, 1), traced(tmp_path, 3)
    assert (of_event["offset"], of_event["source"], of_event["record"]) == (0, "http", 1)
    assert of_event["request_id"] == answer.headers["x-request-id"]
    assert (of_hook["offset"], of_hook["source"], of_hook["request_id"]) == (2, "webhook/desk", "event-3")
    assert of_hook["mapping"] == "desk"


@pytest.mark.server
def test_a_page_is_no_event_and_is_refused_with_the_way_to_send_it(service: RunningService) -> None:
    for sent in (page(ticket(1)), [ticket(1), page(ticket(2))]):
        answer = service.post(EVENTS, sent)
        assert (answer.status, answer.kind) == (422, "page")
        assert "send pages to /internal/data/tickets" in answer.json["detail"]
    assert service.post(EVENTS, ticket(1, custom={"tickets": [1]}, tickets="none")).status == 202
    # What cannot be read is for quarantine.
    assert service.ask("POST", EVENTS, b'{"tickets": [1], "a\xff": 1}').status == 202
    checked = service.post("/api/validation/validate", {"data_type": TICKETS, "sample_data": [ticket(1), ticket(-1)]})
    assert [(found["row"], found["rules"]) for found in checked.json["errors"]] == [(2, ["id_is_not_negative"])]


def test_messages_end_in_offline_tickets_and_are_traced(
    noida_broker: Broker, store: LocalStore, tmp_path: Path
) -> None:
    topic = noida_broker.new_topic(1)
    rows = [ticket(1, tags=["a"]), ticket(2, status="nonsense"), page(ticket(3)), ticket(4)]
    noida_broker.send(topic, [(TENANT.encode(), json.dumps(one).encode()) for one in rows])
    judge = Judge({topic: TICKETS}, MessageDecoder(TABLES, None, max_bytes=MAX_BYTES), TARGET, max_bytes=MAX_BYTES)
    with running(consumer_of(noida_broker.connection, topic, store, judge=judge)):
        until(lambda: stored_messages(store, topic) == len(rows))
    assert sorted(curate(tmp_path)) == [1, 4]
    found = traced(tmp_path, 4)
    assert (found["topic"], found["partition"], found["offset"], found["record"]) == (topic, 0, 3, 4)
    # A page is no row, so it is kept as it came.
    rejected = lines(gata(tmp_path, "quarantine", "rows", "--tenant", TENANT, "--json"))
    assert [(one.get("id"), one["rules"]) for one in rejected] == [
        ("2", ["status_is_known"]),
        (None, ["row_is_readable"]),
    ]
    assert json.loads(rejected[1]["row"]) == page(ticket(3))


def test_every_version_of_a_ticket_is_traced_and_of_repetitions_one_counts(tmp_path: Path) -> None:
    first, second = ticket(1, updated_at=CREATED), ticket(1, updated_at="2026-01-06T10:00:00Z", status="solved")
    for name, rows in (("a", [ticket(2), first]), ("b", [{**first, "subject": "More is given"}, second])):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        assert gata(tmp_path, "ingest", TICKETS, f"{name}.jsonl", "--tenant", TENANT).returncode == 0
    curate(tmp_path)
    key = ("--table", TICKETS, "--key", "id=1", "--key", f"created_at={CREATED}")
    *found, last = lines(gata(tmp_path, "trace", "--tenant", TENANT, *key))
    assert [(one["row"], Path(one["raw"]).name[0], one["record"], one["counts"]) for one in found] == [
        (1, "a", 2, False),
        (1, "b", 1, True),
        (2, "b", 2, True),
    ]
    assert (last["rows"], last["records"]) == (2, 3)
    for words, said in (
        (("--key", "subject=More is given"), "not found by subject: give id, created_at"),
        (("--key", "id=3"), "no validated file has such a row"),
    ):
        ran = gata(tmp_path, "trace", "--tenant", TENANT, "--table", TICKETS, *words)
        assert (ran.returncode, said in ran.stderr) == (1, True), ran.stderr


def test_rejected_tickets_are_listed_and_count_once_they_are_validated_by_other_rules(tmp_path: Path) -> None:
    early = ticket(1, created_at="2004-12-31T23:00:00Z")
    (tmp_path / "page.json").write_text(json.dumps(page(early, ticket(2), ticket(3, status="nonsense"))))
    [landed] = lines(gata(tmp_path, "ingest", TICKETS, "page.json", "--tenant", TENANT, "--json"))
    found = lines(gata(tmp_path, "quarantine", "--tenant", TENANT))
    assert [(one["rule"], one["rows"]) for one in found] == [("created_at_is_within_reason", 1), ("status_is_known", 1)]
    [row] = lines(gata(tmp_path, "quarantine", "rows", "--tenant", TENANT, "--rule", "status_is_known", "--json"))
    assert (row["id"], row["status"], row["group"]["name"]) == ("3", "nonsense", "Printers")
    assert sorted(curate(tmp_path)) == [2]
    earlier = {"LAKE_EARLIEST_DATE": "2004-01-01"}
    [outdated] = [
        one
        for one in lines(gata(tmp_path, "quarantine", "--tenant", TENANT, **earlier))
        if one["event"] == "FILE_OUTDATED"
    ]
    assert outdated["file_id"] == landed["file_id"]
    [again] = lines(gata(tmp_path, "quarantine", "--tenant", TENANT, "--replay", **earlier))
    assert (again["valid"], again["rejected_by_rule"]) == (2, {"status_is_known": 1})
    ran = gata(tmp_path, "prepare", "2026011100", "--only", "lake", **earlier)
    assert ran.returncode == 0, ran.stdout
    assert (tmp_path / "gata-data" / TENANT / "curated" / TICKETS / "2004-12-31").is_dir()
