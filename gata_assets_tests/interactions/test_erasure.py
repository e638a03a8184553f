"""People erased from features and training rows: other rows stay in their order, and no batch becomes stale.

Real: Parquet files and manifests in a store in memory.
"""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from typing import Any

import polars as pl
import pytest

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import StoreError
from gata_assets.governance.privacy.locators import Erasure
from gata_assets.governance.privacy.scanning import TargetObjects, scan
from gata_assets.interactions.datasets import DatasetKind, read_stored
from gata_assets.interactions.erasure import BatchLocator
from gata_assets.interactions.staleness import Present, batch_status
from gata_assets.orchestration.batch_status import Status
from gata_assets.storage.datasets import DatasetWrite, read_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import Manifest
from gata_assets.tables.people.erased_people import ErasedPeople, digest_people
from gata_assets.tables.people.privacy_keys import PrivacyKeys, Tombstones
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore

KEYS = PrivacyKeys({1: b"k" * 32})
PERSON, NAMESAKE = "user-77", "user-777"
PLACES = TenantLayout("acme")
BEFORE, AFTER = "2026010203", "2026020203"
AT = datetime(2026, 1, 15, tzinfo=UTC)
ROWS = {
    DatasetKind.FEATURES: {
        "user_features": {"user_id": ["a", PERSON, NAMESAKE], "recent_items": [["i1"], ["i2"], []]},
        "item_features": {"item_id": ["i1", "i2"], "interactions": [3, 1]},
        "recent_interactions": {"user_id": ["a", PERSON, PERSON, NAMESAKE], "item_id": ["i1", "i2", "i3", "i1"]},
    },
    DatasetKind.TRAINING_DATA: {
        "negative_samples": {"user_id": [PERSON] * 3 + ["a"] * 3, "label": [1, 0, 0] * 2},
        "with_features": {"user_id": [PERSON] * 3 + ["a"] * 3, "label": [1, 0, 0] * 2, "x": [0.5] * 6},
    },
}
SETTINGS = {"INTERACTION_PERIOD": 90}
PRESENT = Present.of({"days": 1, "sha256": "d"}, {"days": 1, "sha256": "d"}, "c", SETTINGS)


def erasure() -> Erasure:
    stones = Tombstones(1, AT, tuple(digest_people(KEYS, "acme", 1, pl.Series([PERSON]))))
    return Erasure("acme", (PERSON,), "request-1", ErasedPeople("acme", KEYS, [stones]))


def write_batch(store: ObjectStore, batch_id: str, person: str = PERSON) -> None:
    """Both datasets of a batch; training data name the features."""
    features: str | None = None
    for kind, tables in ROWS.items():
        with DatasetWrite(store, kind.prefix(PLACES, batch_id)) as write:
            files = {}
            for name, columns in tables.items():
                content = BytesIO()
                frame = pl.DataFrame(columns)
                if "user_id" in frame.columns:
                    frame = frame.with_columns(pl.col("user_id").replace(PERSON, person))
                frame.write_parquet(content)
                own, entry = write.write(
                    f"{name}/part-00000.parquet", content.getvalue(), len(next(iter(columns.values())))
                )
                files[own] = entry
            made_from: dict[str, Any] = dict(PRESENT.made_from[kind])
            details = {"is_made": True, "reason": "", "numbers": {"user_features": {"row_count": 3}}}
            made_from |= {"features": features} if features else {}
            manifest = Manifest(kind.value, files, settings=SETTINGS, made_from=made_from, details=details)
            write.publish(manifest)
            features = manifest.digest


def rows_of(store: ObjectStore, batch_id: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of all parts that manifests name, each file verified."""
    found = {}
    for kind in DatasetKind:
        folder = kind.prefix(PLACES, batch_id)
        manifest = read_manifest(store, folder).manifest
        assert manifest
        assert {folder + name for name in manifest.files} | {folder + "manifest.json"} == set(store.list_keys(folder))
        for name, entry in manifest.files.items():
            content = store.read(folder + name)
            assert entry.matches(content)
            frame = pl.read_parquet(BytesIO(content))
            assert len(frame) == entry.rows
            found[name.partition("/")[0]] = frame.to_dicts()
    return found


def expected() -> dict[str, list[dict[str, Any]]]:
    """The rows without the person: the oracle."""
    tables = {name: pl.DataFrame(columns).to_dicts() for tables in ROWS.values() for name, columns in tables.items()}
    return {name: [row for row in rows if row.get("user_id") != PERSON] for name, rows in tables.items()}


def status(store: ObjectStore, batch_id: str) -> bool:
    stored = [read_stored(store.read(kind.manifest_key(PLACES, batch_id))) for kind in DatasetKind]
    return batch_status(stored[0], stored[1], PRESENT).status is Status.COMPLETE


def test_rows_of_theirs_go_and_the_batch_stays_complete() -> None:
    store = MemoryStore()
    write_batch(store, BEFORE)
    assert status(store, BEFORE)
    removed = {
        cleared.place: (cleared.objects, dict(cleared.removed)) for cleared in BatchLocator(store).erase(erasure())
    }
    assert removed == {
        "interactions: features of batches": (1, {"rows": 3}),
        "interactions: training_data of batches": (1, {"rows": 6}),
    }
    assert rows_of(store, BEFORE) == expected()
    assert status(store, BEFORE)
    for kind in DatasetKind:
        manifest = read_manifest(store, kind.prefix(PLACES, BEFORE)).manifest
        assert manifest
        assert manifest.details["erased_by"] == ["request-1"]
        # Aggregates count the person still.
        assert manifest.details["numbers"] == {"user_features": {"row_count": 3}}


def test_what_nothing_names_and_nobody_can_read_goes() -> None:
    store = MemoryStore()
    write_batch(store, BEFORE)
    key = f"{PLACES.features(BEFORE)}user_features/part-00000-0123456789abcdef.parquet"
    store.write(key, b"PAR1 cut off")
    list(BatchLocator(store).erase(erasure()))
    assert not store.exists(key)
    assert rows_of(store, BEFORE) == expected()


def test_a_batch_after_the_erasure_was_built_of_what_came_since() -> None:
    store = MemoryStore()
    write_batch(store, AFTER)
    before = {key: store.read(key) for key in store.list_keys("")}
    assert [cleared.removed["rows"] for cleared in BatchLocator(store).erase(erasure())] == [0, 0]
    assert {key: store.read(key) for key in store.list_keys("")} == before


@pytest.mark.parametrize("is_carried_out", [False, True])
def test_whoever_is_killed_is_completed_by_the_next(is_carried_out: bool) -> None:
    for number in count(1):
        store = MemoryStore()
        write_batch(store, BEFORE)
        try:
            list(BatchLocator(FailingStore(store, number, is_carried_out=is_carried_out)).erase(erasure()))
        except StoreError:
            list(BatchLocator(store).erase(erasure()))
            assert rows_of_named(store) == expected()
            assert not scan([TargetObjects(store)], erasure()).findings
            assert status(store, BEFORE)
        else:
            break
    assert number > 3


def rows_of_named(store: ObjectStore) -> dict[str, list[dict[str, Any]]]:
    """As `rows_of`, whatever else a killed writer has left."""
    found = {}
    for kind in DatasetKind:
        folder = kind.prefix(PLACES, BEFORE)
        manifest = read_manifest(store, folder).manifest
        assert manifest
        for name in manifest.files:
            found[name.partition("/")[0]] = pl.read_parquet(BytesIO(store.read(folder + name))).to_dicts()
    return found
