"""A batch's set of tables in the store: whichever write breaks, a manifest describes the files that are there.

Real: runs, the engine of one machine, files. Stood in for: a store that may not delete or that breaks, by `fakes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.interactions.assets.jobs import PREPARE_INTERACTIONS
from gata_assets.interactions.datasets import BatchDataset, DatasetKind, digest_days, read_stored, withdrawn_manifest
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.interactions.assets.test_batch_run import (
    BATCH,
    curate,
    deliver,
    failures,
    fill,
    interactions,
    is_whole,
    manifest,
    run,
)
from gata_assets_tests.support.fakes import StoreThatBreaks, StoreWithoutDelete


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
    assert curate(instance, store).success
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH).success
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, INTERACTION_PERIOD="1").success
    assert not manifest(store, "acme", "features")["is_made"]
    assert list(store.list_keys(f"acme/features/{BATCH}/")) == [f"acme/features/{BATCH}/manifest.json"]


@pytest.mark.slow
def test_where_the_role_may_not_delete_what_is_left_of_an_earlier_run_is_said(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    store = StoreWithoutDelete(directory=str(tmp_path / "target"))
    fill(store, "acme")
    assert curate(instance, store).success
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH).success
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH).success, "the same files are only written over"
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, INTERACTION_PERIOD="1")
    assert [failure.asset for failure in failures(result)] == ["acme/features"]
    assert "3 files of an earlier run" in failures(result)[0].reason
    assert manifest(store, "acme", "features")["reason"].startswith("withdrawn")


@pytest.mark.parametrize("every", [2, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.slow
def test_whichever_change_breaks_a_manifest_never_describes_other_files(
    every: int, instance: dg.DagsterInstance, store: LocalStoreResource
) -> None:
    fill(store, "acme")
    assert curate(instance, store, TENANTS="acme").success
    assert run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme").success
    deliver(store, "acme", "interactions", interactions(["2025-12-15"], users=8), name="late.csv")
    assert curate(instance, store, TENANTS="acme").success
    outcomes = []
    for breaks_at in range(1, 20, every):
        Path(f"{store.directory}.changes").unlink(missing_ok=True)
        breaking = StoreThatBreaks(directory=store.directory, breaks_at=breaks_at)
        outcomes.append(run(instance, breaking, PREPARE_INTERACTIONS, BATCH, TENANTS="acme").success)
        for kind in ("features", "training_data"):
            if store.exists(f"acme/{kind}/{BATCH}/manifest.json"):
                assert is_whole(store, manifest(store, "acme", kind))
        if outcomes[-1]:
            break
    assert outcomes[-1], "in the end nothing breaks any more"
    assert outcomes.count(False) * every >= 4
    assert manifest(store, "acme", "features")["numbers"]["user_features"]["row_count"] == 8


def test_a_manifest_says_what_it_was_made_with_and_a_withdrawn_one_nothing() -> None:
    tables = BatchDataset(
        name=DatasetKind.FEATURES,
        tenant="acme",
        batch_id=BATCH,
        is_made=True,
        reason="",
        windows={},
        numbers={},
        settings={"INTERACTION_PERIOD": 90, "NEGATIVE_SAMPLING_SEED": 42},
        made_from={"curated_interactions": digest_days(["a", "b"])},
        code_version="1",
    )
    stored = read_stored(tables.encode())
    assert stored is not None
    assert stored.is_made
    assert stored.made_from == {"curated_interactions": digest_days(["a", "b"])}
    other_seed = {"INTERACTION_PERIOD": 90, "NEGATIVE_SAMPLING_SEED": 7}
    assert stored.is_made_with(other_seed, DatasetKind.FEATURES)
    assert not stored.is_made_with(other_seed, DatasetKind.TRAINING_DATA)
    assert not stored.is_made_with({"INTERACTION_PERIOD": 60}, DatasetKind.FEATURES)
    assert digest_days(["a", "b"]) != digest_days(["b", "a"])
    for content in (withdrawn_manifest(DatasetKind.FEATURES, "acme", BATCH), b"", b"{}", b"[]"):
        assert read_stored(content) is None
