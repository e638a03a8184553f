"""Which partitions of curated tables are due, as sensors, runs and commands ask.

Real: raw files, curation, a directory, a Dagster instance in memory. Nothing is faked.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.batches import Window
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.orchestration.curated_tables.due import asset_key, due_days, is_table_due, missing_days
from gata_assets.orchestration.instances import DATA_VERSION
from gata_assets.orchestration.jobs import day_partitions
from gata_assets_tests.support.raw_worlds import NOW, curate_day, curator_of, interaction, item, send
from gata_assets_tests.support.stored_datasets import stored_key

FIRST, SECOND = date(2026, 1, 2), date(2026, 1, 3)
DAYS = day_partitions(FIRST)


@pytest.fixture
def curator(tmp_path: Path) -> Curator:
    """A tenant with interactions on two days and on one before the first partition, and with items."""
    curator = curator_of(tmp_path / "target")
    times = ("2026-01-01T23:00:00Z", "2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z")
    send(curator, [interaction(timestamp=time) for time in times], tmp_path / "raw")
    send(curator, [item()], tmp_path / "raw", data=ITEMS)
    return curator


def test_days_are_due_until_they_are_curated_and_only_if_they_are_partitions(curator: Curator) -> None:
    assert due_days(curator, INTERACTIONS, DAYS) == [FIRST, SECOND]
    curate_day(curator, FIRST)
    assert due_days(curator, INTERACTIONS, DAYS) == [SECOND]


def test_in_a_range_missing_days_are_due_too(curator: Curator) -> None:
    third = SECOND + timedelta(days=1)
    assert due_days(curator, INTERACTIONS, DAYS, (SECOND, third)) == [SECOND, third]
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), NOW - timedelta(days=6))
    assert missing_days(curator.places, curator.store, INTERACTIONS, DAYS, window) == [FIRST, SECOND, third]
    curate_day(curator, FIRST)
    assert missing_days(curator.places, curator.store, INTERACTIONS, DAYS, window) == [SECOND, third]


def test_a_table_without_days_is_due_on_the_present_day(curator: Curator) -> None:
    assert due_days(curator, ITEMS, DAYS) == [NOW.date()]
    curator.refresh(ITEMS)
    assert due_days(curator, ITEMS, DAYS) == []


def test_a_table_is_due_while_it_is_stale_damaged_or_unrecorded(curator: Curator, tmp_path: Path) -> None:
    key = asset_key("acme", ITEMS)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert is_table_due(curator, ITEMS, instance)
        curator.refresh(ITEMS)
        assert is_table_due(curator, ITEMS, instance), "nothing is recorded"
        tags = {DATA_VERSION: str(curator.written_digest(ITEMS))}
        instance.report_runless_asset_event(dg.AssetMaterialization(key, tags=tags))
        assert not is_table_due(curator, ITEMS, instance)
        curator.store.write(stored_key(curator.store, "acme/curated/items/", "items.parquet"), b"other bytes")
        assert is_table_due(curator, ITEMS, instance)
