"""A registered source of webhooks as data: whose its events are, how they are signed; and its record in the store.

Pure. A record has the names of secrets, never a secret: `secrets` reads those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from gata_assets.curation.layout import is_tenant_name
from gata_assets.errors import WebhookError
from gata_assets.ingestion.webhooks.scheme_names import Scheme

# The one in use, and the one that replaces it.
MOST_SECRETS = 2
VARIABLE_PREFIX = "WEBHOOK_SECRET_"
# No underscore: names of raw files, and so patterns of mappings, have none.
_SOURCE = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
_VARIABLE = re.compile(VARIABLE_PREFIX + r"[A-Z0-9_]{1,100}")
_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,519}")
_VERSION = 1


@dataclass(frozen=True)
class WebhookSource:
    """A source of webhooks.

    Attributes:
        name: the last part of its path, and of the source of its events: `webhook/{name}`.
        tenant: whose its events are.
        table: the table that they are rows of.
        scheme: how its requests are signed.
        secrets: the names of one or two secrets: variables of the service, or ARNs of AWS Secrets Manager.
        is_flattened: whether fields of nested objects become fields with names such as `data.user.id`.
        created_at: when it was registered.
    """

    name: str
    tenant: str
    table: str
    scheme: Scheme
    secrets: tuple[str, ...]
    is_flattened: bool
    created_at: datetime

    @property
    def event_source(self) -> str:
        """What its events name as their source."""
        return f"webhook/{self.name}"


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal[1]
    name: str
    tenant: str
    table: str
    scheme: Scheme
    secrets: tuple[str, ...]
    is_flattened: bool
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]


def is_source_name(name: str) -> bool:
    """Whether a source can have this name."""
    return _SOURCE.fullmatch(name) is not None


def is_arn(secret: str) -> bool:
    """Whether a secret's name is an ARN of AWS Secrets Manager."""
    return _ARN.fullmatch(secret) is not None


def require_sound(source: WebhookSource) -> None:
    """Check that a source can be registered; raises WebhookError, which never repeats what was given as a secret."""
    if not is_source_name(source.name):
        raise WebhookError("A source's name is 1 to 30 of a-z 0-9 -, and begins and ends with a letter or digit: shop.")
    if not is_tenant_name(source.tenant):
        raise WebhookError("No tenant has such a name: 1 to 63 of a-z 0-9 _ are needed, for example acme.")
    if not 1 <= len(source.secrets) <= MOST_SECRETS or len({*source.secrets}) != len(source.secrets):
        raise WebhookError(f"A source has one secret, or {MOST_SECRETS} different ones while one replaces the other.")
    if not all(is_arn(secret) or _VARIABLE.fullmatch(secret) for secret in source.secrets):
        raise WebhookError(
            f"A secret is named, not given: by a variable of the service that begins with {VARIABLE_PREFIX}, or by the "
            "ARN of a secret in AWS Secrets Manager. If this was the secret itself, your shell may remember it: "
            "replace it."
        )


def encode_source(source: WebhookSource) -> bytes:
    """The source's record as JSON."""
    return msgspec.json.encode({"version": _VERSION, **source_as_json(source)})


def source_as_json(source: WebhookSource) -> dict[str, Any]:
    """What may be shown of a source: all of its record."""
    return {
        "name": source.name,
        "tenant": source.tenant,
        "table": source.table,
        "scheme": source.scheme,
        "secrets": list(source.secrets),
        "is_flattened": source.is_flattened,
        "created_at": source.created_at.isoformat(),
    }


def decode_source(content: bytes) -> WebhookSource:
    """The source of a record; raises ValueError, without a word of the record, if it is not exactly one."""
    try:
        found = msgspec.json.decode(content, type=_Record)
        source = WebhookSource(
            found.name,
            found.tenant,
            found.table,
            found.scheme,
            found.secrets,
            is_flattened=found.is_flattened,
            created_at=found.created_at,
        )
        require_sound(source)
    except (msgspec.MsgspecError, UnicodeDecodeError, WebhookError):
        raise ValueError("not the record of a source of webhooks") from None
    return source
