"""The events of webhooks that were taken, by their IDs: idempotent requests that count for longer than others.

Senders try again for days, and people send again by hand what is a few days old.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from gata_assets.ingestion.keys.requests import IdempotentRequests
from gata_assets.storage.objects import ObjectStore

DELIVERED = "ingestion/webhook-events/"
KEPT = timedelta(days=7)
# An event is stored, or has failed, within half a minute.
LEASE = timedelta(minutes=2)


def delivered_events(store: ObjectStore, clock: Callable[[], datetime]) -> IdempotentRequests:
    """The events below `ingestion/webhook-events/`; `clock` gives the present instant in UTC."""
    return IdempotentRequests(store, clock, lease=LEASE, kept=KEPT, below=DELIVERED)
