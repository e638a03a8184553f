"""The progress of batches: bars and spinners on a terminal; elsewhere lines, of JSON unless text is asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count

import dagster as dg
from rich import progress as bars

from gata_assets.cli.terminal import progress_on_terminal
from gata_assets.logs import RunEvent, event_logger, without_json_lines, write_json_line
from gata_assets.orchestration.pipelines import Pipeline

Show = Callable[[RunEvent], None]


@contextmanager
def followed_batch(level: str, *, as_text: bool) -> Iterator[dg.LoggerDefinition]:
    """A logger for the runs of `gata prepare`: a line per asset, above a spinner on a terminal; elsewhere JSON lines,
    unless it is to be text there too.
    """
    is_text = as_text or sys.stderr.isatty()
    columns = (bars.SpinnerColumn(finished_text="✓"), _description(), bars.TimeElapsedColumn())
    with progress_on_terminal(*columns) as progress, without_json_lines() if is_text else nullcontext():
        tasks: list[bars.TaskID] = []

        def show(event: RunEvent) -> None:
            title = f"{event.kind} {event.batch_id}"
            is_written = event.event == "ASSET_MATERIALIZATION"
            if event.event == "STEP_START":
                tasks.append(progress.add_task(title, total=1))
            elif is_written and event.kind == "day" and tasks:
                # There are too many for separate lines.
                progress.update(tasks[-1], description=f"{title} of {event.asset}")
            elif is_written:
                progress.console.print(f"✓ {event.asset}: {event.numbers.get('row_count', 0):,} rows")
            elif event.event in ("STEP_SUCCESS", "STEP_FAILURE") and tasks:
                description = title if event.event == "STEP_SUCCESS" else f"[red]{title}: failed[/red]"
                progress.update(tasks[-1], completed=1, description=description)
            else:
                _print_above(progress, event)

        yield event_logger(show if is_text else write_json_line, level)


class FollowedBackfill:
    """What `gata backfill` shows, stage by stage, through one logger for all of its runs."""

    def __init__(self, level: str) -> None:
        self._progress: bars.Progress | None = None
        self._show: Show | None = None
        self._is_terminal = sys.stderr.isatty()
        self.logger = event_logger(self._say if self._is_terminal else write_json_line, level, watch=self._watch)

    @contextmanager
    def refresh(self, pipeline: Pipeline) -> Iterator[None]:
        """Show the progress of bringing a pipeline's inputs up to date: the number of days on a terminal."""
        title, days = pipeline.scope or pipeline.name, count(1)
        columns = (bars.SpinnerColumn(finished_text=""), _description(), bars.TimeElapsedColumn())
        with progress_on_terminal(*columns, transient=True) as progress:
            task = progress.add_task(f"looking at the files and days of {title}", total=None)

            def show(event: RunEvent) -> None:
                if event.event == "ASSET_MATERIALIZATION" and event.kind == "day":
                    description = f"{next(days):,} days of {title} curated, {event.batch_id} last"
                    progress.update(task, description=description)

            with self._stage(progress, show):
                yield

    @contextmanager
    def batches(self, pipeline: Pipeline, batch_ids: Sequence[str]) -> Iterator[None]:
        """Show the progress of batches: a bar with an estimate on a terminal, a line per batch elsewhere.

        A batch is finished once a later one has begun, or its last asset is written.
        """
        places = {batch_id: place for place, batch_id in enumerate(batch_ids)}
        columns = (bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeElapsedColumn(), bars.TextColumn("left"))
        with progress_on_terminal(_description(), *columns, bars.TimeRemainingColumn()) as progress:
            progress.add_task("batches", total=len(batch_ids))
            [task] = progress.tasks

            def show(event: RunEvent) -> None:
                is_last = event.event == "ASSET_MATERIALIZATION" and event.asset == pipeline.last_asset
                done = places[event.batch_id] + is_last if event.batch_id in places else 0
                if done <= task.completed:
                    return
                progress.update(task.id, completed=done, description=f"batch {event.batch_id}", refresh=True)
                if not self._is_terminal:
                    seconds_left = round((task.elapsed or 0) / done * (len(batch_ids) - done))
                    line = {"event": "BACKFILL_PROGRESS", "done": done, "of": len(batch_ids)}
                    print(json.dumps(line | {"seconds_left": seconds_left}), file=sys.stderr)

            with self._stage(progress, show):
                yield
            progress.update(task.id, description="batches")

    @contextmanager
    def _stage(self, progress: bars.Progress, show: Show) -> Iterator[None]:
        self._progress, self._show = progress, show
        try:
            yield
        finally:
            self._progress = self._show = None

    def _watch(self, event: RunEvent) -> None:
        if self._show:
            self._show(event)

    def _say(self, event: RunEvent) -> None:
        if self._progress:
            _print_above(self._progress, event)


def _description() -> bars.TextColumn:
    return bars.TextColumn("{task.description}")


def _print_above(progress: bars.Progress, event: RunEvent) -> None:
    """Print a failed check or a log line above the moving part."""
    if event.event == "ASSET_CHECK_EVALUATION" and not event.has_passed:
        fault = f"{event.kind} {event.batch_id}: check {event.check} of {event.asset} has failed"
        progress.console.print(f"[yellow]{fault}[/yellow]")
    elif not event.event:
        progress.console.print(event.message, markup=False)
