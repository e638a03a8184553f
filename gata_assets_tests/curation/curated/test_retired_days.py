"""Days that retention has deleted: they count no more, and nothing builds them again.

Real: a directory, S3 over HTTP (moto), raw files of interactions that are validated and curated.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from gata_assets.curation.curated.retired_days import retire_days, retired_before
from gata_assets.errors import ConflictError, DamagedTableError, DataRuleError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.status import CuratedLayer
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.settings.model import parse_settings
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.interactions.assets.test_batch_run import interactions
from gata_assets_tests.support.memory_store import MemoryStore

NOW = datetime(2026, 1, 3, tzinfo=UTC)
FIRST, SECOND, THIRD = (date(2025, 12, day) for day in (1, 2, 31))


def curator_of(store: ObjectStore) -> Curator:
    return Curator(store, "acme", parse_settings({}).interactions.curation_rules, NOW)


@pytest.fixture
def curator(any_store: ObjectStore) -> Curator:
    """A tenant with a file of three days, validated and curated."""
    any_store.write("acme/raw/interactions/2026-01-01/a.csv", interactions([str(FIRST), str(SECOND), str(THIRD)]))
    curator = curator_of(any_store)
    for key in curator.unvalidated():
        curator.validate(key)
    assert [day.day for day in curator.curate(INTERACTIONS, curator.stale(INTERACTIONS))] == [FIRST, SECOND, THIRD]
    return curator_of(any_store)


def test_days_before_that_one_are_neither_stale_nor_counted_whatever_files_say(curator: Curator) -> None:
    retire_days(curator.store, curator.places, INTERACTIONS, THIRD)
    # Their manifests are still there, as after a kill; and when they are not, nothing is missing.
    assert (curator.stale(INTERACTIONS), list(curator.parts(INTERACTIONS))) == ([], [THIRD])
    for key in list(curator.store.list_keys(curator.places.curated(INTERACTIONS, FIRST))):
        curator.store.delete(key)
    assert curator.stale(INTERACTIONS) == []
    assert curator.stale(INTERACTIONS, FIRST, THIRD) == [], "of a range too"
    curator.store.write("acme/raw/interactions/2026-01-02/late.csv", interactions([str(FIRST)], users=2))
    for key in curator.unvalidated():
        curator.validate(key)
    assert curator.stale(INTERACTIONS) == [], "a late file of such a day makes nothing stale"


def test_a_day_before_that_one_cannot_be_curated_and_no_window_can_begin_there(curator: Curator) -> None:
    retire_days(curator.store, curator.places, INTERACTIONS, SECOND)
    with pytest.raises(DataRuleError, match="retention has deleted the days before 2025-12-02"):
        list(curator.curate(INTERACTIONS, [FIRST, SECOND]))
    layer = CuratedLayer(curator)
    with pytest.raises(DataRuleError, match=r"window begins on 2025-12-01, and retention has deleted"):
        layer.look([FIRST, SECOND]).require_kept()
    layer.look([SECOND]).require_kept()


def test_the_first_day_only_moves_forward(any_store: ObjectStore) -> None:
    places = curator_of(any_store).places
    assert retired_before(any_store, places, INTERACTIONS) is None
    for day in (SECOND, FIRST, THIRD, SECOND):
        retire_days(any_store, places, INTERACTIONS, day)
    assert retired_before(any_store, places, INTERACTIONS) == THIRD


class _Busy(MemoryStore):
    """A store in which others write before each write."""

    def write(self, key: str, content: bytes, **conditions: object) -> object:  # type: ignore[override]
        super().write(key, b'{"before": "2020-01-01"}')
        return super().write(key, content, **conditions)  # type: ignore[arg-type]


def test_a_record_that_others_keep_changing_is_an_error_and_a_damaged_one_too() -> None:
    store, places = _Busy(), curator_of(MemoryStore()).places
    with pytest.raises(ConflictError, match="changed by other commands"):
        retire_days(store, places, INTERACTIONS, THIRD)
    damaged = MemoryStore()
    damaged.write(places.retired(INTERACTIONS), b"no JSON")
    with pytest.raises(DamagedTableError, match="does not say which days were deleted"):
        curator_of(damaged).stale(INTERACTIONS)
