"""The settings of the target that files are written to: a bucket or a local directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from gata_assets.settings.group import SettingsGroup
from gata_assets.settings.values import bucket_name


class TargetSettings(SettingsGroup):
    """The target, and the AWS region of the services."""

    bucket: Annotated[str, AfterValidator(bucket_name)] | None = Field(
        default=None,
        alias="TARGET_BUCKET",
        description="The S3 bucket to write to; unset, files go to TARGET_DIR.",
        examples=["my-training-data"],
    )
    directory: Path = Field(
        default=Path("gata-data"),
        alias="TARGET_DIR",
        description="The local directory to write to while TARGET_BUCKET is unset.",
        examples=["gata-data"],
    )
    conditional_writes: bool = Field(
        default=True,
        alias="CONDITIONAL_WRITES",
        description="Whether the bucket's endpoint carries out If-Match and If-None-Match, as S3 does. Without them "
        "only one command may write at a time; `gata doctor` tries it.",
        examples=["yes"],
    )
    region: str = Field(
        default="us-east-1",
        alias="AWS_DEFAULT_REGION",
        description="The AWS region of the services.",
        examples=["us-east-1"],
    )
