"""The settings of the quality of data: what is good enough, and where jobs push their metrics."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from gata_assets.curation.quality.measures import QualityRules
from gata_assets.settings.values import SettingsGroup, wrong


def _gateway(value: str) -> str:
    if not re.fullmatch(r"https?://[^/\s@?#,]+(/[^\s@?#,]*)?", value):
        raise wrong("is not the URL of a Pushgateway (http://host:port, without a user's name)")
    return value


class QualitySettings(SettingsGroup):
    """The settings of measures, of their check, and of pushed metrics."""

    score_min: float = Field(0.95, alias="QUALITY_SCORE_MIN", ge=0, le=1)
    """The check `quality_is_high_enough` warns of a curated partition with a lower score, from 0 to 1; the sensor
    `low_quality_sensor` reports it."""
    fresh_hours: float = Field(24, alias="QUALITY_FRESH_HOURS", gt=0, le=87_600)
    """Data whose newest file landed at most so many hours ago is fresh; older data lowers the score, and
    of a lake the check `newest_file_is_fresh` warns."""
    pushgateway_url: Annotated[str, AfterValidator(_gateway)] | None = Field(
        None, alias="PROMETHEUS_PUSHGATEWAY_URL", examples=["http://pushgateway.example:9091"]
    )
    """The Prometheus Pushgateway that runs of curation and `gata shop process` push metrics to; if unset, to none.
    Needs the extra `service`."""

    @property
    def rules(self) -> QualityRules:
        """The rules of measures."""
        return QualityRules(self.score_min, timedelta(hours=self.fresh_hours), self.pushgateway_url)
