"""`gata backfill`: prepares the due or all batches of a range in this process, or estimates the cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from time import perf_counter

import dagster as dg

from gata_assets.cli.batches.at_end import AtEnd
from gata_assets.cli.batches.prepare import PipelinesOf
from gata_assets.cli.batches.progress import FollowedBackfill
from gata_assets.cli.exit_codes import DONE, FAILED, INTERRUPTED
from gata_assets.cli.options import INTERRUPTED_MESSAGE
from gata_assets.cli.terminal import text_console
from gata_assets.errors import GataError, SettingsError
from gata_assets.orchestration.batch_status import Plan, Reason
from gata_assets.orchestration.batches.given_up import find_given_up
from gata_assets.orchestration.instances import find_unrecorded, open_instance
from gata_assets.orchestration.pipelines import Pipeline, describe_duration, run_batches
from gata_assets.orchestration.runs import Runs

_MOST_FAILURES = 10


def run(
    pipelines_of: PipelinesOf,
    batch_ids: Sequence[str],
    *,
    log_level: str,
    again: bool,
    only_plan: bool,
    as_json: bool = False,
    at_end: AtEnd | None = None,
) -> int:
    """Prepare the due batches of a range, pipeline by pipeline, or show the estimated cost.

    A failed batch or pipeline stops no other; an interruption stops all.

    Args:
        pipelines_of: Builds the pipelines, whose runs report to the logger that it is given.
        batch_ids: The batches of the range, in their order.
        log_level: The lowest level of log lines that are shown.
        again: Whether all batches are due.
        only_plan: Whether to show the plan only.
        as_json: Whether to show plans and results as lines of JSON.
        at_end: Takes the batches of the range once all pipelines have ended, unless only the plan is shown.

    Returns:
        The exit code: 0 when nothing failed, 1 when something did, 130 after an interruption.
    """
    followed = FollowedBackfill(log_level)
    has_failed = False
    try:
        with open_instance() as instance:
            for pipeline in pipelines_of(followed.logger):
                command = _Backfill(pipeline, instance, followed, as_json=as_json)
                try:
                    if only_plan:
                        command.show_plan(batch_ids, again)
                    elif not command.run(batch_ids, again):
                        has_failed = True
                except SettingsError:
                    raise
                except GataError as error:
                    command.show_failed(str(error))
                    has_failed = True
            if at_end and not only_plan:
                at_end(batch_ids)
    except KeyboardInterrupt:
        text_console(stderr=as_json).print(INTERRUPTED_MESSAGE)
        return INTERRUPTED
    if only_plan and not as_json:
        _print("Nothing was written. Without --plan the batches are prepared.")
    return FAILED if has_failed else DONE


def _print(text: str, label: str = "") -> None:
    text_console().print(f"{label:<18} {text}" if label else text, markup=False)


class _Backfill:
    """The backfill of one pipeline."""

    def __init__(
        self, pipeline: Pipeline, instance: dg.DagsterInstance, followed: FollowedBackfill, *, as_json: bool
    ) -> None:
        self._pipeline = pipeline
        self._runs = Runs(instance)
        self._followed = followed
        self._as_json = as_json
        self._of_scope = f" of {pipeline.scope}" if pipeline.scope else ""

    def show_plan(self, batch_ids: Sequence[str], again: bool) -> None:
        """Show the plan and its cost; raises GataError if they cannot be determined."""
        plan = self._plan(batch_ids, again)
        estimate = self._pipeline.estimate(plan)
        self._print_plan(plan, estimate)
        if not self._as_json:
            for label, text in estimate.items():
                _print(text, label)

    def run(self, batch_ids: Sequence[str], again: bool) -> bool:
        """Prepare the due batches; returns whether nothing failed. Raises KeyboardInterrupt, and GataError before."""
        runs, started = self._runs, perf_counter()
        with self._followed.refresh(self._pipeline):
            is_refreshed = self._pipeline.refresh(runs, batch_ids)
        if not is_refreshed:
            self._print_failures()
            return False
        plan = self._plan(batch_ids, again)
        self._print_plan(plan)
        refreshed = len(runs.run_ids)
        try:
            if plan.due:
                with self._followed.batches(self._pipeline, plan.due):
                    run_batches(self._pipeline, plan.due, runs)
        finally:
            seconds = perf_counter() - started
            if plan.statuses:
                self._print_result(plan, len(runs.run_ids) - refreshed, seconds)
            else:
                self._print_curated(refreshed, seconds)
        return not runs.failures

    def _plan(self, batch_ids: Sequence[str], again: bool) -> Plan:
        """The plan. Batches that a killed run did not record are due too; without `again` none that was given up is."""
        plan = self._pipeline.plan(batch_ids, again=again)
        versions = {batch_id: plan.statuses[batch_id].version for batch_id in plan.complete}
        last = dg.AssetKey.from_user_string(self._pipeline.last_asset)
        plan = plan.with_unrecorded(find_unrecorded(self._runs.instance, last, versions))
        return plan if again else plan.without(find_given_up(self._runs.instance, last, plan.due))

    def show_failed(self, reason: str) -> None:
        """Show that the pipeline failed as a whole."""
        if self._as_json:
            self._print_json("BACKFILL_FAILED", reason=reason)
        else:
            _print(f"FAILED {self._pipeline.scope or self._pipeline.name}: {reason}")

    def _print_json(self, event: str, **found: object) -> None:
        of_tenant = {"tenant": self._pipeline.scope} if self._pipeline.scope else {}
        print(json.dumps({"event": event, "pipeline": self._pipeline.name, **of_tenant, **found}), flush=True)

    def _print_plan(self, plan: Plan, estimate: Mapping[str, str] | None = None) -> None:
        batch_ids, scope = list(plan.statuses), f"{self._pipeline.scope}: " if self._pipeline.scope else ""
        if self._as_json:
            others = {reason.name.lower(): len(plan.kept(reason)) for reason in (Reason.SETTINGS, Reason.CATALOG)}
            counts = {"complete": len(plan.complete), "stale": len(plan.stale), "due": len(plan.due)}
            counts |= {"unrecorded": len(plan.unrecorded), "given_up": len(plan.given_up)}
            span = {"first": batch_ids[0], "last": batch_ids[-1]} if batch_ids else {}
            estimated = {} if estimate is None else {"estimate": dict(estimate)}
            more = {**span, **counts, "kept_with_other": others, **estimated}
            self._print_json("BACKFILL_PLANNED", batches=len(batch_ids), **more)
            return
        if not batch_ids:
            _print(f"{scope}no batches; its tables are curated from the raw files that came", self._pipeline.name)
            return
        _print(
            f"{scope}{len(batch_ids):,} batches from {batch_ids[0]} to {batch_ids[-1]}: "
            f"{len(plan.complete):,} are complete in the target, {len(plan.due):,} to prepare",
            self._pipeline.name,
        )
        if stale := [batch_id for batch_id in plan.stale if batch_id in plan.due]:
            found = f"{len(stale):,}{self._of_scope} are complete, but {Reason.ROWS}, first {stale[0]}: prepared again"
            _print(found, "other rows")
        if unrecorded := plan.unrecorded:
            found = f"{len(unrecorded):,}{self._of_scope} are complete, but their runs did not record them"
            _print(f"{found}, first {unrecorded[0]}: prepared again", "not recorded")
        for reason, label in ((Reason.SETTINGS, "other settings"), (Reason.CATALOG, "other catalog")):
            if kept := plan.kept(reason):
                found = f"{len(kept):,} complete batches{self._of_scope} were built with {reason}, first {kept[0]}"
                _print(f"{found}; --again prepares them again", label)
        for batch_id, why in plan.given_up.items():
            _print(f"{batch_id}{self._of_scope}: {why}; --again prepares it", "given up")

    def _print_failures(self) -> None:
        failures = self._runs.failures
        if self._as_json:
            for failure in failures:
                shown = {"batch_id": failure.batch_id, "asset": failure.asset, "reason": failure.reason}
                self._print_json("BATCH_FAILED", **shown)
            return
        for failure in failures[:_MOST_FAILURES]:
            _print(f"FAILED {failure.batch_id} {failure.asset}: {failure.reason}")
        if len(failures) > _MOST_FAILURES:
            _print(f"and {len(failures) - _MOST_FAILURES:,} more failures")

    def _print_result(self, plan: Plan, runs: int, seconds: float) -> None:
        self._print_failures()
        last = self._pipeline.last_asset
        failed = {failure.batch_id for failure in self._runs.failures}.intersection(plan.due)
        written = {output.partition for output in self._runs.written if output.asset == last}
        untried = [batch_id for batch_id in plan.due if batch_id not in failed | written]
        prepared = len(plan.due) - len(untried) - len(failed)
        if self._as_json:
            counts = {"prepared": prepared, "failed": len(failed), "not_tried": len(untried)}
            self._print_json("BACKFILL_ENDED", **counts, runs=runs, seconds=round(seconds, 3))
            return
        if untried:
            _print(f"{len(untried):,} batches, from {untried[0]}; run this again", "not tried")
        end = f"in {runs:,} runs and {describe_duration(seconds)}."
        _print(f"{prepared:,} batches{self._of_scope} prepared, {len(failed):,} failed, {end}")

    def _print_curated(self, runs: int, seconds: float) -> None:
        """Show how many tables were curated by a pipeline that has no batches."""
        tables = len({output.asset for output in self._runs.written})
        if self._as_json:
            self._print_json("TABLES_CURATED", tables=tables, runs=runs, seconds=round(seconds, 3))
        else:
            _print(f"{tables:,} tables{self._of_scope} curated, in {runs:,} runs and {describe_duration(seconds)}.")
