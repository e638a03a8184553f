"""The sensors: tickets and files that arrive ask for runs, what fails is reported, and what is overdue is shown.

Thin: they read, ask `core` and hand on. All are stopped until somebody switches them on.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensor functions as objects.
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from gata_assets.batches import Window, days_of
from gata_assets.curation.backlog import find_missing, find_waiting, listing_digest
from gata_assets.curation.layout import TenantPlaces
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.requests import CurationRequest, ask_again, request_curation
from gata_assets.errors import AlertError, DatabaseResumingError, SourceError, StoreError
from gata_assets.orchestration.alerting.channels import AlertChannel
from gata_assets.orchestration.alerting.message import Alert, compose_alert
from gata_assets.orchestration.alerting.overdue_check import OverdueRule, is_shown
from gata_assets.orchestration.failures import BatchFailure, read_failures
from gata_assets.orchestration.instances import UNDERWAY, asked_runs, is_underway
from gata_assets.orchestration.jobs import CURATE_INTERACTIONS, CURATED, PREPARE_TICKETS
from gata_assets.storage.resource import ObjectStore
from gata_assets.tickets.arrivals.decision import ArrivalRules, decide, next_look, note_failed_look, watched_window
from gata_assets.tickets.sources.base import TicketSource

if TYPE_CHECKING:
    from gata_assets.interactions.curated.curator import Curator

NEW_TICKETS_SENSOR = "new_tickets_sensor"
NEW_FILES_SENSOR = "new_files_sensor"
FAILED_RUNS_SENSOR = "failed_runs_sensor"
OVERDUE_SENSOR = "overdue_sensor"

# A tick in between costs no look at the table. It is soon enough to find awake a database that the last one woke up:
# after five minutes without a call it may pause again.
_MOST_TICK_SECONDS = 240
# Tags by which the runs of a tenant are found again, and those that were asked for the same.
_TENANT, _CURATION = "gata/tenant", "gata/curation"
_PARTITION, _RANGE = "dagster/partition", ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_ALERTS_A_TICK = 5
# A look lists a few folders of each tenant; where another part is in them, it reads manifests too.
_FILES_TICK_SECONDS = 60
# How soon the UI shows what has changed. A look takes a fraction of a second, also where 40,000 batches are prepared.
_OVERDUE_TICK_SECONDS = 300


def _now() -> datetime:
    return datetime.now(UTC)


def build_new_tickets_sensor(
    rules: ArrivalRules,
    interval: timedelta,
    partitions: dg.PartitionsDefinition[str],
    dataset: str,
    *,
    clock: Callable[[], datetime] = _now,
) -> dg.SensorDefinition:
    """The sensor that asks for batches; one is prepared when its asset `dataset` is materialized."""

    @dg.sensor(
        name=NEW_TICKETS_SENSOR,
        job_name=PREPARE_TICKETS,
        minimum_interval_seconds=max(1, min(_MOST_TICK_SECONDS, int(interval.total_seconds()))),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Asks for the batches whose windows new tickets complete, and for recent ones that they change.",
    )
    def new_tickets(
        context: dg.SensorEvaluationContext, ticket_source: TicketSource
    ) -> dg.SensorResult | dg.SkipReason:
        present = clock()
        if due_at := next_look(context.cursor, present, interval):
            return dg.SkipReason(f"The next look at the ticket table is at {due_at:%H:%M:%S} UTC.")
        try:
            census = ticket_source.take_census(watched_window(present, rules))
        except DatabaseResumingError as error:
            return dg.SkipReason(f"Nothing was read: {error} The next tick looks again.")
        except SourceError as error:
            return dg.SensorResult(
                skip_reason=f"Nothing was read, so nothing is known of new tickets: {error}",
                cursor=note_failed_look(context.cursor, present),
            )
        # After the census: a run that begins between the two reads at least what the census has seen.
        since = (present - timedelta(days=rules.recent_batch_days)).strftime("%Y%m%d00")
        existing = _prepared_or_underway(context.instance, partitions, dataset, since=since)
        decision = decide(context.cursor, census, existing, present, rules)
        context.log.info(decision.message)
        requests = [
            dg.RunRequest(run_key=one.run_key, partition_key=one.batch_id, tags={"gata/reason": one.reason})
            for one in decision.requests
        ]
        return dg.SensorResult(
            run_requests=requests, skip_reason=None if requests else decision.message, cursor=decision.cursor
        )

    return new_tickets


def _prepared_or_underway(
    instance: dg.DagsterInstance, partitions: dg.PartitionsDefinition[str], dataset: str, *, since: str
) -> set[str]:
    """The batches from `since` on that exist: materialized, or of a run that is not over; no key that is no partition.

    `since` goes first: to ask whether a key is a partition takes 0.3 ms, and there may be tens of thousands.
    """
    found = set(instance.get_materialized_partitions(dg.AssetKey(dataset)))
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=UNDERWAY)):
        first, last = (run.tags.get(tag, run.tags.get(_PARTITION, "")) for tag in _RANGE)
        if partitions.has_partition_key(first) and partitions.has_partition_key(last):
            found.update(partitions.get_partition_keys_in_range(dg.PartitionKeyRange(first, last)))
    return {one for one in found if one >= since and partitions.has_partition_key(one)}


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
    run has failed to do is asked for again (`core.new_files.ask_again`), which the runs themselves tell. The cursor
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
    def new_files(context: dg.SensorEvaluationContext, object_store: ObjectStore) -> dg.SensorResult:
        present = clock()
        window = Window(present - timedelta(days=window_days), present)
        of_window = [day for day in days_of(window) if days.has_partition_key(str(day))]
        requests: list[CurationRequest] = []
        unread: list[str] = []
        waits: list[str] = []
        settled: dict[str, str] = json.loads(context.cursor or "{}")
        for tenant in tenants:
            places = TenantPlaces(tenant)
            if is_underway(context.instance, _TENANT, tenant):
                # What is missing becomes less while a run goes on, and would be asked for as something else.
                waits.append(f"{tenant}: a run is underway.")
                continue
            try:
                waiting, missing = find_waiting(places, object_store), find_missing(places, object_store, of_window)
                listing = listing_digest(places, object_store)
                stale: list[date] = []
                # A report that was written over and a manifest that was withdrawn have the names of before.
                looked_at = f"{listing} {present:%Y-%m-%d %H}"
                if settled.get(tenant) != looked_at:
                    # Files that `gata ingest` has sorted have their reports, and leave days to be made.
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


def _curator(tenant: str, store: ObjectStore, rules: CurationRules, present: datetime) -> "Curator":
    # Here, since it loads compiled kernels, and definitions are loaded all the time.
    from gata_assets.interactions.curated.curator import Curator

    return Curator(store, tenant, rules, present)


def _curation_run(request: CurationRequest, run_key: str) -> dg.RunRequest:
    first, last = _RANGE
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


def build_overdue_sensor(rule: OverdueRule, *, interval_seconds: int = _OVERDUE_TICK_SECONDS) -> dg.SensorDefinition:
    """The sensor that evaluates the check of the newest batch without a run, so that the UI shows it by itself.

    It reports what the UI does not show yet, and the age again after an hour: ticks are many, and Dagster keeps their
    events for ever.
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
    """The sensor that reports the failed runs of this code location, one alert a run, in the order of their failing.

    Not Dagster's own run_failure_sensor: that one goes on to the next run when its function raises, and the alert
    would be lost. Here a run is behind the cursor only when its alert has been taken.
    """

    @dg.sensor(
        name=FAILED_RUNS_SENSOR,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Reports failed runs to ALERT_TOPIC_ARN, or to the log while that is unset.",
    )
    def failed_runs(context: dg.SensorEvaluationContext, alerts: AlertChannel) -> dg.SensorResult:
        if not context.cursor:
            newest = _failed_runs(context.instance, limit=1, ascending=False)
            return _told(newest[0].storage_id if newest else 0, "Reporting starts with the next run that fails.")
        reached = int(context.cursor)
        reported: list[str] = []
        for record in _failed_runs(context.instance, limit=_ALERTS_A_TICK, after_storage_id=reached):
            run = context.instance.get_run_by_id(record.event_log_entry.run_id)
            event = record.event_log_entry.dagster_event
            if run and event and _is_ours(run, context):
                try:
                    alerts.send(_alert(context.instance, run, event, record.timestamp))
                except AlertError as error:
                    if not reported:
                        raise
                    # What was sent is not sent again; the next tick begins with this one, and fails if it has to.
                    context.log.error(str(error))
                    return _told(reached, f"Reported {', '.join(reported)}; then: {error}")
                reported.append(run.run_id)
            reached = record.storage_id
        return _told(reached, f"Reported {', '.join(reported)}." if reported else "No run has failed.")

    return failed_runs


def _failed_runs(
    instance: dg.DagsterInstance, *, limit: int, after_storage_id: int | None = None, ascending: bool = True
) -> Sequence[dg.EventLogRecord]:
    wanted = dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=after_storage_id)
    return instance.fetch_run_status_changes(wanted, limit=limit, ascending=ascending).records


def _told(reached: int, message: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=message, cursor=str(reached))


def _is_ours(run: dg.DagsterRun, context: dg.SensorEvaluationContext) -> bool:
    """Whether a run is of this code location, or of a command on this instance, which has none."""
    origin, own = run.remote_job_origin, context.code_location_origin
    return not (origin and own) or origin.location_name == own.location_name


def _alert(instance: dg.DagsterInstance, run: dg.DagsterRun, event: dg.DagsterEvent, failed_at: float) -> Alert:
    first, last = (run.tags.get(tag, "") for tag in _RANGE)
    batch_id = run.tags.get(_PARTITION) or (f"{first}...{last}" if first else "none")
    steps = _events(instance, run, dg.DagsterEventType.STEP_FAILURE)
    checks = defaultdict(list)
    for one in _events(instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        evaluation = one.asset_check_evaluation_data
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


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    records = instance.get_records_for_run(run_id=run.run_id, of_type=kind).records
    return [one.event_log_entry.dagster_event for one in records if one.event_log_entry.dagster_event]


def _reason(failure: BatchFailure, event: dg.DagsterEvent) -> str:
    """The reason in the project's own words; of any other error its class, since what it says may hold a value."""
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
