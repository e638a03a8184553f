"""Batches that were given up: their data cannot be corrected, so nobody is to be told of their failure any more.

Dagster has no such state. A batch is marked by materializations that say so, and its failed checks by passed
evaluations: Dagster shows an asset as failed while a partition's last run failed, and its SQLite storage cannot forget
one. So the batch counts as filled in the UI; the target has nothing of it, and its next run supersedes the mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from gata_assets.errors import DataRuleError
from gata_assets.logs import PARTITION_TAG, RANGE_TAGS
from gata_assets.orchestration.pipelines import Pipeline

# In the metadata of materializations and evaluations that mark a batch.
GIVEN_UP = "given_up"
_RECORDS_AT_ONCE = 1_000
_FAILED, _IN_PROGRESS = "FAILED", "IN_PROGRESS"


def give_up(pipeline: Pipeline, instance: dg.DagsterInstance, batch_id: str, why: str) -> list[str]:
    """Mark the assets of a batch that failed, and return their names; none if no run of the batch failed.

    Raises DataRuleError while a run of the batch is underway.
    """
    run = next(iter(pipeline.runs([batch_id])), None)
    if run is None:
        return []
    graph = run.job.asset_layer.asset_graph
    assets = sorted(run.assets if run.assets is not None else run.job.asset_layer.selected_asset_keys)
    statuses = {key: _status(instance, key, batch_id, graph.get(key).partitions_def) for key in assets}
    if _IN_PROGRESS in statuses.values():
        raise DataRuleError(f"A run of batch {batch_id} is underway: wait for its end, or terminate it.")
    failed = [key for key, status in statuses.items() if status == _FAILED]
    metadata: dict[str, Any] = {GIVEN_UP: True, "reason": why}
    for key in failed:
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=batch_id, metadata=metadata))
    checks = [check for key in failed for check in graph.get_check_keys_for_assets({key})]
    for check, record in instance.event_log_storage.get_asset_check_summary_records(checks).items():
        latest = record.last_check_execution_record
        if latest is None or latest.status.value == "SUCCEEDED":
            continue
        # What a run did not evaluate has no partition. A later batch's evaluations stay as they are.
        if latest.partition == batch_id or (latest.partition is None and _is_of(instance, latest.run_id, batch_id)):
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
    if instance.is_ephemeral or not batch_ids:
        return {}
    of_batches = dg.AssetRecordsFilter(last_asset, asset_partitions=batch_ids)
    newest: dict[str, Mapping[str, dg.MetadataValue[Any]]] = {}
    cursor, has_more = None, True
    while has_more:
        # Newest first.
        found = instance.fetch_materializations(of_batches, limit=_RECORDS_AT_ONCE, cursor=cursor)
        for record in found.records:
            if record.partition_key is not None and record.asset_materialization is not None:
                newest.setdefault(record.partition_key, record.asset_materialization.metadata)
        cursor, has_more = found.cursor, found.has_more
    return {
        batch_id: str(metadata["reason"].value) for batch_id, metadata in sorted(newest.items()) if GIVEN_UP in metadata
    }


def _is_of(instance: dg.DagsterInstance, run_id: str, batch_id: str) -> bool:
    """Whether a run was of a batch, alone or in its range."""
    run = instance.get_run_by_id(run_id)
    tags = run.tags if run else {}
    first, last = (tags.get(tag, tags.get(PARTITION_TAG, "")) for tag in RANGE_TAGS)
    return first <= batch_id <= last


def _status(
    instance: dg.DagsterInstance, key: dg.AssetKey, batch_id: str, partitions: dg.PartitionsDefinition[str] | None
) -> str | None:
    if partitions is None:
        return None
    statuses = instance.get_status_by_partition(key, [batch_id], partitions)
    status = (statuses or {}).get(batch_id)
    return status.value if status else None
