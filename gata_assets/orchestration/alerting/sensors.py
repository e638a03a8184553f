"""The sensors that report failed runs, overdue batches and low scores. All are stopped until they are switched on."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensor functions as objects.
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Literal

import dagster as dg

from gata_assets.curation.curated.check_names import QUALITY_IS_HIGH_ENOUGH
from gata_assets.errors import AlertError
from gata_assets.logs import NOT_EVALUATED, PARTITION_TAG, RANGE_TAGS
from gata_assets.orchestration.alerting.channels import AlertChannel
from gata_assets.orchestration.alerting.message import Alert, compose_alert, compose_quality_alert
from gata_assets.orchestration.alerting.overdue_check import OverdueRule, is_shown
from gata_assets.orchestration.failures import BatchFailure, read_failures

FAILED_RUNS_SENSOR = "failed_runs_sensor"
OVERDUE_SENSOR = "overdue_sensor"
LOW_QUALITY_SENSOR = "low_quality_sensor"
_EVALUATION = dg.DagsterEventType.ASSET_CHECK_EVALUATION

_ALERTS_A_TICK = 5
# How soon the UI shows a change. A tick takes a fraction of a second, even with 40,000 prepared batches.
_OVERDUE_TICK_SECONDS = 300


def build_overdue_sensor(rule: OverdueRule, *, interval_seconds: int = _OVERDUE_TICK_SECONDS) -> dg.SensorDefinition:
    """The sensor that evaluates the check of the newest batch without a run, so that the UI shows it by itself.

    It reports what the UI does not show yet, and the age again after an hour: there are many ticks, and Dagster keeps
    their events forever.
    """

    @dg.sensor(
        name=OVERDUE_SENSOR,
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Has the UI show when the newest prepared batch is older than OVERDUE_AFTER_HOURS.",
    )
    def overdue(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        evaluation = rule.evaluate(context.instance)
        return dg.SensorResult(
            skip_reason=evaluation.description,
            asset_events=[] if is_shown(evaluation, context.instance) else [evaluation],
        )

    return overdue


def build_failed_runs_sensor() -> dg.SensorDefinition:
    """The sensor that reports the failed runs of this code location, one alert per run, in order of failure.

    Not Dagster's own run_failure_sensor: that continues with the next run when its function raises, and the alert would
    be lost. Here the cursor passes a run only once its alert has been accepted.
    """

    @dg.sensor(
        name=FAILED_RUNS_SENSOR,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Reports failed runs to ALERT_TOPIC_ARN, or to the log while that is unset.",
    )
    def failed_runs(context: dg.SensorEvaluationContext, alerts: AlertChannel) -> dg.SensorResult:
        return _report_runs(context, alerts, [dg.DagsterEventType.RUN_FAILURE], _alert, "No run has failed.")

    return failed_runs


def build_low_quality_sensor() -> dg.SensorDefinition:
    """The sensor that reports the curated partitions and batches whose score is too low, one alert per run.

    Runs that failed are looked at too: one partition may have failed, and others were written.
    """

    @dg.sensor(
        name=LOW_QUALITY_SENSOR,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Reports curated partitions and batches with a score below QUALITY_SCORE_MIN to ALERT_TOPIC_ARN, "
        "or to the log while that is unset.",
    )
    def low_quality(context: dg.SensorEvaluationContext, alerts: AlertChannel) -> dg.SensorResult:
        ends: list[RunEnd] = [dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE]
        return _report_runs(context, alerts, ends, _alert_of_quality, "No score is too low.")

    return low_quality


RunEnd = Literal[dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE]
ComposeAlert = Callable[[dg.DagsterInstance, dg.DagsterRun, dg.DagsterEvent, float], Alert | None]


def _report_runs(
    context: dg.SensorEvaluationContext,
    alerts: AlertChannel,
    ends: Sequence[RunEnd],
    compose: ComposeAlert,
    nothing: str,
) -> dg.SensorResult:
    """Report the next runs that ended so, in order of their ends; the cursor passes a run once its alert is sent."""
    if not context.cursor:
        newest = _ended_runs(context.instance, ends, limit=1, ascending=False)
        return _reported(newest[-1].storage_id if newest else 0, "Reporting starts with the next run.")
    reached = int(context.cursor)
    reported: list[str] = []
    for record in _ended_runs(context.instance, ends, limit=_ALERTS_A_TICK, after_storage_id=reached):
        run = context.instance.get_run_by_id(record.event_log_entry.run_id)
        event = record.event_log_entry.dagster_event
        ours = run and event and _is_ours(run, context)
        if run and event and ours and (alert := compose(context.instance, run, event, record.timestamp)):
            try:
                alerts.send(alert)
            except AlertError as error:
                if not reported:
                    raise
                # Sent alerts are not sent again; the next tick starts with this one, and may fail.
                context.log.error(str(error))
                return _reported(reached, f"Reported {', '.join(reported)}; then: {error}")
            reported.append(run.run_id)
        reached = record.storage_id
    return _reported(reached, f"Reported {', '.join(reported)}." if reported else nothing)


def _ended_runs(
    instance: dg.DagsterInstance,
    ends: Sequence[RunEnd],
    *,
    limit: int,
    after_storage_id: int | None = None,
    ascending: bool = True,
) -> Sequence[dg.EventLogRecord]:
    """The first runs after a record that ended in one of these ways, or the last of each way; in their order."""
    found: list[dg.EventLogRecord] = []
    for end in ends:
        filters = dg.RunStatusChangeRecordsFilter(end, after_storage_id=after_storage_id)
        found += instance.fetch_run_status_changes(filters, limit=limit, ascending=ascending).records
    ordered = sorted(found, key=lambda record: record.storage_id)
    return ordered[:limit] if ascending else ordered[-limit:]


def _reported(reached: int, message: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=message, cursor=str(reached))


def _is_ours(run: dg.DagsterRun, context: dg.SensorEvaluationContext) -> bool:
    """Whether a run belongs to this code location, or to a command on this instance, which has none."""
    origin, own = run.remote_job_origin, context.code_location_origin
    return not (origin and own) or origin.location_name == own.location_name


def _alert(instance: dg.DagsterInstance, run: dg.DagsterRun, event: dg.DagsterEvent, failed_at: float) -> Alert:
    first, last = (run.tags.get(tag, "") for tag in RANGE_TAGS)
    batch_id = run.tags.get(PARTITION_TAG) or (f"{first}...{last}" if first else "none")
    steps = _events(instance, run, dg.DagsterEventType.STEP_FAILURE)
    checks = defaultdict(list)
    for checked in _events(instance, run, _EVALUATION):
        evaluation = checked.asset_check_evaluation_data
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR:
            checks[evaluation.asset_key.to_user_string()].append(evaluation.check_name)
    failures = [
        replace(failure, checks=failure.checks or tuple(checks[failure.asset]), reason=_reason(failure, step))
        for step in (steps or [event])
        for failure in read_failures(step, batch_id)
    ]
    return compose_alert(
        run_id=run.run_id,
        job=run.job_name,
        failed_at=datetime.fromtimestamp(failed_at, UTC).isoformat(timespec="seconds"),
        failures=[asdict(failure) for failure in failures],
    )


def _alert_of_quality(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    event: dg.DagsterEvent,  # noqa: ARG001 (of every alert about a run)
    ended_at: float,
) -> Alert | None:
    """The partitions of a run whose score is too low; None if there are none."""
    checked = [one.asset_check_evaluation_data for one in _events(instance, run, _EVALUATION)]
    low = [one for one in checked if one.check_name == QUALITY_IS_HIGH_ENOUGH and not one.passed]
    # What a failed run did not evaluate has no score.
    low = [one for one in low if NOT_EVALUATED not in one.metadata]
    if not low:
        return None
    return compose_quality_alert(
        run_id=run.run_id,
        job=run.job_name,
        ended_at=datetime.fromtimestamp(ended_at, UTC).isoformat(timespec="seconds"),
        partitions=[
            {
                "asset": one.asset_key.to_user_string(),
                "partition": one.partition,
                "reason": str(one.description),
            }
            for one in low
        ],
    )


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    records = instance.get_records_for_run(run_id=run.run_id, of_type=kind).records
    return [record.event_log_entry.dagster_event for record in records if record.event_log_entry.dagster_event]


def _reason(failure: BatchFailure, event: dg.DagsterEvent) -> str:
    """The reason of this package's errors; of any other only its class, since its message may contain a value."""
    if not event.is_step_failure:
        error = event.job_failure_data.error if event.event_specific_data else None
        return f"{_class_of(error)}: see the run" if error else str(event.message)
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return failure.reason
    name = _class_of(data.error)
    return failure.reason if name.startswith("gata_assets.") else f"{name}: see the run"


def _class_of(error: Any) -> str:
    while error and error.cause:
        error = error.cause
    return error.message.strip().partition(": ")[0] if error else "unknown"
