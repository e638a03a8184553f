"""What is said of raw files: checks of those that landed on a day, and their node in the lineage.

Real: definitions, runs and their check evaluations, a Dagster instance, the curator, a directory. Nothing is faked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.definitions import build_definitions
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.orchestration.asset_pages.raw_files import raw_files_key
from gata_assets.settings.model import parse_settings
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.raw_worlds import curator_of, encode, interaction, item

LANDED = date(2026, 1, 9)
READ, FEW = "every_raw_file_was_read", "few_rows_were_rejected"
INVALID = b"who,what\n1,2\n"
SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_FALLBACK_LABEL": "9000",
    "TENANTS": "acme",
    "EARLIEST_INTERACTION": "2026-01-01",
}


@pytest.fixture
def store(tmp_path: Path) -> LocalStoreResource:
    """An empty local store."""
    return LocalStoreResource(directory=str(tmp_path / "target"))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def rows(valid: int, rejected: int, name: str = "u") -> bytes:
    """A file of so many rows of each kind."""
    numbers = range(valid + rejected)
    return encode([interaction(user_id=f"{name}{n}", rating=None if n < valid else "9") for n in numbers], "csv")


def put(store: LocalStoreResource, name: str, content: bytes, table: str = INTERACTIONS) -> str:
    key = f"acme/raw/{table}/{name}"
    store.write(key, content)
    return key


def evaluate(
    store: LocalStoreResource, instance: dg.DagsterInstance, table: str = INTERACTIONS, **settings: str
) -> dict[tuple[str, str | None], dg.AssetCheckEvaluation]:
    """What a run says of files by check and partition; it succeeds whatever they are."""
    job = build_definitions(parse_settings(SETTINGS | settings), object_store=store).resolve_job_def(
        CURATE_INTERACTIONS
    )
    ended = job.execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(["acme", f"curated_{table}"])],
        partition_key=str(LANDED) if table == INTERACTIONS else None,
    )
    assert ended.success
    observed = [event.asset_observation_data.asset_observation for event in ended.get_asset_observation_events()]
    assert [one.asset_key.path for one in observed] == [["acme", f"raw_{table}"]]
    found = {(one.check_name, one.partition): one for one in ended.get_asset_check_evaluations()}
    return {key: one for key, one in found.items() if key[0] in (READ, FEW)}


def is_green(
    found: dict[tuple[str, str | None], dg.AssetCheckEvaluation], name: str, day: date | None = LANDED
) -> bool:
    return found[name, str(day) if day else None].passed


def test_a_share_of_rejected_rows_up_to_the_setting_is_green_and_a_greater_one_is_not(
    store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    put(store, f"{LANDED}/a.csv", rows(8, 2))
    found = evaluate(store, instance)
    check = found[FEW, str(LANDED)]
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert "at most 0.1 of each file's rows are rejected: 1 of 1 files" in str(check.description)
    assert "at most 0.1 of all rows are rejected: 2 of 10 rows. `gata quarantine` shows" in str(check.description)
    assert is_green(evaluate(store, instance, MAX_REJECTED_SHARE="0.2"), FEW)
    assert not is_green(evaluate(store, instance, MAX_REJECTED_SHARE="0.19"), FEW)
    assert is_green(found, READ)


def test_one_file_of_rejected_rows_is_seen_among_many_valid_ones(
    store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    put(store, f"{LANDED}/a.csv", rows(200, 0))
    put(store, f"{LANDED}/b.csv", rows(0, 1))
    check = evaluate(store, instance)[FEW, str(LANDED)]
    assert "1 of 2 files" in str(check.description)
    assert "of all rows" not in str(check.description)


def test_a_file_without_rows_or_with_few_rejected_ones_is_green(
    store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    put(store, f"{LANDED}/empty.csv", rows(1, 0)[: rows(1, 0).index(b"\n") + 1])
    put(store, f"{LANDED}/a.csv", rows(9, 1))
    assert is_green(evaluate(store, instance), FEW)
    assert not is_green(evaluate(store, instance, MAX_REJECTED_SHARE="0"), FEW)


def test_a_file_that_the_command_validated_is_red_until_another_took_its_place(
    store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    curator = curator_of(store)
    old = curator.validate(put(store, f"{LANDED}/a.csv", rows(0, 5)))
    assert not is_green(evaluate(store, instance), FEW)
    put(store, f"{LANDED}/b.csv", rows(5, 0))
    curator.validate(f"acme/raw/interactions/{LANDED}/b.csv", replaces=[old.file_id])
    assert is_green(evaluate(store, instance), FEW)


def test_the_files_of_a_table_without_days_are_checked_together(
    store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    put(store, "a.csv", encode([item(), item(item_id="i2", price="x")], "csv"), ITEMS)
    os.mkfifo(Path(store.directory, "acme/raw/items/fifo.csv"))
    found = evaluate(store, instance, ITEMS)
    assert (is_green(found, FEW, None), is_green(found, READ, None)) == (False, False)


@pytest.mark.parametrize(
    ("folder", "day"),
    [
        (f"{LANDED}/", LANDED),
        ("", None),
        ("9999-12-31/", None),
        ("0000-01-01/", None),
        ("0001-01-01/", date(2026, 1, 1)),
        ("2025-12-24/", date(2026, 1, 1)),
    ],
)
def test_a_refused_file_is_red_on_a_day_that_exists(
    folder: str, day: date | None, store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    put(store, f"{folder}bad.csv", INVALID)
    put(store, f"{LANDED}/valid.csv", rows(1, 0))
    for _ in range(2):
        assert not is_green(evaluate(store, instance), READ, day or datetime.now(UTC).date())


def test_refused_odd_files_are_red_and_the_others_are_curated(
    store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    put(store, f"{LANDED}/valid.csv", rows(3, 0))
    folder = Path(store.directory, f"acme/raw/interactions/{LANDED}")
    os.mkfifo(folder / "fifo.csv")
    (folder / "link.csv").symlink_to("nowhere.csv")
    found = evaluate(store, instance)
    assert "no file was refused: 2 of 3 files" in str(found[READ, str(LANDED)].description)
    assert evaluate(store, instance)[READ, str(LANDED)].passed is False
    curator = curator_of(store)
    assert curator.stale(INTERACTIONS) == []
    assert [report.valid for report in curator.reports(INTERACTIONS) if not report.refused] == [3]


def test_the_landing_day_of_each_new_file_is_checked(store: LocalStoreResource, instance: dg.DagsterInstance) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    put(store, f"{LANDED}/valid.csv", rows(1, 0))
    put(store, f"{yesterday}/a.csv", rows(0, 1))
    found = evaluate(store, instance)
    assert (is_green(found, FEW, yesterday), is_green(found, FEW)) == (False, True)


def test_the_node_of_raw_files_counts_those_that_count_and_why_rows_are_in_quarantine(
    store: LocalStoreResource, instance: dg.DagsterInstance
) -> None:
    curator = curator_of(store)
    old = curator.validate(put(store, f"{LANDED}/a.csv", rows(0, 5)))
    curator.validate(put(store, f"{LANDED}/b.csv", rows(6, 2)), replaces=[old.file_id])
    put(store, f"{LANDED}/c.csv", INVALID)
    evaluate(store, instance)
    [latest] = instance.fetch_observations(raw_files_key("acme", INTERACTIONS), limit=1).records
    assert latest.asset_observation is not None
    shown = {name: value.value for name, value in latest.asset_observation.metadata.items()}
    assert "rating" in str(shown.pop("quarantined_rows_by_rule"))
    assert shown == {
        "quarantined_rows": 2,
        "quarantined_share": 0.25,
        "valid_rows": 6,
        "files": 2,
        "refused_files": 1,
        "superseded_files": 1,
    }


def test_the_raw_files_are_upstream_of_their_table_and_no_run_builds_them(store: LocalStoreResource) -> None:
    definitions = build_definitions(parse_settings(SETTINGS), object_store=store)
    graph = definitions.resolve_asset_graph()
    for table in (INTERACTIONS, ITEMS):
        raw = raw_files_key("acme", table)
        assert raw in graph.get(dg.AssetKey(["acme", f"curated_{table}"])).parent_keys
        assert not graph.get(raw).is_executable
    selected = definitions.resolve_job_def(CURATE_INTERACTIONS).asset_layer.selected_asset_keys
    assert selected == {dg.AssetKey(["acme", "curated_interactions"]), dg.AssetKey(["acme", "curated_items"])}
