"""Runs of jobs in this process: starting them, their outputs and their failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from gata_assets.logs import EXPECTED_TAG, PARTITION_TAG, RANGE_TAGS, numbers_of
from gata_assets.orchestration.dagster_private import execute_job, new_run_id
from gata_assets.orchestration.failures import BatchFailure, read_failures
from gata_assets.orchestration.jobs import RUN_CONFIG

# Dagster's class names of an interruption from the keyboard, which it treats as a failure.
_INTERRUPTIONS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
# A command reports its failures by itself: a daemon that retries runs of lost workers must not retry its runs.
_OF_COMMANDS = {"dagster/max_retries": "0"}
_PARTITION_SET = "dagster/partition_set"


@dataclass(frozen=True)
class Written:
    """An output of a run: the asset, its numbers, the reason if it is empty on purpose, and its places."""

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
    expected: int | None = None,
) -> dg.JobExecutionResult:
    """Run a job over a range of partitions, or over none; only the given assets, if there are any.

    `expected` is the number of partitions that it is going to write, which its events carry.
    """
    tags = {**_OF_COMMANDS, **({} if expected is None else {EXPECTED_TAG: str(expected)})}
    if span is not None:
        tags |= {PARTITION_TAG: span[0]} if span[0] == span[1] else dict(zip(RANGE_TAGS, span, strict=True))
        tags[_PARTITION_SET] = f"{job.name}_partition_set"
    run_config = {**RUN_CONFIG, **(config or {})}
    return execute_job(job, instance, run_id=new_run_id(), run_config=run_config, tags=tags, assets=assets)


def find_failures(result: dg.JobExecutionResult, batch_id: str) -> list[BatchFailure]:
    """The failures of a run; if it failed before its step, the failure of the run itself."""
    events = result.filter_events(lambda event: event.is_step_failure) or result.filter_events(
        lambda event: event.event_type is dg.DagsterEventType.RUN_FAILURE
    )
    return [failure for event in events for failure in read_failures(event, batch_id)]


@dataclass
class Runs:
    """The runs of one pipeline in a Dagster instance: their IDs, outputs and failures."""

    instance: dg.DagsterInstance
    run_ids: list[str] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    failures: list[BatchFailure] = field(default_factory=list)

    def execute(
        self,
        job: dg.JobDefinition,
        span: tuple[str, str] | None,
        *,
        assets: Sequence[dg.AssetKey] | None = None,
        config: Mapping[str, Any] | None = None,
        otherwise: str = "",
        expected: int | None = None,
    ) -> None:
        """Run a job over a range of partitions, or over none, and record its outcome, see `run_range`.

        A failure that names no partition is recorded under the first one, or `otherwise`. Raises KeyboardInterrupt if
        the run was interrupted.
        """
        ended = run_range(job, self.instance, span, assets=assets, config=config, expected=expected)
        self.run_ids.append(ended.run_id)
        self.written.extend(read_written(ended))
        failures = [] if ended.success else find_failures(ended, span[0] if span else otherwise)
        if any(name in failure.reason for failure in failures for name in _INTERRUPTIONS):
            # Dagster names no batch: batches that were not written were not tried.
            raise KeyboardInterrupt
        self.failures.extend(failures)


def read_written(result: dg.JobExecutionResult) -> list[Written]:
    """The outputs of a run, in the order in which they were written."""
    return [
        _read_materialization(event.step_materialization_data.materialization)
        for event in result.get_asset_materialization_events()
    ]


def _read_materialization(materialization: dg.AssetMaterialization) -> Written:
    metadata: dict[str, Any] = {name: entry.value for name, entry in materialization.metadata.items()}
    places = [metadata.get("path"), *(metadata.get("paths") or []), metadata.get("manifest")]
    return Written(
        asset=materialization.asset_key.to_user_string(),
        partition=materialization.partition,
        numbers=numbers_of(materialization.metadata),
        reason=str(metadata.get("reason")) if metadata.get("is_made") is False else "",
        places=tuple(str(place) for place in places if place),
    )
