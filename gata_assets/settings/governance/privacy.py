"""The settings of privacy: the keys by which erased people are known, and stores of the user's own."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gata_assets.settings import values
from gata_assets.settings.values import SettingsGroup, wrong
from gata_assets.tables.people.privacy_keys import PrivacyKeys

_FEWEST_BYTES = 32
_KEY = re.compile(r"([1-9][0-9]{0,5}):(\S+)")


def _keys_of(value: str) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        match = _KEY.fullmatch(part)
        if match is None:
            raise wrong("has a part that is no VERSION:KEY, such as 1: and what `openssl rand -hex 32` prints")
        version, key = int(match[1]), match[2].encode()
        if version in found:
            raise wrong(f"has two keys of version {version}")
        if len(key) < _FEWEST_BYTES:
            raise wrong(f"has a key of fewer than {_FEWEST_BYTES} bytes (version {version})")
        found[version] = key
    return found


def _all_long(value: SecretStr) -> SecretStr:
    _keys_of(value.get_secret_value())
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

    @property
    def privacy_keys(self) -> PrivacyKeys:
        """The keys by version."""
        return PrivacyKeys(_keys_of(self.keys.get_secret_value()) if self.keys else {})
