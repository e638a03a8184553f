"""Batches that were given up: their data cannot be corrected, so their failure is no longer shown.

Dagster has no such state. A batch is marked by materializations that say so, and its failed checks by passed
evaluations: Dagster shows an asset as failed while a partition's last run failed, and its SQLite storage cannot forget
one. So the batch counts as filled in the UI; the target has nothing of it, and its next run supersedes the mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from gata_assets.errors import DataRuleError
from gata_assets.logs import span_of
from gata_assets.orchestration.pipelines import Pipeline

# In the metadata of materializations and evaluations that mark a batch.
GIVEN_UP = "given_up"
# Batches and records of a query.
_AT_ONCE = 1_000
_FAILED, _IN_PROGRESS = "FAILED", "IN_PROGRESS"


def give_up(pipeline: Pipeline, instance: dg.DagsterInstance, batch_id: str, why: str) -> list[str]:
    """Mark the assets of a batch that failed, and return their names; none if no run of the batch failed.

    Its last asset is marked in any case: backfills look for the mark there. Raises DataRuleError while a run of the
    batch is underway.
    """
    run = next(iter(pipeline.runs([batch_id])), None)
    if run is None:
        return []
    graph = run.job.asset_layer.asset_graph
    assets = sorted(run.assets if run.assets is not None else run.job.asset_layer.selected_asset_keys)
    statuses = {
        key: _statuses(instance, key, [batch_id], partitions).get(batch_id)
        for key in assets
        if (partitions := graph.get(key).partitions_def) is not None
    }
    if _IN_PROGRESS in statuses.values():
        raise DataRuleError(f"A run of batch {batch_id} is underway: wait for its end, or terminate it.")
    failed = [key for key, status in statuses.items() if status == _FAILED]
    if not failed:
        return []
    last = dg.AssetKey.from_user_string(pipeline.last_asset)
    metadata: dict[str, Any] = {GIVEN_UP: True, "reason": why}
    for key in {*failed, last}:
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=batch_id, metadata=metadata))
    checks = [check for key in failed for check in graph.get_check_keys_for_assets({key})]
    for check, record in instance.event_log_storage.get_asset_check_summary_records(checks).items():
        latest = record.last_check_execution_record
        if latest is None or latest.status.value == "SUCCEEDED":
            continue
        # What a run did not evaluate has no partition. Evaluations of later batches stay, and those that other failed
        # batches of the same run share.
        partitions = graph.get(check.asset_key).partitions_def
        if latest.partition == batch_id or (
            latest.partition is None
            and partitions is not None
            and batch_id in (shared := _batches_of(instance, latest.run_id, partitions))
            and _FAILED not in _statuses(instance, check.asset_key, shared, partitions).values()
        ):
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=check.asset_key,
                    check_name=check.name,
                    # Not its partition: of an evaluation without a run, Dagster keeps one for each.
                    passed=True,
                    metadata=metadata,
                    description=f"{batch_id}: not evaluated, the batch was given up",
                )
            )
    return [key.to_user_string() for key in failed]


def find_given_up(instance: dg.DagsterInstance, last_asset: dg.AssetKey, batch_ids: Sequence[str]) -> Mapping[str, str]:
    """Why batches were given up that have not been prepared since, by batch ID; their last asset says so."""
    if instance.is_ephemeral:
        return {}
    newest: dict[str, Mapping[str, dg.MetadataValue[Any]]] = {}
    for start in range(0, len(batch_ids), _AT_ONCE):
        chunk = batch_ids[start : start + _AT_ONCE]
        of_batches = dg.AssetRecordsFilter(last_asset, asset_partitions=chunk)
        cursor, has_more = None, True
        while has_more:
            # Newest first.
            found = instance.fetch_materializations(of_batches, limit=_AT_ONCE, cursor=cursor)
            for record in found.records:
                if record.partition_key is not None and record.asset_materialization is not None:
                    newest.setdefault(record.partition_key, record.asset_materialization.metadata)
            cursor, has_more = found.cursor, found.has_more
    return {
        batch_id: str(metadata["reason"].value) for batch_id, metadata in sorted(newest.items()) if GIVEN_UP in metadata
    }


def _batches_of(instance: dg.DagsterInstance, run_id: str, partitions: dg.PartitionsDefinition[str]) -> Sequence[str]:
    """The batches that a run was over."""
    run = instance.get_run_by_id(run_id)
    first, last = span_of(run.tags if run else {})
    return partitions.get_partition_keys_in_range(dg.PartitionKeyRange(first, last)) if first else []


def _statuses(
    instance: dg.DagsterInstance, key: dg.AssetKey, batch_ids: Sequence[str], partitions: dg.PartitionsDefinition[str]
) -> Mapping[str, str | None]:
    """How Dagster shows batches of an asset."""
    found = instance.get_status_by_partition(key, batch_ids, partitions) or {}
    return {batch_id: status.value if status else None for batch_id, status in found.items()}
