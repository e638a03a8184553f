"""Batch IDs and their windows. All real; the present is an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.batches import Batch, find_batch_id, is_batch_id, parse_batch_id, require_existing_batch
from gata_assets.errors import BatchIdError
from gata_assets.orchestration.jobs import batch_partitions
from gata_assets_tests.support.scenario import instant

NOW = datetime(2026, 1, 2, 3, 30, tzinfo=UTC)

hours = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1)).map(
    lambda at: Batch(at.replace(minute=0, second=0, microsecond=0, tzinfo=UTC))
)


def test_the_training_window_keeps_the_hour_at_its_start_and_ends_before_the_day_of_the_batch() -> None:
    window = parse_batch_id("2026010203").training_window(90)
    assert (window.start, window.end) == (instant("2025-10-04T03:00"), instant("2026-01-02T00:00"))


def test_the_older_window_reaches_up_to_the_training_window() -> None:
    window = parse_batch_id("2026010203").older_window(365, 90)
    assert (window.start, window.end) == (instant("2025-01-02T03:00"), instant("2025-10-04T03:00"))


@given(batch=hours, training=st.integers(1, 400), more=st.integers(0, 400))
def test_the_two_windows_touch_without_a_gap_or_an_overlap(batch: Batch, training: int, more: int) -> None:
    older, recent = batch.older_window(training + more, training), batch.training_window(training)
    assert older.end_at == recent.start_at
    assert older.start_at == batch.starts_at - timedelta(days=training + more)
    assert recent.start_at < recent.end_at <= batch.starts_at


@given(batch=hours)
def test_a_batch_id_and_its_batch_are_one_to_one(batch: Batch) -> None:
    assert parse_batch_id(batch.batch_id) == batch


@pytest.mark.parametrize(
    "text",
    ["", "20260102", "2026010224", "2026023003", "2026130103", "202601020３", "2026-01-02", " 2026010203", "x" * 99],
)
def test_what_is_not_a_batch_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BatchIdError, match=r"is not a batch ID.*2026010203"):
        parse_batch_id(text)


def test_the_current_hour_exists_and_the_next_does_not() -> None:
    assert require_existing_batch("2026010203", first_batch_id="2024010100", now=NOW).batch_id == "2026010203"
    with pytest.raises(BatchIdError, match="in the future: the newest batch is 2026010203"):
        require_existing_batch("2026010204", first_batch_id="2024010100", now=NOW)


def test_a_batch_before_the_first_is_refused() -> None:
    with pytest.raises(BatchIdError, match="before the first batch 2024010100"):
        require_existing_batch("2023123123", first_batch_id="2024010100", now=NOW)


def test_partition_keys_are_the_batch_ids_up_to_the_current_hour() -> None:
    partitions = batch_partitions("2026010200")
    assert partitions.get_partition_keys(current_time=NOW) == ["2026010200", "2026010201", "2026010202", "2026010203"]


@pytest.mark.parametrize(
    ("text", "batch_id"),
    [
        ("latest", "2026013123"),
        ("2026-01-02", "2026010200"),
        ("2026-02-30", "2026023000"),
        ("2026010203", "2026010203"),
        ("yesterday", "yesterday"),
    ],
)
def test_latest_and_days_name_batches_and_other_texts_stay(text: str, batch_id: str) -> None:
    now = datetime(2026, 2, 1, 0, 59, 59, tzinfo=timezone(timedelta(hours=1)))
    assert find_batch_id(text, now=now) == batch_id


def test_names_of_folders_are_batch_ids_or_not() -> None:
    names = ["2026010203", "2026010224", "20260102", "labels.json", ""]
    assert [is_batch_id(name) for name in names] == [True, False, False, False, False]
