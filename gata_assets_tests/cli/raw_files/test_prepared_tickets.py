"""A helpdesk's export, from its file to training files by `gata ingest tickets` and settings alone.

Real: `gata ingest` and `gata prepare` in this process, the embedded store, text normalization, names of labels. The
texts that are expected were written by hand.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gata_assets_tests.support.command import gata

pytestmark = pytest.mark.process
GROUPS = ("Technical Support", "billing", "Rückgabe")
SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_FALLBACK_LABEL": "billing",
    "TEXT_NORMALIZATION": "normalize",
    "TEST_SHARE": "0.2",
}
# A subject, a body, and what both train as.
TICKETS = (
    (
        "Drücker №{} 😀",
        "<p>Bitte &amp; danke, Kunde</p>\n> was quoted\nOn Mon, 5 Jan 2026 Ann wrote:\n",
        "drucker no{} bitte danke kunde",
    ),
    ("RE: Facture {}", "C'est cassé!\n\n-----Original Message-----\nFrom: x", "re facture {} c est casse!"),
    ("", "<style>p {{color:red}}</style>Total:&nbsp;1,234.56 €, order {}?", "total 1 234.56 order {}?"),
)


def write_export(path: Path) -> dict[str, set[str]]:
    """An export of 30 tickets a group; returns the texts that each group is to have."""
    expected: dict[str, set[str]] = {group: set() for group in GROUPS}
    with path.open("w", newline="", encoding="utf-8") as file:
        export = csv.writer(file)
        export.writerow(["Ticket", "Subject", "Description", "Group", "Solved (ms)", "Requester"])
        for number in range(90):
            subject, body, text = TICKETS[number % 3]
            group = GROUPS[number // 30]
            solved = int(datetime(2026, 1, 1 + number % 28, tzinfo=UTC).timestamp() * 1000)
            words = [subject.format(number), body.format(number)]
            export.writerow([number + 1, *words, f" {group} " if number % 2 else group, solved, "someone"])
            expected[group].add(text.format(number))
        export.writerow([100, "日本語", "👍", "billing", solved, "someone"])
        export.writerow([101, "No group", "", "", solved, "someone"])
    return expected


def test_an_export_of_a_helpdesk_becomes_training_files_by_settings_alone(tmp_path: Path) -> None:
    expected = write_export(tmp_path / "export.csv")
    columns = ("--text-column", "Subject", "--text-column", "Description", "--label-column", "Group")
    others = ("--map", "id=Ticket", "--closed-column", "Solved (ms)", "--timestamps", "epoch_ms", "--ignore-unknown")
    ran = gata(tmp_path, "ingest", "tickets", "export.csv", *columns, *others, **SETTINGS)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ran = gata(tmp_path, "prepare", "2026020100", "--only", "tickets", "--summary", "json", **SETTINGS)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    folder = tmp_path / "gata-data" / "training" / "gata-general" / "2026020100"
    rows = {
        part: [json.loads(line) for line in (folder / part / "data.json").read_text().splitlines()]
        for part in ("train", "test")
    }
    ids = {"Rückgabe": 1, "Technical Support": 2, "billing": 3}
    found: dict[int, set[str]] = {}
    for row in [*rows["train"], *rows["test"]]:
        found.setdefault(row["label"], set()).add(row["text"])
    assert found == {ids[group]: texts for group, texts in expected.items()}
    assert [row["label"] for row in rows["test"]].count(1) == 6, "a fifth of 30"
    assert len(rows["test"]) == 18
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["label_names"] == {str(label): name for name, label in ids.items()}
    assert manifest["tickets"] == {"in_window": 91, "kept": 90, "excluded": {"emptied_by_normalization": 1}}
    shown = [json.loads(line) for line in gata(tmp_path, "labels", "--summary", "json", **SETTINGS).stdout.splitlines()]
    assert {row["name"]: row["id"] for row in shown if row["event"] == "LABEL"} == ids
