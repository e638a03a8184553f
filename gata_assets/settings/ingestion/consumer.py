"""The settings of the consumer of topics."""

from __future__ import annotations

from pydantic import Field

from gata_assets.ingestion.kafka.consuming.rules import ConsumerRules
from gata_assets.settings.values import SettingsGroup


class ConsumerSettings(SettingsGroup):
    """The settings of the process that `gata consume` starts."""

    metrics_host: str = Field("127.0.0.1", alias="KAFKA_METRICS_HOST", pattern=r"^[0-9A-Za-z.:\-]{1,255}$")
    """The address of the metrics of `gata consume` and `gata publish`; 0.0.0.0 for all of the machine."""
    metrics_port: int = Field(8003, alias="KAFKA_METRICS_PORT", ge=0, le=65_535)
    """The port that the consumer's metrics are served on; 0 takes a free one."""
    segment_seconds: float = Field(0.5, alias="KAFKA_SEGMENT_SECONDS", gt=0, le=60)
    """How long a message waits for others until they are stored together."""
    segment_megabytes: float = Field(8, alias="KAFKA_SEGMENT_MEGABYTES", ge=0.01, le=32)
    """Messages are stored as soon as so many wait in a partition."""
    max_waiting_megabytes: float = Field(64, alias="KAFKA_MAX_WAITING_MEGABYTES", ge=1, le=10_000)
    """How much waits in memory, of all partitions together: beyond it partitions are paused."""
    max_message_kilobytes: float = Field(1024, alias="KAFKA_MAX_MESSAGE_KILOBYTES", gt=0, le=7_812)
    """A larger message is rejected."""
    session_seconds: float = Field(15, alias="KAFKA_SESSION_SECONDS", ge=6, le=300)
    """A consumer that is silent for so long loses its partitions to others of its group."""

    @property
    def consumer_rules(self) -> ConsumerRules:
        """How much and how long messages wait."""
        return ConsumerRules(
            at_most_seconds=self.segment_seconds,
            at_most_bytes=round(self.segment_megabytes * 1e6),
            at_most_waiting_bytes=round(self.max_waiting_megabytes * 1e6),
            at_most_message_bytes=round(self.max_message_kilobytes * 1024),
            session_seconds=self.session_seconds,
        )
