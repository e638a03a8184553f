"""The settings: every variable with its type, default and meaning, read and validated once.

`parse_settings` is pure; `load_settings` reads the
environment and a `.env`-style file (the environment wins) and hands the file's variables on to the AWS SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gata_assets.environment import set_default, variables
from gata_assets.errors import SettingsError
from gata_assets.settings.automation import AutomationSettings
from gata_assets.settings.env_file import read_env_file
from gata_assets.settings.interactions import InteractionSettings
from gata_assets.settings.values import (
    BackfillPolicy,
    SourceKind,
    arn,
    batch_id,
    bucket_name,
    owners,
    readable_url,
)
from gata_assets.tickets.rules import LabelFormat, LowVolumePolicy, PreparationRules, SplitMethod

DEFAULT_ENV_FILE = "local.env"
ENV_FILE_VARIABLE = "GATA_ENV_FILE"
SAMPLE_TICKETS_FILE = Path("gata-sample.sqlite")
SAMPLE_TENANT = "sample"


def _days(default: int, meaning: str) -> int:
    return Field(default=default, ge=1, le=3660, description=meaning, examples=[str(default)])


class Settings(AutomationSettings, InteractionSettings):
    """All settings; a field's name in capitals is its variable.

    Periods are days, thresholds are shares of 1, labels are Zendesk group ids.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tickets_url: SecretStr | None = Field(
        default=None,
        description="Where tickets are read from: a SQLite file or a PostgreSQL database.",
        examples=["postgresql://reader@db.example:5432/gata", "sqlite:///tickets.sqlite"],
    )
    db_arn: Annotated[str, AfterValidator(arn)] | None = Field(
        default=None,
        description="The Aurora cluster to read through the RDS Data API, instead of TICKETS_URL.",
        examples=["arn:aws:rds:us-east-1:123456789012:cluster:gata"],
    )
    db_secret_arn: Annotated[str, AfterValidator(arn)] | None = Field(
        default=None,
        description="The Secrets Manager secret of the cluster's reader (JSON: dbname, username, password).",
        examples=["arn:aws:secretsmanager:us-east-1:123456789012:secret:gata-reader"],
    )
    target_bucket: Annotated[str, AfterValidator(bucket_name)] | None = Field(
        default=None,
        description="The S3 bucket to write to; unset, files go to TARGET_DIR.",
        examples=["my-training-data"],
    )
    target_dir: Path = Field(
        default=Path("gata-data"),
        description="The local directory to write to while TARGET_BUCKET is unset.",
        examples=["gata-data"],
    )
    low_volume_fallback_label: int | None = Field(
        default=None,
        ge=0,
        lt=2**63,
        description="The group that low-volume tickets are relabelled to; required with a database of your own.",
        examples=["25000000000101"],
    )
    aws_default_region: str = Field(
        default="us-east-1", description="The AWS region of the services.", examples=["us-east-1"]
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least level of log lines that are shown.", examples=["INFO"]
    )
    training_period: int = _days(90, "Days of closed tickets in the training window.")
    low_volume_period: int = _days(365, "Days of closed tickets looked through for low-volume labels.")
    low_volume_threshold: float = Field(
        default=0.033,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="A label whose share of the training window is below this is low-volume.",
        examples=["0.033"],
    )
    low_volume_min_count: int = Field(
        default=10,
        ge=2,
        description="The number of tickets that make a low-volume label worth training on.",
        examples=["10"],
    )
    low_volume_policy: LowVolumePolicy = Field(
        default=LowVolumePolicy.DOCUMENTED,
        description="What becomes of low-volume tickets in the general dataset.",
        examples=[policy.value for policy in LowVolumePolicy],
    )
    split_method: SplitMethod = Field(
        default=SplitMethod.BY_TEXT,
        description="How tickets are divided: by distinct text, or as scikit-learn's train_test_split does.",
        examples=[method.value for method in SplitMethod],
    )
    split_seed: int = Field(
        default=42,
        ge=0,
        lt=2**63,
        description="The seed of the split by text (the scikit-learn one always uses 42).",
        examples=["42"],
    )
    label_format: LabelFormat = Field(
        default=LabelFormat.INTEGER,
        description="How `label` is written into data.json; the fine-tuning job needs integers.",
        examples=[form.value for form in LabelFormat],
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
        description="The runs of a range that is launched in Dagster: one, or one a BACKFILL_CHUNK.",
        examples=[policy.value for policy in BackfillPolicy],
    )
    asset_owners: Annotated[tuple[str, ...], BeforeValidator(owners)] | None = Field(
        default=None,
        description="Who owns the assets, as the UI shows it: e-mail addresses and team:names, between commas.",
        examples=["team:routing,ml@example.com"],
    )
    gata_revision: str | None = Field(
        default=None,
        pattern=r"^[0-9A-Za-z.\-]{1,40}$",
        description="The commit that an image was built from, for the manifests' code version.",
        examples=["3f2a9c1"],
    )
    first_batch_id: Annotated[str, AfterValidator(batch_id)] = Field(
        default="2024010100", description="The first batch that exists.", examples=["2024010100"]
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("tickets_url")
    @classmethod
    def _is_a_known_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        url = value.get_secret_value()
        if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
            return value
        if url.startswith(("postgresql://", "postgres://")):
            return readable_url(value)
        raise PydanticCustomError("tickets_url", "is neither sqlite:///path nor postgresql://user@host:port/database")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.low_volume_period < self.training_period:
            raise PydanticCustomError(
                "periods",
                "LOW_VOLUME_PERIOD ({low}) is shorter than TRAINING_PERIOD ({training}); the low-volume window "
                "reaches back at least as far. Example: LOW_VOLUME_PERIOD=365",
                {"low": self.low_volume_period, "training": self.training_period},
            )
        if (self.db_arn is None) != (self.db_secret_arn is None):
            missing, given = ("DB_SECRET_ARN", "DB_ARN") if self.db_arn else ("DB_ARN", "DB_SECRET_ARN")
            raise PydanticCustomError(
                "data_api", "{missing} is missing: it goes with {given}", {"missing": missing, "given": given}
            )
        if self.db_arn and self.tickets_url:
            raise PydanticCustomError("source", "TICKETS_URL and DB_ARN are both set; unset one of them")
        if self.source_kind is not SourceKind.SAMPLE and self.low_volume_fallback_label is None:
            raise PydanticCustomError(
                "fallback",
                "LOW_VOLUME_FALLBACK_LABEL is missing: with a database of your own it must name the group that "
                "low-volume tickets go to. Example: LOW_VOLUME_FALLBACK_LABEL=25000000000101",
            )
        return self

    @property
    def source_kind(self) -> SourceKind:
        """Which ticket source the settings choose."""
        if self.db_arn:
            return SourceKind.DATA_API
        if self.tickets_url is None:
            return SourceKind.SAMPLE
        if self.tickets_url.get_secret_value().startswith("sqlite:///"):
            return SourceKind.SQLITE
        return SourceKind.POSTGRESQL

    @property
    def sqlite_path(self) -> Path:
        """The embedded store's file: TICKETS_URL's, or the sample's while it is unset."""
        if self.tickets_url is None:
            return SAMPLE_TICKETS_FILE
        return Path(self.tickets_url.get_secret_value().removeprefix("sqlite:///"))

    @property
    def tenants_prepared(self) -> tuple[str, ...]:
        """Whose interactions are prepared; those of the sample while no tickets and no tenants are named."""
        if self.tenants is None:
            return (SAMPLE_TENANT,) if self.source_kind is SourceKind.SAMPLE else ()
        return self.tenants

    def rules(self, *, sample_fallback_label: int) -> PreparationRules:
        """The part of the settings that shapes the datasets.

        `sample_fallback_label` stands in for LOW_VOLUME_FALLBACK_LABEL with the sample tickets only; every
        other source has been required to name its own.
        """
        fallback = self.low_volume_fallback_label
        return PreparationRules(
            training_period_days=self.training_period,
            low_volume_period_days=self.low_volume_period,
            low_volume_threshold=self.low_volume_threshold,
            low_volume_min_count=self.low_volume_min_count,
            low_volume_policy=self.low_volume_policy,
            low_volume_fallback_label=sample_fallback_label if fallback is None else fallback,
            split_method=self.split_method,
            split_seed=self.split_seed,
            label_format=self.label_format,
        )


def variable_names() -> tuple[str, ...]:
    """The variables of the project, in the order of their documentation."""
    return tuple(name.upper() for name in Settings.model_fields)


def parse_settings(values: Mapping[str, str]) -> Settings:
    """Validate variables; an empty value counts as unset, variables that are not ours are passed over.

    Raises SettingsError, which names each wrong variable, its fault and an example.
    """
    ours = {name.lower(): values[name].strip() for name in variable_names() if values.get(name, "").strip()}
    try:
        return Settings.model_validate(ours)
    except ValidationError as error:
        faults = [_fault(dict(problem), ours) for problem in error.errors(include_url=False)]
        raise SettingsError("Wrong settings:\n" + "\n".join(f"  {fault}" for fault in faults)) from None


def load_settings(env_file: Path | None = None) -> Settings:
    """The settings of this process: the environment, and below it a `.env`-style file.

    The file is `env_file`, or the one that GATA_ENV_FILE names, or `local.env` where it exists. Its variables
    are put into the environment (never over one that is there), so that boto3 and Dagster see them too.
    Raises SettingsError, also for a file that is missing or holds a variable that nobody knows.
    """
    named = env_file or (Path(variables()[ENV_FILE_VARIABLE]) if variables().get(ENV_FILE_VARIABLE) else None)
    path = named or Path(DEFAULT_ENV_FILE)
    if named and not named.is_file():
        raise SettingsError(f"There is no settings file {named}. Copy example.env to it, or name another.")
    if path.is_file():
        for name, value in read_env_file(path, known=variable_names()).items():
            set_default(name, value)
    settings = parse_settings(variables())
    set_default("AWS_DEFAULT_REGION", settings.aws_default_region)
    return settings


# Faults in our words, by pydantic's error types; ours are in words already.
_FAULTS = {
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
}


def _fault(problem: dict[str, object], given: Mapping[str, str]) -> str:
    location = problem["loc"]
    assert isinstance(location, tuple)  # noqa: S101 - pydantic's type is wider
    if not location:
        return str(problem["msg"])
    field = str(location[0])
    info = Settings.model_fields[field]
    fault = _FAULTS.get(str(problem["type"]), str(problem["msg"]).replace("Input should", "should"))
    shown = "" if field == "tickets_url" else f"'{given.get(field, '')[:60]}' "
    example = (info.examples or [""])[0]
    return f"{field.upper()}: {shown}{fault}. {info.description} Example: {field.upper()}={example}"
