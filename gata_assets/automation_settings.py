"""The settings of what runs by itself: the sensor of new tickets, the schedule, alerts and freshness.

A part of `settings.Settings`, which reads and explains them; nothing here reads the environment.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# The fields of a cron expression: name, least, most, and words that stand for numbers.
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, ["", *_MONTHS]),
    ("day of the week", 0, 7, _WEEKDAYS),
)


def _cron(value: str) -> str:
    fields = value.lower().split()
    if len(fields) != len(_FIELDS):
        raise PydanticCustomError(
            "cron", "is not a schedule: five fields are needed, minute hour day month weekday (cron, in UTC)"
        )
    for written, (name, least, most, words) in zip(fields, _FIELDS, strict=True):
        if not all(_is_cron_part(part, least, most, words) for part in written.split(",")):
            raise PydanticCustomError(
                "cron",
                "is not a schedule: its {name} is to be *, a number from {least} to {most}, a range or a step",
                {"name": name, "least": least, "most": most},
            )
    if not fields[0].isdigit():
        raise PydanticCustomError("cron", "may come several times an hour: a batch is an hour, so name one minute")
    return " ".join(fields)


def _is_cron_part(part: str, least: int, most: int, words: list[str]) -> bool:
    span, *steps = part.split("/")
    if len(steps) > 1 or (steps and not (steps[0].isdigit() and int(steps[0]) >= 1)):
        return False
    if span == "*":
        return True
    ends = [str(words.index(end)) if end and end in words else end for end in span.split("-")]
    if len(ends) > 2 or not all(end.isascii() and end.isdigit() and least <= int(end) <= most for end in ends):
        return False
    return int(ends[0]) <= int(ends[-1])


def _topic(value: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z]{2}(-[a-z]+)+-[0-9]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}", value):
        raise PydanticCustomError("topic", "is not the ARN of a standard SNS topic (arn:aws:sns:region:account:name)")
    return value


class AutomationSettings(BaseModel):
    """The settings of sensors, schedule and freshness."""

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
    prepare_schedule: Annotated[str, AfterValidator(_cron)] = Field(
        default="0 3 * * 1",
        description="When the schedule prepares the batch of the hour: cron, in UTC.",
        examples=["0 3 * * 1", "0 */6 * * *"],
    )
    overdue_after_hours: float = Field(
        default=180,
        ge=0.02,
        le=87_600,
        allow_inf_nan=False,
        description="The UI shows a dataset as overdue when none was prepared for so many hours.",
        examples=["180"],
    )
    alert_topic_arn: Annotated[str, AfterValidator(_topic)] | None = Field(
        default=None,
        description="The SNS topic that failed runs are reported to; unset, they are reported in the log.",
        examples=["arn:aws:sns:us-east-1:123456789012:gata-alerts"],
    )
