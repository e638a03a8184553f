"""The sensor of new raw files: lists waiting files, calls `curation.requests`, and passes the requests to Dagster."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensor functions as objects.
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.batches import Window
from gata_assets.curation.backlog import Backlog, listing_digest
from gata_assets.curation.files.tenants import TenantSearch
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.requests import CurationRequest, ask_again, request_curation
from gata_assets.errors import StoreError
from gata_assets.logs import RANGE_TAGS
from gata_assets.orchestration.curated_tables.due import CURATED, AssetNames, due_days, missing_days
from gata_assets.orchestration.instances import asked_runs, is_underway
from gata_assets.storage.resource import ObjectStoreResource

if TYPE_CHECKING:
    from gata_assets.curation.curated.curator import TableCurator

# Tags to find the runs of a tenant, those with the same request, and the versions of the files that they were for.
_TENANT, _CURATION, _VERSIONS = "gata/tenant", "gata/curation", "gata/versions"
_RELOAD = "reload the code location, which lists tenants when it is loaded."
# A tick lists a few folders of each tenant and reads reports that changed; for a new part it reads manifests too.
_FILES_TICK_SECONDS = 60


@dataclass(frozen=True)
class WatchedTables:
    """The tables that a sensor watches: their tenants, their curator, and the job that curates them.

    `days` are the partitions of tables curated by day, `has_days` whether there are any. Batches read `window_days` of
    `window_table`, so a day of it without a curated table is requested even if no file has a row of it. With
    `searches`, each tick looks for tenants that got their first file after the definitions were loaded.
    """

    sensor: str
    job: str
    tenants: Sequence[str]
    tables: Sequence[str]
    curator: "Callable[[str, ObjectStoreResource, datetime], TableCurator]"
    days: dg.PartitionsDefinition[str]
    has_days: bool = True
    window_table: str | None = None
    window_days: int = 0
    searches: Sequence[TenantSearch] = ()
    names: AssetNames = CURATED


def build_files_sensor(watched: WatchedTables, *, clock: Callable[[], datetime] | None = None) -> dg.SensorDefinition:
    """The sensor that requests the curation of landed files, and of missing or stale partitions.

    A tenant whose store fails is reported, and stops no other. Work that a run failed to do is requested again
    (`curation.requests.ask_again`), decided by the runs themselves. The cursor only saves work: it has the listings for
    which nothing was stale, each for an hour at most; to find that out, all reports and manifests must be read. So does
    what is remembered of reports while the process lives.
    """
    backlog = Backlog()

    @dg.sensor(
        name=watched.sensor,
        job_name=watched.job,
        minimum_interval_seconds=_FILES_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Asks for the curation of new and changed raw files, and of days that are missing or stale.",
    )
    def new_files(context: dg.SensorEvaluationContext, object_store: ObjectStoreResource) -> dg.SensorResult:
        present = clock() if clock else datetime.now(UTC)
        backlog.begin()
        requests: list[CurationRequest] = []
        unread: list[str] = []
        waits: list[str] = []
        settled: dict[str, str] = json.loads(context.cursor or "{}")
        try:
            new = sorted({name for search in watched.searches for name in search.find(object_store)})
        except StoreError as error:
            new = []
            unread.append(f"tenants: {error}")
            context.log.error(unread[-1])
        if new:
            waits.append(f"{', '.join(new)} {'has' if len(new) == 1 else 'have'} files and no assets: {_RELOAD}")
            context.log.warning(waits[-1])
        for tenant in watched.tenants:
            if is_underway(context.instance, _TENANT, tenant):
                # Missing days decrease during a run, so they would be requested under another key.
                waits.append(f"{tenant}: a run is underway.")
                continue
            try:
                found, settled_by = _requests(watched, tenant, object_store, present, settled.get(tenant), backlog)
            except StoreError as error:
                unread.append(f"{tenant}: {error}")
                context.log.error(unread[-1])
                continue
            requests += found
            settled |= {tenant: settled_by} if settled_by else {}
        runs: list[dg.RunRequest] = []
        for request in requests:
            asked = asked_runs(context.instance, _CURATION, request.key, versions=_VERSIONS)
            asking = ask_again(request.key, asked, present, request.versions)
            if asking.run_key is None:
                waits.append(f"{request.tenant}, {request.reason}: {asking.why_not}.")
                continue
            of_days = dict(zip(RANGE_TAGS, (str(request.first), str(request.last)), strict=True))
            tags = {"gata/reason": request.reason, _TENANT: request.tenant}
            tags |= {_CURATION: request.key, _VERSIONS: request.versions}
            assets = [key for table in watched.tables for key in watched.names.keys(request.tenant, table)]
            tags |= of_days if watched.has_days else {}
            runs.append(dg.RunRequest(run_key=asking.run_key, asset_selection=assets, tags=tags))
        return dg.SensorResult(
            run_requests=runs,
            skip_reason=None if runs else "; ".join(unread + waits) or "No file waits, and no day is missing or stale.",
            cursor=json.dumps(settled),
        )

    return new_files


def _requests(
    watched: WatchedTables,
    tenant: str,
    store: ObjectStoreResource,
    present: datetime,
    settled: str | None,
    backlog: Backlog,
) -> tuple[list[CurationRequest], str | None]:
    """A tenant's requests, and its listing if nothing is stale; raises StoreError."""
    places = TenantLayout(tenant)
    missing: list[date] = []
    if watched.window_table:
        window = Window(present - timedelta(days=watched.window_days), present)
        missing = missing_days(places, store, watched.window_table, watched.days, window)
    waiting = backlog.find_waiting(places, store, watched.tables)
    listing = listing_digest(places, store, watched.tables)
    stale: list[date] = []
    # An overwritten report and a withdrawn manifest keep their names.
    looked_at = f"{listing} {present:%Y-%m-%d %H}"
    if settled != looked_at:
        # Files that `gata ingest` has validated have reports, but their days must still be curated.
        curator = watched.curator(tenant, store, present)
        found = {day for table in watched.tables for day in due_days(curator, table, watched.days)}
        stale = sorted(found.difference(missing))
    requests = request_curation(tenant, waiting, missing, present.date(), stale=stale, listing=listing)
    return requests, None if stale else looked_at
