"""The definitions of ticket lakes: the tenants' assets, and the jobs and sensor over them. Assembly only.

What reads tickets and what talks to Redis is imported when a run needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.curation.files.tenants import TenantSearch
from gata_assets.definitions.stores import build_store
from gata_assets.errors import SettingsError
from gata_assets.lake.assets import NAMES, bronze_key, build_lake_asset, build_online_asset, group_of
from gata_assets.lake.tables import RAW_TICKETS, TICKETS
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.asset_pages.raw_files import raw_files_spec
from gata_assets.orchestration.curated_tables.freshness import build_freshness_sensor
from gata_assets.orchestration.curated_tables.sensor import WatchedTables, build_files_sensor
from gata_assets.orchestration.jobs import build_job, build_schedule, day_partitions
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import curation_rules, require_lake
from gata_assets.storage.objects import ObjectStore

if TYPE_CHECKING:
    from gata_assets.lake.curator import LakeCurator
    from gata_assets.lake.online.erasure import OnlinePlace
    from gata_assets.lake.online.slice import LakeSlice
    from gata_assets.lake.online.tickets import OnlineTicket
    from gata_assets.lake.online.updating import PublishedSlice

CURATE_TICKETS = "curate_tickets"
PUBLISH_TICKETS = "publish_tickets"
PUBLISH_SCHEDULE = "publish_tickets_schedule"
RAW_TICKETS_SENSOR = "new_raw_tickets_sensor"
STALE_LAKES_SENSOR = "stale_lakes_sensor"


def build_lake_definitions(
    settings: Settings, tenants: Sequence[str], options: AssetOptions, searches: Sequence[TenantSearch]
) -> dg.Definitions:
    """The lakes of these tenants; the slice where REDIS_URL is set. The store is a resource of other definitions. Whom
    `searches` find is named by the sensor.
    """
    days, rules = day_partitions(settings.lake.earliest_date), curation_rules(settings)
    curator = partial(open_lake_curator, settings)
    curated = [
        build_lake_asset(
            tenant,
            curation=rules,
            days=days,
            curator=partial(curator, tenant),
            quality=settings.quality.rules,
            options=options,
        )
        for tenant in tenants
    ]
    publish = partial(publish_online, settings)
    online = [build_online_asset(tenant, publish, days, options) for tenant in tenants if settings.online.url]
    jobs = [
        build_job(
            CURATE_TICKETS,
            dg.AssetSelection.assets(*curated),
            "Validate new raw files of tickets into bronze, and write the days of offline tickets that they touch.",
        )
    ]
    if online:
        about = "Publish the newest tickets of the lake to Redis."
        jobs.append(build_job(PUBLISH_TICKETS, dg.AssetSelection.assets(*online), about))
    watched = WatchedTables(
        RAW_TICKETS_SENSOR,
        CURATE_TICKETS,
        tenants,
        (TICKETS,),
        curator,
        days,
        searches=searches,
        names=NAMES,
    )
    cron = settings.automation.prepare_schedule
    schedules = [build_schedule(PUBLISH_SCHEDULE, PUBLISH_TICKETS, cron, options.batches)] if online else []
    raw = [raw_files_spec(tenant, RAW_TICKETS, group=group_of(tenant)) for tenant in tenants]
    bronze = {tenant: bronze_key(tenant) for tenant in tenants}
    fresh = build_freshness_sensor(STALE_LAKES_SENSOR, TICKETS, bronze, settings.quality.rules.fresh_within)
    return dg.Definitions(
        assets=[*raw, *curated, *online], jobs=jobs, sensors=[build_files_sensor(watched), fresh], schedules=schedules
    )


def open_lake_curator(
    settings: Settings, tenant: str, store: ObjectStore, present: datetime | None = None
) -> LakeCurator:
    """The curator of a tenant's lake."""
    # Imported here, since it loads compiled kernels and definitions are loaded often.
    from gata_assets.lake.curator import LakeCurator

    require_lake(settings)
    rules = curation_rules(settings)
    return LakeCurator(store, tenant, rules, present or datetime.now(UTC), settings.lake.offline_rules)


def publish_online(settings: Settings, store: ObjectStore, tenant: str) -> PublishedSlice:
    """Publish a tenant's newest tickets to the Redis of the settings; raises GataError."""
    require_lake(settings)
    if settings.online.url is None:
        raise SettingsError("REDIS_URL is unset: set it to the Redis that tickets are published to.")
    with _of_extra():
        from gata_assets.lake.online.updating import publish_slice

    found = settings.online
    return publish_slice(
        store,
        tenant,
        settings.online.url.get_secret_value(),
        found.rules,
        timeout_seconds=found.timeout_seconds,
        tombstones=curation_rules(settings).tombstones,
    )


def open_online_place(settings: Settings, store: ObjectStore) -> OnlinePlace | None:
    """The tickets in Redis as a place of people's data; None where REDIS_URL is unset."""
    found = settings.online
    if found.url is None:
        return None
    with _of_extra():
        from gata_assets.lake.online.erasure import OnlinePlace

    return OnlinePlace(
        store,
        found.url.get_secret_value(),
        found.rules,
        settings.lake.offline_rules,
        curation_rules(settings).tombstones,
        timeout_seconds=found.timeout_seconds,
        clock=lambda: datetime.now(UTC),
    )


def expected_online(settings: Settings, tenant: str) -> Iterable[OnlineTicket]:
    """The tickets that Redis should have of a tenant, newest first, as its lake has them; raises GataError."""
    from gata_assets.lake.online.slice import with_slice
    from gata_assets.lake.online.tickets import newest_first

    require_lake(settings)

    def read(found: LakeSlice) -> list[OnlineTicket]:
        return newest_first(found.tickets())

    rules, tombstones = settings.online.rules, curation_rules(settings).tombstones
    return with_slice(build_store(settings), tenant, rules, lambda: datetime.now(UTC), read, tombstones=tombstones)


@contextmanager
def _of_extra() -> Iterator[None]:
    """Import what the extra `online` has."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("gata_assets"):
            raise
        raise SettingsError(f"{error.name} is not installed: pip install 'gata-assets[online]'.") from None
