"""`gata backfill`: prepares the due or all batches of a range in this process, or estimates the cost."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import dagster as dg
from rich.console import Console

from gata_assets.cli.batches.prepare import PipelinesOf
from gata_assets.cli.batches.progress import FollowedBackfill
from gata_assets.cli.options import INTERRUPTED, INTERRUPTED_MESSAGE
from gata_assets.cli.terminal import text_console
from gata_assets.errors import GataError, SettingsError
from gata_assets.orchestration.batch_status import Plan, Reason
from gata_assets.orchestration.instances import open_instance
from gata_assets.orchestration.pipelines import Pipeline, describe_duration, run_batches
from gata_assets.orchestration.runs import Runs

_MOST_FAILURES = 10


def run(pipelines_of: PipelinesOf, batch_ids: Sequence[str], *, log_level: str, again: bool, only_plan: bool) -> int:
    """Prepare the due batches of a range, pipeline by pipeline, or show the estimated cost.

    A failed batch or pipeline stops no other; an interruption stops all.

    Args:
        pipelines_of: Builds the pipelines, whose runs report to the logger that it is given.
        batch_ids: The batches of the range, in their order.
        log_level: The lowest level of log lines that are shown.
        again: Whether all batches are due.
        only_plan: Whether to show the plan only.

    Returns:
        The exit code: 0 when nothing failed, 1 when something did, 130 after an interruption.
    """
    console = text_console()
    followed = FollowedBackfill(log_level)
    has_failed = False
    try:
        with open_instance() as instance:
            for pipeline in pipelines_of(followed.logger):
                command = _Backfill(pipeline, instance, followed, console)
                is_done = command.show_plan(batch_ids, again) if only_plan else command.run(batch_ids, again)
                has_failed = has_failed or not is_done
    except KeyboardInterrupt:
        console.print(INTERRUPTED_MESSAGE)
        return INTERRUPTED
    if only_plan:
        console.print("Nothing was written. Without --plan the batches are prepared.")
    return 1 if has_failed else 0


class _Backfill:
    """The backfill of one pipeline."""

    def __init__(
        self, pipeline: Pipeline, instance: dg.DagsterInstance, followed: FollowedBackfill, console: Console
    ) -> None:
        self._pipeline = pipeline
        self._runs = Runs(instance)
        self._followed = followed
        self._console = console

    def show_plan(self, batch_ids: Sequence[str], again: bool) -> bool:
        """Show the plan and its cost; returns whether they could be determined."""
        try:
            plan = self._pipeline.plan(batch_ids, again=again)
            self._print_plan(plan)
            for label, text in self._pipeline.estimate(plan).items():
                self._print(label, text)
        except GataError as error:
            return self._print_error(error)
        return True

    def run(self, batch_ids: Sequence[str], again: bool) -> bool:
        """Prepare the due batches; returns whether nothing failed. Raises KeyboardInterrupt."""
        runs, started = self._runs, perf_counter()
        try:
            with self._followed.refresh(self._pipeline):
                is_refreshed = self._pipeline.refresh(runs, batch_ids)
            plan = self._pipeline.plan(batch_ids, again=again) if is_refreshed else Plan({}, ())
        except GataError as error:
            return self._print_error(error)
        if not is_refreshed:
            self._print_failures()
            return False
        self._print_plan(plan)
        refreshed = len(runs.run_ids)
        try:
            if plan.due:
                with self._followed.batches(self._pipeline, plan.due):
                    run_batches(self._pipeline, plan.due, runs)
        finally:
            self._print_result(plan, len(runs.run_ids) - refreshed, perf_counter() - started)
        return not runs.failures

    @property
    def _of_scope(self) -> str:
        return f" of {self._pipeline.scope}" if self._pipeline.scope else ""

    def _print(self, label: str, text: str) -> None:
        self._console.print(f"{label:<18} {text}", markup=False)

    def _print_error(self, error: GataError) -> bool:
        if isinstance(error, SettingsError):
            raise error
        self._console.print(f"FAILED {self._pipeline.scope or self._pipeline.name}: {error}", markup=False)
        return False

    def _print_plan(self, plan: Plan) -> None:
        batch_ids, scope = list(plan.statuses), f"{self._pipeline.scope}: " if self._pipeline.scope else ""
        self._print(
            self._pipeline.name,
            f"{scope}{len(batch_ids):,} batches from {batch_ids[0]} to {batch_ids[-1]}: "
            f"{len(plan.complete):,} are complete in the target, {len(plan.due):,} to prepare",
        )
        if stale := plan.stale:
            self._print(
                "other rows",
                f"{len(stale):,}{self._of_scope} are complete, but {Reason.ROWS}, first {stale[0]}: prepared again",
            )
        for reason, label in ((Reason.SETTINGS, "other settings"), (Reason.CATALOG, "other catalog")):
            if kept := plan.kept(reason):
                self._print(
                    label,
                    f"{len(kept):,} complete batches{self._of_scope} were built with {reason}, first {kept[0]}; "
                    "--again prepares them again",
                )

    def _print_failures(self) -> None:
        failures = self._runs.failures
        for failure in failures[:_MOST_FAILURES]:
            self._console.print(f"FAILED {failure.batch_id} {failure.asset}: {failure.reason}", markup=False)
        if len(failures) > _MOST_FAILURES:
            self._console.print(f"and {len(failures) - _MOST_FAILURES:,} more failures")

    def _print_result(self, plan: Plan, runs: int, seconds: float) -> None:
        self._print_failures()
        failed = {failure.batch_id for failure in self._runs.failures}
        last = self._pipeline.last_asset
        written = {output.partition for output in self._runs.written if output.asset == last}
        tried = [batch_id for batch_id in plan.due if batch_id in failed or batch_id in written]
        untried = [batch_id for batch_id in plan.due if batch_id not in failed and batch_id not in written]
        if untried:
            self._print("not tried", f"{len(untried):,} batches, from {untried[0]}; run this again")
        prepared = [batch_id for batch_id in tried if batch_id not in failed]
        self._console.print(
            f"{len(prepared):,} batches{self._of_scope} prepared, {len(tried) - len(prepared):,} failed, in {runs:,} "
            f"runs and {describe_duration(seconds)}."
        )
