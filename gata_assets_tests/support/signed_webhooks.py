"""A registered source of webhooks and the requests that its sender signs, by the senders' own rules."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

from gata_assets.ingestion.webhooks.source import WebhookSource
from gata_assets.ingestion.webhooks.source_store import WebhookStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.http_service import TENANT, Reply, RunningService
from gata_assets_tests.support.raw_worlds import NOW

VARIABLE = "WEBHOOK_SECRET_SHOP"
SECRET = "whsec_" + base64.b64encode(b"canary-canary-canary-canary").decode()
VARIABLES = {VARIABLE: SECRET}


def registered(
    store: ObjectStore,
    name: str = "shop",
    *,
    scheme: str = "standard",
    secrets: tuple[str, ...] = (VARIABLE,),
    is_flattened: bool = False,
    table: str = "interactions",
) -> None:
    """Register a source."""
    source = WebhookSource(name, TENANT, table, scheme, secrets, is_flattened=is_flattened, created_at=NOW)  # type: ignore[arg-type]
    WebhookStore(store, lambda: NOW).add(source)


def signed(body: bytes, event_id: str = "e1", *, at: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    seconds = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{seconds}.".encode() + body, sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": event_id, "webhook-timestamp": seconds, "webhook-signature": signature}


def send(
    service: RunningService, content: object, event_id: str = "e1", *, name: str = "shop", at: datetime = NOW
) -> Reply:
    """Send an event as its sender does."""
    body = json.dumps(content).encode()
    return post(service, body, signed(body, event_id, at=at), name=name)


def post(service: RunningService, body: bytes, headers: Mapping[str, str], *, name: str = "shop") -> Reply:
    """Send a request to a source."""
    return service.ask("POST", f"/webhooks/{name}", body, {"Content-Type": "application/json", **headers})
