"""The sensor of a shop: asks for a run when raw files wait, and once a day, since rows wait for a number of days.

A tick lists raw files and reports; what a run finds out of date is up to the curator.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensor functions as objects.
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import dagster as dg

from gata_assets.curation.backlog import Backlog
from gata_assets.errors import StoreError
from gata_assets.orchestration.instances import is_underway
from gata_assets.shop.places import ShopLayout
from gata_assets.storage.objects import ObjectStore

SHOP_SENSOR = "shop_files_sensor"
CURATE_SHOP = "curate_shop"
_TICK_SECONDS = 60
_SOURCE = "gata/source"


def build_shop_sensor(
    jobs: "Mapping[str, dg.UnresolvedAssetJobDefinition]", tables: Sequence[str], open_store: Callable[[], ObjectStore]
) -> dg.SensorDefinition:
    """The sensor over the raw files of these tables; `jobs` are by source."""
    backlog = Backlog()

    @dg.sensor(
        name=SHOP_SENSOR,
        jobs=list(jobs.values()),
        minimum_interval_seconds=_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Curates a shop when raw files have arrived, and once a day for rows that have waited long enough.",
    )
    def files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        store, today = open_store(), datetime.now(UTC).date()
        backlog.begin()
        requests, underway = [], []
        for source, job in jobs.items():
            if is_underway(context.instance, _SOURCE, source):
                underway.append(source)
                continue
            try:
                waiting = backlog.find_waiting(ShopLayout(source), store, tables)
            except StoreError as error:
                # The tick fails, and the next one looks again.
                raise dg.Failure(str(error)) from None
            of_files = "\n".join(f"{key} {version}" for key, version in sorted(waiting.items()))
            digest = sha256(of_files.encode(errors="surrogatepass")).hexdigest()[:16] if waiting else "daily"
            requests.append(
                dg.RunRequest(
                    run_key=f"{source}-{today}-{digest}",
                    job_name=job.name,
                    partition_key=str(today),
                    tags={_SOURCE: source, "gata/reason": f"{len(waiting):,} raw files" if waiting else "once a day"},
                )
            )
        if not requests:
            return dg.SkipReason(f"A run is under way for {', '.join(underway)}.")
        return dg.SensorResult(requests)

    return files
