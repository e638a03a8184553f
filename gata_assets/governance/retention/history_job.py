"""The job in Dagster that cleans its history, and the schedule that asks for it every night once it is switched on."""

# No `from __future__ import annotations` here: Dagster reads the annotations of op functions as objects.
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from gata_assets.governance.retention.history import clean_runs
from gata_assets.orchestration.jobs import RUN_CONFIG

CLEAN_HISTORY = "clean_history"
CLEAN_HISTORY_SCHEDULE = "clean_history_schedule"
# At 0.2 MB and some ten queries a run, minutes; what is left is the next night's.
MOST_RUNS = 2_000
_AT_NIGHT = "30 1 * * *"


def build_history_cleaning(
    days: int, *, is_on: bool, most: int = MOST_RUNS, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dg.Definitions:
    """The job and its schedule; runs that began more than so many days ago are deleted, unless retention is off."""

    @dg.op(name="clean_old_runs", description=f"Deletes ended runs of more than {days} days ago, the oldest first.")
    def clean_old_runs(context: dg.OpExecutionContext) -> None:
        if not is_on:
            raise dg.Failure(
                "Nothing is deleted while RETENTION=off: set RETENTION=on, and look at RETENTION_HISTORY_DAYS.",
                allow_retries=False,
            )
        cleaned = list(clean_runs(context.instance, clock() - timedelta(days=days), most=most))
        deleted = [run for run in cleaned if not run.is_kept]
        context.log.info(
            f"{len(deleted):,} runs of more than {days} days ago are deleted with their events and logs; "
            f"{sum(run.recorded_again for run in deleted):,} materializations of theirs were recorded again. "
            f"{len(cleaned) - len(deleted):,} stay: they have the newest materialization of an asset."
        )

    @dg.job(
        name=CLEAN_HISTORY,
        config=RUN_CONFIG,
        description=f"Delete runs of more than {days} days ago (RETENTION_HISTORY_DAYS) with their events and logs.",
    )
    def clean_history() -> None:
        clean_old_runs()

    schedule = dg.ScheduleDefinition(
        name=CLEAN_HISTORY_SCHEDULE,
        job=clean_history,
        cron_schedule=_AT_NIGHT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Asks every night for the deletion of runs that are older than RETENTION_HISTORY_DAYS.",
    )
    return dg.Definitions(jobs=[clean_history], schedules=[schedule])
