"""The settings that belong to no domain: the target, automation, and the project as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gata_assets.settings import values
from gata_assets.settings.values import BackfillPolicy, SettingsGroup


class TargetSettings(SettingsGroup):
    """The target that files are written to, a bucket or a local directory, and the AWS region of the services."""

    bucket: Annotated[str, AfterValidator(values.bucket_name)] | None = Field(
        None, alias="TARGET_BUCKET", examples=["my-training-data"]
    )
    """The S3 bucket to write to; if unset, files go to TARGET_DIR."""
    directory: Path = Field(Path("gata-data"), alias="TARGET_DIR")
    """The local directory to write to while TARGET_BUCKET is unset."""
    conditional_writes: bool = True
    """Whether the bucket's endpoint supports If-Match and If-None-Match, as S3 does. Without them only one command may
    write at a time; `gata doctor` tries it."""
    region: str = Field("us-east-1", alias="AWS_DEFAULT_REGION")
    """The AWS region of the services."""

    @property
    def place(self) -> str:
        """The bucket's URL, or the directory."""
        return f"s3://{self.bucket}" if self.bucket else str(self.directory)


class AutomationSettings(SettingsGroup):
    """The settings of sensors, schedules and alerts."""

    min_new_tickets: int = Field(1, ge=1, le=10**9)
    """The minimum number of new or changed tickets for which the sensor requests a batch."""
    sensor_interval_minutes: float = Field(60, ge=0.05, le=1440)
    """The minutes between two checks of the ticket table by the sensor."""
    recent_batch_days: int = Field(7, ge=0, le=31)
    """A batch that is at most this many days old is prepared again when tickets of its window change."""
    prepare_schedule: Annotated[str, AfterValidator(values.cron)] = "0 3 * * 1"
    """When the schedule prepares the batch of the hour: cron, in UTC."""
    overdue_after_hours: float = Field(180, ge=1, le=87_600)
    """The UI shows the newest prepared batch as overdue when it is older than this many hours."""
    alert_topic_arn: Annotated[str, AfterValidator(values.topic)] | None = Field(
        None, examples=["arn:aws:sns:us-east-1:123456789012:gata-alerts"]
    )
    """The SNS topic that failed runs are reported to; if unset, they are reported in the log."""


class ProjectSettings(SettingsGroup):
    """The settings of the whole project: logs, previews, the first batch, ranges, owners, revision, own tables."""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "INFO"
    """The lowest level of log lines that are shown."""
    preview_rows: int = Field(0, ge=0, le=100)
    """The number of a dataset's rows that may be shown to people: by commands, and in the UI. They have the text of
    tickets and IDs of people."""
    first_batch_id: Annotated[str, AfterValidator(values.batch_id)] = "2024010100"
    """The first batch that exists."""
    backfill_chunk: int = Field(744, ge=1, le=8784)
    """The number of batches of a range that share one read of their tickets."""
    backfill_policy: BackfillPolicy = BackfillPolicy.SINGLE_RUN
    """The runs of a range that is launched in Dagster: one, or one per BACKFILL_CHUNK."""
    asset_owners: Annotated[tuple[str, ...], BeforeValidator(values.owners)] | None = Field(
        None, examples=["team:routing,ml@example.com"]
    )
    """The owners of the assets, as the UI shows them: e-mail addresses and team:names, separated by commas."""
    table_specs: (
        Annotated[tuple[str, ...], BeforeValidator(values.comma_separated), AfterValidator(values.module_names)] | None
    ) = Field(None, examples=["mycompany.tables"])
    """Python modules with pandera models of your own tables, separated by commas."""
    revision: str | None = Field(None, alias="GATA_REVISION", pattern=r"^[0-9A-Za-z.\-]{1,40}$", examples=["3f2a9c1"])
    """The commit that an image was built from, for the manifests' code version."""
