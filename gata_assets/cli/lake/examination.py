"""What `gata doctor` finds out about lakes: the days of each, and the files that wait."""

from __future__ import annotations

from collections.abc import Iterator

from gata_assets.definitions.lake import open_lake_curator
from gata_assets.lake.tables import TICKETS
from gata_assets.settings.model import Settings
from gata_assets.settings.tenants import lakes_prepared
from gata_assets.storage.objects import ObjectStore

# The subject, whether it is well (None: a note), and what was found.
Found = tuple[str, bool | None, str]


def examine_lakes(settings: Settings, store: ObjectStore) -> Iterator[Found]:
    """A finding for each lake, none where there is no lake; raises GataError."""
    for tenant in lakes_prepared(settings, store):
        subject, curator = f"lake of {tenant}", open_lake_curator(settings, tenant, store)
        waiting, written = len(curator.unvalidated()), len(curator.curated_partitions(TICKETS))
        stale = len(curator.stale(TICKETS))
        if not (waiting or written or stale):
            yield subject, None, "there is no file of tickets yet; `gata ingest tickets` lands some"
            continue
        found = f"{written:,} days of offline tickets, {stale:,} to be written, {waiting:,} raw files waiting"
        yield subject, None if stale or waiting else True, found
