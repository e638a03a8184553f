"""What `gata ingest` did before a run: the run says it all the same, so that the UI shows it.

Real: definitions, runs, events and checks, a Dagster instance with its SQLite files, a local store, the curator.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import ITEMS
from gata_assets.orchestration.runs import Runs
from gata_assets.settings.model import Settings, parse_settings
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.support.dagster_private import NO_COMPUTE_LOGS
from gata_assets_tests.support.pipelines import run_pipelines

BATCH = "2026010203"
CSV = b"user_id,item_id,interaction_type,timestamp\nu1,i1,click,2026-01-01T00:00:00Z\n"
CATALOGUE, LANDED = "acme/curated_items", "2025-12-31"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """One tenant, a short window, and a target of its own."""
    return parse_settings(
        {
            "TICKETS_URL": "sqlite:///tickets.sqlite",
            "LOW_VOLUME_FALLBACK_LABEL": "9000",
            "TENANTS": "acme",
            "INTERACTION_PERIOD": "3",
            "TARGET_DIR": str(tmp_path / "target"),
        }
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that keeps what is recorded, and is gone afterwards."""
    with dg.instance_for_test(overrides=NO_COMPUTE_LOGS) as instance:
        yield instance


def sort(settings: Settings, kind: str, name: str, content: bytes, *, replaces: str | None = None) -> str:
    """What `gata ingest` does with a file; gives the file's ID."""
    store = LocalStoreResource(directory=str(settings.target.directory))
    curator = Curator(store, "acme", settings.interactions.curation_rules, datetime.now(UTC))
    key = f"acme/raw/{kind}/{LANDED}/{name}"
    store.write(key, content)
    report = curator.validate(key, replaces=[replaces] if replaces else [])
    curator.refresh(ITEMS)
    return report.file_id


def prepare(settings: Settings, instance: dg.DagsterInstance) -> Runs:
    """Make the batch."""
    return run_pipelines(settings, instance, [BATCH], only="interactions")


def written(runs: Runs) -> set[str]:
    """The assets that were written."""
    return {one.asset for one in runs.written}


def is_green(runs: Runs, instance: dg.DagsterInstance) -> bool:
    """What the check of raw files said of the day on which all of them landed."""
    of_type = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    records = [one for run_id in runs.run_ids for one in instance.get_records_for_run(run_id, of_type=of_type).records]
    events = [one.event_log_entry.dagster_event for one in records]
    said = [event.asset_check_evaluation_data for event in events if event]
    [of_day] = [one for one in said if (one.check_name, one.partition) == ("every_raw_file_was_read", LANDED)]
    return of_day.passed


@pytest.mark.slow
def test_a_catalog_that_the_command_made_is_recorded_once(settings: Settings, instance: dg.DagsterInstance) -> None:
    sort(settings, "items", "items.csv", b"item_id,title\ni1,one\ni2,two\n")
    sort(settings, "interactions", "a.csv", CSV)
    assert CATALOGUE in written(prepare(settings, instance))
    assert instance.get_latest_materialization_event(dg.AssetKey(CATALOGUE.split("/")))
    assert CATALOGUE not in written(prepare(settings, instance))
    sort(settings, "items", "more.csv", b"item_id,title\ni3,three\n")
    assert CATALOGUE in written(prepare(settings, instance))


@pytest.mark.slow
def test_days_that_lie_apart_are_made_by_one_run_and_each_once(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    sort(settings, "items", "items.csv", b"item_id,title\ni1,one\n")
    sort(settings, "interactions", "a.csv", CSV)
    store = LocalStoreResource(directory=str(settings.target.directory))
    prepare(settings, instance)
    apart = ["2025-12-30", "2026-01-01"]
    for day in apart:
        store.delete(f"acme/curated/interactions/{day}/manifest.json")
    again = prepare(settings, instance)
    assert [one.partition for one in again.written if one.asset == "acme/curated_interactions"] == apart
    assert len(again.run_ids) == 2, "the days, and the batch"


@pytest.mark.slow
def test_a_file_that_the_command_refused_is_red_until_another_took_its_place(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    sort(settings, "items", "items.csv", b"item_id,title\ni1,one\n")
    sort(settings, "interactions", "a.csv", CSV)
    assert is_green(prepare(settings, instance), instance)
    refused = sort(settings, "interactions", "bad.csv", b"who,what\n1,2\n")
    sort(settings, "interactions", "b.csv", CSV.replace(b"u1", b"u2"))
    assert not is_green(prepare(settings, instance), instance)
    sort(settings, "interactions", "mended.csv", CSV.replace(b"u1", b"u3"), replaces=refused)
    assert is_green(prepare(settings, instance), instance)


@pytest.mark.slow
def test_a_file_that_was_prepared_while_it_was_copied_is_prepared_again(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    store = LocalStoreResource(directory=str(settings.target.directory))
    store.write("acme/raw/items/items.csv", b"item_id,title\ni1,one\n")
    rows = [f"u{number},i1,click,2026-01-01T00:00:00Z\n".encode() for number in range(9)]
    for count in (4, 9, 9):
        header = CSV[: CSV.index(b"\n") + 1]
        store.write(f"acme/raw/interactions/{LANDED}/a.csv", header + b"".join(rows[:count]))
        runs = prepare(settings, instance)
        assert not runs.failures
        manifest = find_manifest(store, "acme/curated/interactions/2026-01-01/").manifest
        assert manifest
        assert [file.rows for name, file in manifest.files.items() if name.startswith("interactions")] == [count]
