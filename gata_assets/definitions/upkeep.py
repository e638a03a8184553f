"""The upkeep of what ingestion has in the target, as the settings say."""

from __future__ import annotations

from datetime import UTC, datetime

from gata_assets.ingestion.upkeep.rounds import Upkeep
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore


def open_upkeep(settings: Settings, store: ObjectStore) -> Upkeep:
    """The upkeep of a store, by the clock of this machine."""
    if settings.kafka.connection is None:
        return Upkeep(store, lambda: datetime.now(UTC))
    from gata_assets.ingestion.kafka.relay.cursors import kept_from

    # What `gata publish` has not produced yet is kept for it.
    return Upkeep(store, lambda: datetime.now(UTC), kept_from=kept_from)
