"""The sensor of a shop: asks for a run when raw files wait, and once a day, since rows wait for a number of days.

A tick lists raw files and reports; what a run finds out of date is up to the curator. A failed run is asked for again
as `curation.requests` says.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensor functions as objects.
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256

import dagster as dg

from gata_assets.curation.backlog import Backlog
from gata_assets.curation.requests import RunState, ask_again
from gata_assets.errors import StoreError
from gata_assets.orchestration.instances import asked_runs, is_underway
from gata_assets.shop.places import ShopLayout
from gata_assets.storage.objects import ObjectStore

SHOP_SENSOR = "shop_files_sensor"
CURATE_SHOP = "curate_shop"
_TICK_SECONDS = 60
# Tags of runs: whose they are, what they were asked for, and which versions of files that was.
_SOURCE, _REQUEST, _VERSIONS = "gata/source", "gata/curation", "gata/versions"


def build_shop_sensor(
    jobs: "Mapping[str, dg.UnresolvedAssetJobDefinition]",
    tables: Sequence[str],
    open_store: Callable[[], ObjectStore],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
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
    def files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        present, store = clock(), open_store()
        backlog.begin()
        requests, waits = [], []
        for source, job in jobs.items():
            if is_underway(context.instance, _SOURCE, source):
                waits.append(f"{source}: a run is underway")
                continue
            try:
                waiting = backlog.find_waiting(ShopLayout(source), store, tables)
            except StoreError as error:
                waits.append(f"{source}: {error}")
                context.log.error(waits[-1])
                continue
            key, versions = _request_of(source, waiting, present.date())
            runs = asked_runs(context.instance, _REQUEST, key, versions=_VERSIONS)
            if not waiting and any(run.state is RunState.SUCCEEDED for run in runs):
                waits.append(f"{source}: no file waits")
                continue
            asking = ask_again(key, runs, present, versions)
            if asking.run_key is None:
                waits.append(f"{source}: {asking.why_not}")
                continue
            newest = max((day for path in waiting if (day := _day_of(source, tables, path))), default=present.date())
            requests.append(
                dg.RunRequest(
                    run_key=asking.run_key,
                    job_name=job.name,
                    partition_key=str(min(newest, present.date())),
                    tags={
                        _SOURCE: source,
                        _REQUEST: key,
                        _VERSIONS: versions,
                        "gata/reason": f"{len(waiting):,} raw files" if waiting else "once a day",
                    },
                )
            )
        return dg.SensorResult(requests, skip_reason=None if requests else "; ".join(waits))

    return files


def _request_of(source: str, waiting: Mapping[str, str], today: date) -> tuple[str, str]:
    """What a run is asked for, by the names of files, and the digest of their versions."""
    names, versions = (
        sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()[:32]
        for lines in (sorted(waiting), [f"{key} {waiting[key]}" for key in sorted(waiting)])
    )
    return (f"{source}:{names}", versions) if waiting else (f"{source}:{today}", "")


def _day_of(source: str, tables: Sequence[str], key: str) -> date | None:
    places = ShopLayout(source)
    return next((places.landing_day(table, key) for table in tables if key.startswith(places.raw(table))), None)
