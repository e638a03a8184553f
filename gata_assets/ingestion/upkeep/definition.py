"""Upkeep in Dagster: an asset that stands for the events in raw files, its job, and the sensor that asks for it.

A run is a round of `rounds`; its numbers are the asset's metadata, so they plot over time. The sensor asks only if a
round has something to do, and once an hour at most for the same: what a run could not do is tried again then.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset and sensor functions as objects.
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from gata_assets.errors import StoreError
from gata_assets.ingestion.segments.rollup import RolledUp
from gata_assets.ingestion.upkeep.rounds import Failed, Upkeep, describe
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.jobs import build_job
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import ObjectStoreResource

EVENTS_IN_RAW_FILES = dg.AssetKey(["ingestion", "events_in_raw_files"])
ROLL_UP_EVENTS = "roll_up_events"
EVENTS_SENSOR = "new_events_sensor"
# A tick reads the cursor of each stream that has segments, and its oldest segment.
_TICK_SECONDS = 60

OpenUpkeep = Callable[[ObjectStore], Upkeep]


def build_upkeep(tenants: Sequence[str], options: AssetOptions, opened: OpenUpkeep) -> dg.Definitions:
    """The asset, job and sensor; `tenants` have assets, and of others it is said that the location must be reloaded."""

    @dg.multi_asset(
        name="events_in_raw_files",
        specs=[
            dg.AssetSpec(
                EVENTS_IN_RAW_FILES,
                group_name="ingestion",
                description="Single events, which `gata serve` and consumers make durable, in raw files of their "
                "tenants: each past hour of them. What counts no longer is removed: segments, and records of requests.",
                code_version=options.code_version,
                owners=options.owners,
                kinds={"file"},
            )
        ],
        # Without it, `dagster asset materialize --select "*" --partition-range` refuses all.
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def events_in_raw_files(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        def note(done: RolledUp | Failed) -> None:
            if isinstance(done, Failed):
                context.log.error(f"{done.what}: {done.reason}")
            elif done.events:
                context.log.info(f"{done.stream}: {done.events} events to {len(done.files)} raw files")

        ended = opened(object_store).run(note)
        found = {key.partition("/")[0] for one in ended.streams for key in one.files}
        if unknown := sorted(found.difference(tenants)):
            context.log.warning(
                f"{', '.join(unknown)} got raw files and had no assets when this location was loaded: reload it."
            )
        yield dg.MaterializeResult(metadata=ended.numbers)
        if ended.failed:
            raise dg.Failure(describe(ended.failed), allow_retries=False)

    @dg.sensor(
        name=EVENTS_SENSOR,
        job_name=ROLL_UP_EVENTS,
        minimum_interval_seconds=_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Asks for raw files of single events once their hour is past, and for the removal of leftovers.",
    )
    def new_events(
        context: dg.SensorEvaluationContext, object_store: ObjectStoreResource
    ) -> dg.RunRequest | dg.SkipReason:
        try:
            due = opened(object_store).find_due()
        except StoreError as error:
            context.log.error(str(error))
            return dg.SkipReason(str(error))
        if due is None:
            return dg.SkipReason("No past hour has events that are not in raw files, and nothing is to be removed.")
        return dg.RunRequest(run_key=f"{datetime.now(UTC):%Y%m%d%H}-{due}")

    selection = dg.AssetSelection.assets(events_in_raw_files)
    description = "Turn single events of past hours into raw files, and remove what counts no longer."
    return dg.Definitions(
        assets=[events_in_raw_files],
        jobs=[build_job(ROLL_UP_EVENTS, selection, description)],
        sensors=[new_events],
    )
