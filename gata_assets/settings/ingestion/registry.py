"""The settings of the schema registry."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from gata_assets.settings.values import SettingsGroup, wrong


def _registry_url(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://[^/\s@?#,]+(/[^\s@?#,]*)?", value.get_secret_value()):
        raise wrong("is not the URL of a registry (https://host:port, without a user's name)")
    return value


class RegistrySettings(SettingsGroup):
    """The settings of the registry of the schemas of messages."""

    # Secret, for the message about one with a password in it.
    schema_registry_url: Annotated[SecretStr | None, AfterValidator(_registry_url)] = Field(
        None, examples=["https://schemas.example:8081"]
    )
    """The schema registry, which speaks Confluent's REST API."""
    schema_registry_user: str | None = Field(None, pattern=r"^[^:\s]+$", examples=["gata"])
    """The user's name (or API key) in the schema registry; if unset, it is asked without a login."""
    schema_registry_password: SecretStr | None = Field(None, examples=["the-password-of-the-registry"])
    """The password (or API secret) of SCHEMA_REGISTRY_USER."""
    glue_schema_registry: str | None = Field(None, pattern=r"^[A-Za-z0-9$#._-]{1,255}$", examples=["gata-schemas"])
    """The name of the registry in AWS Glue, in place of SCHEMA_REGISTRY_URL."""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.schema_registry_url and self.glue_schema_registry:
            raise wrong("SCHEMA_REGISTRY_URL and GLUE_SCHEMA_REGISTRY name two registries: leave one unset")
        if (self.schema_registry_user is None) != (self.schema_registry_password is None):
            raise wrong("SCHEMA_REGISTRY_USER and SCHEMA_REGISTRY_PASSWORD belong together: set both or none")
        return self
