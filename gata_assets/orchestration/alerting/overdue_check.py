"""The check that reports when the newest prepared batch is overdue; it checks the dataset, not a partition.

It reads which partitions exist, and no table. Not Dagster's FreshnessPolicy: that uses the time at which any partition
was last materialized, so a backfill of old batches would hide that new ones are missing.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of check functions as objects.
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from gata_assets.batches import parse_batch_id
from gata_assets.orchestration.dagster_private import target_of

NEWEST_BATCH_IS_NOT_OVERDUE = "newest_batch_is_not_overdue"
AGE_HOURS = "age_hours"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class NewestBatch:
    """The newest prepared batch and its age (None if no batch is prepared), and the message."""

    batch_id: str | None
    age_hours: float | None
    is_overdue: bool
    message: str

    def as_result(self) -> dict[str, Any]:
        """The fields of a check's result and of its evaluation."""
        metadata: dict[str, dg.MetadataValue] = {}
        if self.batch_id and self.age_hours is not None:
            metadata["newest_batch"] = dg.MetadataValue.text(self.batch_id)
            # A number, which the UI plots over evaluations.
            metadata[AGE_HOURS] = dg.MetadataValue.float(round(self.age_hours, 2))
        severity = dg.AssetCheckSeverity.ERROR
        return {"passed": not self.is_overdue, "severity": severity, "description": self.message, "metadata": metadata}


def assess_newest_batch(batch_id: str | None, present: datetime, allowed_hours: float) -> NewestBatch:
    """Decide whether the newest prepared batch is older than `allowed_hours`, counted from the hour of its ID.

    That no batch is prepared counts as overdue.
    """
    if batch_id is None:
        return NewestBatch(None, None, is_overdue=True, message="No batch is prepared.")
    starts_at = parse_batch_id(batch_id).starts_at
    due_at = starts_at + timedelta(hours=allowed_hours)
    age_hours = (present - starts_at) / timedelta(hours=1)
    is_overdue = present > due_at
    since = f"since {due_at:%Y-%m-%d %H:%M} UTC" if is_overdue else f"from {due_at:%Y-%m-%d %H:%M} UTC on"
    message = f"Batch {batch_id} is the newest that is prepared, and {age_hours:,.1f} hours old; overdue {since} "
    return NewestBatch(batch_id, age_hours, is_overdue, f"{message}(OVERDUE_AFTER_HOURS={allowed_hours:g}).")


@dataclass(frozen=True)
class OverdueRule:
    """When the newest batch is overdue; a batch is prepared when its partition of the asset is materialized."""

    asset_key: dg.AssetKey
    partitions: dg.PartitionsDefinition[str]
    allowed_hours: float
    clock: Callable[[], datetime] = _now

    def assess(self, instance: dg.DagsterInstance) -> NewestBatch:
        """What to report now about the newest batch in an instance."""
        found = sorted(instance.get_materialized_partitions(self.asset_key), reverse=True)
        # Keys of an earlier FIRST_BATCH_ID, or of no batch at all, stay in the instance.
        newest = next((key for key in found if self.partitions.has_partition_key(key)), None)
        return assess_newest_batch(newest, self.clock(), self.allowed_hours)

    def evaluate(self, instance: dg.DagsterInstance) -> dg.AssetCheckEvaluation:
        """The result as an evaluation that belongs to no run; its target is the latest materialization."""
        # Read first: an evaluation must not refer to a materialization that it has not seen.
        latest = instance.fetch_materializations(self.asset_key, limit=1).records
        return dg.AssetCheckEvaluation(
            **self.assess(instance).as_result(),
            asset_key=self.asset_key,
            check_name=NEWEST_BATCH_IS_NOT_OVERDUE,
            blocking=False,
            target_materialization_data=target_of(latest[0]) if latest else None,
        )


def is_shown(evaluation: dg.AssetCheckEvaluation, instance: dg.DagsterInstance) -> bool:
    """Whether the UI shows this already: outcome, materialization, and age to within an hour.

    It does not if the check was planned since but not executed: in a run of the UI over all assets it is its own step,
    after the ticket assets, and is skipped if these failed or prepared a range.
    """
    record = instance.get_latest_asset_check_evaluation_record(evaluation.asset_check_key)
    shown = record.evaluation if record else None
    # For a planned check, Dagster keeps another type there.
    if not isinstance(shown, dg.AssetCheckEvaluation):
        return False
    if (shown.passed, shown.target_materialization_data) != (evaluation.passed, evaluation.target_materialization_data):
        return False
    return abs(_age_hours(evaluation) - _age_hours(shown)) < 1


def build_overdue_check(rule: OverdueRule) -> dg.AssetChecksDefinition:
    """The check that the UI can execute by itself."""

    @dg.asset_check(
        asset=rule.asset_key,
        name=NEWEST_BATCH_IS_NOT_OVERDUE,
        description=f"The newest batch that is prepared is no more than {rule.allowed_hours:g} hours old "
        "(OVERDUE_AFTER_HOURS), counted from the hour of its ID.",
    )
    def newest_batch_is_not_overdue(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(**rule.assess(context.instance).as_result())

    return newest_batch_is_not_overdue


def _age_hours(evaluation: dg.AssetCheckEvaluation) -> float:
    return float(str(evaluation.metadata[AGE_HOURS].value)) if AGE_HOURS in evaluation.metadata else 0.0
