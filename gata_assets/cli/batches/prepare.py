"""`gata prepare`: both halves of one batch in this process, followed on a terminal or in JSON lines, and summed up."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import dagster as dg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from gata_assets.cli.batches.halves import INTERACTIONS, TICKETS, require_tenants
from gata_assets.cli.batches.runs import Written, find_failures, is_interrupted, read_written, run_range
from gata_assets.cli.terminal import text_console
from gata_assets.definitions import build_definitions
from gata_assets.logs import RunEvent, event_logger, write_json_line
from gata_assets.orchestration.failures import BatchFailure
from gata_assets.orchestration.instances import open_instance
from gata_assets.settings.model import Settings
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS


@dataclass(frozen=True)
class PreparedBatch:
    """How a batch ended: of both halves of the lineage, what was written and what failed.

    `run_id` is that of the first run.
    """

    batch_id: str
    run_id: str
    has_succeeded: bool
    seconds: float
    written: tuple[Written, ...]
    failures: dict[str, str]


def prepare_batch(
    settings: Settings, batch_id: str, *, logger: dg.LoggerDefinition, only: str | None = None
) -> PreparedBatch:
    """Materialize one batch in this process: the ticket line, and the interaction line of all tenants.

    What fails of one does not stop the other. Runs are recorded in the Dagster instance of DAGSTER_HOME, where that is
    set; otherwise nowhere. Raises SettingsError where `only` asks for interactions and there is no tenant, and
    KeyboardInterrupt.
    """
    started = perf_counter()
    require_tenants(settings, only)
    definitions = build_definitions(settings, logger=logger)
    run_ids: list[str] = []
    written: list[Written] = []
    failures: list[BatchFailure] = []
    with open_instance() as instance:
        if only != INTERACTIONS:
            job = definitions.resolve_job_def(PREPARE_TICKETS)
            result = run_range(job, instance, (batch_id, batch_id))
            run_ids.append(result.run_id)
            written += read_written(result)
            failures += [] if result.success else find_failures(result, batch_id)
            if is_interrupted(failures):
                raise KeyboardInterrupt
        if only != TICKETS and settings.tenants_prepared:
            # Who prepares tickets alone does not load what interactions need.
            from gata_assets.cli.batches.prepare_interactions import prepare_interactions

            half = prepare_interactions(settings, definitions, instance, [batch_id])
            run_ids += half.run_ids
            written += half.summed()
            failures += half.failures
    return PreparedBatch(
        batch_id=batch_id,
        run_id=next(iter(run_ids), ""),
        has_succeeded=not failures,
        seconds=perf_counter() - started,
        written=tuple(written),
        failures={_name_of(failure, batch_id): failure.reason for failure in failures},
    )


def _name_of(failure: BatchFailure, batch_id: str) -> str:
    """The asset, and its partition where that is not the batch."""
    return failure.asset if failure.batch_id == batch_id else f"{failure.asset} {failure.batch_id}"


def run(settings: Settings, batch_id: str, *, summary: str, only: str | None = None) -> bool:
    """Prepare a batch, show it, and say whether it succeeded; `summary` is `table`, `json` or `auto`."""
    with _followed(settings.project.log_level) as logger:
        batch = prepare_batch(settings, batch_id, logger=logger, only=only)
    as_table = summary == "table" or (summary == "auto" and sys.stdout.isatty())
    (print_table if as_table else print_json)(batch)
    return batch.has_succeeded


@contextmanager
def _followed(level: str) -> Iterator[dg.LoggerDefinition]:
    """A logger for the run: a progress display on a terminal, JSON lines elsewhere."""
    if not sys.stderr.isatty():
        yield event_logger(write_json_line, level)
        return
    console = Console(stderr=True, emoji=False)
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield event_logger(_Display(progress).show, level)


@dataclass
class _Display:
    """One line an asset when it is written, below them a spinner while the run goes on; checks that fail are said."""

    progress: Progress
    _task: TaskID | None = None

    def show(self, event: RunEvent) -> None:
        if event.event == "STEP_START":
            self._task = self.progress.add_task(f"{event.kind} {event.batch_id}", total=1)
        elif event.event == "ASSET_MATERIALIZATION" and event.kind == "day" and self._task is not None:
            # There are too many for a line each.
            self.progress.update(self._task, description=f"day {event.batch_id} of {event.asset}")
        elif event.event == "ASSET_MATERIALIZATION":
            self.progress.console.print(f"✓ {event.asset}: {event.numbers.get('row_count', 0):,} rows")
        elif event.event == "ASSET_CHECK_EVALUATION" and not event.has_passed:
            self.progress.console.print(f"[yellow]check {event.check} of {event.asset} has failed[/yellow]")
        elif event.event in ("STEP_SUCCESS", "STEP_FAILURE") and self._task is not None:
            has_succeeded = event.event == "STEP_SUCCESS"
            what = f"{event.kind} {event.batch_id}"
            said = what if has_succeeded else f"[red]{what}: failed[/red]"
            self.progress.update(self._task, completed=1, description=said)


def print_table(batch: PreparedBatch) -> None:
    """Show what was written and where, or what failed, for people."""
    console = text_console(width=None if sys.stdout.isatty() else 130)
    if batch.written:
        table = Table(title=f"Batch {batch.batch_id}", title_justify="left")
        table.add_column("asset")
        table.add_column("rows", justify="right")
        table.add_column("labels", justify="right")
        table.add_column("written to", overflow="fold")
        for one in batch.written:
            labels = one.numbers.get("labels")
            places = "\n".join(one.places) + (f"\nnot made: {one.reason}" if one.reason else "")
            rows = f"{one.numbers.get('row_count', 0):,}"
            if "days" in one.numbers:
                rows += f"\nof {one.numbers['days']:,} days"
            if one.numbers.get("quarantined"):
                rows += f"\n{one.numbers['quarantined']:,} in quarantine"
            if "test_rows" in one.numbers:
                rows = f"{one.numbers['train_rows']:,} train\n{one.numbers['test_rows']:,} test"
            table.add_row(one.asset, rows, "" if labels is None else str(labels), places)
        console.print(table)
    for asset, reason in batch.failures.items():
        console.print(f"FAILED {asset}: {reason}", markup=False, highlight=False, soft_wrap=True)
    outcome = "prepared" if batch.has_succeeded else "FAILED"
    console.print(f"Batch {batch.batch_id} {outcome} in {batch.seconds:.1f} s.", highlight=False)


def print_json(batch: PreparedBatch) -> None:
    """Write what was written and where, or what failed, as one line of JSON."""
    print(
        json.dumps(
            {
                "event": "BATCH_PREPARED" if batch.has_succeeded else "BATCH_FAILED",
                "batch_id": batch.batch_id,
                "run_id": batch.run_id,
                "seconds": round(batch.seconds, 3),
                "written": [
                    {
                        "asset": one.asset,
                        **_tenant_of(one),
                        **one.numbers,
                        "places": one.places,
                        "reason": one.reason or None,
                    }
                    for one in batch.written
                ],
                "failures": batch.failures,
            }
        )
    )


def _tenant_of(written: Written) -> dict[str, str]:
    tenant, has_tenant, _ = written.asset.partition("/")
    return {"tenant": tenant} if has_tenant else {}
