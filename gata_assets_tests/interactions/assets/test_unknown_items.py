"""A catalog whose ids are written in another way than those of the interactions, through Dagster's assets.

Real: files, Dagster's runs and checks, the engine of one machine; Spark in one test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gata_assets.interactions.assets.jobs import PREPARE_INTERACTIONS
from gata_assets.interactions.check_names import ITEMS_ARE_IN_THE_CATALOGUE
from gata_assets.interactions.engines.base import InteractionEngine
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.interactions.assets.test_batch_run import (
    BATCH,
    curate,
    deliver,
    failures,
    interactions,
    manifest,
    run,
)

DAYS = ["2025-12-01", "2025-12-02", "2025-12-31"]


def fill(store: LocalStoreResource, *, floats_every: int) -> int:
    """Interactions with items `1`, `2`, … of a catalog, every so many as `1.0`; returns how many are."""
    header, *lines = interactions(DAYS).decode().splitlines()
    rows = [line.split(",") for line in lines]
    for number, row in enumerate(rows):
        row[1] = row[1].removeprefix("i") + (".0" if floats_every and number % floats_every == 0 else "")
    deliver(store, "acme", "interactions", "\n".join([header, *map(",".join, rows)]).encode())
    deliver(store, "acme", "items", ("item_id,title\n" + "".join(f"{n},title\n" for n in range(40))).encode())
    return sum(row[1].endswith(".0") for row in rows)


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    [found] = [one for one in result.get_asset_check_evaluations() if one.check_name == ITEMS_ARE_IN_THE_CATALOGUE]
    return found


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    [found] = [
        event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["acme", "item_features"])
    ]
    return {name: entry.value for name, entry in found.items()}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> LocalStoreResource:
    return LocalStoreResource(directory=str(tmp_path / "target"))


def test_another_spelling_warns_with_counts_in_metadata_and_manifest(
    instance: dg.DagsterInstance, store: LocalStoreResource, interaction_engine: InteractionEngine
) -> None:
    unknown = fill(store, floats_every=1)
    curate(store, TENANTS="acme")
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, engine=interaction_engine, TENANTS="acme")
    assert result.success
    check = check_of(result)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["broken"].value == unknown
    assert "They look like `9.9`, the catalog's like `9`" in str(check.description)
    numbers = manifest(store, "acme", "features")["numbers"]["item_features"]
    assert numbers["unknown_item_interactions"] == numbers["interactions"] == unknown
    assert metadata_of(result)["unknown_items"] == numbers["unknown_items"] > 0


def test_with_fail_the_batch_is_not_written(instance: dg.DagsterInstance, store: LocalStoreResource) -> None:
    fill(store, floats_every=2)
    settings = {"TENANTS": "acme", "ON_UNKNOWN_ITEMS": "fail"}
    curate(store, **settings)
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, **settings)
    assert not result.success
    [failure] = failures(result)
    assert "acme/item_features breaks 1 rule, and nothing was written" in failure.reason
    assert "look like `9.9`, the catalog's like `9`" in failure.reason
    assert check_of(result).severity == dg.AssetCheckSeverity.ERROR
    assert list(store.list_keys("acme/features/")) == list(store.list_keys("acme/training_data/")) == []


@pytest.mark.parametrize(("floats_every", "share"), [(0, "0"), (20, "0.1"), (2, "0.5"), (1, "1")])
def test_up_to_the_share_the_check_passes_and_the_counts_are_there(
    instance: dg.DagsterInstance, store: LocalStoreResource, floats_every: int, share: str
) -> None:
    unknown = fill(store, floats_every=floats_every)
    settings = {"TENANTS": "acme", "ON_UNKNOWN_ITEMS": "fail", "MAX_UNKNOWN_ITEMS_SHARE": share}
    curate(store, **settings)
    result = run(instance, store, PREPARE_INTERACTIONS, BATCH, **settings)
    assert result.success
    assert check_of(result).passed
    assert metadata_of(result)["unknown_item_interactions"] == unknown
