"""What `gata prepare` and `gata batches` show to people: text without a terminal, whole paths, and no row too many.

Real: the commands, in this process and as one of its own, SQLite, files. Nothing is faked.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.support.command import Ran, dagster_home, gata, gata_process
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, database_rows, world

SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_THRESHOLD": "0.1",
    "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
    # Longer than a line of 80 characters.
    "TARGET_DIR": "a-directory-whose-name-is-so-long-that-no-path-in-it-fits-into-eighty-columns",
}
TRAIN = f"{SETTINGS['TARGET_DIR']}/training/gata-general/{BATCH_ID}/train/data.json"
TICKETS = ("--only", "tickets")
TABLE = ("--summary", "table")
REMEDY = "PREVIEW_ROWS sets how many rows may be shown"


def run(directory: Path, *arguments: str, **settings: str) -> Ran:
    return gata(directory, *arguments, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which a batch of tickets was prepared."""
    directory = tmp_path_factory.mktemp("prepared")
    create_sqlite(directory / "tickets.sqlite", database_rows(world()))
    ran = run(directory, "prepare", BATCH_ID, *TABLE, *TICKETS)
    assert ran.returncode == 0
    assert '"text"' not in ran.stdout
    return directory


def train_lines(directory: Path) -> list[str]:
    return (directory / TRAIN).read_text().splitlines()


def shown_rows(ran: Ran) -> list[str]:
    assert ran.returncode == 0, ran.stderr
    return [line for line in ran.stdout.splitlines() if line.startswith("{")]


@pytest.mark.process
def test_a_summary_for_people_has_whole_paths_and_comes_with_no_line_of_json(prepared: Path, tmp_path: Path) -> None:
    home = dagster_home(tmp_path)
    ran = gata_process(prepared, "prepare", BATCH_ID, *TABLE, *TICKETS, **SETTINGS, DAGSTER_HOME=str(home))
    assert ran.returncode == 0
    assert "{" not in ran.stderr + ran.stdout, "the instance's handler is silent too"
    assert [line.partition(":")[0] for line in ran.stderr.splitlines()] == [
        f"✓ {asset}" for asset in ("tickets", "label_counts", "general_split", "low_volume_tickets", "low_volume_split")
    ]
    assert f"  {TRAIN}" in ran.stdout.splitlines()


def test_rows_of_own_tickets_are_shown_as_far_as_the_setting_allows(prepared: Path) -> None:
    lines = train_lines(prepared)
    for allowed, asked, expected in (("0", "2", 0), ("1", "2", 1), ("3", "2", 2), ("3", "", 3), ("100", "100", 100)):
        rows = ("--rows", asked) if asked else ()
        ran = run(prepared, "batches", "show", BATCH_ID, *TABLE, *TICKETS, *rows, PREVIEW_ROWS=allowed)
        shown = shown_rows(ran)
        assert [line for line in shown if line in lines] == lines[:expected]
        assert (REMEDY in ran.stdout) is (bool(asked) and int(asked) > int(allowed))
        assert bool(shown) is bool(expected)


@pytest.mark.slow
def test_prepare_ends_with_the_rows_that_may_be_shown_and_json_has_none(prepared: Path) -> None:
    arguments = ("prepare", BATCH_ID, *TICKETS, "--rows", "2")
    forbidden = run(prepared, *arguments, *TABLE)
    assert (shown_rows(forbidden), REMEDY in forbidden.stdout) == ([], True)
    ran = run(prepared, *arguments, *TABLE, PREVIEW_ROWS="5")
    assert shown_rows(ran) == train_lines(prepared)[:2]
    as_json = run(prepared, *arguments, "--json", PREVIEW_ROWS="5")
    assert '"text"' not in as_json.stdout + as_json.stderr


@pytest.mark.slow
def test_rows_of_the_generated_sample_are_shown_when_they_are_asked_for(tmp_path: Path) -> None:
    sizes = ("--since", "2025-12-01", "--interactions", "0", "--tickets-per-day", "100")
    assert gata(tmp_path, "sample-data", *sizes).returncode == 0
    ran = gata(tmp_path, "prepare", BATCH_ID, *TABLE, *TICKETS, "--rows", "2")
    path = f"gata-data/training/gata-general/{BATCH_ID}/train/data.json"
    assert shown_rows(ran) == (tmp_path / path).read_text().splitlines()[:2]
    assert f"  {path}" in ran.stdout.splitlines()[-4:]
    # What is in the target may come from other tickets than those of the settings.
    later = gata(tmp_path, "batches", "show", BATCH_ID, *TABLE, *TICKETS, "--rows", "2")
    assert (shown_rows(later), REMEDY in later.stdout) == ([], True)
