"""The settings by which rows of raw files are validated, as plain values that come in as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class UnknownItems(StrEnum):
    """What becomes of an interaction with an item that the catalogue does not have."""

    WARN = "warn"
    REJECT = "reject"


@dataclass(frozen=True)
class CurationRules:
    """What a row has to keep to: its time in `[earliest_at, landed + at_most_ahead)`, and items that are known."""

    earliest_at: datetime
    at_most_ahead: timedelta
    unknown_items: UnknownItems
