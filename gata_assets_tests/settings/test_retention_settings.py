"""The settings of retention. Pure: variables in, values or a message out."""

from __future__ import annotations

import pytest

from gata_assets.errors import SettingsError
from gata_assets.governance.retention.rules import DataType, RetentionRules, StorageDays
from gata_assets.settings.model import parse_settings


def test_nothing_is_deleted_by_default_and_the_days_are_those_of_the_rules() -> None:
    assert parse_settings({}).retention.rules == RetentionRules()


def test_each_type_has_days_of_its_own() -> None:
    given = {"RETENTION": "On", "RETENTION_TRAINING": "1/40/80/120", "RETENTION_NONCURRENT_DAYS": "1"}
    rules = parse_settings(given).retention.rules
    assert (rules.is_on, rules.noncurrent_days) == (True, 1)
    assert rules.days[DataType.TRAINING] == StorageDays(1, 40, 80, 120)
    assert rules.days[DataType.RAW] == RetentionRules().days[DataType.RAW]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"RETENTION": "maybe"}, "RETENTION: 'maybe'"),
        ({"RETENTION_RAW": "7/30/90"}, "RETENTION_RAW: '7/30/90' is not hot/warm/cold/delete in days"),
        ({"RETENTION_LOGS": "7/20/90/365"}, "nothing to Standard-IA before 30 days"),
        ({"RETENTION_MODELS": "30/7/90/365"}, "is not ascending"),
        ({"RETENTION_COLD_CLASS": "DEEP_ARCHIVE"}, "RETENTION_COLD_CLASS: 'DEEP_ARCHIVE'"),
        ({"RETENTION_MODEL_PREFIXES": "models"}, "is no folder of the bucket"),
        ({"RETENTION_LOG_PREFIXES": "/"}, "is no folder of the bucket"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_wrong(given: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(given)


def test_days_that_the_next_batches_read_cannot_be_deleted() -> None:
    given = {"RETENTION": "on", "RETENTION_RAW": "7/30/60/365", "SEEN_ITEMS_PERIOD": "365"}
    with pytest.raises(SettingsError, match="the next batches read 365"):
        parse_settings(given)
    assert parse_settings(given | {"SEEN_ITEMS_PERIOD": "364"}).retention.rules.is_on
    assert not parse_settings(given | {"RETENTION": "off"}).retention.rules.is_on
