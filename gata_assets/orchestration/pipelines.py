"""The protocol of pipelines from batch IDs to training data: what is due, its cost, the runs, what is in the target.

Domains implement `Pipeline`; commands iterate over the registered pipelines and know none by name. A pipeline has a
scope, such as a tenant: it is planned, run and reported by itself, and its failure stops no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import dagster as dg

from gata_assets.orchestration.batch_status import Plan
from gata_assets.orchestration.runs import Runs, Written


@dataclass(frozen=True)
class BatchRun:
    """A run over consecutive batches: of a job, with all assets or the named ones."""

    job: dg.JobDefinition
    batch_ids: Sequence[str]
    assets: Sequence[dg.AssetKey] | None = None


@dataclass(frozen=True)
class BatchPlaces:
    """Where a batch's files are: the folders of its datasets by their names, and keys outside of those folders."""

    folders: Mapping[str, str]
    other_keys: Sequence[str] = ()


class WithoutBatches:
    """What a pipeline has in the target that builds nothing of batches."""

    def stored_batch_ids(self) -> list[str]:
        """None."""
        return []

    def places(self, batch_id: str) -> BatchPlaces:  # noqa: ARG002 (the protocol's)
        """None."""
        return BatchPlaces({})

    def compare(self, first: str, second: str) -> Mapping[str, Mapping[str, int]]:  # noqa: ARG002 (the protocol's)
        """Nothing."""
        return {}


class StoredBatches(Protocol):
    """The part of a pipeline that says what the target has of its batches."""

    @property
    def name(self) -> str:
        """The pipeline's name."""

    def stored_batch_ids(self) -> list[str]:
        """Batches with at least part of a dataset in the target, ascending; raises StoreError."""

    def places(self, batch_id: str) -> BatchPlaces:
        """Where the files of a batch are, whether they exist or not; raises StoreError if that is not known."""


class Pipeline(Protocol):
    """A pipeline from batch IDs to training data."""

    @property
    def name(self) -> str:
        """Its name for `--only`."""

    @property
    def scope(self) -> str:
        """The tenant or other part that it prepares; empty if it prepares all."""

    @property
    def last_asset(self) -> str:
        """The asset of a batch that is written last: progress counts it, and it completes the batch."""

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:
        """Bring the inputs of batches up to date, before deciding which batches are due.

        Returns whether batches can be prepared; if not, `runs` has the failure with the reason.
        """

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:
        """Find out from the target which batches are missing, stale or complete; with `again`, all are due.

        Raises GataError if that cannot be found out.
        """

    def estimate(self, plan: Plan) -> Mapping[str, str]:
        """The cost of preparing the due batches, and other facts for a plan, by short labels."""

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:
        """The runs that prepare batches, each yielded once the previous one has ended."""

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """What was written, for people: a row per asset rather than per partition."""

    def stored_batch_ids(self) -> list[str]:
        """Batches with at least part of a dataset in the target, ascending; raises StoreError."""

    def places(self, batch_id: str) -> BatchPlaces:
        """Where the files of a batch are, whether they exist or not; raises StoreError if that is not known."""

    def compare(self, first: str, second: str) -> Mapping[str, Mapping[str, int]]:
        """What manifests do not say of two stored batches: counts by what they count, for a dataset's name.

        Raises GataError if a table of theirs is missing or damaged.
        """


def run_batches(pipeline: Pipeline, batch_ids: Sequence[str], runs: Runs) -> None:
    """Prepare batches, and record their outcomes in `runs`.

    A failed batch does not stop the others; an error that would fail every batch does, and the rest is not tried.
    Raises KeyboardInterrupt if a run was interrupted.
    """
    earlier = len(runs.failures)
    for run in pipeline.runs(batch_ids):
        runs.execute(run.job, (run.batch_ids[0], run.batch_ids[-1]), assets=run.assets)
        if any(failure.would_fail_all for failure in runs.failures[earlier:]):
            return


def describe_size(size: float) -> str:
    """Bytes for an estimate: about three digits, and a unit."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1_000:
            return f"{size:,.0f} {unit}"
        size /= 1_000
    return f"{size:,.1f} GB"


def describe_duration(seconds: float) -> str:
    """Seconds for an estimate, in a suitable unit."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7_200 else f"{seconds / 3_600:,.1f} h"
