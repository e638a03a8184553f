"""The settings of privacy: how erased people are known, by when they are erased, and stores of the user's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gata_assets.settings import values
from gata_assets.settings.governance.keys import keys_by_version
from gata_assets.settings.values import SettingsGroup, cron
from gata_assets.tables.people.privacy_keys import PrivacyKeys

_FEWEST_BYTES = 32


def _all_long(value: SecretStr) -> SecretStr:
    keys_by_version(value.get_secret_value(), _FEWEST_BYTES)
    return value


class PrivacySettings(SettingsGroup):
    """The settings of erasure and export."""

    keys: Annotated[SecretStr | None, AfterValidator(_all_long)] = Field(
        None, alias="PRIVACY_KEYS", examples=["1:64-random-characters-of-your-own"]
    )
    """The keys by which erased people are known without their ids, as VERSION:KEY, separated by commas; each at least
    32 bytes. The highest version is used for new requests. Keep every version: without the key of a version, tenants
    of whom people were erased under it cannot be read."""

    hooks: (
        Annotated[tuple[str, ...], BeforeValidator(values.comma_separated), AfterValidator(values.object_names)] | None
    ) = Field(None, alias="PRIVACY_HOOKS", examples=["mycompany.stores:embeddings"])
    """Objects that erase, export and count people in stores of your own, as module:object, separated by commas
    (docs/privacy.md has an example)."""
    deadline_hours: float = Field(24, alias="PRIVACY_DEADLINE_HOURS", gt=0, le=87_600)
    """Hours after a request to erase people within which nothing of theirs is left; the check
    `erasure_requests_in_time` fails for one that took longer."""
    schedule: Annotated[str, AfterValidator(cron)] = Field("0 */6 * * *", alias="PRIVACY_SCHEDULE")
    """When the schedule of `erase_people` carries out requests: cron, in UTC. Often enough that a request which just
    missed a run is in time: with a deadline of a day, a daily run is not."""

    @property
    def deadline(self) -> timedelta:
        """Within which a request is to be carried out."""
        return timedelta(hours=self.deadline_hours)

    @property
    def privacy_keys(self) -> PrivacyKeys:
        """The keys by version."""
        return PrivacyKeys(keys_by_version(self.keys.get_secret_value(), _FEWEST_BYTES) if self.keys else {})
