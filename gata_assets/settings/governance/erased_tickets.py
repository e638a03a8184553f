"""What is known of erased tickets with some settings; not in `model`, which loads no Polars."""

from __future__ import annotations

from gata_assets.settings.model import Settings
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tickets.erasure.tombstones import TicketTombstones


def ticket_tombstones(settings: Settings) -> TicketTombstones:
    """The tombstones of the tickets that batches are prepared from, with the keys of the settings."""
    return TicketTombstones(TombstoneReader(settings.privacy.privacy_keys), settings.tickets.tenant)
