"""`gata quarantine rows`: rejected rows as their files had them.

Real: the commands in this process, files below a directory. Nothing is faked.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gata_assets_tests.support.command import gata

HEADER = ["user_id", "item_id", "interaction_type", "timestamp", "session_id"]
ROWS = [
    ["u1", "", "click", "2026-01-05T10:00:00Z", "a"],
    ["u2", "i2", "hover", "never", 'with "quotes", a comma\nand a line'],
    ["u3", "i3", "click", "2026-01-05T10:00:00Z", "valid"],
    ["u4", "i4", "click", "yesterday", "\x1b[31mred"],
]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """Interactions of which three rows are rejected, and an item that is."""
    with (tmp_path / "clicks.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *ROWS])
    (tmp_path / "items.csv").write_text("item_id,title,price\ni1,Mug,-1\n")
    for table, name in (("interactions", "clicks.csv"), ("items", "items.csv")):
        gata(tmp_path, "ingest", table, name, "--tenant", "acme")
    return tmp_path


def test_json_lines_have_every_rejected_row_with_the_rules_that_it_breaks(workplace: Path) -> None:
    ran = gata(workplace, "quarantine", "rows", "--tenant", "acme", "--format", "jsonl", "--limit", "0")
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    rejected = [row for row in ROWS if row[4] != "valid"]
    of_clicks = [row for row in found if row["table"] == "interactions"]
    assert [[row[name] or "" for name in HEADER] for row in of_clicks] == rejected
    assert of_clicks[1]["rules"] == ["interaction_type_is_known", "timestamp_is_iso_8601"]
    assert [row["source_line"] for row in of_clicks] == [2, 3, 6]
    assert [row["rules"] for row in found if row["table"] == "items"] == [["price_is_not_negative"]]
    assert ran.stderr == ""


def test_csv_is_read_back_as_the_rows_were(workplace: Path) -> None:
    ran = gata(workplace, "quarantine", "rows", "--tenant", "acme", "--format", "csv")
    found = [row for row in csv.DictReader(io.StringIO(ran.stdout)) if row["table"] == "interactions"]
    assert [[row[name] for name in HEADER] for row in found] == [row for row in ROWS if row[4] != "valid"]
    assert found[1]["rules"].split() == ["interaction_type_is_known", "timestamp_is_iso_8601"]


def test_a_rule_a_file_and_a_limit_choose_rows(workplace: Path) -> None:
    choice = ("--tenant", "acme", "--rule", "timestamp_is_iso_8601", "--format", "jsonl")
    ran = gata(workplace, "quarantine", "rows", *choice, "--limit", "1")
    [row] = [json.loads(line) for line in ran.stdout.splitlines()]
    assert row["user_id"] == "u2"
    assert "1 of 2 rows; --limit shows more." in ran.stderr
    of_file = gata(workplace, "quarantine", "rows", *choice, "--file", row["file_id"])
    assert len(of_file.stdout.splitlines()) == 2
    wrong = gata(workplace, "quarantine", "rows", "--tenant", "acme", "--rule", "is_nice")
    assert (wrong.returncode, "there are: " in wrong.stderr) == (2, True)


def test_a_table_has_no_control_characters_and_needs_a_limit(workplace: Path) -> None:
    ran = gata(workplace, "quarantine", "rows", "--tenant", "acme")
    assert "\\x1b[31mred" in ran.stdout
    assert "\x1b" not in ran.stdout
    assert gata(workplace, "quarantine", "rows", "--tenant", "acme", "--limit", "0").returncode == 2


def test_rows_that_are_missing_or_damaged_are_an_error_that_names_the_remedy(workplace: Path) -> None:
    [path] = (workplace / "gata-data" / "acme" / "quarantine" / "interactions").iterdir()
    content = pq.read_table(path)
    # A table that can be read, and not the one that was written.
    pq.write_table(content.slice(1), path)
    other = gata(workplace, "quarantine", "rows", "--tenant", "acme", "--format", "jsonl")
    assert (other.returncode, "is missing or damaged" in other.stderr) == (1, True)
    path.write_bytes(path.read_bytes()[:-7])
    for _ in range(2):
        ran = gata(workplace, "quarantine", "rows", "--tenant", "acme", "--format", "jsonl")
        assert (ran.returncode, "is missing or damaged: `gata quarantine --replay`" in ran.stderr) == (1, True)
        path.unlink(missing_ok=True)


def test_without_rejected_rows_it_says_so(tmp_path: Path) -> None:
    ran = gata(tmp_path, "quarantine", "rows", "--tenant", "acme")
    assert (ran.returncode, ran.stdout, "There is no such row in quarantine." in ran.stderr) == (0, "", True)


def test_the_summary_still_needs_a_tenant(tmp_path: Path) -> None:
    ran = gata(tmp_path, "quarantine")
    assert (ran.returncode, "Missing option '--tenant'" in ran.stderr) == (2, True)
