"""The settings of the whole project: logs, the first batch, ranges, owners, revision, tables of users."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from gata_assets.settings.group import SettingsGroup
from gata_assets.settings.values import BackfillPolicy, batch_id, comma_separated, module_names, owners


class ProjectSettings(SettingsGroup):
    """The settings that belong to no domain."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The lowest level of log lines that are shown.", examples=["INFO"]
    )
    first_batch_id: Annotated[str, AfterValidator(batch_id)] = Field(
        default="2024010100", description="The first batch that exists.", examples=["2024010100"]
    )
    backfill_chunk: int = Field(
        default=744,
        ge=1,
        le=8784,
        description="The batches of a range that share one read of their tickets.",
        examples=["744"],
    )
    backfill_policy: BackfillPolicy = Field(
        default=BackfillPolicy.SINGLE_RUN,
        description="The runs of a range that is launched in Dagster: one, or one per BACKFILL_CHUNK.",
        examples=[policy.value for policy in BackfillPolicy],
    )
    asset_owners: Annotated[tuple[str, ...], BeforeValidator(owners)] | None = Field(
        default=None,
        description="Who owns the assets, as the UI shows it: e-mail addresses and team:names, between commas.",
        examples=["team:routing,ml@example.com"],
    )
    table_specs: Annotated[tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(module_names)] | None = (
        Field(
            default=None,
            description="Python modules with pandera models of further tables, between commas.",
            examples=["mycompany.tables"],
        )
    )
    revision: str | None = Field(
        default=None,
        alias="GATA_REVISION",
        pattern=r"^[0-9A-Za-z.\-]{1,40}$",
        description="The commit that an image was built from, for the manifests' code version.",
        examples=["3f2a9c1"],
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value
