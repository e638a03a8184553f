"""An API key as data: whose it is, what it allows, from when to when; and its record in the store.

Pure. The secret is no part of it: `secret_text` makes it, and `key_store` stores the record by its digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from gata_assets.curation.layout import is_tenant_name
from gata_assets.ingestion.keys.scopes import ADMIN, SCOPES, Scope

_VERSION = 1


@dataclass(frozen=True)
class ApiKey:
    """A key of a tenant, without its secret; `prefix` are the 8 characters behind `gata_` in the secret."""

    prefix: str
    tenant: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def allows(self, scope: str) -> bool:
        """Whether the key, while it lives, allows what needs this scope."""
        return scope in self.scopes or ADMIN in self.scopes

    def state(self, now: datetime) -> Literal["live", "expired", "revoked"]:
        """What the key is at an instant; one that was revoked stays revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"

    def is_live(self, now: datetime) -> bool:
        """Whether it opens anything at an instant."""
        return self.state(now) == "live"


def in_order(scopes: frozenset[str]) -> tuple[str, ...]:
    """Scopes as they are shown."""
    return tuple(scope for scope in SCOPES if scope in scopes)


_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal[1]
    prefix: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-z]{8}\Z")]
    tenant: str
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1)]
    created_at: _Instant
    # Without defaults: a record that has lost its revocation is damaged.
    expires_at: _Instant | None
    revoked_at: _Instant | None


def encode_key(key: ApiKey) -> bytes:
    """The key's record as JSON."""
    return msgspec.json.encode({"version": _VERSION, **key_as_json(key)})


def key_as_json(key: ApiKey) -> dict[str, Any]:
    """What may be shown of a key: all of its record."""
    ends = {"expires_at": _text(key.expires_at), "revoked_at": _text(key.revoked_at)}
    scopes = list(in_order(key.scopes))
    return {"prefix": key.prefix, "tenant": key.tenant, "scopes": scopes, "created_at": _text(key.created_at), **ends}


def decode_key(content: bytes) -> ApiKey:
    """The key of a record; raises ValueError, without a word of the record, if it is not exactly one."""
    try:
        found = msgspec.json.decode(content, type=_Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ValueError("not the record of an API key") from None
    if not is_tenant_name(found.tenant):
        raise ValueError("not the record of an API key: it has no tenant")
    return ApiKey(
        found.prefix, found.tenant, frozenset(found.scopes), found.created_at, found.expires_at, found.revoked_at
    )


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
