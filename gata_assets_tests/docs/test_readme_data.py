"""The rows that the README opens with: they are those of the sample that `make run` generates and prepares.

Real: the README, the sample, the batch's files.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from gata_assets_tests.docs.pages import ROOT, blocks

pytestmark = pytest.mark.process
README = ROOT / "README.md"
BATCH_ID = "2026010203"


def tables() -> list[list[dict[str, str]]]:
    """The README's first two tables, each row by its column titles."""
    found: list[list[list[str]]] = [[]]
    for line in README.read_text().splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [[dict(zip(titles, row, strict=True)) for row in rows] for titles, _, *rows in found[:2]]


def test_the_ticket_of_the_readme_is_in_the_sample(first_batch: Path) -> None:
    (ticket,) = tables()[0]
    columns = ", ".join(ticket)
    with sqlite3.connect(first_batch / "gata-sample.sqlite") as connection:
        row = connection.execute(f"SELECT {columns} FROM ticket WHERE id = ?", (ticket["id"],)).fetchone()
    assert list(map(str, row)) == list(ticket.values())


def test_the_lines_of_the_readme_are_in_the_training_file(first_batch: Path) -> None:
    lines = next(block.text for block in blocks(README) if block.language == "json")
    assert (
        lines + "\n"
        in (first_batch / "gata-data" / "training" / "gata-general" / BATCH_ID / "train" / "data.json").read_text()
    )
    ticket = tables()[0][0]
    written = {"text": ticket["processed_data"], "label": int(ticket["closed_group_id_mapped"])}
    assert json.loads(lines.splitlines()[1]) == written


def test_the_rows_of_the_readme_are_in_with_features(first_batch: Path) -> None:
    shown = tables()[1]
    assert len(shown) == 5
    directory = first_batch / "gata-data" / "sample" / "training_data" / BATCH_ID / "with_features"
    rows = pl.read_parquet(directory / "*.parquet")
    start = rows.with_row_index().filter(
        (pl.col("user_id") == shown[0]["user_id"]) & (pl.col("item_id") == shown[0]["item_id"])
    )["index"][0]
    for row, written in zip(shown, rows[start : start + 5].iter_rows(named=True), strict=True):
        for column, cell in row.items():
            if written[column] is None or isinstance(written[column], str):
                assert cell == (written[column] or ""), column
            else:
                places = len(cell.partition(".")[2])
                assert round(float(written[column]), places) == float(cell), column
