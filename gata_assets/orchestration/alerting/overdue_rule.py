"""Whether the newest prepared batch is overdue, and the message.

Finding that batch and reading the clock do not belong here: both are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gata_assets.batches import parse_batch_id


@dataclass(frozen=True)
class NewestBatch:
    """The newest prepared batch and its age (None if no batch is prepared), and the message."""

    batch_id: str | None
    age_hours: float | None
    is_overdue: bool
    message: str


def judge_newest_batch(batch_id: str | None, present: datetime, allowed_hours: float) -> NewestBatch:
    """Decide whether the newest prepared batch is older than `allowed_hours`, counted from the hour of its ID.

    That no batch is prepared counts as overdue.
    """
    if batch_id is None:
        return NewestBatch(None, None, is_overdue=True, message="No batch is prepared.")
    starts_at = parse_batch_id(batch_id).starts_at
    due_at = starts_at + timedelta(hours=allowed_hours)
    age_hours = (present - starts_at) / timedelta(hours=1)
    is_overdue = present > due_at
    message = f"Batch {batch_id} is the newest that is prepared, and {age_hours:,.1f} hours old; "
    message += f"overdue {'since' if is_overdue else 'from'} {due_at:%Y-%m-%d %H:%M} UTC"
    return NewestBatch(
        batch_id,
        age_hours,
        is_overdue,
        f"{message}{'' if is_overdue else ' on'} (OVERDUE_AFTER_HOURS={allowed_hours:g}).",
    )
