"""All settings, a group by domain: variables in, validated values out, read and validated once.

`parse_settings` is pure; `load_settings` reads the environment and a `.env`-style file (the environment wins) and
hands the file's variables on to the AWS SDK. `describe_settings` lists every variable for generated pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast, get_args

from dotenv.parser import parse_stream
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gata_assets.environment import set_default, variables
from gata_assets.errors import SettingsError
from gata_assets.settings.config_values import find_config_values, unknown_setting
from gata_assets.settings.governance.privacy import PrivacySettings
from gata_assets.settings.governance.retention import RetentionSettings
from gata_assets.settings.ingestion.consumer import ConsumerSettings
from gata_assets.settings.ingestion.earlier_names import ALIASES, REFUSED_IN_FILES
from gata_assets.settings.ingestion.earlier_names import REFUSED as REFUSED_EARLIER_NAMES
from gata_assets.settings.ingestion.kafka import KafkaSettings
from gata_assets.settings.ingestion.registry import RegistrySettings
from gata_assets.settings.ingestion.service import ServiceSettings
from gata_assets.settings.interactions import InteractionSettings
from gata_assets.settings.lake.lake import LakeSettings
from gata_assets.settings.lake.online import OnlineSettings
from gata_assets.settings.project import AutomationSettings, ProjectSettings, TargetSettings
from gata_assets.settings.quality import QualitySettings
from gata_assets.settings.shop import REFUSED as REFUSED_OF_SHOP
from gata_assets.settings.shop import ShopSettings
from gata_assets.settings.tickets import TicketSettings
from gata_assets.settings.tracking.mlflow import OF_CLIENT, MlflowSettings
from gata_assets.settings.values import wrong
from gata_assets.tickets.arrivals.decision import ArrivalRules

DEFAULT_ENV_FILE = "local.env"
ENV_FILE_VARIABLE = "GATA_ENV_FILE"
# Prefixes of other variables that a settings file may have: those of the AWS SDK, Dagster and Python, and secrets that
# sources of webhooks name.
_FOREIGN_PREFIXES = ("AWS_", "DAGSTER_", "PYTHON", "WEBHOOK_SECRET_")
REFUSED = REFUSED_OF_SHOP | REFUSED_EARLIER_NAMES


class Settings(BaseModel):
    """All settings by group; rules that depend on more than one group are derived here."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tickets: TicketSettings = Field(description="Where tickets are read from, and how they are prepared")
    target: TargetSettings = Field(description="Where files are written to")
    interactions: InteractionSettings = Field(description="Interactions: features and training rows of recommenders")
    shop: ShopSettings = Field(description="The shop tables: raw files, masking, the tables for analysts")
    lake: LakeSettings = Field(description="The ticket lake: whose tickets, people, service levels, labels")
    online: OnlineSettings = Field(description="The newest tickets in Redis, for applications")
    registry: RegistrySettings = Field(description="The schemas of messages, and their registry")
    service: ServiceSettings = Field(description="The service that takes rows and events by HTTP")
    kafka: KafkaSettings = Field(description="Kafka: brokers and topics")
    consumer: ConsumerSettings = Field(description="The consumer of topics")
    quality: QualitySettings = Field(description="The quality of data: scores, and metrics of jobs")
    privacy: PrivacySettings = Field(
        description="Privacy: how erased people are known, by when they are erased, and stores of your own"
    )
    mlflow: MlflowSettings = Field(description="MLflow: where finished datasets are logged")
    retention: RetentionSettings = Field(description="How long data is kept, and what is deleted")
    automation: AutomationSettings = Field(
        description="What runs automatically, once it is switched on in Dagster's UI"
    )
    project: ProjectSettings = Field(description="The project as a whole")

    @model_validator(mode="after")
    def _days_are_kept_as_long_as_they_are_read(self) -> Self:
        read, kept = self.interactions.rules.seen_period_days, self.retention.raw.delete
        if self.retention.retention == "on" and kept <= read:
            raise wrong(
                f"RETENTION_RAW ({self.retention.raw}) deletes days after {kept}, and the next batches read {read} "
                "(INTERACTION_PERIOD, SEEN_ITEMS_PERIOD): keep them longer. Example: RETENTION_RAW=7/30/90/"
                f"{max(read + 30, 365)}"
            )
        return self

    @property
    def arrival_rules(self) -> ArrivalRules:
        """When new tickets request a batch."""
        return ArrivalRules(
            training_period_days=self.tickets.training_period,
            low_volume_period_days=self.tickets.low_volume_period,
            recent_batch_days=self.automation.recent_batch_days,
            min_new_tickets=self.automation.min_new_tickets,
            first_batch_id=self.project.first_batch_id,
        )


@dataclass(frozen=True)
class SettingDescription:
    """A variable as pages list it; `default` and `example` are written as in a settings file."""

    variable: str
    group: str
    default: str | None
    description: str
    example: str
    is_secret: bool


def describe_settings() -> list[SettingDescription]:
    """Every variable of the project, group by group."""
    return [
        SettingDescription(
            variable,
            group=str(Settings.model_fields[group].description),
            default=written(field.default),
            description=" ".join(str(field.description).split()),
            example=str(field.examples[0]) if field.examples else written(field.default) or "",
            is_secret=SecretStr in (field.annotation, *get_args(field.annotation)),
        )
        for group, variable, field in _fields()
    ]


def variable_names() -> tuple[str, ...]:
    """The variables of the project, group by group."""
    return tuple(variable for _, variable, _ in _fields())


def parse_settings(values: Mapping[str, str]) -> Settings:
    """Validate variables; an empty value counts as unset, variables that are not ours are ignored.

    Raises SettingsError, which names each wrong variable, its fault and an example.
    """
    _require_none_of(REFUSED, values)
    given: dict[str, dict[str, str]] = {group: {} for group in Settings.model_fields}
    for group, variable, _ in _fields():
        if value := values.get(variable, "").strip():
            given[group][variable] = value
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        faults = [_fault(problem, given) for problem in error.errors(include_url=False)]
        raise SettingsError("Wrong settings:\n" + "\n".join(f"  {fault}" for fault in faults)) from None


def load_settings(env_file: Path | None = None) -> Settings:
    """The settings of this process: the environment, and below it a `.env`-style file.

    The file is `env_file`, or the one that GATA_ENV_FILE names, or `local.env` where it exists; below it are
    CONFIG_JSON and CONFIG_FILE. Their variables are added to the environment (never replacing one that is set), so that
    boto3 and Dagster see them too. Raises SettingsError, also for a file that is missing or has an unknown variable.
    """
    _, given = find_env_file(env_file)
    for name, value in given.items():
        set_default(name, value)
    for name, of_sdk in ALIASES.items():
        if value := variables().get(name, "").strip():
            set_default(of_sdk, value)
    for name, (value, _) in find_config_values(variables(), variable_names()).items():
        set_default(name, value)
    settings = parse_settings(variables())
    set_default("AWS_DEFAULT_REGION", settings.target.region)
    return settings


def find_env_file(env_file: Path | None = None) -> tuple[Path | None, dict[str, str]]:
    """The settings file of `load_settings`, None if there is none, and the variables in it; raises SettingsError."""
    named = env_file or (Path(variables()[ENV_FILE_VARIABLE]) if variables().get(ENV_FILE_VARIABLE) else None)
    path = named or Path(DEFAULT_ENV_FILE)
    if named and not named.is_file():
        raise SettingsError(f"There is no settings file {named}. Copy example.env to it, or name another.")
    return (path, _read_env_file(path)) if path.is_file() else (None, {})


def setting_values(settings: Settings) -> list[tuple[SettingDescription, object]]:
    """Every variable with its value, group by group."""
    values = [
        getattr(getattr(settings, group), name)
        for group, field in Settings.model_fields.items()
        for name in cast("type[BaseModel]", field.annotation).model_fields
    ]
    return list(zip(describe_settings(), values, strict=True))


def _read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file of NAME=value lines, comments and quotes that are not empty.

    Nothing is ignored silently: a line that cannot be read or a misspelled name raises SettingsError.
    """
    given, known = {}, variable_names()
    try:
        with path.open(encoding="utf-8") as lines:
            for binding in parse_stream(lines):
                if binding.error or (binding.key and binding.value is None):
                    raise SettingsError(f"{path}, line {binding.original.line}: this is not NAME=value.")
                if binding.key and "\0" in (binding.value or ""):
                    raise SettingsError(f"{path}, line {binding.original.line}: the value has a NUL character.")
                if binding.key:
                    given[binding.key] = (binding.value or "").strip()
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text.") from None
    values = {name: value for name, value in given.items() if value}
    _require_none_of(REFUSED_IN_FILES, values)
    taken = (*known, *REFUSED, *ALIASES, *OF_CLIENT)
    unknown = [name for name in values if name not in taken and not name.startswith(_FOREIGN_PREFIXES)]
    if unknown:
        raise SettingsError("\n".join(unknown_setting(name, path, known) for name in unknown))
    return values


def _require_none_of(refused: Mapping[str, str], values: Mapping[str, str]) -> None:
    for variable, reason in refused.items():
        if values.get(variable, "").strip():
            raise SettingsError(f"{variable} is no setting here: {reason}. Remove it.")


def _fields() -> Iterator[tuple[str, str, FieldInfo]]:
    """Each field with its group and its variable."""
    for group, group_field in Settings.model_fields.items():
        model = cast("type[BaseModel]", group_field.annotation)
        for field in model.model_fields.values():
            yield group, str(field.alias), field


def written(value: object) -> str | None:
    """A value as written in a settings file; None if the variable is unset."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list | set | frozenset):
        return ",".join(map(str, value))
    return str(value)


# Our messages for pydantic's error types; errors of our own validators have messages already.
_FAULTS = {
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
}


def _fault(problem: ErrorDetails, given: Mapping[str, Mapping[str, str]]) -> str:
    if len(problem["loc"]) < 2:
        return problem["msg"]
    group, variable = map(str, problem["loc"][:2])
    described = next(setting for setting in describe_settings() if setting.variable == variable)
    fault = _FAULTS.get(problem["type"], problem["msg"].replace("Input should", "should"))
    shown = "" if described.is_secret else f"'{given[group].get(variable, '')[:60]}' "
    return f"{variable}: {shown}{fault}. {described.description} Example: {variable}={described.example}"
