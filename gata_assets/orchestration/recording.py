"""Records a run's partitions: each by itself, once the target contains it.

Common to all domains. A result belongs to every partition of its run, so a single one of several is recorded as an
event, with the tags that Dagster adds to a result: Dagster finds stale assets by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import dagster as dg
from dagster_pandera import pandera_schema_to_dagster_type

from gata_assets import errors
from gata_assets.logs import NOT_EVALUATED
from gata_assets.orchestration import checks
from gata_assets.orchestration.dagster_private import in_one_transaction
from gata_assets.orchestration.failures import BATCHES, BatchFailure, Partitions, as_failure
from gata_assets.orchestration.instances import DATA_VERSION

# Events of Dagster's own are recorded already.
Event = (
    dg.AssetCheckEvaluation
    | dg.AssetMaterialization
    | dg.AssetObservation
    | dg.MaterializeResult[None]
    | dg.DagsterEvent
)
Events = Iterator[Event]

# A partition that raises one of these fails alone. Any other error (no database, no target) would fail them all.
_OF_ONE_PARTITION = (
    errors.DataRuleError,
    errors.NoTicketsError,
    errors.ObjectNotFoundError,
    errors.DamagedTableError,
    errors.DeleteDeniedError,
    errors.ConflictError,
    errors.ManifestVersionError,
)

# Tags of a materialization; Dagster writes them for results, and we write them for events.
_CODE_VERSION = "dagster/code_version"
_IS_OURS = "dagster/data_version_is_user_provided"
_INPUT_VERSION = "dagster/input_data_version"
_INPUT_EVENT = "dagster/input_event_pointer"
_BACKFILL = "dagster/backfill"

# A stage takes milliseconds; more digits are noise.
_DIGITS_OF_SECONDS = 4


class Recorder:
    """The events of one run; `as_events` if it builds several partitions, or other than the requested ones."""

    def __init__(self, context: dg.AssetExecutionContext, *, code_version: str, as_events: bool) -> None:
        self._context = context
        self._code_version = code_version
        self._as_events = as_events

    def refuse_readers_in_range(self) -> None:
        """Raise for assets of the same run that read this one: records by partition are no outputs of the op, and
        without an output Dagster skips the readers and reports the run as a success.
        """
        layer = self._context.job_def.asset_layer
        ours = self._context.selected_asset_keys
        others = layer.selected_asset_keys - ours
        readers = [key.to_user_string() for key in others if self._as_events and layer.get(key).parent_keys & ours]
        if readers:
            raise dg.Failure(
                f"{', '.join(sorted(readers))}: built from assets of this run, which is over a range of batches. Start "
                "another run for it, after this one.",
                allow_retries=False,
            )

    def record(self, events: Events) -> Events:
        """Record events that belong together, such as those of a batch: with the storage of `dagster.yaml`, a killed
        run leaves all of them or none. Results, which Dagster records itself, are recorded one by one.
        """
        if not self._as_events:
            yield from events
            return
        with in_one_transaction(self._context.instance):
            for event in events:
                self._context.log_event(event)
        # They are recorded; this makes them a part of the run's result.
        yield from self._context.consume_events()

    def find(self, key: dg.AssetKey, partition: str | None) -> dg.EventLogRecord | None:
        """Dagster's record of the latest materialization of an asset's partition."""
        of_partition = dg.AssetRecordsFilter(key, asset_partitions=None if partition is None else [partition])
        return next(iter(self._context.instance.fetch_materializations(of_partition, limit=1).records), None)

    def versions(
        self, sources: Iterable[tuple[dg.AssetKey, str | None]]
    ) -> Mapping[dg.AssetKey, tuple[str, int | None]]:
        """The recorded versions of assets' partitions, for `made_from` below; assets without a version are left out."""
        found = {}
        for key, partition in sources:
            record = self.find(key, partition)
            latest = record.asset_materialization if record else None
            if record and latest and DATA_VERSION in (latest.tags or {}):
                found[key] = str((latest.tags or {})[DATA_VERSION]), record.storage_id
        return found

    def materialization(
        self,
        key: dg.AssetKey,
        partition: str | None,
        metadata: Mapping[str, Any],
        *,
        version: str,
        made_from: Mapping[dg.AssetKey, tuple[str, int | None]] = MappingProxyType({}),
        seconds: Mapping[str, float] = MappingProxyType({}),
    ) -> dg.MaterializeResult[None] | dg.AssetMaterialization:
        """The materialization of an asset's partition, with its version.

        `made_from` is the version of each asset of the same partition that it was built from, and Dagster's record of
        it; `seconds` is the time of each stage.
        """
        metadata = {**metadata, **{stage: round(spent, _DIGITS_OF_SECONDS) for stage, spent in seconds.items()}}
        if not self._as_events:
            return dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=dg.DataVersion(version))
        tags = {_CODE_VERSION: self._code_version, DATA_VERSION: version, _IS_OURS: "true"}
        for source, (its_version, pointer) in made_from.items():
            name = source.to_user_string()
            tags |= {f"{_INPUT_VERSION}/{name}": its_version, f"{_INPUT_EVENT}/{name}": str(pointer or "NULL")}
        tags |= {tag: value for tag, value in self._context.run.tags.items() if tag == _BACKFILL}
        return dg.AssetMaterialization(key, partition=partition, metadata=metadata, tags=tags)


def is_alone(context: dg.AssetExecutionContext) -> bool:
    """Whether a run consists of this op: nothing reads what it builds as its outputs."""
    return len(context.job_def.nodes) == 1


class KeptFailures:
    """The failures of a run's partitions, kept until its end unless they would fail all partitions."""

    def __init__(self, log: dg.DagsterLogManager, *, partitions: int, are: Partitions = BATCHES) -> None:
        self._log = log
        self._partitions = partitions
        self._are = are
        self._failures: list[BatchFailure] = []
        self._unexpected: Exception | None = None

    def keep(self, partition: str, asset: str, error: Exception) -> None:
        """Keep a failure; of an unexpected error only its class, since its message may contain a value."""
        failed_checks = error.checks if isinstance(error, errors.ChecksFailedError) else ()
        reason = str(error) if isinstance(error, errors.GataError) else f"unexpected {type(error).__name__}"
        would_fail_all = not isinstance(error, _OF_ONE_PARTITION)
        if not isinstance(error, errors.GataError):
            # Its traceback without its message: Dagster keeps and logs the cause of a failure.
            self._unexpected = _UnexpectedError(reason).with_traceback(error.__traceback__)
        self._failures.append(BatchFailure(partition, asset, failed_checks, reason, would_fail_all))
        self._log.error(f"{self._are.singular.capitalize()} {partition}: {reason}")

    def stop_if_hopeless(self, *, ended: set[str]) -> None:
        """Raise dagster.Failure if a failure would fail every partition; `ended` are those that did not fail."""
        if any(failure.would_fail_all for failure in self._failures):
            self.stop_at_end(untried=self._partitions - len(ended.union(kept.batch_id for kept in self._failures)))

    def stop_at_end(self, *, untried: int = 0) -> None:
        """Raise dagster.Failure if anything failed."""
        if self._failures:
            failure = as_failure(self._failures, batches=self._partitions, untried=untried, are=self._are)
            raise failure from self._unexpected


def with_unevaluated(context: dg.AssetExecutionContext, events: Events) -> Events:
    """The events of a run and, if it fails, a warning for each of its checks that it did not evaluate.

    Dagster plans each check when a run starts, and shows those that a failed run has only planned as failed.
    """
    evaluated = set()
    try:
        for event in events:
            if isinstance(event, dg.DagsterEvent) and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                evaluated.add(event.asset_check_evaluation_data.asset_check_key)
            elif isinstance(event, dg.AssetCheckEvaluation):
                evaluated.add(event.asset_check_key)
            yield event
    except dg.Failure:
        for key in sorted(context.selected_asset_check_keys - evaluated):
            yield dg.AssetCheckEvaluation(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={NOT_EVALUATED: True},
                description="Not evaluated: the run failed before.",
            )
        raise


class _UnexpectedError(Exception):
    """Replaces an error from outside this package, whose message may contain a value."""


def columns(model: type[Any]) -> dict[str, Any]:
    """A pandera model's column table for the UI.

    Not as the asset's Dagster type: that would validate every table a second time, and put failing values into the
    event log.
    """
    with checks.without_maturity_warnings():
        return {"dagster/column_schema": pandera_schema_to_dagster_type(model).metadata["schema"]}
