"""Verdicts on rows that are not valid: parked until a time, and quarantined then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

# What waiting rows have besides their own columns and those of their change.
VERDICT, RULES, SINCE = "verdict", "rules", "since"
PARKED, QUARANTINED = "parked", "quarantined"
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Clock:
    """The present instant, and how long rows are parked."""

    now: datetime
    parked: timedelta

    def judge(self, waiting: pl.DataFrame) -> pl.DataFrame:
        """Rows with the verdict that follows from since when they wait."""
        is_parked = pl.lit(self.now, _INSTANT) < pl.col(SINCE) + self.parked
        return waiting.with_columns(
            pl.when(is_parked).then(pl.lit(PARKED)).otherwise(pl.lit(QUARANTINED)).alias(VERDICT)
        )
