"""The keys by which ids of people are digested, and what is kept of who was erased; `erased_people` looks them up.

Nothing here loads Polars or Arrow: settings are read by processes that have neither.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from gata_assets.errors import PrivacyKeyError

# A mark is a number below.
MARKS = 1 << 20


class Digest(NamedTuple):
    """What is kept of an id: its digest, and its mark, encrypted."""

    digest: str
    mark: int


@dataclass(frozen=True)
class Tombstones:
    """People who were erased at once: their digests by the key of a version, and those of the tokens that masked tables
    have in place of their ids; rows up to the instant do not count.
    """

    key_version: int
    erased_at: datetime
    people: tuple[Digest, ...]
    tokens: tuple[Digest, ...] = ()


class PrivacyKeys:
    """The keys by which ids of people are digested, by version; what it shows of itself has no key."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        """Keep them; the highest version is that of new digests."""
        self._keys = dict(keys)

    def __repr__(self) -> str:
        return f"PrivacyKeys(versions {sorted(self._keys)})"

    @property
    def newest(self) -> int:
        """The version of new digests; raises PrivacyKeyError without a key."""
        if not self._keys:
            raise PrivacyKeyError(
                "PRIVACY_KEYS has no key: set it, for example to 1: and what `openssl rand -hex 32` prints."
            )
        return max(self._keys)

    def of_tenant(self, tenant: str, version: int) -> bytes:
        """The key of a tenant, by the key of a version; raises PrivacyKeyError if there is none of it."""
        return self._derived("tenant", tenant, version)

    def sealing_key(self, tenant: str, version: int) -> bytes:
        """The key that seals ids of a tenant, which no digest of an id can be; raises as `of_tenant`."""
        return self._derived("seal", tenant, version)

    def every_digest(self, tenant: str, one: str) -> list[str]:
        """The digests of an id by the keys of all versions, the newest first; raises PrivacyKeyError without a key."""
        versions = sorted(self._keys, reverse=True) if self.newest else []
        return [digest_of(self.of_tenant(tenant, version), one).hex() for version in versions]

    def _derived(self, purpose: str, tenant: str, version: int) -> bytes:
        if version not in self._keys:
            raise PrivacyKeyError(
                f"People of {tenant} were erased under version {version} of PRIVACY_KEYS, which does not have it: who "
                "they are cannot be known without, so nothing of the tenant is read. Set that version again."
            )
        return hmac.digest(self._keys[version], f"{purpose}\0{tenant}".encode(), "sha256")


NO_PRIVACY_KEYS = PrivacyKeys({})


def digest_of(key: bytes, text: str) -> bytes:
    """The digest of an id by the key of its tenant."""
    return hmac.digest(key, text.encode(errors="surrogatepass"), "sha256")


def pad_of(key: bytes, digest: bytes) -> int:
    """Bits that only who has the key knows, others for each digest."""
    return int.from_bytes(hmac.digest(key, b"mark\0" + digest, "sha256")[:8]) % MARKS
