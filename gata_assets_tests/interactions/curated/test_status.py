"""The curated layer as batches see it: what stands of a window's days, what is due, and when that changes a batch.

Real: files below a directory, curated days and their manifests. Nothing is faked.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gata_assets.errors import DataRuleError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.status import CuratedLayer
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets_tests.support.raw_worlds import curate_day, curator_of, interaction, item, send
from gata_assets_tests.support.stored_datasets import stored_key

CURATED, STAGED, QUIET = days = [date(2026, 1, number) for number in (2, 3, 4)]


@pytest.fixture
def curator(tmp_path: Path) -> Curator:
    """Of three days: one curated, one with rows in a staged file alone, one on which nothing happened."""
    curator = curator_of(tmp_path / "store")
    on = {user: f"2026-01-{day.day:02}T12:00:00Z" for user, day in zip("abc", (CURATED, CURATED, STAGED), strict=True)}
    send(curator, [interaction(user_id=user, timestamp=at) for user, at in on.items()], tmp_path / "in")
    curate_day(curator, CURATED)
    return curator


def test_days_are_reported_with_their_rows_and_those_that_are_due(curator: Curator) -> None:
    found = CuratedLayer(curator).look(days)
    assert found.days == tuple(days)
    assert [(one.rows, one.sha256 is None, one.is_due) for one in found.found] == [
        (2, False, False),
        (0, True, True),
        (0, True, True),
    ]
    with pytest.raises(DataRuleError, match=r"2 of 3 days of the window .* from 2026-01-03 to 2026-01-04"):
        found.require_up_to_date()
    found.part([CURATED]).require_up_to_date()


@pytest.mark.parametrize(
    ("some", "has_interactions", "is_to_have_other_rows"),
    [
        ([CURATED], True, False),
        ([STAGED], True, True),
        ([QUIET], False, False),
        ([CURATED, QUIET], True, False),
        ([STAGED, QUIET], True, True),
    ],
)
def test_a_day_counts_by_rows_that_it_has_or_will_have(
    some: list[date], has_interactions: bool, is_to_have_other_rows: bool, curator: Curator
) -> None:
    found = CuratedLayer(curator).look(days).part(some)
    assert (found.has_interactions, found.is_to_have_other_rows) == (has_interactions, is_to_have_other_rows)


def test_a_day_that_loses_its_rows_is_to_have_other_rows(curator: Curator, tmp_path: Path) -> None:
    [report] = curator.reports(INTERACTIONS)
    quiet = interaction(timestamp="2026-01-04T00:00:00Z")
    send(curator, [quiet], tmp_path / "in", name="mended.csv", replaces=[report.file_id])
    found = CuratedLayer(curator).look(days).part([CURATED])
    assert found.due == (CURATED,)
    assert found.has_interactions
    assert found.is_to_have_other_rows


def test_a_digest_is_of_the_rows_of_days_and_not_of_their_making(curator: Curator, tmp_path: Path) -> None:
    before = CuratedLayer(curator).look(days)
    curate_day(curator, QUIET)
    after = CuratedLayer(curator).look(days)
    assert after.due == (STAGED,)
    assert after.digest() == before.digest(), "a day without rows is one, curated or not"
    assert after.part([QUIET]).digest() != after.part([STAGED]).digest(), "nothing on one day is not that on another"
    send(curator, [interaction(user_id="d", timestamp="2026-01-02T09:00:00Z")], tmp_path / "in", name="late.csv")
    assert CuratedLayer(curator).look(days).digest() == before.digest(), "the rows are still to come"
    curate_day(curator, CURATED)
    assert CuratedLayer(curator).look(days).digest() != before.digest()


def test_a_day_and_a_catalog_that_are_withdrawn_are_due_though_they_were_looked_at(
    curator: Curator, tmp_path: Path
) -> None:
    send(curator, [item()], tmp_path / "in", data=ITEMS, name="items.csv")
    curator.refresh(ITEMS)
    layer = CuratedLayer(curator)
    assert not layer.is_catalog_stale
    assert layer.look([CURATED]).due == ()
    for folder in (curator.places.curated("items"), curator.places.curated("interactions", CURATED)):
        layer.withdraw(stored_key(curator.store, folder, "items.parquet"))
    assert layer.is_catalog_stale
    assert layer.catalog_digest() is None
    assert layer.look([CURATED]).due == (CURATED,)
    layer.withdraw(f"{curator.places.quarantine(ITEMS)}items.parquet")
    assert len(list(curator.store.list_keys(curator.places.curated("items")))) == 2
