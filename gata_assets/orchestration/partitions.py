"""The partitions: hours, one per batch ID, and the days of curated tables."""

from __future__ import annotations

from datetime import UTC, date, datetime

import dagster as dg

from gata_assets.batches import BATCH_ID_FORMAT


def batch_partitions(first_batch_id: str) -> dg.HourlyPartitionsDefinition:
    """Hourly partitions whose key is the batch ID, in UTC; that of the current hour exists from its start."""
    return dg.HourlyPartitionsDefinition(start_date=first_batch_id, fmt=BATCH_ID_FORMAT, end_offset=1)


def day_partitions(earliest: date) -> dg.DailyPartitionsDefinition:
    """Daily partitions, `2026-01-02`, in UTC; that of the present day exists from its start."""
    first_at = datetime.combine(earliest, datetime.min.time(), UTC)
    return dg.DailyPartitionsDefinition(start_date=first_at, end_offset=1)
