"""The settings of the HTTP service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gata_assets.ingestion.http.service_rules import ServiceRules
from gata_assets.settings.values import SettingsGroup


class ServiceSettings(SettingsGroup):
    """The settings of the service that `gata serve` starts."""

    name: str = Field("data-pipeline", alias="SERVICE_NAME", pattern=r"^[ -~]{1,100}$")
    """The name of the service that `/health` answers."""
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
