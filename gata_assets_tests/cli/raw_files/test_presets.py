"""Files of known formats by their presets, from `gata ingest` to curated rows, as plain Python converts them.

Real: click's command line, settings, readers, validation, curation, files below a directory. The files look like the
public ones and are generated (`support/look_alikes.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gata_assets.curation.policy import CurationRules
from gata_assets.interactions.presets import PRESETS
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets_tests.support.command import ROOT, Ran, gata
from gata_assets_tests.support.look_alikes import LOOK_ALIKES, LookAlike, movielens, movielens_items, recbole_items
from gata_assets_tests.support.raw_worlds import curated_rows, curator_of

EARLIEST = "1995-01-01"
RULES = CurationRules(datetime(1995, 1, 1, tzinfo=UTC), timedelta(hours=24))
INTERACTION_COLUMNS = ("user_id", "item_id", "interaction_type", "timestamp", "rating", "session_id")
ITEM_COLUMNS = ("item_id", "title", "category", "price", "brand")


def ingest(directory: Path, file: LookAlike, *options: str) -> Ran:
    (directory / file.name).write_bytes(file.content)
    given = ("--tenant", "acme", "--summary", "json", *options)
    return gata(directory, "ingest", file.table, file.name, *given, EARLIEST_INTERACTION=EARLIEST)


def said(ran: Ran) -> dict[str, object]:
    (line,) = ran.stdout.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def curated(directory: Path, table: str) -> list[tuple[object, ...]]:
    """The curated rows of acme, in order."""
    curator = curator_of(directory / "gata-data", rules=RULES, now=datetime.now(UTC))
    if table == ITEMS:
        [file] = (directory / "gata-data").glob("acme/curated/items/items*.parquet")
        return sorted(pl.read_parquet(file).select(ITEM_COLUMNS).iter_rows(), key=repr)
    list(curator.curate(INTERACTIONS, curator.parts(INTERACTIONS)))
    return sorted(curated_rows(curator).select(INTERACTION_COLUMNS).iter_rows(), key=repr)


def expected(file: LookAlike) -> list[tuple[object, ...]]:
    """The rows that plain Python makes of a file, in order; ratings are of single precision."""
    columns = ITEM_COLUMNS if file.table == ITEMS else INTERACTION_COLUMNS
    rows = [dict(row) for row in file.rows]
    for row in rows:
        if isinstance(rating := row.get("rating"), float):
            row["rating"] = float(np.float32(rating))
    return sorted((tuple(row[name] for name in columns) for row in rows), key=repr)


@pytest.mark.parametrize("build", LOOK_ALIKES, ids=lambda build: build.__name__)
def test_a_preset_alone_makes_the_rows_that_plain_python_makes(build: Callable[[], LookAlike], tmp_path: Path) -> None:
    file = build()
    ran = ingest(tmp_path, file, "--preset", file.preset)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = said(ran)
    assert found["rejected_by_rule"] == file.rejected
    assert curated(tmp_path, file.table) == expected(file)


def test_every_mapping_of_a_preset_has_a_look_alike() -> None:
    built = {(file.preset, file.table) for file in (build() for build in LOOK_ALIKES)}
    assert built == {(preset.name, table) for preset in PRESETS.values() for table in preset.tables}


def test_options_override_a_preset_column_by_column(tmp_path: Path) -> None:
    file = movielens()
    ran = ingest(tmp_path, file, "--preset", "movielens", "--constant", "interaction_type=view", "--map", "rating=none")
    assert ran.returncode == 1
    assert "has columns that are not known: rating" in str(said(ran)["reason"])
    ran = ingest(
        tmp_path,
        file,
        *("--preset", "movielens", "--constant", "interaction_type=view", "--leave-out", "rating", "--ignore-unknown"),
    )
    assert ran.returncode == 0
    rows = curated(tmp_path, INTERACTIONS)
    # The row with a rating of 0 is valid without it.
    assert {(row[2], row[4]) for row in rows} == {("view", None)}
    assert len(rows) == len(file.rows) + 1


def test_a_preset_becomes_a_saved_mapping(tmp_path: Path) -> None:
    saved = gata(
        tmp_path,
        *("mapping", "save", ITEMS, "films", "--tenant", "acme", "--preset", "movielens", "--files", "movies*"),
    )
    assert saved.returncode == 0, saved.stderr
    shown = gata(tmp_path, "mapping", "show", ITEMS, "films", "--tenant", "acme")
    assert json.loads(shown.stdout) == {"columns": {"item_id": ["movieId"], "category": ["genres"]}}
    file = movielens_items()
    assert ingest(tmp_path, file).returncode == 0
    assert curated(tmp_path, ITEMS) == expected(file)


def test_the_presets_are_listed_with_their_files(tmp_path: Path) -> None:
    listed = [json.loads(line) for line in gata(tmp_path, "mapping", "presets").stdout.splitlines()]
    assert [preset["preset"] for preset in listed] == list(PRESETS)
    assert listed[0]["tables"] == {INTERACTIONS: "ratings.csv", ITEMS: "movies.csv"}
    shown = gata(tmp_path, "mapping", "presets", "--summary", "table").stdout
    assert all(preset in shown for preset in PRESETS)
    assert "remove_from_cart" in shown


@pytest.mark.parametrize(("table", "named"), [(INTERACTIONS, "movielens-100k, movielens-1m"), ("orders", "orders")])
def test_an_unknown_preset_is_refused_with_those_of_the_table(table: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    ran = gata(tmp_path, "ingest", table, "a.csv", "--tenant", "acme", "--preset", "movielense")
    assert ran.returncode == 2
    assert named in ran.stderr


def test_two_of_the_names_of_a_column_in_one_file_are_refused_with_the_option(tmp_path: Path) -> None:
    file = recbole_items()
    content = file.content.replace(b"year:token", b"name:token")
    both = LookAlike(file.preset, file.table, file.name, content, [])
    ran = ingest(tmp_path, both, "--preset", "recbole")
    assert ran.returncode == 1
    assert "--map title=movie_title" in str(said(ran)["reason"])
    chosen = ingest(tmp_path, both, "--preset", "recbole", "--map", "title=movie_title")
    assert chosen.returncode == 0, chosen.stdout
    assert curated(tmp_path, ITEMS) == expected(file)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--leave-out", "title"), "title cannot be left out"),
        (("--substitute", "title=price"), "price cannot be the substitute of title"),
        (("--substitute", "name=item_id"), "items has no column name"),
    ],
)
def test_a_mapping_that_leaves_out_too_much_is_refused(options: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    ran = ingest(tmp_path, movielens_items(), *options)
    assert ran.returncode == 2
    assert reason in ran.stderr


def test_presets_use_only_columns_that_their_tables_have() -> None:
    for preset in PRESETS.values():
        assert {*preset.tables} <= {*TABLES}
        for of_table in preset.tables.values():
            assert of_table.files
            assert of_table.about.endswith(".")


def test_the_page_about_exports_has_every_preset_as_it_is() -> None:
    page = (ROOT / "docs" / "bring-your-export.md").read_text()
    rows = [
        # A star begins emphasis in Markdown.
        f"| `{preset.name}` | {table} | {of_table.files} | {of_table.about} |".replace("*", r"\*")
        for preset in PRESETS.values()
        for table, of_table in preset.tables.items()
    ]
    assert "\n".join(rows) in page
