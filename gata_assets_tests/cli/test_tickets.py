"""`gata tickets check`, quarantine and the account of tickets, as a user meets them.

Real: commands in this process, SQLite files, a directory as target. Nothing is faked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.scenario import (
    BATCH_ID,
    FALLBACK_LABEL,
    OLDER_WINDOW,
    TRAINING_WINDOW,
    database_rows,
    world,
)

TEXT = canary("a text")
START = TRAINING_WINDOW.start
INVALID: list[dict[str, object]] = [
    {"id": 70_001, "text": TEXT.upper(), "closed": START + 1},
    {"id": 70_002, "label": None, "closed": START + 2},
    {"id": 70_003, "text": " ?! \n", "closed": START + 3},
    {"id": 70_004, "label": 203, "text": "\u00fc", "closed": OLDER_WINDOW.start + 4},
]
EXCLUDED: list[dict[str, object]] = [
    {"id": 80_001, "via_channel": "api", "initial_group_id": 5, "closed": START + 1},
    {"id": 80_002, "routed_by": "gata-mapped", "closed": START + 1},
    {"id": 80_003, "text": "x" * 501, "closed": START + 1},
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_sqlite(tmp_path / "tickets.sqlite", database_rows([*world(), *INVALID, *EXCLUDED]))
    (tmp_path / "local.env").write_text(
        "TICKETS_URL=sqlite:///tickets.sqlite\nTARGET_DIR=target\nLOW_VOLUME_THRESHOLD=0.1\nMAX_TICKET_BYTES=500\n"
        f"LOW_VOLUME_FALLBACK_LABEL={FALLBACK_LABEL}\n"
    )
    return tmp_path


def lines(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


def manifest(directory: Path, dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / f"target/training/{dataset}/{BATCH_ID}/manifest.json").read_text())
    return found


def test_invalid_tickets_are_listed_by_id_column_and_rule_without_their_texts(directory: Path) -> None:
    ran = gata(directory, "tickets", "check", BATCH_ID)
    assert ran.returncode == 1
    found = lines(ran)
    listed = [(line["window"], line["id"], line["column"], line["rule"]) for line in found if "rule" in line]
    assert listed == [
        ("training", 70_001, "text", "invalid_characters"),
        ("training", 70_002, "label", "no_label"),
        ("training", 70_003, "text", "no_letter_or_digit"),
        ("older", 70_004, "text", "invalid_characters"),
    ]
    [training, older] = [line for line in found if line["event"] == "TICKETS_CHECKED"]
    assert training["excluded"] == {"routed_by_api": 1, "routed_by_mapping": 1, "too_large": 1}
    assert training["in_window"] == training["kept"] + 3
    assert (training["invalid"], older["invalid"]) == (3, 1)
    shown = gata(directory, "tickets", "check", BATCH_ID, "--summary", "table")
    assert "70003" in shown.stdout and "ON_INVALID_TICKETS=quarantine" in shown.stdout
    for output in (ran.stdout, ran.stderr, shown.stdout, shown.stderr):
        assert TEXT not in output.lower()


def test_a_batch_of_valid_tickets_has_nothing_to_list(directory: Path) -> None:
    create_sqlite(directory / "tickets.sqlite", database_rows(world()))
    ran = gata(directory, "tickets", "check", BATCH_ID)
    assert ran.returncode == 0
    assert {line["event"] for line in lines(ran)} == {"TICKETS_CHECKED"}


def test_an_invalid_ticket_fails_its_batch_unless_it_goes_to_quarantine(directory: Path) -> None:
    failed = gata(directory, "prepare", BATCH_ID)
    assert failed.returncode == 1
    assert "tickets breaks" in failed.stdout
    assert "`gata tickets check" in failed.stdout
    assert not (directory / "target/training").exists()
    ran = gata(directory, "prepare", BATCH_ID, ON_INVALID_TICKETS="quarantine")
    assert ran.returncode == 0, ran.stdout
    by_asset = {written["asset"]: written for written in lines(ran)[-1]["written"]}
    assert by_asset["tickets"]["tickets_excluded"] == 6
    general, low_volume = manifest(directory, "gata-general"), manifest(directory, "gata-low-vol")
    excluded = {
        **{"routed_by_api": 1, "routed_by_mapping": 1, "too_large": 1},
        **{"invalid_characters": 1, "no_label": 1, "no_letter_or_digit": 1},
    }
    assert general["tickets"]["excluded"] == excluded
    assert general["settings"]["ON_INVALID_TICKETS"] == "quarantine"
    for found in (general, low_volume):
        account, rows = found["tickets"], sum(entry["rows"] for entry in found["files"].values())
        assert account["kept"] == rows
        assert account["in_window"] == rows + sum(account["excluded"].values())
    assert low_volume["tickets"]["excluded"]["invalid_characters"] == 2
    kept = directory / "target/intermediate/tickets_quarantine" / f"{BATCH_ID}.parquet"
    table = pq.read_table(kept).to_pylist()
    assert [(row["id"], row["rules"]) for row in table] == [
        (70_001, ["invalid_characters"]),
        (70_002, ["no_label"]),
        (70_003, ["no_letter_or_digit"]),
    ]
    assert table[0]["text"] == TEXT.upper()
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    for output in (failed.stdout, failed.stderr, ran.stdout, ran.stderr):
        assert TEXT not in output.lower()


def test_a_quarantine_of_an_earlier_run_is_emptied(directory: Path) -> None:
    for rows in ([*world(), *INVALID], world()):
        create_sqlite(directory / "tickets.sqlite", database_rows(rows))
        assert gata(directory, "prepare", BATCH_ID, ON_INVALID_TICKETS="quarantine").returncode == 0
    assert pq.read_table(directory / f"target/intermediate/tickets_quarantine/{BATCH_ID}.parquet").num_rows == 0
    create_sqlite(directory / "tickets.sqlite", database_rows(world()))
    assert gata(directory, "prepare", BATCH_ID, ON_INVALID_TICKETS="quarantine", TARGET_DIR="new").returncode == 0
    assert not (directory / "new/intermediate/tickets_quarantine").exists()


def test_the_training_files_are_those_of_the_valid_tickets_alone(directory: Path) -> None:
    assert gata(directory, "prepare", BATCH_ID, ON_INVALID_TICKETS="quarantine").returncode == 0
    create_sqlite(directory / "tickets.sqlite", database_rows(world()))
    assert gata(directory, "prepare", BATCH_ID, TARGET_DIR="clean").returncode == 0
    for file in sorted((directory / "clean/training").rglob("data.json")):
        assert file.read_bytes() == (directory / "target" / file.relative_to(directory / "clean")).read_bytes()


def test_twins_are_in_the_manifest_and_a_great_share_warns_without_failing(directory: Path) -> None:
    letter = " ".join(f"word{number}" for number in range(30))
    rows: list[dict[str, object]] = [
        {"id": 90_000 + n, "label": 101, "text": f"{letter} {n}", "closed": START + 10 + n} for n in range(200)
    ]
    create_sqlite(directory / "tickets.sqlite", database_rows([*world(), *rows]))
    ran = gata(directory, "prepare", BATCH_ID)
    assert ran.returncode == 0
    twins = manifest(directory, "gata-general")["near_duplicates"]
    assert twins["test_rows_with_twin"] == twins["by_label"]["101"] > 5
    assert twins["share"] == pytest.approx(twins["test_rows_with_twin"] / twins["test_rows"], abs=1e-6)
    [general] = [written for written in lines(ran)[-1]["written"] if written["asset"] == "general_split"]
    assert general["test_rows_with_twin"] == twins["test_rows_with_twin"]
    assert "few_test_rows_have_a_twin_in_train" in ran.stderr
    grouped = gata(directory, "prepare", BATCH_ID, NEAR_DUPLICATES="group")
    assert grouped.returncode == 0
    assert manifest(directory, "gata-general")["near_duplicates"]["test_rows_with_twin"] == 0
    off = gata(directory, "prepare", BATCH_ID, NEAR_DUPLICATES="off")
    assert off.returncode == 0
    assert "near_duplicates" not in manifest(directory, "gata-general")


def test_texts_that_differ_by_white_space_are_one_text(directory: Path) -> None:
    spaces = (" ", "  ", "\n", "\t", "\u00a0", "\u2003")
    rows: list[dict[str, object]] = [
        {"id": 90_000 + n, "label": 101, "text": f"please{space}help ", "closed": START + 10 + n}
        for n, space in enumerate(spaces * 20)
    ]
    create_sqlite(directory / "tickets.sqlite", database_rows([*world(), *rows]))
    assert gata(directory, "prepare", BATCH_ID).returncode == 0
    folder = directory / f"target/training/gata-general/{BATCH_ID}"
    texts = [pd.read_json(folder / side / "data.json", lines=True)["text"] for side in ("train", "test")]
    assert sorted((side == "please help").sum() for side in texts) == [0, 120]
    assert all(not side.str.contains(r"\s\s|^\s|\s$|[^\S ]", regex=True).any() for side in texts)


@pytest.mark.parametrize("method", ["by-text", "sklearn"])
def test_the_share_that_is_tested_on_is_a_setting(directory: Path, method: str) -> None:
    create_sqlite(directory / "tickets.sqlite", database_rows(world()))
    ran = gata(directory, "prepare", BATCH_ID, TEST_SHARE="0.25", SPLIT_METHOD=method)
    assert ran.returncode == 0, ran.stdout
    for dataset in ("gata-general", "gata-low-vol"):
        found = manifest(directory, dataset)
        rows = {name: entry["rows"] for name, entry in found["files"].items()}
        assert rows["test/data.json"] == pytest.approx(sum(rows.values()) / 4, abs=2)
        assert found["settings"]["TEST_SHARE"] == 0.25
