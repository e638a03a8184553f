"""The settings of the online slice: which Redis, which tickets, for how long, and how they are stored."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gata_assets.lake.online.tickets import OnlineRules
from gata_assets.online.info import DocumentFormat
from gata_assets.settings.values import SettingsGroup, comma_separated, wrong

STATUSES = ("new", "open", "pending", "hold", "solved", "closed")


def _redis_url(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"rediss?://[^\s/?#]+(/[0-9]{1,5})?(\?\S*)?|unix://(\S*@)?/\S+", value.get_secret_value()):
        raise wrong("is not the URL of a Redis (redis://, rediss:// or unix://, with user:password@ where needed)")
    return value


def _statuses(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := set(names) - set(STATUSES):
        # A status is no secret, but what was written in its place may be.
        raise wrong(f"names {len(unknown)} that are none of {', '.join(STATUSES)}, with commas between them")
    # In one order, so that the same choice is the same slice.
    return tuple(status for status in STATUSES if status in names)


class OnlineSettings(SettingsGroup):
    """The settings of the online slice."""

    url: Annotated[SecretStr | None, AfterValidator(_redis_url)] = Field(
        None, alias="REDIS_URL", examples=["rediss://gata:the-password@redis.example:6379/0"]
    )
    """The Redis that the newest tickets are published to, of a cluster any node; if unset, they are published nowhere.
    Needs the extra `online`."""
    limit: int = Field(10_000, alias="ONLINE_LIMIT", ge=1, le=10_000_000)
    """How many tickets of a tenant are published: the newest."""
    statuses: Annotated[tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(_statuses)] | None = Field(
        None, alias="ONLINE_STATUSES", examples=["new,open,pending,hold"]
    )
    """The statuses of tickets that are published, separated by commas; if unset, all."""
    ttl_hours: float = Field(72, alias="ONLINE_TTL_HOURS", ge=1, le=24 * 365)
    """Hours after which published tickets expire, unless a publish follows."""
    json_form: DocumentFormat = Field(DocumentFormat.STRINGS, alias="ONLINE_JSON")
    """How tickets are stored: as strings, or as documents of the JSON module, which take three times the memory."""
    prefix: str = Field("gata", alias="ONLINE_PREFIX", pattern=r"^[A-Za-z0-9_.:-]{1,64}$")
    """What all keys in Redis begin with."""
    timeout_seconds: float = Field(10, alias="ONLINE_TIMEOUT_SECONDS", gt=0, le=600)
    """For how long Redis may be silent before a command is given up, and tried again."""
    patience_seconds: float = Field(60, alias="ONLINE_PATIENCE_SECONDS", ge=0, le=3_600)
    """For how long a command is tried again while Redis does not respond; then the publish fails."""

    @property
    def rules(self) -> OnlineRules:
        """The rules of a publish."""
        return OnlineRules(
            prefix=self.prefix,
            limit=self.limit,
            statuses=self.statuses or (),
            ttl_hours=self.ttl_hours,
            format=self.json_form,
            patience_seconds=self.patience_seconds,
        )
