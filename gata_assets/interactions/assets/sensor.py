"""The sensor for raw files of interactions and items, and for missing or stale days that batches read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.curation.policy import CurationRules
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.orchestration.curated_tables.sensor import WatchedTables, build_files_sensor
from gata_assets.storage.resource import ObjectStoreResource

if TYPE_CHECKING:
    from gata_assets.interactions.curated.curator import Curator

NEW_FILES_SENSOR = "new_files_sensor"


def build_new_files_sensor(
    tenants: Sequence[str],
    days: dg.PartitionsDefinition[str],
    rules: CurationRules,
    *,
    window_days: int,
    clock: Callable[[], datetime] | None = None,
) -> dg.SensorDefinition:
    """The sensor that requests the curation of files that landed, and of days that are missing or stale.

    `window_days` is how many days back batches read.
    """

    def curator(tenant: str, store: ObjectStoreResource, present: datetime) -> Curator:
        # Imported here, since it loads compiled kernels and definitions are loaded often.
        from gata_assets.interactions.curated.curator import Curator

        return Curator(store, tenant, rules, present)

    watched = WatchedTables(
        NEW_FILES_SENSOR,
        CURATE_INTERACTIONS,
        tenants,
        tuple(TABLES),
        curator,
        days,
        window_table=INTERACTIONS,
        window_days=window_days,
    )
    return build_files_sensor(watched, clock=clock)
