"""Whether the newest prepared batch is overdue, and how to say so.

Finding that batch and the clock do not belong here: both come in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gata_assets.batches import parse_batch_id


@dataclass(frozen=True)
class NewestBatch:
    """What is to be said of the newest prepared batch; both are None where none is prepared."""

    batch_id: str | None
    age_hours: float | None
    is_overdue: bool
    message: str


def judge_newest_batch(batch_id: str | None, present: datetime, allowed_hours: float) -> NewestBatch:
    """Say of the newest prepared batch whether it is older than `allowed_hours`, counted from the hour of its ID.

    That none is prepared counts as overdue.
    """
    if batch_id is None:
        return NewestBatch(None, None, is_overdue=True, message="No batch is prepared.")
    starts_at = parse_batch_id(batch_id).starts_at
    due_at = starts_at + timedelta(hours=allowed_hours)
    age_hours = (present - starts_at) / timedelta(hours=1)
    is_overdue = present > due_at
    said = f"Batch {batch_id} is the newest that is prepared, and {age_hours:,.1f} hours old; "
    said += f"overdue {'since' if is_overdue else 'from'} {due_at:%Y-%m-%d %H:%M} UTC"
    return NewestBatch(
        batch_id, age_hours, is_overdue, f"{said}{'' if is_overdue else ' on'} (OVERDUE_AFTER_HOURS={allowed_hours:g})."
    )
