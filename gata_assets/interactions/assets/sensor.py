"""The sensor of new raw files: lists what waits, asks `curation.requests`, and hands the requests to Dagster."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensor functions as objects.
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from gata_assets.batches import Window, days_of
from gata_assets.curation.backlog import find_missing, find_waiting, listing_digest
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.requests import CurationRequest, ask_again, request_curation
from gata_assets.errors import StoreError
from gata_assets.interactions.assets.jobs import CURATE_INTERACTIONS, CURATED
from gata_assets.interactions.schema import INTERACTIONS, TABLES
from gata_assets.logs import RANGE_TAGS
from gata_assets.orchestration.instances import asked_runs, is_underway
from gata_assets.storage.resource import ObjectStoreResource

if TYPE_CHECKING:
    from gata_assets.interactions.curated.curator import Curator

NEW_FILES_SENSOR = "new_files_sensor"
# Tags by which the runs of a tenant are found again, and those that were asked for the same.
_TENANT, _CURATION = "gata/tenant", "gata/curation"
# A look lists a few folders of each tenant; where another part is in them, it reads manifests too.
_FILES_TICK_SECONDS = 60


def _now() -> datetime:
    return datetime.now(UTC)


def build_new_files_sensor(
    tenants: Sequence[str],
    days: dg.PartitionsDefinition[str],
    rules: CurationRules,
    *,
    window_days: int,
    clock: Callable[[], datetime] = _now,
) -> dg.SensorDefinition:
    """The sensor that asks for the curation of files that came, and of days that nobody has curated or that are stale.

    `window_days` is how far back batches read. A tenant that cannot be looked at is said, and stops no other. What a
    run has failed to do is asked for again (`curation.requests.ask_again`), which the runs themselves tell. The cursor
    only spares work: it holds the listings for which no day was stale, each for an hour at most, and to find that out
    takes the reading of all reports and manifests.
    """

    @dg.sensor(
        name=NEW_FILES_SENSOR,
        job_name=CURATE_INTERACTIONS,
        minimum_interval_seconds=_FILES_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Asks for the curation of raw files without a report, and of days that are missing or out of date.",
    )
    def new_files(context: dg.SensorEvaluationContext, object_store: ObjectStoreResource) -> dg.SensorResult:
        present = clock()
        window = Window(present - timedelta(days=window_days), present)
        of_window = [day for day in days_of(window) if days.has_partition_key(str(day))]
        requests: list[CurationRequest] = []
        unread: list[str] = []
        waits: list[str] = []
        settled: dict[str, str] = json.loads(context.cursor or "{}")
        for tenant in tenants:
            places = TenantLayout(tenant)
            if is_underway(context.instance, _TENANT, tenant):
                # What is missing becomes less while a run goes on, and would be asked for as something else.
                waits.append(f"{tenant}: a run is underway.")
                continue
            try:
                waiting, missing = (
                    find_waiting(places, object_store, TABLES),
                    find_missing(places, object_store, of_window),
                )
                listing = listing_digest(places, object_store, INTERACTIONS)
                stale: list[date] = []
                # A report that was written over and a manifest that was withdrawn have the names of before.
                looked_at = f"{listing} {present:%Y-%m-%d %H}"
                if settled.get(tenant) != looked_at:
                    # Files that `gata ingest` has validated have their reports, and leave days to be made.
                    found = _curator(tenant, object_store, rules, present).stale_days()
                    stale = [day for day in found if days.has_partition_key(str(day)) and day not in missing]
            except StoreError as error:
                unread.append(f"{tenant}: {error}")
                context.log.error(unread[-1])
                continue
            requests += request_curation(tenant, waiting, missing, present.date(), stale=stale, listing=listing)
            if not stale:
                settled[tenant] = looked_at
        runs: list[dg.RunRequest] = []
        for request in requests:
            asking = ask_again(request.key, asked_runs(context.instance, _CURATION, request.key), present)
            if asking.run_key is None:
                waits.append(f"{request.tenant}, {request.reason}: {asking.why_not}.")
            else:
                runs.append(_curation_run(request, asking.run_key))
        return dg.SensorResult(
            run_requests=runs,
            skip_reason=None if runs else "; ".join(unread + waits) or "No file waits, and no day is missing or stale.",
            cursor=json.dumps(settled),
        )

    return new_files


def _curator(tenant: str, store: ObjectStoreResource, rules: CurationRules, present: datetime) -> "Curator":
    # Here, since it loads compiled kernels, and definitions are loaded all the time.
    from gata_assets.interactions.curated.curator import Curator

    return Curator(store, tenant, rules, present)


def _curation_run(request: CurationRequest, run_key: str) -> dg.RunRequest:
    first, last = RANGE_TAGS
    return dg.RunRequest(
        run_key=run_key,
        asset_selection=[dg.AssetKey([request.tenant, name]) for name in CURATED],
        tags={
            first: str(request.first),
            last: str(request.last),
            "gata/reason": request.reason,
            _TENANT: request.tenant,
            _CURATION: request.key,
        },
    )
