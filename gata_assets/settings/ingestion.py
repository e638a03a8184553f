"""The settings of ingestion: the HTTP service, and the schema registry."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from gata_assets.ingestion.http.service_rules import ServiceRules
from gata_assets.settings.values import SettingsGroup, wrong


def _registry_url(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://[^/\s@?#,]+(/[^\s@?#,]*)?", value.get_secret_value()):
        raise wrong("is not the URL of a registry (https://host:port, without a user's name)")
    return value


class IngestionSettings(SettingsGroup):
    """The settings of the schemas of messages."""

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


class ServiceSettings(SettingsGroup):
    """The settings of the service that `gata serve` starts."""

    host: str = Field("127.0.0.1", alias="SERVICE_HOST", pattern=r"^[0-9A-Za-z.:\-]{1,255}$")
    """The address that the service listens on; 0.0.0.0 for all of the machine. TLS ends at a proxy before it."""
    port: int = Field(8002, alias="SERVICE_PORT", ge=0, le=65_535)
    """The port that the service listens on; 0 takes a free one."""
    auth: Annotated[Literal["api-keys", "trusted-network"], BeforeValidator(str.lower)] = Field(
        "api-keys", alias="SERVICE_AUTH"
    )
    """Who may send: those with an API key, or with trusted-network whoever reaches the service, as the tenant that they
    name."""
    trusts_any_address: bool = Field(False, alias="SERVICE_TRUST_ANY_ADDRESS")
    """Whether SERVICE_AUTH=trusted-network may listen on other than private addresses: everybody who reaches them can
    send as any tenant."""
    max_body_megabytes: float = Field(32, alias="SERVICE_MAX_BODY_MEGABYTES", gt=0, le=1_000)
    """A larger body of JSON rows is refused; it is kept in memory."""
    max_body_rows: int = Field(100_000, alias="SERVICE_MAX_BODY_ROWS", ge=1, le=10**7)
    """A body of more JSON rows is refused."""
    max_upload_megabytes: float = Field(4_000, alias="SERVICE_MAX_UPLOAD_MEGABYTES", gt=0, le=10**6)
    """A larger uploaded file is refused; it is kept on the disk for temporary files until it has landed."""
    max_upload_rows: int = Field(50_000_000, alias="SERVICE_MAX_UPLOAD_ROWS", ge=1, le=10**9)
    """An uploaded file of more lines is refused, unless it is compressed."""
    requests_per_second: float = Field(50, alias="SERVICE_REQUESTS_PER_SECOND", gt=0, le=10**6)
    """How many requests each API key may send a second, in the long run; to each process."""
    request_burst: int = Field(100, alias="SERVICE_REQUEST_BURST", ge=1, le=10**6)
    """How many requests each API key may send at once."""

    @property
    def service_rules(self) -> ServiceRules:
        """Who may send, and how much."""
        return ServiceRules(
            trusts_network=self.auth == "trusted-network",
            max_body_bytes=round(self.max_body_megabytes * 1e6),
            max_body_rows=self.max_body_rows,
            max_upload_bytes=round(self.max_upload_megabytes * 1e6),
            max_upload_rows=self.max_upload_rows,
            requests_per_second=self.requests_per_second,
            burst=self.request_burst,
        )
