"""`gata prepare`: a batch of every pipeline in this process, with progress and a summary for people or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import dagster as dg
from rich.table import Table

from gata_assets.cli.batches.progress import followed_batch
from gata_assets.cli.terminal import text_console
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.instances import open_instance
from gata_assets.orchestration.pipelines import Pipeline, run_batches
from gata_assets.orchestration.runs import Runs, Written

PipelinesOf = Callable[[dg.LoggerDefinition], Sequence[Pipeline]]


@dataclass(frozen=True)
class PreparedBatch:
    """The result of a batch: the outputs of all pipelines, and the failures.

    `run_id` is that of the first run.
    """

    batch_id: str
    run_id: str
    has_succeeded: bool
    seconds: float
    written: tuple[Written, ...]
    failures: dict[str, str]


def prepare_batch(pipelines: Sequence[Pipeline], batch_id: str) -> PreparedBatch:
    """Materialize a batch of each pipeline in this process; a failed pipeline does not stop the others.

    Runs are recorded in the Dagster instance of DAGSTER_HOME, if set; otherwise nowhere. Raises
    KeyboardInterrupt.
    """
    started = perf_counter()
    run_ids: list[str] = []
    written: list[Written] = []
    failures: list[BatchFailure] = []
    with open_instance() as instance:
        for pipeline in pipelines:
            runs = Runs(instance)
            if pipeline.refresh(runs, [batch_id]):
                run_batches(pipeline, [batch_id], runs)
            run_ids += runs.run_ids
            written += pipeline.summarize(runs.written)
            failures += runs.failures
    return PreparedBatch(
        batch_id=batch_id,
        run_id=next(iter(run_ids), ""),
        has_succeeded=not failures,
        seconds=perf_counter() - started,
        written=tuple(written),
        failures={_name_of(failure, batch_id): failure.reason for failure in failures},
    )


def _name_of(failure: BatchFailure, batch_id: str) -> str:
    """The asset, and its partition if that is not the batch."""
    return failure.asset if failure.batch_id == batch_id else f"{failure.asset} {failure.batch_id}"


def run(pipelines_of: PipelinesOf, batch_id: str, *, log_level: str, summary: str) -> bool:
    """Prepare a batch, show it, and return whether it succeeded.

    Args:
        pipelines_of: Builds the pipelines, whose runs report to the logger that it is given.
        batch_id: The batch.
        log_level: The lowest level of log lines that are shown.
        summary: How the summary is shown: `table`, `json` or `auto`.
    """
    with followed_batch(log_level) as logger:
        batch = prepare_batch(pipelines_of(logger), batch_id)
    as_table = summary == "table" or (summary == "auto" and sys.stdout.isatty())
    (print_table if as_table else print_json)(batch)
    return batch.has_succeeded


def print_table(batch: PreparedBatch) -> None:
    """Show outputs with their places, or failures, for people."""
    console = text_console(width=None if sys.stdout.isatty() else 130)
    if batch.written:
        table = Table(title=f"Batch {batch.batch_id}", title_justify="left")
        table.add_column("asset")
        table.add_column("rows", justify="right")
        table.add_column("labels", justify="right")
        table.add_column("written to", overflow="fold")
        for written in batch.written:
            labels = written.numbers.get("labels")
            places = "\n".join(written.places) + (f"\nnot built: {written.reason}" if written.reason else "")
            table.add_row(written.asset, _rows(written.numbers), "" if labels is None else str(labels), places)
        console.print(table)
    for asset, reason in batch.failures.items():
        console.print(f"FAILED {asset}: {reason}", markup=False, highlight=False, soft_wrap=True)
    outcome = "prepared" if batch.has_succeeded else "FAILED"
    console.print(f"Batch {batch.batch_id} {outcome} in {batch.seconds:.1f} s.", highlight=False)


def _rows(numbers: dict[str, int | float]) -> str:
    if "test_rows" in numbers:
        return f"{numbers['train_rows']:,} train\n{numbers['test_rows']:,} test"
    rows = f"{numbers.get('row_count', 0):,}"
    if "days" in numbers:
        rows += f"\nof {numbers['days']:,} days"
    if numbers.get("quarantined"):
        rows += f"\n{numbers['quarantined']:,} in quarantine"
    return rows


def print_json(batch: PreparedBatch) -> None:
    """Print outputs with their places, or failures, as a line of JSON."""
    print(
        json.dumps(
            {
                "event": "BATCH_PREPARED" if batch.has_succeeded else "BATCH_FAILED",
                "batch_id": batch.batch_id,
                "run_id": batch.run_id,
                "seconds": round(batch.seconds, 3),
                "written": [
                    {
                        "asset": written.asset,
                        **_tenant_of(written),
                        **written.numbers,
                        "places": written.places,
                        "reason": written.reason or None,
                    }
                    for written in batch.written
                ],
                "failures": batch.failures,
            }
        )
    )


def _tenant_of(written: Written) -> dict[str, str]:
    tenant, has_tenant, _ = written.asset.partition("/")
    return {"tenant": tenant} if has_tenant else {}
