"""A batch's set of tables in the store: whichever write breaks, a manifest describes the files that are there.

Real: runs, the engine of one machine, files. Stood in for: a store that may not delete or that breaks, by `fakes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.interactions.assets.jobs import PREPARE_INTERACTIONS
from gata_assets.interactions.datasets import BatchDataset, DatasetKind, StoredTables, digest_days, read_stored
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.manifests import withdrawn
from gata_assets_tests.interactions.assets.test_batch_run import (
    BATCH,
    curate,
    deliver,
    fill,
    interactions,
    manifest,
    run,
)
from gata_assets_tests.support.fakes import StoreThatBreaks, StoreWithoutDelete
from gata_assets_tests.support.stored_datasets import is_complete, is_readable


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path) -> LocalStoreResource:
    """An empty local store."""
    return LocalStoreResource(directory=str(tmp_path / "target"))


@pytest.mark.slow
def test_files_of_an_earlier_run_go_when_a_batch_has_no_interactions_any_more(
    instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme")
    curate(store)
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH).success
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, INTERACTION_PERIOD="1").success
    assert not manifest(store, "acme", "features")["is_made"]
    assert list(store.list_keys(f"acme/features/{BATCH}/")) == [f"acme/features/{BATCH}/manifest.json"]


@pytest.mark.slow
def test_where_the_role_may_not_delete_files_that_are_left_are_counted_and_not_listed(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    store = StoreWithoutDelete(directory=str(tmp_path / "target"))
    fill(store, "acme")
    curate(store, TENANTS="acme")
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme").success
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme", INTERACTION_PERIOD="1")
    assert result.success
    assert manifest(store, "acme", "features")["files"] == {}
    assert len(list(store.list_keys(f"acme/features/{BATCH}/"))) == 1 + 3
    recorded = [event.materialization.metadata for event in result.get_asset_materialization_events()]
    assert [one["files_left"].value for one in recorded] == [3, 3, 3, 2, 2]


@pytest.mark.parametrize("every", [2, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.slow
def test_whichever_change_breaks_a_manifest_never_describes_other_files(
    every: int, instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme")
    curate(store, TENANTS="acme")
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme").success
    deliver(store, "acme", "interactions", interactions(["2025-12-15"], users=8), name="late.csv")
    curate(store, TENANTS="acme")
    outcomes = []
    # Three files and their manifest, three deletions, two files and their manifest, two deletions.
    for breaks_at in range(1, 14, every):
        Path(f"{store.directory}.changes").unlink(missing_ok=True)
        breaking = StoreThatBreaks(directory=store.directory, breaks_at=breaks_at)
        outcomes.append(run(instance, breaking, PREPARE_INTERACTIONS, BATCH, TENANTS="acme").success)
        for kind in ("features", "training_data"):
            assert is_readable(store, f"acme/{kind}/{BATCH}/")
    assert outcomes.count(False) * every >= 6
    assert outcomes.count(True) * every >= 5, "a file that could not be deleted is left, and listed by no manifest"
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme").success
    for kind in ("features", "training_data"):
        assert is_complete(store, f"acme/{kind}/{BATCH}/"), "and goes with the next write"
    assert manifest(store, "acme", "features")["numbers"]["user_features"]["row_count"] == 8


def test_a_manifest_says_what_it_was_made_with_and_a_withdrawn_one_nothing() -> None:
    tables = BatchDataset(
        name=DatasetKind.FEATURES,
        tenant="acme",
        batch_id=BATCH,
        has_rows=True,
        reason="",
        windows={},
        numbers={},
        settings={"INTERACTION_PERIOD": 90, "NEGATIVE_SAMPLING_SEED": 42},
        made_from={"curated_interactions": digest_days(["a", "b"])},
        code_version="1",
    )
    stored = StoredTables.of(tables.manifest({}, {}))
    assert stored == read_stored(tables.manifest({}, {}).encode(write="token"))
    assert stored.has_rows
    assert stored.made_from == {"curated_interactions": digest_days(["a", "b"])}
    other_seed = {"INTERACTION_PERIOD": 90, "NEGATIVE_SAMPLING_SEED": 7}
    assert stored.was_built_with(other_seed, DatasetKind.FEATURES)
    assert not stored.was_built_with(other_seed, DatasetKind.TRAINING_DATA)
    assert not stored.was_built_with({"INTERACTION_PERIOD": 60}, DatasetKind.FEATURES)
    assert digest_days(["a", "b"]) != digest_days(["b", "a"])
    for content in (withdrawn("features"), b"", b"{}", b"[]"):
        assert read_stored(content) is None
