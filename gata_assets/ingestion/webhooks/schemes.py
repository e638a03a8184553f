"""Whether a request is signed by a secret, and which event it is. Pure: the clock is given.

`standard` signs the event's ID, the instant of the attempt and the body; `github` signs the body alone, so its ID says
only what the sender itself sends again.
Sources: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from gata_assets.errors import WebhookError, WebhookSignatureError
from gata_assets.ingestion.webhooks.scheme_names import Scheme

# How old the signed instant of an attempt may be, or how far ahead.
REPLAY_WINDOW = timedelta(minutes=5)
# As an Idempotency-Key, and as what a segment has of a request.
_EVENT_ID = re.compile(r"[!-~]{1,255}")
_SECONDS = re.compile(r"[0-9]{1,11}")


def verify(scheme: Scheme, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The ID of the event that a request has, once its signature is that of one of the secrets.

    Args:
        scheme: How it is signed.
        secrets: As the sender has them.
        headers: By their names in lower case.
        body: As it came.
        now: The present instant.

    Raises:
        WebhookSignatureError: It is not signed so, or too long ago.
        WebhookError: A secret is none of the scheme.
    """
    return _SCHEMES[scheme](secrets, headers, body, now)


def _verify_standard(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    event_id = _event_id(headers, "webhook-id")
    seconds, given = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    if not _SECONDS.fullmatch(seconds) or not given:
        raise WebhookSignatureError(
            "The headers webhook-timestamp (seconds since 1970) and webhook-signature are needed."
        )
    try:
        at, text = datetime.fromtimestamp(int(seconds), UTC), body.decode()
        wanted = [_standard(secret).sign(event_id, at, text) for secret in secrets]
    except (UnicodeDecodeError, OverflowError, ValueError):
        raise _not_signed() from None
    # Several while the sender itself replaces its secret.
    if not _has_equal(wanted, given.split(" ")):
        raise _not_signed()
    if abs(now - at) > REPLAY_WINDOW:
        raise WebhookSignatureError(
            f"The request was signed at another time: webhook-timestamp may differ by "
            f"{REPLAY_WINDOW.total_seconds():.0f} seconds from the clock of the service.",
            is_stale=True,
        )
    return event_id


def _standard(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (EmptyWebhookSecretError, ValueError):
        raise WebhookError("A secret is none of Standard Webhooks: whsec_ and base64 are needed.") from None


def _verify_github(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, _: datetime) -> str:
    event_id = _event_id(headers, "x-github-delivery")
    wanted = [f"sha256={hmac.new(secret.encode(), body, sha256).hexdigest()}" for secret in secrets]
    if not _has_equal(wanted, [headers.get("x-hub-signature-256", "")]):
        raise _not_signed()
    return event_id


_SCHEMES: Mapping[Scheme, Callable[[Sequence[str], Mapping[str, str], bytes, datetime], str]] = {
    "standard": _verify_standard,
    "github": _verify_github,
}


def _event_id(headers: Mapping[str, str], name: str) -> str:
    event_id = headers.get(name, "")
    if not _EVENT_ID.fullmatch(event_id):
        raise WebhookSignatureError(f"The header {name} is needed: 1 to 255 visible ASCII characters.")
    return event_id


def _has_equal(wanted: Sequence[str], given: Sequence[str]) -> bool:
    """Whether any is equal, in a time that does not depend on how much of it is."""
    equal = [hmac.compare_digest(one.encode(), other.encode()) for one in wanted for other in given]
    return any(equal)


def _not_signed() -> WebhookSignatureError:
    return WebhookSignatureError("The request is not signed by a secret of this source, or its body was changed.")
