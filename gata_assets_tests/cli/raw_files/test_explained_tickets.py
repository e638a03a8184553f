"""`gata ingest tickets FILE --explain`: a helpdesk's export by other names, and that the proposed command reads it.

Real: click's command line, settings, readers, validation, the embedded store. Nothing is faked.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from pathlib import Path

import pytest

from gata_assets_tests.support.command import gata

EXPORT = (
    "Ticket ID;Subject;Body;Queue;Resolved At\n"
    "1;Hi;My printer is broken;printers;31.01.2026 10:00\n"
    "2;Hello;No network;network;01.02.2026 10:00\n"
    "3;Again;Still open;;\n"
)
NAMED = ("--map", "id=Ticket ID", "--text-column", "Subject", "--text-column", "Body", "--label-column", "Queue")
OTHERS = ("--closed-column", "Resolved At", "--timestamps", "%d.%m.%Y %H:%M", "--separator", "semicolon")


def explain(directory: Path, *options: str) -> dict[str, object]:
    ran = gata(directory, "ingest", "tickets", "t.csv", "--explain", "--summary", "json", *options)
    found: dict[str, object] = json.loads(ran.stdout)
    assert found["can_be_read"] is (ran.returncode == 0)
    return found


@pytest.mark.parametrize("options", [(), (*NAMED, *OTHERS)], ids=["proposed", "given"])
def test_the_command_for_tickets_does_what_was_shown(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(EXPORT)
    found = explain(tmp_path, *options)
    assert (found["fits"], found["rows"], found["valid"]) == ("given" if options else "proposal", 3, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    program, *words = shlex.split(str(found["command"]))
    ran = gata(tmp_path, *words, TICKETS_URL="sqlite:///tickets.sqlite", LOW_VOLUME_FALLBACK_LABEL="others")
    assert (program, ran.returncode) == ("gata", 0), ran.stdout + ran.stderr
    with sqlite3.connect(tmp_path / "tickets.sqlite") as store:
        rows = store.execute("SELECT id, processed_data, closed_group_id_mapped FROM ticket ORDER BY id").fetchall()
    assert rows[0] == (1, "Hi\n\nMy printer is broken", "printers")
    assert len(rows) == 3


def test_tickets_of_the_tables_own_names_fit_also_with_labels_as_decimals(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,processed_data,closed,label\n1,a text,2026-01-31T10:00:00Z,7.0\n")
    found = explain(tmp_path)
    assert (found["fits"], found["valid"], found["command"]) == ("table", 1, "gata ingest tickets t.csv")


def test_a_file_without_texts_and_labels_is_not_one_of_tickets(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,closed\n1,2026-01-31T10:00:00Z\n")
    found = explain(tmp_path)
    assert found["can_be_read"] is False
    assert found["missing"] == ["processed_data", "closed_group_id_mapped"]
