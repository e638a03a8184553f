"""`gata batches give-up`: a batch that fails is shown as failed and prepared again, until it is given up.

Real: the commands in this process, a SQLite store of tickets, the project's Dagster instance with its files. Nothing
is faked. What the UI's lineage shows is in `definitions/test_ui`.
"""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.definitions import build_definitions
from gata_assets.orchestration.batches.given_up import GIVEN_UP
from gata_assets.settings.model import parse_settings
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.support.command import Ran, dagster_home, gata, instance_of
from gata_assets_tests.support.scenario import FALLBACK_LABEL, database_rows, instant, world

SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_THRESHOLD": "0.1",
    "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
    "TENANTS": "none",
}
# The spoiled ticket is in the first hour of the window of the bad batch, so in no later one's.
BAD, GOOD = "2026010200", "2026010206"
SPOILED = {"label": 101, "text": "CAPITALS", "closed": instant("2025-10-04T00:10")}
ASSETS = ["general_split", "label_counts", "low_volume_split", "low_volume_tickets", "tickets"]
REASON = "the export of that hour is lost"


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A directory with tickets, one of them spoiled, and a Dagster home."""
    create_sqlite(tmp_path / "tickets.sqlite", database_rows([*world(), SPOILED]))
    dagster_home(tmp_path)
    return tmp_path


def run(directory: Path, *arguments: str, **variables: str) -> Ran:
    return gata(directory, *arguments, **{**SETTINGS, "DAGSTER_HOME": str(directory / "home"), **variables})


def statuses(directory: Path, batch_id: str) -> set[str | None]:
    """How Dagster shows the batch's assets."""
    graph = build_definitions(parse_settings(SETTINGS)).resolve_asset_graph()
    with instance_of(directory / "home") as instance:
        found = []
        for asset in ASSETS:
            key = dg.AssetKey(asset)
            partitions = graph.get(key).partitions_def
            assert partitions
            status = (instance.get_status_by_partition(key, [batch_id], partitions) or {})[batch_id]
            found.append(status.value if status else None)
    return set(found)


def failed_checks(directory: Path) -> set[str]:
    """The checks that did not pass when they were evaluated last."""
    graph = build_definitions(parse_settings(SETTINGS)).resolve_asset_graph()
    keys = graph.get_check_keys_for_assets({dg.AssetKey(asset) for asset in ASSETS})
    with instance_of(directory / "home") as instance:
        records = {key: instance.get_latest_asset_check_evaluation_record(key) for key in keys}
    return {
        key.name for key, record in records.items() if record and record.evaluation and not record.evaluation.passed
    }


def test_a_batch_that_failed_is_given_up_and_neither_shown_as_failed_nor_prepared_again(workplace: Path) -> None:
    assert run(workplace, "prepare", BAD).returncode == 1
    assert statuses(workplace, BAD) == {"FAILED"}
    assert len(failed_checks(workplace)) > 1
    given_up = run(workplace, "batches", "give-up", BAD, "--reason", REASON, "--json")
    assert (given_up.returncode, json.loads(given_up.stdout)) == (
        0,
        {"event": "BATCH_GIVEN_UP", "batch_id": BAD, "assets": ASSETS},
    )
    assert statuses(workplace, BAD) == {"MATERIALIZED"}
    assert failed_checks(workplace) == set()
    with instance_of(workplace / "home") as instance:
        marks = [instance.get_latest_materialization_event(dg.AssetKey(asset)) for asset in ASSETS]
    for mark in marks:
        assert mark is not None
        assert mark.asset_materialization is not None
        assert mark.asset_materialization.partition == BAD
        metadata = {name: value.value for name, value in mark.asset_materialization.metadata.items()}
        assert metadata == {GIVEN_UP: True, "reason": REASON}

    planned = run(workplace, "backfill", BAD, "2026010201", "--plan").stdout
    assert "0 are complete in the target, 1 to prepare" in planned
    assert f"{BAD}: {REASON}; --again prepares it" in planned
    backfill = run(workplace, "backfill", BAD, "2026010201")
    assert (backfill.returncode, "1 batches prepared, 0 failed" in backfill.stdout) == (0, True)
    assert (
        "0 are complete in the target, 2 to prepare"
        in run(workplace, "backfill", BAD, "2026010201", "--plan", "--again", TARGET_DIR="elsewhere").stdout
    )

    again = run(workplace, "batches", "give-up", BAD, "--reason", REASON, "--summary", "table")
    assert (again.returncode, again.stdout) == (1, "")
    assert f"No run of batch {BAD} failed last" in again.stderr


def test_checks_of_a_later_batch_stay_as_they_are(workplace: Path) -> None:
    assert run(workplace, "prepare", BAD).returncode == 1
    assert run(workplace, "prepare", GOOD).returncode == 0
    assert failed_checks(workplace) == set()
    with instance_of(workplace / "home") as instance:
        check = dg.AssetCheckKey(dg.AssetKey("tickets"), "tickets_are_valid")
        before = instance.get_latest_asset_check_evaluation_record(check)
        assert run(workplace, "batches", "give-up", BAD, "--reason", REASON).returncode == 0
        assert instance.get_latest_asset_check_evaluation_record(check) == before
    assert statuses(workplace, BAD) == statuses(workplace, GOOD) == {"MATERIALIZED"}


def test_a_batch_that_fails_again_is_given_up_again(workplace: Path) -> None:
    for _ in range(2):
        assert run(workplace, "prepare", BAD).returncode == 1
        assert statuses(workplace, BAD) == {"FAILED"}
        assert run(workplace, "batches", "give-up", BAD, "--reason", REASON).returncode == 0
        assert (statuses(workplace, BAD), failed_checks(workplace)) == ({"MATERIALIZED"}, set())


def test_giving_up_a_batch_leaves_the_failed_checks_of_another(workplace: Path) -> None:
    no_tickets = "2026090200"
    for batch_id in (BAD, no_tickets):
        assert run(workplace, "prepare", batch_id).returncode == 1
    failed = failed_checks(workplace)
    assert run(workplace, "batches", "give-up", BAD, "--reason", REASON).returncode == 0
    assert (statuses(workplace, no_tickets), failed_checks(workplace)) == ({"FAILED"}, failed)


def test_a_failed_batch_of_the_same_run_stays_failed(workplace: Path) -> None:
    spoil_also = {**SPOILED, "id": 999_999, "closed": instant("2025-10-04T01:10")}
    create_sqlite(workplace / "tickets.sqlite", database_rows([*world(), SPOILED, spoil_also]))
    other = "2026010201"
    assert run(workplace, "backfill", BAD, other).returncode == 1
    failed = failed_checks(workplace)
    assert len(failed) > 1
    assert run(workplace, "batches", "give-up", BAD, "--reason", REASON).returncode == 0
    assert (statuses(workplace, BAD), statuses(workplace, other)) == ({"MATERIALIZED"}, {"FAILED"})
    assert failed_checks(workplace) == failed
    assert run(workplace, "batches", "give-up", other, "--reason", REASON).returncode == 0
    assert failed_checks(workplace) == set()


def test_a_batch_of_which_the_first_dataset_alone_failed_is_left_out_by_backfills(workplace: Path) -> None:
    # With this threshold one label is left for the general dataset; the low-volume one is written.
    settings = {"LOW_VOLUME_THRESHOLD": "0.99", "TICKETS_URL": "sqlite:///corrected.sqlite"}
    create_sqlite(workplace / "corrected.sqlite", database_rows(world()))
    assert run(workplace, "prepare", BAD, **settings).returncode == 1
    given_up = run(workplace, "batches", "give-up", BAD, "--reason", REASON, "--json", **settings)
    assert json.loads(given_up.stdout)["assets"] == ["general_split"]
    planned = run(workplace, "backfill", BAD, BAD, "--plan", **settings).stdout
    assert "0 are complete in the target, 0 to prepare" in planned
    assert f"{BAD}: {REASON}; --again prepares it" in planned


def test_a_batch_that_is_prepared_after_all_is_no_longer_given_up(workplace: Path) -> None:
    assert run(workplace, "prepare", BAD).returncode == 1
    assert run(workplace, "batches", "give-up", BAD, "--reason", REASON).returncode == 0
    corrected = {"TICKETS_URL": "sqlite:///corrected.sqlite"}
    create_sqlite(workplace / "corrected.sqlite", database_rows(world()))
    assert run(workplace, "prepare", BAD, **corrected).returncode == 0
    planned = run(workplace, "backfill", BAD, BAD, "--plan", **corrected).stdout
    assert "1 are complete in the target, 0 to prepare" in planned
    assert "given up" not in run(workplace, "backfill", BAD, BAD, "--plan", TARGET_DIR="elsewhere", **corrected).stdout


def test_without_records_there_is_nothing_to_give_up(workplace: Path) -> None:
    ran = gata(workplace, "batches", "give-up", BAD, "--reason", REASON, **SETTINGS)
    assert ran.returncode == 2
    assert "DAGSTER_HOME is unset" in ran.stderr
