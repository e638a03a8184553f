"""Verdicts on rows that wait. All real; nothing is faked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from gata_assets.tables.changes.verdicts import PARKED, QUARANTINED, SINCE, VERDICT, Clock

NOW, INSTANT = datetime(2026, 1, 4, tzinfo=UTC), pl.Datetime("us", "UTC")
KEYS = pl.DataFrame({"key": ["a", "b", "c"]})
SAME = KEYS.with_columns(pl.lit(NOW - timedelta(days=2), INSTANT).alias(SINCE))


@pytest.mark.parametrize(("days", "verdict"), [(3, PARKED), (2, QUARANTINED), (1, QUARANTINED)])
def test_rows_that_wait_since_the_same_instant_have_the_same_verdict(days: int, verdict: str) -> None:
    assert Clock(NOW, timedelta(days=days)).judge(SAME)[VERDICT].to_list() == [verdict] * 3


def test_each_row_is_parked_until_its_own_time() -> None:
    since = [NOW - timedelta(days=3), NOW - timedelta(days=1), NOW - timedelta(days=2)]
    rows = KEYS.with_columns(pl.Series(SINCE, since, dtype=INSTANT))
    assert Clock(NOW, timedelta(days=2)).judge(rows)[VERDICT].to_list() == [QUARANTINED, PARKED, QUARANTINED]
    assert Clock(NOW, timedelta(days=2)).judge(rows.clear())[VERDICT].to_list() == []
