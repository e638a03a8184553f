"""`gata ingest tickets --tenant`: pages and flat exports in a tenant's lake, and what commands show of them.

Real: click's command line, settings, files, readers, validation, the lake's merge. Nothing is faked.
"""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from gata_assets.errors import MappingError
from gata_assets.lake.curator import LakeCurator
from gata_assets.lake.flat_exports import flat_mapping, text_mapping
from gata_assets.lake.tables import TICKETS
from gata_assets.online.ticket import ticket_json_schema
from gata_assets.sandbox.lake.pages import export_pages
from gata_assets.sandbox.lake.stories import LakeParameters
from gata_assets.settings.model import parse_settings
from gata_assets.settings.table_specs import curation_rules
from gata_assets.storage.local import LocalStore
from gata_assets.tables.raw_mapping import RawMapping
from gata_assets_tests.support.command import gata

EXPORT = (
    "id,Subject,Body,group,Solved,via_channel,initial_group_id\n"
    "1,Hi,My printer is broken,Printers,2026-01-05T10:00:00Z,api,12.0\n"
    "2,Hello,No network,7.0,2026-01-06T10:00:00Z,web,\n"
    "3,Open,Still open,,,web,\n"
)
OPTIONS = ("--text-column", "Subject", "--text-column", "Body", "--label-column", "group", "--closed-column", "Solved")


def landed(directory: Path, *words: str) -> dict[str, object]:
    ran = gata(directory, "ingest", "tickets", *words, "--tenant", "acme", "--summary", "json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found: dict[str, object] = json.loads(ran.stdout)
    return found


def current_tickets(directory: Path) -> pl.DataFrame:
    """The current tickets once the lake is curated by the settings."""
    settings = parse_settings({})
    store = LocalStore(str(directory / "gata-data"))
    rules, offline = curation_rules(settings), settings.lake.offline_rules
    curator = LakeCurator(store, "acme", rules, datetime.now(UTC), offline)
    assert all(day.is_written for day in curator.curate(TICKETS, curator.stale(TICKETS)))
    files = (directory / "gata-data" / "acme" / "curated" / TICKETS).glob("*/current*.parquet")
    return pl.concat([pl.read_parquet(file) for file in files]).sort("id")


def test_a_flat_export_becomes_current_tickets_by_its_options(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(EXPORT)
    found = landed(tmp_path, "t.csv", *OPTIONS)
    # Neither when it was created is known nor when it was closed.
    assert (found["valid"], found["rejected_by_rule"]) == (2, {"created_at_is_given": 1})
    columns = ["id", "created_at", "ended_at", "subject", "body", "text", "ended_group", "ended_group_id", "channel"]
    first, second = current_tickets(tmp_path).select(*columns, "initial_group_id").rows()
    at = datetime(2026, 1, 5, 10, tzinfo=UTC)
    texts = ("Hi", "My printer is broken", "hi my printer is broken")
    assert first == (1, at, at, *texts, "Printers", None, "api", "12")
    assert second[6:] == ("7", "7", "web", None)


def test_columns_of_the_ticket_table_are_known_and_texts_are_joined(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "id,processed_data,note,closed,closed_group_id_mapped,created\n1,A,B,1767323045,9,1767300000\n2,C,D,0,,1767300000\n"
    )
    assert landed(tmp_path, "t.csv", "--text-column", "processed_data", "--text-column", "note")["valid"] == 2
    tickets = current_tickets(tmp_path)
    assert tickets["body"].to_list() == ["A\n\nB", "C\n\nD"]
    assert tickets["ended_at"].dt.epoch("s").to_list() == [1767323045, None]
    assert tickets["created_at"].dt.epoch("s").to_list() == [1767300000, 1767300000]


def test_pages_land_as_they_are_and_commands_show_them(tmp_path: Path) -> None:
    pages = list(export_pages(LakeParameters(tickets=20), size=30))
    for number, page in enumerate(pages):
        (tmp_path / f"page-{number}.json").write_bytes(page)
    for number in range(len(pages)):
        assert landed(tmp_path, f"page-{number}.json")["rejected"] == 0
    assert landed(tmp_path, "page-0.json")["was_there"] is True
    files = gata(tmp_path, "files", "--tenant", "acme", "--json").stdout
    assert files.count('"table": "tickets"') == len(pages)
    newest = current_tickets(tmp_path).sort("version_at", "id").row(-1, named=True)
    shown = json.loads(gata(tmp_path, "lake", "get", "--tenant", "acme").stdout)
    assert (shown["id"], shown["text"]) == (newest["id"], newest["text"])
    by_id = json.loads(gata(tmp_path, "lake", "get", str(newest["id"]), "--tenant", "acme", "--json").stdout)
    assert by_id["ticket"] == shown
    missing = gata(tmp_path, "lake", "get", "987654321", "--tenant", "acme")
    assert (missing.returncode, "has no ticket 987654321" in missing.stderr) == (1, True)
    assert json.loads(gata(tmp_path, "lake", "schema").stdout) == ticket_json_schema()


def test_the_proposed_command_reads_the_export(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(EXPORT)
    ran = gata(tmp_path, "ingest", "tickets", "t.csv", "--tenant", "acme", "--explain", "--summary", "json")
    found = json.loads(ran.stdout)
    assert (found["valid"], list(tmp_path.iterdir())) == (2, [tmp_path / "t.csv"])
    _, *words = shlex.split(found["command"])
    assert gata(tmp_path, *words).returncode == 0
    assert current_tickets(tmp_path)["ended_group"].to_list() == ["Printers", "7"]


def test_a_flat_export_without_a_time_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text,extra\n1,a text,x\n")
    ran = gata(tmp_path, "ingest", "tickets", "t.csv", "--tenant", "acme", "--summary", "json")
    assert (ran.returncode, "lacks the column created_at" in ran.stdout) == (1, True)


def test_tickets_before_the_earliest_day_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(
        '{"id": 1, "created_at": "2019-12-31T23:59:59Z"}\n{"id": 2, "created_at": "2020-01-01T00:00:00Z"}\n'
    )
    ran = gata(tmp_path, "ingest", "tickets", "t.jsonl", "--tenant", "acme", "--json", LAKE_EARLIEST_DATE="2020-01-01")
    assert json.loads(ran.stdout)["valid"] == 1, ran.stdout


def test_without_a_tenant_and_a_store_the_command_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(EXPORT)
    ran = gata(tmp_path, "ingest", "tickets", "t.csv")
    assert (ran.returncode, "fills the lake of --tenant or of TICKETS_URL=lake://TENANT" in ran.stderr) == (2, True)


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("Body",), ["description"]),
        (("Ticket subject", "Body"), ["subject", "description"]),
        (("Body", "Subject"), ["description", "description_2"]),
        (("Subject", "a", "b", "c"), ["description", "description_2", "description_3", "description_4"]),
    ],
)
def test_a_first_of_two_texts_may_be_the_subject(names: tuple[str, ...], columns: list[str]) -> None:
    assert text_mapping(names, ("subject", "ticketsubject")) == dict(zip(columns, names, strict=True))


def test_five_texts_are_too_many() -> None:
    with pytest.raises(MappingError, match="takes 4 columns of texts, and these are 5"):
        text_mapping("abcde", ())


def test_a_name_that_is_given_to_a_column_is_no_other_columns() -> None:
    found = flat_mapping(RawMapping(columns={"closed_group_id_mapped": ("group",), "closed": ("created",)}))
    assert found.columns["label"] == ("group",)
    assert found.columns["group"] == ()
    assert found.substitutes == {"created_at": "closed_at"}
