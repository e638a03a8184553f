"""`gata lake get` and `gata lake schema`: which version of which ticket is printed, and what is said without one.

Real: the commands in this process, landing, and the lake in a directory. Nothing is faked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gata_assets.online.ticket import Ticket
from gata_assets_tests.support.command import Ran, gata

TENANT = "acme"
TICKETS: list[dict[str, Any]] = [
    # The newest version of a ticket is in an earlier day than other tickets, and comes before an older one.
    {"id": 1, "created_at": "2026-01-01T00:00:00Z", "generated_timestamp": 1768000300, "subject": "third ü"},
    {"id": 1, "created_at": "2026-01-01T00:00:00Z", "generated_timestamp": 1768000100, "subject": "first"},
    {"id": 1, "created_at": "2026-01-01T00:00:00Z", "generated_timestamp": 1768000200, "subject": "second"},
    {"id": 2, "created_at": "2026-01-02T00:00:00Z", "generated_timestamp": 1768000000, "subject": "gone"},
    {"id": 2, "created_at": "2026-01-02T00:00:00Z", "generated_timestamp": 1768000400, "status": "deleted"},
    {"id": 3, "created_at": "2026-01-03T00:00:00Z", "generated_timestamp": 1768000299, "subject": "other"},
    # Of the day of the newest ticket, with a greater id.
    {"id": 5, "created_at": "2026-01-01T00:00:00Z", "generated_timestamp": 1768000001, "subject": "older"},
    # Deleted, and made again.
    {"id": 4, "created_at": "2026-01-03T00:00:00Z", "generated_timestamp": 1768000050, "status": "deleted"},
    {"id": 4, "created_at": "2026-01-03T00:00:00Z", "generated_timestamp": 1768000060, "subject": "again"},
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("lake")
    (directory / "t.jsonl").write_text("".join(f"{json.dumps(ticket)}\n" for ticket in TICKETS))
    assert gata(directory, "ingest", "tickets", "t.jsonl", "--tenant", TENANT).returncode == 0
    assert gata(directory, "prepare", "2026011100", "--only", "lake").returncode == 0
    return directory


def get(lake: Path, *words: str, tenant: str = TENANT, **variables: str) -> Ran:
    return gata(lake, "lake", "get", *words, "--tenant", tenant, **variables)


@pytest.mark.parametrize(
    ("words", "subject"), [(("1",), "third ü"), (("3",), "other"), (("4",), "again"), ((), "third ü")]
)
def test_the_current_version_of_a_ticket_is_printed_or_else_the_newest_ticket(
    lake: Path, words: tuple[str, ...], subject: str
) -> None:
    shown = get(lake, *words)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert json.loads(shown.stdout)["subject"] == subject
    assert shown.stdout.startswith("{\n") and f'"subject": "{subject}"' in shown.stdout


def test_json_is_one_line_that_is_a_ticket_of_the_contract(lake: Path) -> None:
    (line,) = get(lake, "1", "--json").stdout.splitlines()
    found = json.loads(line)
    assert (found["event"], found["tenant"], set(found)) == ("LAKE_TICKET", TENANT, {"event", "tenant", "ticket"})
    ticket = Ticket.model_validate(found["ticket"])
    assert (ticket.id, ticket.version_at.timestamp(), ticket.subject) == (1, 1768000300, "third ü")
    assert list(found["ticket"]) == list(Ticket.model_fields)


@pytest.mark.parametrize(
    ("words", "tenant", "said"),
    [
        (("2",), TENANT, "The lake of acme has no ticket 2 that is not deleted"),
        (("987654321",), TENANT, "The lake of acme has no ticket 987654321 that is not deleted"),
        ((), "globex", "`gata ingest tickets FILE --tenant globex` lands some"),
        (("1",), "globex", "The lake of globex has no ticket 1"),
    ],
)
def test_what_there_is_not_is_said(lake: Path, words: tuple[str, ...], tenant: str, said: str) -> None:
    ran = get(lake, *words, tenant=tenant)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert said in ran.stderr


def test_what_is_no_id_and_a_target_that_is_damaged_are_refused(lake: Path, tmp_path: Path) -> None:
    ran = get(lake, "one")
    assert (ran.returncode, "'one' is not a valid integer" in ran.stderr) == (2, True)
    day = tmp_path / "gata-data" / TENANT / "curated" / "tickets" / "2026-01-01"
    day.mkdir(parents=True)
    (day / "manifest.json").write_text("{")
    ran = get(tmp_path, "1")
    assert (ran.returncode, ran.stdout, "manifest.json" in ran.stderr) == (1, "", True), ran.stderr


OWN = """
from typing import Annotated
import pandera.polars as pa
import polars as pl

class Tickets(pa.DataFrameModel):
    ticket_id: str
    opened_at: Annotated[pl.Datetime, "us", "UTC"]
    class Config:
        metadata = {"table": "tickets", "event_time": "opened_at", "partition_by": "day"}
"""


def test_an_own_table_of_that_name_has_the_place_of_the_lake_which_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_tickets_of_tests.py").write_text(OWN)
    (tmp_path / "t.jsonl").write_text('{"ticket_id": "a", "opened_at": "2026-01-01T00:00:00Z"}\n')
    own = {"TABLE_SPECS": "own_tickets_of_tests"}
    read = {**own, "TICKETS_URL": f"lake://{TENANT}", "LOW_VOLUME_FALLBACK_LABEL": "1"}
    assert gata(tmp_path, "ingest", "tickets", "t.jsonl", "--tenant", TENANT, **own).returncode == 0
    prepared = gata(tmp_path, "prepare", "2026011100", "--only", "tables", "--summary", "json", **own)
    [done] = json.loads(prepared.stdout.splitlines()[-1])["written"]
    assert (done["asset"], done["row_count"]) == (f"{TENANT}/curated_tickets", 1)
    for words, variables in (
        (("lake", "get", "--tenant", TENANT), own),
        (("prepare", "2026011100"), read),
        (("prepare", "2026011100", "--only", "tickets"), read),
        (("prepare", "2026011100", "--only", "lake"), {**own, "LAKE_TENANTS": TENANT}),
    ):
        ran = gata(tmp_path, *words, **variables)
        assert (ran.returncode, ran.stdout) == (2, ""), words
        assert "TABLE_SPECS declares a table tickets, which has the place of the lake's tickets" in ran.stderr
