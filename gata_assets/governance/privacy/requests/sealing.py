"""Seals the ids of a request, so that who is to be erased is readable by nobody but those who have the key.

AES-256-GCM by a key of the tenant. Sealed ids are of one request: under another name, or another tenant's, they do not
open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gata_assets.tables.people.privacy_keys import PrivacyKeys

# Of a nonce, as NIST SP 800-38D recommends; a key seals far fewer than the 2^32 requests that random ones allow.
_NONCE_BYTES = 12


def seal(keys: PrivacyKeys, version: int, tenant: str, request: str, ids: Sequence[str]) -> bytes:
    """The ids of a request, sealed; raises PrivacyKeyError without the key of the version."""
    nonce = token_bytes(_NONCE_BYTES)
    cipher = AESGCM(keys.sealing_key(tenant, version))
    return nonce + cipher.encrypt(nonce, json.dumps(ids).encode(), _belongs_to(tenant, request))


def unseal(keys: PrivacyKeys, version: int, tenant: str, request: str, sealed: bytes) -> tuple[str, ...]:
    """The ids of a request; raises PrivacyKeyError without the key, ValueError for any but its sealed ids."""
    cipher = AESGCM(keys.sealing_key(tenant, version))
    try:
        content = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _belongs_to(tenant, request))
    except (InvalidTag, ValueError):
        raise ValueError("not the sealed ids of this request") from None
    return tuple(json.loads(content))


def _belongs_to(tenant: str, request: str) -> bytes:
    return json.dumps([tenant, request]).encode()
