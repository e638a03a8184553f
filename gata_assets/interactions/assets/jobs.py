"""The jobs of interactions, which curate days and prepare batches, and the sensor for raw files and missing days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from gata_assets.curation.files.tenants import TenantSearch
from gata_assets.curation.policy import CurationRules
from gata_assets.interactions.datasets import curation_op
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.orchestration.curated_tables.sensor import WatchedTables, build_files_sensor
from gata_assets.orchestration.jobs import build_job
from gata_assets.storage.objects import ObjectStore

if TYPE_CHECKING:
    from gata_assets.interactions.curated.curator import Curator

CURATE_INTERACTIONS = "curate_interactions"
PREPARE_INTERACTIONS = "prepare_interactions"
NEW_FILES_SENSOR = "new_files_sensor"


def open_curator(rules: CurationRules, tenant: str, store: ObjectStore, present: datetime | None = None) -> Curator:
    """A tenant's curator; imported here, since it loads compiled kernels and definitions are loaded often."""
    from gata_assets.interactions.curated.curator import Curator

    return Curator(store, tenant, rules, present or datetime.now(UTC))


def keep_to_days(tenant: str, first: date, last: date) -> dict[str, Any]:
    """The configuration of a curation run that skips stale days outside this range."""
    return {"ops": {curation_op(tenant): {"config": {"first_day": str(first), "last_day": str(last)}}}}


def build_interaction_jobs(
    curated: Sequence[dg.AssetKey], batches: Sequence[dg.AssetKey]
) -> list[dg.UnresolvedAssetJobDefinition]:
    """The jobs of interactions, each for all tenants: `curated` are days and catalogs, `batches` are hourly assets.

    They are not part of `prepare_tickets`, so that a failure or a wait in one pipeline does not delay the other.
    """
    curate = "Validate new raw files, and curate a day or a range of days, and the catalog."
    prepare = "Prepare one batch or a range of them: from curated days to features and training data."
    return [
        build_job(CURATE_INTERACTIONS, dg.AssetSelection.assets(*curated), curate),
        build_job(PREPARE_INTERACTIONS, dg.AssetSelection.assets(*batches), prepare),
    ]


def build_new_files_sensor(
    tenants: Sequence[str],
    days: dg.PartitionsDefinition[str],
    rules: CurationRules,
    *,
    window_days: int,
    searches: Sequence[TenantSearch] = (),
    clock: Callable[[], datetime] | None = None,
) -> dg.SensorDefinition:
    """The sensor that requests the curation of files that landed, and of days that are missing or stale.

    `window_days` is how many days back batches read. Of `searches` it names those that have files and no assets.
    """
    watched = WatchedTables(
        NEW_FILES_SENSOR,
        CURATE_INTERACTIONS,
        tenants,
        tuple(TABLES),
        partial(open_curator, rules),
        days,
        window_table=INTERACTIONS,
        window_days=window_days,
        searches=searches,
    )
    return build_files_sensor(watched, clock=clock)
