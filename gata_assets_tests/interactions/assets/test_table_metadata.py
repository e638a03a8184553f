"""The page of a batch's table: as many of its rows as are allowed, and a batch that is written is recorded in any case.

Real: definitions, runs, the Polars engine, a directory. Stood in for: a store that cannot read training data.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.errors import StoreError
from gata_assets.interactions.assets.jobs import PREPARE_INTERACTIONS
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.interactions.assets.test_batch_run import BATCH, curate, fill, run

REASON = "the target does not answer"


class UnreadableTrainingData(LocalStoreResource):
    """A directory whose training data cannot be read."""

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        if "/training_data/" in key:
            raise StoreError(REASON)
        return super().local_copy(key)


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("store_of", [LocalStoreResource, UnreadableTrainingData])
def test_a_page_has_as_many_rows_as_are_allowed_or_why_they_cannot_be_read(
    store_of: type[LocalStoreResource], rows: int, tmp_path: Path
) -> None:
    store = store_of(directory=str(tmp_path / "target"))
    fill(store, "acme")
    curate(store, TENANTS="acme")
    with dg.DagsterInstance.ephemeral() as instance:
        ended = run(instance, store, PREPARE_INTERACTIONS, BATCH, TENANTS="acme", PREVIEW_ROWS=str(rows))
    assert ended.success
    found = {
        event.asset_key.path[-1]: event.step_materialization_data.materialization.metadata.get("preview")
        for event in ended.get_asset_materialization_events()
        if event.asset_key
    }
    assert len(found) == 5
    previews = {table: str(preview.value).splitlines() for table, preview in found.items() if preview is not None}
    assert set(previews) == (set(found) if rows else set())
    for table, lines in previews.items():
        is_unread = store_of is UnreadableTrainingData and table in ("negative_samples", "with_features")
        assert lines == [REASON] if is_unread else len(lines) == 2 + rows
