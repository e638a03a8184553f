"""Requests to erase people over a store, as tests open them: with a key of the tests, and a deadline of a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from gata_assets.governance.privacy.requests.store import ErasureRequests
from gata_assets.governance.retention.holds import Holds
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.people.privacy_keys import PrivacyKeys

PRIVACY_KEYS = PrivacyKeys({1: b"k" * 32})


def erasure_requests(
    store: ObjectStore, clock: Callable[[], datetime], keys: PrivacyKeys = PRIVACY_KEYS
) -> ErasureRequests:
    """The requests of a target."""
    return ErasureRequests(store, keys, Holds(store, keys.every_digest), timedelta(days=1), clock)
