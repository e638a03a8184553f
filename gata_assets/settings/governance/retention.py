"""The settings of retention: how long each type of data is kept, and in which class of storage."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gata_assets.governance.retention.rules import DEFAULT_DAYS, ColdClass, DataType, RetentionRules, StorageDays
from gata_assets.settings.values import SettingsGroup, comma_separated, wrong

_FEWEST_CHARACTERS = 32


def _days(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,5})/(\d{1,5})/(\d{1,5})/(\d{1,5})", value, re.ASCII)
    if found is None:
        raise wrong("is not hot/warm/cold/delete in days")
    days = StorageDays(*map(int, found.groups()))
    if days.fault:
        raise wrong(days.fault)
    return days


def _prefixes(value: tuple[str, ...]) -> tuple[str, ...]:
    for prefix in value:
        if not re.fullmatch(r"[0-9A-Za-z_.=-]+(/[0-9A-Za-z_.=-]+)*/", prefix, re.ASCII):
            raise wrong(f"has {prefix[:60]}, which is no folder of the bucket: models/, or team/models/")
    return value


_Days = Annotated[StorageDays, BeforeValidator(_days)]
_Prefixes = Annotated[tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(_prefixes)] | None


class RetentionSettings(SettingsGroup):
    """The settings of retention; ages are days."""

    retention: Annotated[Literal["off", "on"], BeforeValidator(str.lower)] = "off"
    """Whether `gata retention apply` and the job `clean_history` may delete; while it is off, nothing is deleted."""
    raw: _Days = Field(DEFAULT_DAYS[DataType.RAW], alias="RETENTION_RAW")
    """Raw files and what is made of them file by file and day by day: until which day they are hot (S3 Standard), from
    which day warm (Standard-IA), cold (Glacier) and deleted, unless a batch that is kept needs them."""
    training: _Days = Field(DEFAULT_DAYS[DataType.TRAINING], alias="RETENTION_TRAINING")
    """Batches, from the hour of their ID on: hot, warm, cold and deleted, as for RETENTION_RAW."""
    models: _Days = Field(DEFAULT_DAYS[DataType.MODELS], alias="RETENTION_MODELS")
    """Model artifacts: hot, warm, cold and deleted, by rules of the bucket alone."""
    logs: _Days = Field(DEFAULT_DAYS[DataType.LOGS], alias="RETENTION_LOGS")
    """Logs in the bucket: hot, warm, cold and deleted, by rules of the bucket alone."""
    model_prefixes: _Prefixes = Field(None, alias="RETENTION_MODEL_PREFIXES", examples=["models/"])
    """Folders of the bucket with model artifacts, which rules expire, separated by commas; if unset, there are none."""
    log_prefixes: _Prefixes = Field(None, alias="RETENTION_LOG_PREFIXES", examples=["logs/"])
    """Folders of the bucket with logs, which rules expire, separated by commas; if unset, there are none."""
    cold_class: ColdClass = Field(ColdClass.INSTANT, alias="RETENTION_COLD_CLASS")
    """The storage class of cold raw files. GLACIER costs less, and they cannot be validated again before they are
    restored; training data go to GLACIER_IR in any case."""
    noncurrent_days: int = Field(7, alias="RETENTION_NONCURRENT_DAYS", ge=1, le=3_650)
    """Days for which a bucket with versions keeps what was deleted or replaced."""
    history_days: int = Field(365, alias="RETENTION_HISTORY_DAYS", ge=7, le=36_500)
    """Days for which Dagster keeps runs with their events and logs, once `clean_history` runs."""

    @property
    def rules(self) -> RetentionRules:
        """How long each type of data is kept."""
        days = {
            DataType.RAW: self.raw,
            DataType.TRAINING: self.training,
            DataType.MODELS: self.models,
            DataType.LOGS: self.logs,
        }
        return RetentionRules(self.retention == "on", days, self.cold_class, self.noncurrent_days)
