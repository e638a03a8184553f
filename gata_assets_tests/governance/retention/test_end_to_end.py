"""Batches that were prepared by commands, aged, and cleaned up: what is kept can be read, listed and built again.

Real: the commands, SQLite, a directory, S3 over HTTP (moto). The clock of the deletion is set by hand.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gata_assets.curation.layout import TenantLayout
from gata_assets.definitions.retention import find_scopes
from gata_assets.definitions.stores import build_store
from gata_assets.governance.retention.applying import Retention
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.settings.model import Settings, parse_settings
from gata_assets.storage.datasets import read_manifest
from gata_assets.tickets.training_files import dataset_folder
from gata_assets_tests.interactions.assets.test_batch_run import catalogue, interactions
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.stored_datasets import is_readable

NOW = datetime(2026, 2, 1, tzinfo=UTC)
# 144, 97 and 1 days old: of the second, days are older than raw files are kept without a batch.
OLD, KEPT, NEWEST = "2025091003", "2025102703", "2026013103"
SETTINGS = {
    "TENANTS": "acme",
    "INTERACTION_PERIOD": "5",
    "MIN_INTERACTIONS_PER_USER": "1",
    "MIN_INTERACTIONS_PER_ITEM": "1",
    "RETENTION": "on",
    "RETENTION_RAW": "7/30/60/90",
    "RETENTION_TRAINING": "7/30/60/100",
}
# The days of rows by the folder in which their file landed.
FILES = {
    "2025-09-09": ["2025-09-05", "2025-09-06", "2025-09-08", "2025-09-09"],
    "2025-09-21": ["2025-09-20", "2025-09-21"],
    "2025-10-26": ["2025-10-18", "2025-10-22", "2025-10-24", "2025-10-26"],
    "2026-01-31": ["2026-01-28", "2026-01-30"],
}
PLACES = TenantLayout("acme")
FOLDERS = {
    batch_id: [
        PLACES.features(batch_id),
        PLACES.training_data(batch_id),
        *(dataset_folder(name, batch_id) for name in ("gata-general", "gata-low-vol")),
    ]
    for batch_id in (OLD, KEPT, NEWEST)
}


@pytest.fixture(params=["local", pytest.param("s3", marks=[pytest.mark.server, pytest.mark.soak])])
def given(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings, of a directory and of a bucket."""
    if request.param == "local":
        return SETTINGS
    return {**SETTINGS, "TARGET_BUCKET": request.getfixturevalue("bucket")}


def ran(directory: Path, *words: str, code: int = 0, **given: str) -> Ran:
    found = gata(directory, *words, **given)
    assert found.returncode == code, found.stderr[-2_000:]
    return found


def fill(directory: Path, settings: Settings, given: dict[str, str]) -> None:
    """Tickets, raw files by the days on which they landed, and three batches."""
    sample = ("--since", "2025-08-25", "--until", "2026-02-01", "--tickets-per-day", "8", "--shop-orders", "0")
    ran(directory, "sample-data", *sample, "--interactions", "0", "--lake-tickets", "0", **given)
    store = build_store(settings)
    for folder, days in FILES.items():
        store.write(f"{PLACES.raw(INTERACTIONS)}{folder}/a.csv", interactions(days))
    store.write(f"{PLACES.raw('items')}2025-09-01/items.csv", catalogue())
    for batch_id in (OLD, KEPT, NEWEST):
        ran(directory, "prepare", batch_id, **given)


def digests(settings: Settings, batch_id: str) -> list[str]:
    store = build_store(settings)
    found = [read_manifest(store, folder).manifest for folder in FOLDERS[batch_id]]
    return [manifest.digest for manifest in found if manifest]


def test_what_is_kept_can_be_read_and_built_again_and_what_went_does_not_come_back(
    tmp_path: Path, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = parse_settings(given)
    fill(tmp_path, settings, given)
    store = build_store(settings)
    before = digests(settings, KEPT)
    retention = Retention(store, settings.retention.rules, NOW)
    for scope in find_scopes(settings, store):
        plan = retention.plan(scope)
        assert [one.error for one in retention.apply(scope, plan) if one.error] == []
        assert retention.plan(scope).going == []

    left = sorted(key.split("/")[3] for key in store.list_keys(PLACES.raw(INTERACTIONS)))
    assert left == ["2025-10-26", "2026-01-31"], "a batch that is kept was built from the older one"
    days = sorted({key.split("/")[3] for key in store.list_keys(PLACES.curated(INTERACTIONS))})
    # The window of the batch that is kept begins on the 22nd.
    assert (days[0], "2026-01-30" in days) == ("2025-10-22", True)
    assert [key for folder in FOLDERS[OLD] for key in store.list_keys(folder)] == []
    assert [key for key in store.list_keys("intermediate/") if OLD in key] == []

    for batch_id in (KEPT, NEWEST):
        assert [folder for folder in FOLDERS[batch_id] if not is_readable(store, folder)] == []
    listed = [json.loads(line) for line in ran(tmp_path, "batches", "list", "--json", **given).stdout.splitlines()]
    states = {(one["batch_id"], one["state"]) for one in listed if one["event"] == "BATCH"}
    assert states == {(KEPT, "complete"), (NEWEST, "complete")}
    ran(tmp_path, "doctor", **given)
    plan = json.loads(
        ran(tmp_path, "backfill", KEPT, KEPT, "--plan", "--json", "--only", "interactions", **given).stdout
    )
    assert plan["due"] == 0

    # Nobody builds by himself what went.
    curator = Curator(store, "acme", settings.interactions.curation_rules, NOW)
    assert (curator.unvalidated(), curator.stale(INTERACTIONS)) == ([], [])
    failed = ran(tmp_path, "prepare", OLD, "--only", "interactions", code=1, **given)
    assert "retention has deleted the days before 2025-10-22" in failed.stdout + failed.stderr
    assert list(store.list_keys(PLACES.features(OLD))) == []

    # Of what is kept, a batch is built again as it was; and its days too.
    ran(tmp_path, "batches", "remove", KEPT, "--yes", **given)
    for key in list(store.list_keys(PLACES.curated(INTERACTIONS))):
        store.delete(key)
    ran(tmp_path, "prepare", KEPT, **given)
    assert digests(settings, KEPT) == before
