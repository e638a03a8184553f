"""The sensor of new tickets: takes a census, calls `decision`, and passes its batch requests to Dagster."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensor functions as objects.
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from gata_assets.errors import DatabaseResumingError, SourceError
from gata_assets.logs import span_of
from gata_assets.orchestration.instances import UNDERWAY
from gata_assets.ticket_contract.source import TicketSource
from gata_assets.tickets.arrivals.decision import ArrivalRules, decide, next_poll_at, record_failed_poll, watched_window
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS

NEW_TICKETS_SENSOR = "new_tickets_sensor"

# Ticks between polls do not read the table. Less than five minutes, after which a database that the last tick resumed
# may pause again.
_MAX_TICK_SECONDS = 240


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
    """Build the sensor that requests batches.

    Args:
        rules: When to request a batch.
        interval: The time between two polls of the ticket table.
        partitions: The batches.
        dataset: The asset whose materialization marks a batch as prepared.
        clock: Returns the current time, timezone-aware.
    """

    @dg.sensor(
        name=NEW_TICKETS_SENSOR,
        job_name=PREPARE_TICKETS,
        minimum_interval_seconds=max(1, min(_MAX_TICK_SECONDS, int(interval.total_seconds()))),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Requests batches whose windows are complete, and recent batches whose tickets have changed.",
    )
    def new_tickets(
        context: dg.SensorEvaluationContext, ticket_source: TicketSource
    ) -> dg.SensorResult | dg.SkipReason:
        now = clock()
        if due_at := next_poll_at(context.cursor, now, interval):
            return dg.SkipReason(f"The next poll of the ticket table is due at {due_at:%H:%M:%S} UTC.")
        try:
            census = ticket_source.take_census(watched_window(now, rules))
        except DatabaseResumingError as error:
            return dg.SkipReason(f"Nothing was read: {error} The next tick tries again.")
        except SourceError as error:
            return dg.SensorResult(
                skip_reason=f"Nothing was read, new tickets were not detected: {error}",
                cursor=record_failed_poll(context.cursor, now),
            )
        # After the census, so that a run that starts in between reads at least the rows of the census.
        since = (now - timedelta(days=rules.recent_batch_days)).strftime("%Y%m%d00")
        existing = _prepared_or_underway(context.instance, partitions, dataset, since=since)
        decision = decide(context.cursor, census, existing, now, rules)
        context.log.info(decision.message)
        requests = [
            dg.RunRequest(run_key=request.run_key, partition_key=request.batch_id, tags={"gata/reason": request.reason})
            for request in decision.requests
        ]
        return dg.SensorResult(
            run_requests=requests, skip_reason=None if requests else decision.message, cursor=decision.cursor
        )

    return new_tickets


def _prepared_or_underway(
    instance: dg.DagsterInstance, partitions: dg.PartitionsDefinition[str], dataset: str, *, since: str
) -> set[str]:
    """The batches from `since` on that are materialized or belong to an unfinished run.

    `since` is checked first: checking that a key is a partition takes 0.3 ms, and there may be tens of thousands.
    """
    found = set(instance.get_materialized_partitions(dg.AssetKey(dataset)))
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=UNDERWAY)):
        first, last = span_of(run.tags)
        if partitions.has_partition_key(first) and partitions.has_partition_key(last):
            found.update(partitions.get_partition_keys_in_range(dg.PartitionKeyRange(first, last)))
    return {batch_id for batch_id in found if batch_id >= since and partitions.has_partition_key(batch_id)}
