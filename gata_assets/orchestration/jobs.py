"""What all jobs share: their partitions (hours, one per batch ID, and days), their settings, and their schedules.

Schedules prepare the batch of the hour, at fixed times; they are stopped until they are switched on.
"""

from datetime import UTC, date, datetime

import dagster as dg

from gata_assets.batches import BATCH_ID_FORMAT

PREPARE_SCHEDULE = "prepare_schedule"
INTERACTION_SCHEDULE = "prepare_interactions_schedule"
# Dagster uses the loggers of the definitions only if a run names them.
RUN_CONFIG: dict[str, dict[str, dict[str, str]]] = {"loggers": {"console": {}}}


def batch_partitions(first_batch_id: str) -> dg.HourlyPartitionsDefinition:
    """Hourly partitions whose key is the batch ID, in UTC; that of the current hour exists from its start."""
    return dg.HourlyPartitionsDefinition(start_date=first_batch_id, fmt=BATCH_ID_FORMAT, end_offset=1)


def day_partitions(earliest: date) -> dg.DailyPartitionsDefinition:
    """Daily partitions, `2026-01-02`, in UTC; that of the present day exists from its start."""
    first_at = datetime.combine(earliest, datetime.min.time(), UTC)
    return dg.DailyPartitionsDefinition(start_date=first_at, end_offset=1)


def build_job(name: str, selection: dg.AssetSelection, description: str) -> "dg.UnresolvedAssetJobDefinition":
    """A job over assets."""
    return dg.define_asset_job(name, selection=selection, config=RUN_CONFIG, description=description)


def build_schedule(name: str, job: str, cron: str, partitions: dg.PartitionsDefinition[str]) -> dg.ScheduleDefinition:
    """The schedule of a job over batches by a cron expression, in UTC."""

    @dg.schedule(
        name=name,
        cron_schedule=cron,
        execution_timezone="UTC",
        job_name=job,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Prepares the batch of the hour for which it was scheduled, also when it comes late.",
    )
    def prepare(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        batch_id = context.scheduled_execution_time.strftime(BATCH_ID_FORMAT)
        if not partitions.has_partition_key(batch_id):
            return dg.SkipReason(f"There is no batch {batch_id}: it is before FIRST_BATCH_ID or in the future.")
        return dg.RunRequest(run_key=batch_id, partition_key=batch_id, tags={"gata/reason": f"schedule {cron}"})

    return prepare
