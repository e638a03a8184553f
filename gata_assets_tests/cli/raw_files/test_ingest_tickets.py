"""`gata ingest tickets`: exports of helpdesks in the embedded store, as their users put them there.

Real: click's command line, settings, files, SQLite. Nothing is faked.
"""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gata_assets.batches import Window
from gata_assets.tickets.sources.ddl import TICKET_COLUMNS
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.cli.raw_files.test_ingest import gata, said, workplace
from gata_assets_tests.support.canaries import canary

__all__ = ["workplace"]

SECRET = canary("a text of a ticket")
ZENDESK = (
    *("--text-column", "subject", "--text-column", "description", "--label-column", "group"),
    *("--map", "id=ticket", "--closed-column", "solved", "--timestamps", "epoch_ms", "--ignore-unknown"),
)
EXPORT = [
    {"ticket": "7", "subject": "Printer!", "description": 'It\'s ÄLT, "broken"\nhelp', "group": "Hardware"},
    {"ticket": "8", "subject": "", "description": "Only a body", "group": " Billing "},
    {"ticket": "9", "subject": "Only a subject", "description": " ", "group": "25000000000101"},
    {"ticket": "10", "subject": "Open", "description": "", "group": "", "solved": ""},
    {"ticket": "8", "subject": "Again", "description": "The last row counts", "group": "Billing"},
]
SOLVED_MS = 1_767_323_045_678


@pytest.fixture(autouse=True)
def store(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the store, which is not there yet."""
    monkeypatch.setenv("TICKETS_URL", "sqlite:///store/tickets.sqlite")
    monkeypatch.setenv("LOW_VOLUME_FALLBACK_LABEL", "1")
    return workplace / "store" / "tickets.sqlite"


def export(path: Path, rows: list[dict[str, str]]) -> None:
    names = ["ticket", "subject", "description", "group", "solved", "assignee"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({"solved": str(SOLVED_MS), "assignee": "someone", **row} for row in rows)


def stored(store: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute(f"SELECT {', '.join(TICKET_COLUMNS)} FROM ticket ORDER BY id").fetchall()
    return [dict(zip(TICKET_COLUMNS, row, strict=True)) for row in rows]


def by_hand(ticket: int, text: str, label: object, *, closed: int = SOLVED_MS // 1_000) -> dict[str, Any]:
    return {
        **{"id": ticket, "processed_data": text, "via_channel": "import", "probability": 0.0, "routed_by": "external"},
        **{"created": closed, "initial_group_id": None, "initial_group_id_mapped": None, "closed": closed},
        **{"closed_group_id": None, "closed_group_id_mapped": label},
    }


def test_a_helpdesks_export_is_in_the_store_as_converted_by_hand(workplace: Path, store: Path) -> None:
    export(workplace / "export.csv", EXPORT)
    result = gata("ingest", "tickets", "export.csv", *ZENDESK)
    assert result.exit_code == 0, result.output
    assert stored(store) == [
        by_hand(7, 'Printer!\n\nIt\'s ÄLT, "broken"\nhelp', "Hardware"),
        by_hand(8, "Again\n\nThe last row counts", "Billing"),
        by_hand(9, "Only a subject", 25_000_000_000_101),
        by_hand(10, "Open", None, closed=0),
    ]
    (outcome,) = said(result)
    counts = {name: outcome[name] for name in ("event", "rows", "valid", "new", "rejected", "quarantine")}
    expected = {"event": "FILE_VALIDATED", "rows": 5, "valid": 5, "new": 4, "rejected": 0, "quarantine": None}
    assert counts == expected


def test_tickets_of_the_store_are_read_as_a_source_reads_them(workplace: Path, store: Path) -> None:
    export(workplace / "export.csv", [{**row, "group": row["group"].replace("25000000000101", "A1")} for row in EXPORT])
    gata("ingest", "tickets", "export.csv", *ZENDESK)
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    read = SqliteTickets(path=str(store)).read_window(window)
    assert list(read.tickets["label"]) == ["Hardware", "Billing", "A1"]
    assert read.counts.account().as_json() == {"in_window": 3, "kept": 3, "excluded": {}}


def rows_as(kind: str, rows: list[dict[str, Any]]) -> bytes:
    if kind == "csv.gz":
        names = list(rows[0])
        lines = [",".join("" if row[name] is None else str(row[name]) for name in names) for row in rows]
        return gzip.compress("\n".join([",".join(names), *lines]).encode())
    if kind == "jsonl":
        return "\n".join(map(json.dumps, rows)).encode()
    return pl.DataFrame(rows).write_parquet(file := Path("rows.tmp")) or file.read_bytes()


@pytest.mark.parametrize("kind", ["csv.gz", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(kind: str, workplace: Path, store: Path) -> None:
    rows = [
        {"id": n, "text": f"text {n}", "closed": 1_767_323_045 + n, "label": 101 + n, "initial_group_id": 5.0}
        for n in range(3)
    ]
    (workplace / f"tickets.{kind}").write_bytes(rows_as(kind, rows))
    assert gata("ingest", "tickets", f"tickets.{kind}").exit_code == 0
    expected = [by_hand(n, f"text {n}", 101 + n, closed=1_767_323_045 + n) | {"initial_group_id": 5} for n in range(3)]
    assert stored(store) == expected


@pytest.mark.parametrize(
    ("closed", "options"),
    [
        ("1767323045", ()),
        ("2026-01-02T03:04:05Z", ()),
        ("2026-01-02 04:04:05.9+01:00", ()),
        ("02.01.2026 03:04:05", ("--timestamps", "%d.%m.%Y %H:%M:%S")),
    ],
)
def test_closing_times_may_be_written_in_many_ways(
    closed: str, options: tuple[str, ...], workplace: Path, store: Path
) -> None:
    (workplace / "t.csv").write_text(f"id,text,closed,label\n1,a,{closed},2\n")
    assert gata("ingest", "tickets", "t.csv", *options).exit_code == 0
    assert stored(store) == [by_hand(1, "a", 2, closed=1_767_323_045)]


REJECTED = {
    "id_is_given": ",a,1767323045,2",
    "id_is_a_whole_number": "A-7,a,1767323045,2",
    "text_is_given": "7, ,1767323045,2",
    "label_is_given": "7,a,1767323045,",
    "label_is_a_whole_number_or_a_name": "7,a,1767323045,1e5",
    "closed_is_an_instant": "7,a,yesterday,2",
    "closed_is_within_reason": "7,a,1000-01-01T00:00:00Z,2",
    "row_fits_the_columns": "7,a,1767323045,2,more",
}


@pytest.mark.parametrize("rule", REJECTED)
def test_a_row_that_is_no_ticket_is_rejected_by_a_rule_of_its_name(rule: str, workplace: Path, store: Path) -> None:
    (workplace / "t.csv").write_text(f"id,text,closed,label\n1,a,1767323045,2\n{REJECTED[rule]}\n")
    (outcome,) = said(gata("ingest", "tickets", "t.csv"))
    assert (outcome["valid"], outcome["rejected_by_rule"]) == (1, {rule: 1})
    assert [row["id"] for row in stored(store)] == [1]


def test_rejected_rows_are_kept_for_their_owner_alone(workplace: Path, store: Path) -> None:
    (workplace / "t.csv").write_text(f"id,text,closed,label\n1,a,1767323045,2\nA-7,{SECRET},1767323045,2\n")
    result = gata("ingest", "tickets", "t.csv")
    assert SECRET not in result.output
    (outcome,) = said(result)
    kept = workplace / str(outcome["quarantine"])
    assert pl.read_parquet(kept).select("id", "processed_data", "rules", "source_file", "source_line").rows() == [
        ("A-7", SECRET, ["id_is_a_whole_number"], "t.csv", 3)
    ]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert kept.parent == store.with_name("tickets.sqlite-quarantine")


def test_a_ticket_that_comes_again_replaces_its_row_completely(workplace: Path, store: Path) -> None:
    (workplace / "a.csv").write_text(
        "id,text,closed,label,via_channel,routed_by,initial_group_id,probability,created\n"
        "1,a,1767323045,2,api,gata-mapped,5,0.5,1767320000\n2,b,1767323045,3,,,,,\n"
    )
    (workplace / "b.csv").write_text("id,text,closed,label\n1,corrected,1767323046,Billing\n")
    gata("ingest", "tickets", "a.csv")
    first, second = stored(store)
    assert (first["via_channel"], first["routed_by"], first["initial_group_id"]) == ("api", "gata-mapped", 5)
    assert (first["probability"], first["created"]) == (0.5, 1_767_320_000)
    (outcome,) = said(gata("ingest", "tickets", "b.csv"))
    assert (outcome["valid"], outcome["new"]) == (1, 0)
    assert stored(store) == [by_hand(1, "corrected", "Billing", closed=1_767_323_046), second]


def test_the_same_file_again_changes_nothing(workplace: Path, store: Path) -> None:
    export(workplace / "export.csv", [*EXPORT, {"ticket": "no number"}])
    gata("ingest", "tickets", "export.csv", *ZENDESK)
    before, kept = stored(store), sorted(store.parent.rglob("*.parquet"))
    assert said(gata("ingest", "tickets", "export.csv", *ZENDESK))[0]["new"] == 0
    assert (stored(store), sorted(store.parent.rglob("*.parquet"))) == (before, kept)
    assert len(kept) == 1


REFUSED = {
    "no column of labels": ("t.csv", b"id,text,closed\n1,a,1767323045\n", "lacks the column closed_group_id_mapped"),
    "no column of texts": ("t.csv", b"id,closed,label\n1,1767323045,2\n", "lacks the column processed_data"),
    "an unknown column": ("t.csv", b"id,text,closed,label,x\n1,a,1767323045,2,3\n", "columns that are not known: x"),
    "another format": ("t.parquet", b"id,text,closed,label\n", "Parquet"),
    "no format": ("t.txt", b"id,text,closed,label\n", "does not tell the format"),
    "nothing": ("t.csv", b"", "is empty"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_cannot_be_read_is_refused_and_leaves_no_store(what: str, workplace: Path, store: Path) -> None:
    name, content, why = REFUSED[what]
    (workplace / name).write_bytes(content)
    result = gata("ingest", "tickets", name)
    assert result.exit_code == 1
    (outcome,) = said(result)
    assert outcome["event"] == "FILE_REFUSED"
    assert why in str(outcome["reason"])
    assert not store.exists()


def test_a_file_that_is_damaged_midway_leaves_the_store_as_it_was(workplace: Path, store: Path) -> None:
    (workplace / "a.csv").write_text("id,text,closed,label\n1,a,1767323045,2\n")
    gata("ingest", "tickets", "a.csv")
    lines = [f"{n},{'long text ' * 50},1767323045,2" for n in range(1, 12_000)]
    whole = gzip.compress("\n".join(["id,text,closed,label", *lines]).encode(), compresslevel=0)
    (workplace / "b.csv.gz").write_bytes(whole[:-1_000])
    result = gata("ingest", "tickets", "b.csv.gz")
    assert result.exit_code == 1
    assert said(result)[0]["event"] == "FILE_REFUSED"
    assert stored(store) == [by_hand(1, "a", 2, closed=1_767_323_045)]


def test_a_file_without_a_valid_row_fails_and_keeps_its_rows(workplace: Path, store: Path) -> None:
    (workplace / "t.csv").write_text("id,text,closed,label\nx,a,1767323045,2\n")
    result = gata("ingest", "tickets", "t.csv")
    assert result.exit_code == 1
    (outcome,) = said(result)
    assert outcome["reason"] == "has no valid row among its 1: 1 broke id_is_a_whole_number."
    assert (workplace / str(outcome["quarantine"])).exists()
    assert not store.exists()
    assert "NOTHING VALID" in gata("ingest", "tickets", "t.csv", "--summary", "table").output


def test_other_files_land_though_one_is_refused(workplace: Path, store: Path) -> None:
    (workplace / "a.csv").write_text("id,text\n1,a\n")
    (workplace / "b.jsonl").write_text('{"id": 2, "text": "b", "closed": 1767323045, "label": "Billing"}\n')
    result = gata("ingest", "tickets", "a.csv", "b.jsonl", "--summary", "table")
    assert result.exit_code == 1
    assert "REFUSED a.csv lacks the columns closed, closed_group_id_mapped" in result.output
    assert "store/tickets.sqlite: 1 new tickets, 0 rows in place of earlier ones" in result.output
    assert [row["id"] for row in stored(store)] == [2]


def test_a_stream_is_read_by_its_format(workplace: Path, store: Path) -> None:
    line = b'{"id": 2, "text": "b", "closed": null, "label": null}\n'
    assert gata("ingest", "tickets", "-", "--format", "jsonl", stdin=line).exit_code == 0
    assert stored(store) == [by_hand(2, "b", None, closed=0)]


@pytest.mark.parametrize(
    ("settings", "said_of_it"),
    [
        ({"TICKETS_URL": ""}, "TICKETS_URL is not set"),
        ({"TICKETS_URL": "postgresql://reader@db.example/gata"}, "TICKETS_URL names a PostgreSQL database"),
    ],
)
def test_without_an_embedded_store_the_variable_is_named(
    settings: dict[str, str], said_of_it: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    (workplace / "t.csv").write_text("id,text,closed,label\n1,a,1767323045,2\n")
    result = gata("ingest", "tickets", "t.csv")
    assert result.exit_code == 2
    assert said_of_it in result.output
    assert "TICKETS_URL=sqlite:///tickets.sqlite" in result.output


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ("id INTEGER PRIMARY KEY, closed", "it lacks processed_data, via_channel"),
        (", ".join(TICKET_COLUMNS), "its primary key is not id"),
    ],
)
def test_a_table_of_ones_own_is_not_written_to(definition: str, why: str, workplace: Path, store: Path) -> None:
    store.parent.mkdir()
    with closing(sqlite3.connect(store)) as connection:
        connection.execute(f"CREATE TABLE ticket ({definition})")
    before = store.read_bytes()
    (workplace / "t.csv").write_text("id,text,closed,label\n1,a,1767323045,2\n")
    result = gata("ingest", "tickets", "t.csv")
    assert result.exit_code == 2
    assert why in result.output
    assert store.read_bytes() == before


@pytest.mark.slow
def test_a_store_that_another_program_writes_to_is_an_error(workplace: Path, store: Path) -> None:
    (workplace / "t.csv").write_text("id,text,closed,label\n1,a,1767323045,2\n")
    gata("ingest", "tickets", "t.csv")
    with closing(sqlite3.connect(store)) as other:
        other.execute("BEGIN IMMEDIATE")
        result = gata("ingest", "tickets", "t.csv")
    assert result.exit_code == 1
    assert "tickets.sqlite cannot be written: database is locked." in result.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("tickets", "t.csv", "--replaces", "x"), "--replaces does not go with tickets"),
        (("tickets", "t.csv", "--mapping", "x"), "use --mapping-file"),
        (("tickets", "t.csv", "--map", "nothing=x"), "tickets has no column nothing"),
        (("items", "t.csv"), "Missing option '--tenant'"),
        (("items", "t.csv", "--tenant", "acme", "--label-column", "x"), "are of tickets"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(
    arguments: tuple[str, ...], why: str, workplace: Path, store: Path
) -> None:
    (workplace / "t.csv").write_text("id,text,closed,label\n1,a,1767323045,2\n")
    result = gata("ingest", *arguments)
    assert result.exit_code == 2
    assert why in result.output
    assert not store.exists()


def test_the_table_of_tickets_is_listed_and_described(workplace: Path) -> None:
    assert "tickets" in gata("tables").stdout
    page = gata("tables", "tickets").stdout
    assert page.startswith("# tickets")
    assert "| `closed` | no | `closed_at` | ISO 8601 (without an offset: UTC); seconds since 1970 |" in page
