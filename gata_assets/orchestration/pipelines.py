"""One protocol for every way from batch IDs to training data: what is due, what it costs, the runs, the summary.

Domains implement `Pipeline`; commands go through the pipelines that are registered and know none by name. A pipeline
is of one scope, such as a tenant: it is planned, run and reported by itself, and its failure stops no other.
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
    """One run over consecutive batches: of a job, all assets or those that are named."""

    job: dg.JobDefinition
    batch_ids: Sequence[str]
    assets: Sequence[dg.AssetKey] | None = None


class Pipeline(Protocol):
    """One way from batch IDs to training data."""

    @property
    def name(self) -> str:
        """What `--only` calls it."""

    @property
    def scope(self) -> str:
        """The tenant or other part that it is of; empty where it is of all."""

    @property
    def last_asset(self) -> str:
        """The asset that is written last of a batch: progress counts it, and with it a batch is prepared."""

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:
        """Bring up to date what batches are built from, before it is decided which are due.

        Returns whether batches can be prepared; if not, `runs` has the failure that says why.
        """

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:
        """Look in the target which batches are missing, stale or complete; with `again`, all are due.

        Raises GataError where that cannot be found out.
        """

    def estimate(self, plan: Plan) -> Mapping[str, str]:
        """What preparing the due batches would cost, and what else only a plan shows, by short labels."""

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:
        """The runs that prepare batches, each given when the one before it has ended."""

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        """What was written as people want to see it: a row per asset rather than per partition."""


def run_batches(pipeline: Pipeline, batch_ids: Sequence[str], runs: Runs) -> None:
    """Prepare batches, and note in `runs` what became of them.

    Batches that fail do not stop the others; what would fail for every batch does, and the rest is not tried. Raises
    KeyboardInterrupt where a run was interrupted.
    """
    earlier = len(runs.failures)
    for run in pipeline.runs(batch_ids):
        runs.execute(run.job, (run.batch_ids[0], run.batch_ids[-1]), assets=run.assets)
        if any(failure.would_fail_all for failure in runs.failures[earlier:]):
            return


def describe_size(size: float) -> str:
    """Bytes as an estimate gives them: three digits or so, and a unit."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1_000:
            return f"{size:,.0f} {unit}"
        size /= 1_000
    return f"{size:,.1f} GB"


def describe_duration(seconds: float) -> str:
    """Seconds as an estimate gives them: with a unit that suits them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7_200 else f"{seconds / 3_600:,.1f} h"
