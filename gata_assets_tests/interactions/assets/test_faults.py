"""What must not pass for a success: lost rows, files nobody sorted, a catalogue that is out of date, mixed days.

Real: definitions, runs, events and checks, a local store, the curator, the engine of one machine. Stood in for: an
engine with an unexpected fault.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from gata_assets.curation.curated.retired_days import retire_days
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.layout import TenantLayout
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, PREPARE_INTERACTIONS
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.engines.base import BuiltTables, CuratedWindow, InteractionEngine
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.settings.model import parse_settings
from gata_assets.storage.resource import LocalStoreResource, ObjectStoreResource
from gata_assets_tests.interactions.assets.test_batch_run import (
    BATCH,
    SETTINGS,
    catalogue,
    curate,
    deliver,
    failures,
    fill,
    instance,
    interactions,
    made,
    run,
    store,
)
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.stored_datasets import stored_key

__all__ = ["instance", "store"]
ONE = {"TENANTS": "acme"}


def ingest(store: LocalStoreResource, directory: Path, data: str, content: bytes, name: str) -> None:
    """Land and sort a file as `gata ingest` does, and curate nothing."""
    path = directory / name
    path.write_bytes(content)
    curator = Curator(store, "acme", parse_settings(SETTINGS).interactions.curation_rules, datetime.now(UTC))
    Landing(curator).land(data, name, path, parse_format(name))


def test_rows_lost_from_quarantine_are_reported_of_files_that_were_validated_before(
    instance: dg.DagsterInstance, store: LocalStoreResource, tmp_path: Path
) -> None:
    rows = interactions(["2025-12-01"]) + b"u1,,click,2025-12-01T00:00:00Z\n"
    ingest(store, tmp_path, INTERACTIONS, rows, "clicks.csv")
    ingest(store, tmp_path, INTERACTIONS, interactions(["2025-12-02"]), "others.csv")
    [quarantine] = store.list_keys("acme/quarantine/interactions/")
    store.delete(quarantine)
    result = run(instance, store, CURATE_INTERACTIONS, "2025-12-01", "2025-12-02", **ONE)
    [failure] = failures(result)
    assert (failure.batch_id, failure.checks) == ("2025-12-01", ("no_row_is_lost",))
    assert ("acme/curated_interactions", "2025-12-02") in made(result)
    assert ("acme/curated_interactions", "2025-12-01") not in made(result)


def test_a_window_of_which_only_unsorted_files_may_know_something_is_no_empty_one(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, **ONE).success, "nothing came, so it is empty"
    deliver(store, "acme", "interactions", interactions(["2025-12-01"]))
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, **ONE)
    assert not result.success
    assert "1 raw files wait to be validated" in failures(result)[0].reason


def test_a_batch_refuses_a_catalog_that_is_older_than_the_item_files(
    instance: dg.DagsterInstance, store: LocalStoreResource, tmp_path: Path
) -> None:
    fill(store, "acme")
    curate(store, **ONE)
    ingest(store, tmp_path, ITEMS, catalogue(50), "more.csv")
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, **ONE)
    assert "acme/curated_items is older than the item files that came" in failures(result)[0].reason


def test_a_day_whose_rows_are_not_those_of_its_manifest_is_refused(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme")
    curate(store, **ONE)
    key = stored_key(store, "acme/curated/interactions/2025-12-02/", "interactions.parquet")
    path = Path(store.directory, key)
    pq.write_table(pq.read_table(path).slice(0, 5), path)
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, **ONE)
    assert "materialize `curated_interactions` again" in failures(result)[0].reason


def test_a_run_says_how_many_files_count_by_rules_that_were_changed_since(
    instance: dg.DagsterInstance, store: LocalStoreResource, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        ingest(store, tmp_path, INTERACTIONS, interactions(["2025-12-01"]) + name.encode(), f"{name}.csv")
    for settings, told in ((ONE, 0), (ONE | {"MAX_HOURS_AHEAD": "48"}, 1)):
        result = run(instance, store, CURATE_INTERACTIONS, "2025-12-01", **settings)
        assert result.success
        said = [record.user_message for record in instance.all_logs(result.run_id)]
        assert sum("2 files of acme count by other rules than those of now" in one for one in said) == told


def test_a_run_says_how_many_rows_of_new_files_are_of_days_that_were_deleted(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    deliver(store, "acme", INTERACTIONS, interactions(["2025-12-01", "2025-12-02"]))
    retire_days(store, TenantLayout("acme"), INTERACTIONS, date(2025, 12, 2))
    for told in (1, 0):
        result = run(instance, store, CURATE_INTERACTIONS, "2025-12-02", **ONE)
        assert result.success
        said = [record.user_message for record in instance.all_logs(result.run_id)]
        assert sum("18 rows of new files of acme are of days before 2025-12-02, which" in one for one in said) == told
    assert not store.exists("acme/curated/interactions/2025-12-01/manifest.json")


class EngineWithAFault(InteractionEngine):
    """Raises an unexpected error, with a value in its message."""

    said: str

    def make_features(self, curated: CuratedWindow, store: ObjectStoreResource) -> BuiltTables:
        raise ValueError(self.said)

    def make_training_data(self, *_: object, **__: object) -> BuiltTables:
        raise ValueError(self.said)


def test_the_words_of_an_unforeseen_error_reach_neither_events_nor_log_lines(
    instance: dg.DagsterInstance, store: LocalStoreResource, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(store, "acme")
    curate(store, **ONE)
    result = run(
        instance, store, PREPARE_INTERACTIONS, BATCH, engine=EngineWithAFault(said=f"user {canary('a user')}"), **ONE
    )
    assert not result.success
    assert "unexpected ValueError" in failures(result)[0].reason
    kept: list[Mapping[str, object]] = [
        json.loads(json.dumps({"event": str(record.dagster_event), "said": record.user_message}))
        for record in instance.all_logs(result.run_id)
    ]
    assert kept
    assert canary("a user") not in json.dumps(kept)
    logged = capfd.readouterr()
    assert "ValueError" in logged.err
    assert canary("a user") not in logged.err + logged.out
