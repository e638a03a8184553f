"""The partitions of the hourly assets: one a batch ID."""

from __future__ import annotations

import dagster as dg

from gata_assets.batches import BATCH_ID_FORMAT


def batch_partitions(first_batch_id: str) -> dg.HourlyPartitionsDefinition:
    """Hourly partitions whose key is the batch ID, in UTC; the current hour's exists as soon as it begins."""
    return dg.HourlyPartitionsDefinition(start_date=first_batch_id, fmt=BATCH_ID_FORMAT, end_offset=1)
