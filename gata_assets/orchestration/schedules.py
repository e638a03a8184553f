"""The schedules: the batch of the hour, at fixed times. They are stopped until they are switched on."""

import dagster as dg

from gata_assets.batches import BATCH_ID_FORMAT

PREPARE_SCHEDULE = "prepare_schedule"
INTERACTION_SCHEDULE = "prepare_interactions_schedule"


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
