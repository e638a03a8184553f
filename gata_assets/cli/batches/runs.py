"""Runs of jobs in this process, for the commands: how they are started, what they wrote and what failed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from gata_assets.logs import RANGE_TAGS, numbers_of
from gata_assets.orchestration.dagster_private import new_run_id
from gata_assets.orchestration.failures import BatchFailure, read_failures
from gata_assets.orchestration.instances import held_open
from gata_assets.orchestration.jobs import RUN_CONFIG

# How a command ends that was interrupted from the keyboard, and what it says.
INTERRUPTED = 130
INTERRUPTED_SAID = "Interrupted. What is written is whole; the same command goes on with the rest."
_INTERRUPTIONS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")


@dataclass(frozen=True)
class Written:
    """One output of a run: the asset, its numbers, its reason (where it is empty on purpose) and its places."""

    asset: str
    partition: str | None
    numbers: dict[str, int | float]
    reason: str
    places: tuple[str, ...]


def run_range(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    span: tuple[str, str] | None,
    *,
    assets: Sequence[dg.AssetKey] | None = None,
    config: Mapping[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job over the partitions from a first to a last one, or over none; of its assets those that are given."""
    tags = {}
    if span is not None and span[0] != span[1]:
        tags = dict(zip(RANGE_TAGS, span, strict=True))
    run_id = new_run_id()
    with held_open(instance, run_id):
        return job.execute_in_process(
            run_config={**RUN_CONFIG, **(config or {})},
            instance=instance,
            partition_key=None if tags or span is None else span[0],
            tags=tags,
            raise_on_error=False,
            run_id=run_id,
            asset_selection=None if assets is None else list(assets),
        )


def find_failures(result: dg.ExecuteInProcessResult, batch_id: str) -> list[BatchFailure]:
    """What failed of a run; where it failed before its step ran, why that was."""
    events = result.filter_events(lambda event: event.is_step_failure) or result.filter_events(
        lambda event: event.event_type is dg.DagsterEventType.RUN_FAILURE
    )
    return [failure for event in events for failure in read_failures(event, batch_id)]


def is_interrupted(failures: Sequence[BatchFailure]) -> bool:
    """Whether a run failed since somebody interrupted it from the keyboard: Dagster takes that for a failure."""
    return any(name in failure.reason for failure in failures for name in _INTERRUPTIONS)


def read_written(result: dg.ExecuteInProcessResult) -> list[Written]:
    """What a run wrote, in the order in which it did."""
    return [
        _read_materialization(event.step_materialization_data.materialization)
        for event in result.get_asset_materialization_events()
    ]


def _read_materialization(materialization: dg.AssetMaterialization) -> Written:
    metadata = materialization.metadata
    places = [_value(metadata, "path"), *_values(metadata, "paths"), _value(metadata, "manifest")]
    is_made = _value(metadata, "is_made")
    return Written(
        asset=materialization.asset_key.to_user_string(),
        partition=materialization.partition,
        numbers=numbers_of(metadata),
        reason=str(_value(metadata, "reason")) if is_made is False else "",
        places=tuple(str(place) for place in places if place),
    )


def _value(metadata: Any, name: str) -> Any:
    return metadata[name].value if name in metadata else None


def _values(metadata: Any, name: str) -> list[Any]:
    return list(_value(metadata, name) or [])
