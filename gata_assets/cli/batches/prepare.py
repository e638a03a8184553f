"""`gata prepare`: a batch of every pipeline in this process, with progress and a summary for people or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import dagster as dg
from rich.table import Table

from gata_assets.cli.batches.progress import followed_batch
from gata_assets.cli.terminal import table_console
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.instances import open_instance
from gata_assets.orchestration.pipelines import Pipeline, run_batches
from gata_assets.orchestration.runs import Runs, Written

PipelinesOf = Callable[[dg.LoggerDefinition], Sequence[Pipeline]]


def run(pipelines_of: PipelinesOf, batch_id: str, *, log_level: str, as_table: bool) -> bool:
    """Materialize a batch of each pipeline in this process, show it, and return whether all succeeded.

    A failed pipeline does not stop the others. Runs are recorded in the Dagster instance of DAGSTER_HOME, if set;
    otherwise nowhere. Raises KeyboardInterrupt.

    Args:
        pipelines_of: Builds the pipelines, whose runs report to the logger that it is given.
        batch_id: The batch.
        log_level: The lowest level of log lines that are shown.
        as_table: Whether the summary is for people; otherwise it is a line of JSON.
    """
    started = perf_counter()
    run_ids: list[str] = []
    written: list[Written] = []
    failures: list[BatchFailure] = []
    with followed_batch(log_level) as logger, open_instance() as instance:
        for pipeline in pipelines_of(logger):
            runs = Runs(instance)
            if pipeline.refresh(runs, [batch_id]):
                run_batches(pipeline, [batch_id], runs)
            run_ids += runs.run_ids
            written += pipeline.summarize(runs.written)
            failures += runs.failures
    seconds = perf_counter() - started
    reasons = {_name_of(failure, batch_id): failure.reason for failure in failures}
    if as_table:
        _print_table(batch_id, written, reasons, seconds)
    else:
        summary = {
            "event": "BATCH_FAILED" if reasons else "BATCH_PREPARED",
            "batch_id": batch_id,
            "run_id": next(iter(run_ids), ""),
            "seconds": round(seconds, 3),
            "written": [_describe(output) for output in written],
            "failures": reasons,
        }
        print(json.dumps(summary))
    return not failures


def _name_of(failure: BatchFailure, batch_id: str) -> str:
    """The asset, and its partition if that is not the batch."""
    return failure.asset if failure.batch_id == batch_id else f"{failure.asset} {failure.batch_id}"


def _print_table(batch_id: str, outputs: Sequence[Written], failures: Mapping[str, str], seconds: float) -> None:
    """Show outputs with their places, or failures, for people."""
    console = table_console()
    if outputs:
        table = Table("asset", title=f"Batch {batch_id}", title_justify="left")
        table.add_column("rows", justify="right")
        table.add_column("labels", justify="right")
        table.add_column("written to", overflow="fold")
        for output in outputs:
            places = "\n".join(output.places) + (f"\nnot built: {output.reason}" if output.reason else "")
            table.add_row(output.asset, _rows(output.numbers), str(output.numbers.get("labels", "")), places)
        console.print(table)
    for asset, reason in failures.items():
        console.print(f"FAILED {asset}: {reason}", markup=False, soft_wrap=True)
    console.print(f"Batch {batch_id} {'FAILED' if failures else 'prepared'} in {seconds:.1f} s.")


def _rows(numbers: dict[str, int | float]) -> str:
    if "test_rows" in numbers:
        rows = f"{numbers['train_rows']:,} train\n{numbers['test_rows']:,} test"
        if twins := numbers.get("test_rows_with_twin"):
            rows += f"\n{twins:,} with a twin"
        return rows
    rows = f"{numbers.get('row_count', 0):,}"
    if numbers.get("tickets") == numbers.get("row_count"):
        reasons = {name.removeprefix("excluded_"): count for name, count in numbers.items() if "excluded_" in name}
        rows += "".join(f"\n{count:,} {reason}" for reason, count in sorted(reasons.items()))
    if "days" in numbers:
        rows += f"\nof {numbers['days']:,} days"
    if numbers.get("quarantined"):
        rows += f"\n{numbers['quarantined']:,} in quarantine"
    if numbers.get("positives") and not numbers.get("negatives"):
        rows += "\n0 negatives"
    if numbers.get("unknown_item_interactions"):
        rows += f"\n{numbers['unknown_item_interactions']:,} not in catalog"
    return rows


def _describe(output: Written) -> dict[str, object]:
    tenant, has_tenant, _ = output.asset.partition("/")
    of_tenant = {"tenant": tenant} if has_tenant else {}
    return {
        "asset": output.asset,
        **of_tenant,
        **output.numbers,
        "places": output.places,
        "reason": output.reason or None,
    }
