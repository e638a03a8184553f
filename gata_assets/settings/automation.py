"""The settings of automation: the sensor of new tickets, the schedule, alerts and what is overdue."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gata_assets.settings.group import SettingsGroup
from gata_assets.settings.values import cron, topic


class AutomationSettings(SettingsGroup):
    """The settings of sensors, schedules and alerts."""

    min_new_tickets: int = Field(
        default=1,
        ge=1,
        le=10**9,
        description="How many tickets have to be new or changed before the sensor asks for a batch.",
        examples=["1"],
    )
    sensor_interval_minutes: float = Field(
        default=60,
        ge=0.05,
        le=1440,
        allow_inf_nan=False,
        description="The minutes between two looks of the sensor at the ticket table.",
        examples=["60"],
    )
    recent_batch_days: int = Field(
        default=7,
        ge=0,
        le=31,
        description="A batch of so many days ago is prepared again when tickets of its window change.",
        examples=["7"],
    )
    prepare_schedule: Annotated[str, AfterValidator(cron)] = Field(
        default="0 3 * * 1",
        description="When the schedule prepares the batch of the hour: cron, in UTC.",
        examples=["0 3 * * 1", "0 */6 * * *"],
    )
    overdue_after_hours: float = Field(
        default=180,
        ge=1,
        le=87_600,
        allow_inf_nan=False,
        description="The UI shows the newest prepared batch as overdue when it is older than so many hours.",
        examples=["180"],
    )
    alert_topic_arn: Annotated[str, AfterValidator(topic)] | None = Field(
        default=None,
        description="The SNS topic that failed runs are reported to; unset, they are reported in the log.",
        examples=["arn:aws:sns:us-east-1:123456789012:gata-alerts"],
    )
