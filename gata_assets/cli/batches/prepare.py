"""`gata prepare`: a batch of every pipeline in this process, with progress and a summary for people or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter

import dagster as dg

from gata_assets.cli.batches.at_end import AtEnd
from gata_assets.cli.batches.preview import TrainPreview
from gata_assets.cli.batches.progress import followed_batch
from gata_assets.cli.terminal import UNBROKEN, text_console, wrapped
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.instances import open_instance
from gata_assets.orchestration.pipelines import Pipeline, run_batches
from gata_assets.orchestration.runs import Runs, Written

PipelinesOf = Callable[[dg.LoggerDefinition], Sequence[Pipeline]]


def run(
    pipelines_of: PipelinesOf,
    batch_id: str,
    *,
    log_level: str,
    as_table: bool,
    preview: TrainPreview | None = None,
    at_end: AtEnd | None = None,
) -> bool:
    """Materialize a batch of each pipeline in this process, show it, and return whether all succeeded.

    A failed pipeline does not stop the others. Runs are recorded in the Dagster instance of DAGSTER_HOME, if set;
    otherwise nowhere. Raises KeyboardInterrupt.

    Args:
        pipelines_of: Builds the pipelines, whose runs report to the logger that it is given.
        batch_id: The batch.
        log_level: The lowest level of log lines that are shown.
        as_table: Whether progress and summary are for people; otherwise the summary is a line of JSON.
        preview: Shows training rows at the end, for people.
        at_end: Takes the batch once its pipelines have ended, also where one failed.
    """
    started = perf_counter()
    run_ids: list[str] = []
    written: list[Written] = []
    failures: list[BatchFailure] = []
    with followed_batch(log_level, as_text=as_table) as logger, open_instance() as instance:
        pipelines = pipelines_of(logger)
        for pipeline in pipelines:
            runs = Runs(instance)
            if pipeline.refresh(runs, [batch_id]):
                run_batches(pipeline, [batch_id], runs)
            run_ids += runs.run_ids
            written += pipeline.summarize(runs.written)
            failures += runs.failures
    seconds = perf_counter() - started
    if at_end:
        at_end([batch_id])
    reasons = {_name_of(failure, batch_id): failure.reason for failure in failures}
    if as_table:
        _print_summary(batch_id, written, reasons, seconds)
        if preview and not reasons:
            preview.show(pipelines, batch_id)
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


def _print_summary(batch_id: str, outputs: Sequence[Written], failures: Mapping[str, str], seconds: float) -> None:
    """Show outputs with their places, or failures, for people."""
    console = text_console()
    if outputs:
        console.print(f"Batch {batch_id}\n", markup=False)
    for output in outputs:
        console.print(f"{output.asset}: {', '.join(_counts(output.numbers))}", markup=False)
        notes = [*_notes(output.numbers), *([f"not built: {output.reason}"] if output.reason else [])]
        for note in notes:
            console.print(wrapped(note), markup=False)
        for place in output.places:
            console.print(f"  {place}", markup=False)
    if outputs:
        console.print()
    for asset, reason in failures.items():
        console.print(f"FAILED {asset}: {reason}", markup=False)
    console.print(f"Batch {batch_id} {'FAILED' if failures else 'prepared'} in {seconds:.1f} s.")


def _counts(numbers: dict[str, int | float]) -> Iterator[str]:
    if "test_rows" in numbers:
        yield f"{numbers['train_rows']:,} train rows"
        yield f"{numbers['test_rows']:,} test rows"
    else:
        of_days = f" of {numbers['days']:,} days" if "days" in numbers else ""
        yield f"{numbers.get('row_count', 0):,} rows{of_days}"
    if "labels" in numbers:
        yield f"{numbers['labels']:,} labels"
    if numbers.get("quarantined"):
        yield f"{numbers['quarantined']:,} in quarantine"
    if numbers.get("positives") and not numbers.get("negatives"):
        yield "0 negatives"
    if numbers.get("unknown_item_interactions"):
        yield f"{numbers['unknown_item_interactions']:,} not in catalog"


def _notes(numbers: dict[str, int | float]) -> Iterator[str]:
    if twins := numbers.get("test_rows_with_twin"):
        yield f"{twins:,} test rows with a near-duplicate in train"
    if "test_rows" not in numbers and numbers.get("tickets") == numbers.get("row_count"):
        reasons = {name.removeprefix("excluded_"): count for name, count in numbers.items() if "excluded_" in name}
        if reasons:
            yield "left out: " + ", ".join(f"{count:,}{UNBROKEN}{reason}" for reason, count in sorted(reasons.items()))


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
