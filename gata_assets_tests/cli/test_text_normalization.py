"""TEXT_NORMALIZATION=normalize, as a user meets it, and what is stored of it.

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
EMPTIED: list[dict[str, object]] = [
    {"id": 70_001, "text": "\u041f\u0440\u0438\u0432\u0435\u0442", "closed": START + 1},
    {"id": 70_002, "text": f"<style>{TEXT}</style>", "label": None, "closed": START + 2},
    {"id": 70_003, "text": f"> {TEXT}", "label": 203, "closed": OLDER_WINDOW.start + 4},
]
INVALID: list[dict[str, object]] = [
    {"id": 80_001, "text": " ?! ", "closed": START + 3},
    {"id": 80_002, "text": "<b>Fine</b>", "label": None, "closed": START + 4},
]


def raw_world() -> list[dict[str, object]]:
    """The tickets of the world as they come in; each loses two letters."""
    return [
        {**row, "text": f"<p>{str(row['text']).title()}</p> \u0416\u0439<!-- {TEXT} -->\n> {TEXT}"} for row in world()
    ]


def write(directory: Path, rows: list[dict[str, object]]) -> None:
    create_sqlite(directory / "tickets.sqlite", database_rows(rows))


def directory_of(path: Path, rows: list[dict[str, object]]) -> Path:
    write(path, rows)
    (path / "local.env").write_text(
        "TICKETS_URL=sqlite:///tickets.sqlite\nTARGET_DIR=target\nLOW_VOLUME_THRESHOLD=0.1\n"
        f"LOW_VOLUME_FALLBACK_LABEL={FALLBACK_LABEL}\nTEXT_NORMALIZATION=normalize\n"
    )
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return directory_of(tmp_path, [*raw_world(), *EMPTIED])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A directory in which the batch of raw texts was prepared, and in `strict` that of the same texts reduced."""
    directory = directory_of(tmp_path_factory.mktemp("prepared"), [*raw_world(), *EMPTIED])
    ran = gata(directory, "prepare", BATCH_ID)
    assert ran.returncode == 0, ran.stdout
    write(directory, world())
    assert gata(directory, "prepare", BATCH_ID, TARGET_DIR="strict", TEXT_NORMALIZATION="strict").returncode == 0
    return directory, ran


def last_line(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def manifest(directory: Path, dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / f"target/training/{dataset}/{BATCH_ID}/manifest.json").read_text())
    return found


def test_raw_texts_train_as_if_the_source_had_reduced_them(prepared: tuple[Path, Ran]) -> None:
    directory, ran = prepared
    files = sorted((directory / "strict/training").rglob("data.json"))
    assert len(files) == 4
    for file in files:
        assert file.read_bytes() == (directory / "target" / file.relative_to(directory / "strict")).read_bytes()
    assert TEXT not in ran.stdout + ran.stderr
    for path in (directory / "target").rglob("*.json"):
        assert TEXT not in path.read_text()


def test_what_was_done_to_texts_is_in_manifests_metadata_and_the_account(prepared: tuple[Path, Ran]) -> None:
    directory, ran = prepared
    general, low_volume = manifest(directory, "gata-general"), manifest(directory, "gata-low-vol")
    in_window = sum(int(str(row["closed"])) >= START for row in raw_world())
    assert general["text_normalization"] == {
        "changed": in_window + 2,
        "characters_lost": 2 * in_window + 6,
        "emptied": 2,
    }
    assert general["settings"]["TEXT_NORMALIZATION"] == "normalize"
    assert general["tickets"]["excluded"]["emptied_by_normalization"] == 2
    assert low_volume["text_normalization"]["emptied"] == 3
    assert low_volume["tickets"]["excluded"]["emptied_by_normalization"] == 3
    for found in (general, low_volume):
        account, rows = found["tickets"], sum(entry["rows"] for entry in found["files"].values())
        assert account["kept"] == rows
        assert account["in_window"] == rows + sum(account["excluded"].values())
    [tickets] = [written for written in last_line(ran)["written"] if written["asset"] == "tickets"]
    assert (tickets["texts_changed"], tickets["characters_lost"]) == (in_window + 2, 2 * in_window + 6)
    assert tickets["excluded_emptied_by_normalization"] == 2
    stored = pq.read_schema(directory / f"target/intermediate/tickets/{BATCH_ID}.parquet").metadata[b"gata_assets"]
    assert json.loads(stored)["text_normalization"] == general["text_normalization"]


def test_strict_datasets_and_tables_have_no_counts_of_normalization(prepared: tuple[Path, Ran]) -> None:
    target = prepared[0] / "strict"
    assert "text_normalization" not in (target / f"training/gata-general/{BATCH_ID}/manifest.json").read_text()
    stored = pq.read_schema(target / f"intermediate/tickets/{BATCH_ID}.parquet")
    assert stored.names == ["id", "closed", "label", "text"]
    assert b"text_normalization" not in stored.metadata[b"gata_assets"]


def test_a_batch_fails_when_too_many_texts_are_emptied(directory: Path) -> None:
    failed = gata(directory, "prepare", BATCH_ID, MAX_EMPTIED_TEXTS_SHARE="0.003")
    assert failed.returncode == 1
    assert "at most 0.3% of the texts are emptied: 2 of 475 texts" in failed.stdout
    assert "MAX_EMPTIED_TEXTS_SHARE" in failed.stdout
    assert not (directory / "target/training").exists()
    # The older window is read for 17 tickets of low-volume labels.
    older = gata(directory, "prepare", BATCH_ID, MAX_EMPTIED_TEXTS_SHARE="0.05")
    assert older.returncode == 1
    assert "of the texts are emptied: 1 of 17 texts" in older.stdout


def test_the_check_and_the_quarantine_see_normalized_texts(directory: Path) -> None:
    write(directory, [*raw_world(), *EMPTIED, *INVALID])
    check = gata(directory, "tickets", "check", BATCH_ID)
    found = [json.loads(line) for line in check.stdout.splitlines()]
    assert [(line["id"], line["rule"]) for line in found if "rule" in line] == [
        (80_001, "no_letter_or_digit"),
        (80_002, "no_label"),
    ]
    counted = {line["window"]: line for line in found if line["event"] == "TICKETS_CHECKED"}
    assert {window: line["text_normalization"]["emptied"] for window, line in counted.items()} == {
        "training": 2,
        "older": 1,
    }
    assert counted["training"]["excluded"] == {"emptied_by_normalization": 2}
    ran = gata(directory, "prepare", BATCH_ID, "--summary", "table", ON_INVALID_TICKETS="quarantine")
    assert ran.returncode == 0
    assert "2 emptied_by_normalization" in ran.stdout
    kept = pq.read_table(directory / f"target/intermediate/tickets_quarantine/{BATCH_ID}.parquet").to_pylist()
    assert [(row["id"], row["text"], row["rules"]) for row in kept] == [
        (80_001, "?!", ["no_letter_or_digit"]),
        (80_002, "fine", ["no_label"]),
    ]
    assert TEXT not in check.stdout + check.stderr


def test_equal_texts_under_different_markup_stay_on_one_side(directory: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": 90_000 + n, "label": 101, "text": text, "closed": START + 10 + n}
        for n, text in enumerate(("Please <b>help</b>", "please, help\n> old", "PLEASE &nbsp; HELP") * 40)
    ]
    write(directory, [*raw_world(), *rows])
    assert gata(directory, "prepare", BATCH_ID).returncode == 0
    folder = directory / f"target/training/gata-general/{BATCH_ID}"
    texts = [pd.read_json(folder / side / "data.json", lines=True)["text"] for side in ("train", "test")]
    assert sorted((side == "please help").sum() for side in texts) == [0, 120]
