"""`gata prepare`: one batch in this process, followed on a terminal or in JSON lines, and summed up at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import dagster as dg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from gata_assets.commands.terminal import text_console
from gata_assets.definitions import build_definitions
from gata_assets.failures import BatchFailure, read_failures
from gata_assets.instances import open_instance
from gata_assets.jobs import PREPARE_TICKETS
from gata_assets.logs import RunEvent, event_logger, numbers_of, write_json_line
from gata_assets.settings import Settings


@dataclass(frozen=True)
class Written:
    """One output of a run: the asset, its numbers, its reason (where it is empty on purpose) and its places."""

    asset: str
    numbers: dict[str, int | float]
    reason: str
    places: tuple[str, ...]


@dataclass(frozen=True)
class PreparedBatch:
    """How a batch's run ended."""

    batch_id: str
    run_id: str
    has_succeeded: bool
    seconds: float
    written: tuple[Written, ...]
    failures: dict[str, str]


def prepare_batch(settings: Settings, batch_id: str, *, logger: dg.LoggerDefinition) -> PreparedBatch:
    """Materialize the ticket line for one batch in this process.

    The run is recorded in the Dagster instance of DAGSTER_HOME, where that is set; otherwise nowhere.
    """
    started = perf_counter()
    definitions = build_definitions(settings, logger=logger)
    job = definitions.resolve_job_def(PREPARE_TICKETS)
    with open_instance() as instance:
        result = job.execute_in_process(partition_key=batch_id, instance=instance, raise_on_error=False)
    return PreparedBatch(
        batch_id=batch_id,
        run_id=result.run_id,
        has_succeeded=result.success,
        seconds=perf_counter() - started,
        written=tuple(
            _read_materialization(event.step_materialization_data.materialization)
            for event in result.get_asset_materialization_events()
        ),
        failures={failure.asset: failure.reason for failure in find_failures(result, batch_id)},
    )


def find_failures(result: dg.ExecuteInProcessResult, batch_id: str) -> list[BatchFailure]:
    """What failed of a run; where it failed before its step ran, why that was."""
    events = result.filter_events(lambda event: event.is_step_failure) or result.filter_events(
        lambda event: event.event_type is dg.DagsterEventType.RUN_FAILURE
    )
    return [failure for event in events for failure in read_failures(event, batch_id)]


def run(settings: Settings, batch_id: str, *, summary: str) -> bool:
    """Prepare a batch, show it, and say whether it succeeded; `summary` is `table`, `json` or `auto`."""
    with _followed(settings.log_level) as logger:
        batch = prepare_batch(settings, batch_id, logger=logger)
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
            self._task = self.progress.add_task(f"batch {event.batch_id}", total=1)
        elif event.event == "ASSET_MATERIALIZATION":
            self.progress.console.print(f"✓ {event.asset}: {event.numbers.get('row_count', 0):,} rows")
        elif event.event == "ASSET_CHECK_EVALUATION" and not event.has_passed:
            self.progress.console.print(f"[yellow]check {event.check} of {event.asset} has failed[/yellow]")
        elif event.event in ("STEP_SUCCESS", "STEP_FAILURE") and self._task is not None:
            has_succeeded = event.event == "STEP_SUCCESS"
            said = f"batch {event.batch_id}" if has_succeeded else f"[red]batch {event.batch_id}: failed[/red]"
            self.progress.update(self._task, completed=1, description=said)


def _read_materialization(materialization: dg.AssetMaterialization) -> Written:
    metadata = materialization.metadata
    places = [_value(metadata, "path"), *_values(metadata, "paths"), _value(metadata, "manifest")]
    is_made = _value(metadata, "is_made")
    return Written(
        asset=materialization.asset_key.path[-1],
        numbers=numbers_of(metadata),
        reason=str(_value(metadata, "reason")) if is_made is False else "",
        places=tuple(str(place) for place in places if place),
    )


def _value(metadata: Any, name: str) -> Any:
    return metadata[name].value if name in metadata else None


def _values(metadata: Any, name: str) -> list[Any]:
    return list(_value(metadata, name) or [])


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
                    {"asset": one.asset, **one.numbers, "places": one.places, "reason": one.reason or None}
                    for one in batch.written
                ],
                "failures": batch.failures,
            }
        )
    )
