"""How long each type of data is kept, and in which class of storage: values, and what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum


class DataType(StrEnum):
    """What is kept equally long. Only the first two are written, and so deleted, by this project."""

    RAW = "raw"
    TRAINING = "training"
    MODELS = "models"
    LOGS = "logs"


class ColdClass(StrEnum):
    """The storage class of cold data. What is in GLACIER has to be restored before it can be read."""

    INSTANT = "GLACIER_IR"
    ARCHIVE = "GLACIER"


# S3 takes no object into STANDARD_IA by a rule that is younger, and none from there to Glacier that is shorter there.
_LEAST_DAYS_OF_A_CLASS = 30


@dataclass(frozen=True)
class StorageDays:
    """The ages in days at which data leaves a storage class.

    Until `hot` it is in S3 Standard in any case. From `warm` on it is in S3 Standard-IA, from `cold` on in Glacier,
    and from `delete` on it is deleted.
    """

    hot: int
    warm: int
    cold: int
    delete: int

    def __str__(self) -> str:
        return f"{self.hot}/{self.warm}/{self.cold}/{self.delete}"

    @property
    def fault(self) -> str | None:
        """What is wrong with it; None for nothing."""
        if not 0 < self.hot < self.warm < self.cold < self.delete:
            return "is not ascending: hot, warm and cold days, then the day of deletion"
        if self.warm < _LEAST_DAYS_OF_A_CLASS:
            return f"has {self.warm} warm days: S3 moves nothing to Standard-IA before {_LEAST_DAYS_OF_A_CLASS} days"
        if self.cold < self.warm + _LEAST_DAYS_OF_A_CLASS:
            return f"has less than {_LEAST_DAYS_OF_A_CLASS} days between warm and cold, which S3 asks for"
        return None


# The reference's table.
DEFAULT_DAYS: Mapping[DataType, StorageDays] = {
    DataType.RAW: StorageDays(7, 30, 90, 365),
    DataType.TRAINING: StorageDays(30, 90, 365, 730),
    DataType.MODELS: StorageDays(30, 180, 365, 730),
    DataType.LOGS: StorageDays(7, 30, 90, 365),
}


@dataclass(frozen=True)
class RetentionRules:
    """The settings of retention; nothing is deleted unless it `is_on`.

    `cold_class` is that of raw files; training data, which readers must be able to read at once, are never archived.
    """

    is_on: bool = False
    days: Mapping[DataType, StorageDays] = field(default_factory=lambda: dict(DEFAULT_DAYS))
    cold_class: ColdClass = ColdClass.INSTANT
    noncurrent_days: int = 7

    def cutoff(self, of: DataType, now: datetime) -> datetime:
        """The instant before which data of a type is old enough to be deleted."""
        return now - timedelta(days=self.days[of].delete)

    def first_day_kept(self, of: DataType, now: datetime) -> date:
        """The first day with something that is not old enough to be deleted."""
        return self.cutoff(of, now).date()
