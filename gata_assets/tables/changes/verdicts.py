"""Verdicts on rows that are not valid: parked until a time, and quarantined then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

# What waiting rows have besides their own columns and those of their change.
VERDICT, RULES, SINCE = "verdict", "rules", "since"
PARKED, QUARANTINED = "parked", "quarantined"


@dataclass(frozen=True)
class Clock:
    """The present instant, and how long rows are parked."""

    now: datetime
    parked: timedelta

    def judge(self, waiting: pl.DataFrame) -> pl.DataFrame:
        """Rows with the verdict that follows from since when they wait."""
        # As a column of values: of one that Polars keeps as a single value the verdicts would have one row alone.
        is_parked = pl.lit(waiting[SINCE] + self.parked > self.now)
        return waiting.with_columns(
            pl.when(is_parked).then(pl.lit(PARKED)).otherwise(pl.lit(QUARANTINED)).alias(VERDICT)
        )
