"""The sensor of new tickets: reads the census, asks `decision` for batches, and hands the requests to Dagster."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensor functions as objects.
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from gata_assets.errors import DatabaseResumingError, SourceError
from gata_assets.logs import PARTITION_TAG, RANGE_TAGS
from gata_assets.orchestration.instances import UNDERWAY
from gata_assets.tickets.arrivals.decision import ArrivalRules, decide, next_look, note_failed_look, watched_window
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.sources.base import TicketSource

NEW_TICKETS_SENSOR = "new_tickets_sensor"

# A tick in between costs no look at the table. It is soon enough to find awake a database that the last one woke up:
# after five minutes without a call it may pause again.
_MOST_TICK_SECONDS = 240


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
        first, last = (run.tags.get(tag, run.tags.get(PARTITION_TAG, "")) for tag in RANGE_TAGS)
        if partitions.has_partition_key(first) and partitions.has_partition_key(last):
            found.update(partitions.get_partition_keys_in_range(dg.PartitionKeyRange(first, last)))
    return {one for one in found if one >= since and partitions.has_partition_key(one)}
