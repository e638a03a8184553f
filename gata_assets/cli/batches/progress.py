"""The progress of batches and days: bars and spinners on a terminal; elsewhere lines, of JSON (one a tenth) unless text
is asked for.
"""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import dagster as dg
from rich import progress as bars

from gata_assets.cli.terminal import progress_on_terminal
from gata_assets.logs import RunEvent, event_logger, without_json_lines, write_json_line
from gata_assets.orchestration.pipelines import Pipeline

Show = Callable[[RunEvent], None]


def _is_new_tenth(done: int, before: int, total: int) -> bool:
    """Whether another tenth of the total is done."""
    return done * 10 // total > before * 10 // total


class _Days:
    """Counts the days that each run has curated, and writes a line of JSON for each tenth of those that it will."""

    def __init__(self, level: str) -> None:
        self._done: Counter[str] = Counter()
        self._is_written = logging.getLevelNamesMapping()[level] <= logging.INFO

    def count(self, event: RunEvent) -> str:
        """Count a curated day, and say how many are: `12 of 91 days`."""
        self._done[event.run_id] += 1
        done = self._done[event.run_id]
        # A file that came meanwhile may bring days that nobody expected.
        of = f" of {event.expected:,}" if event.expected and done <= event.expected else ""
        return f"{done:,}{of} days"

    def write(self, event: RunEvent) -> None:
        """Count a curated day; for the others of a run, do nothing."""
        if not _is_curated_day(event):
            return
        self.count(event)
        done = self._done[event.run_id]
        if (
            self._is_written
            and event.expected
            and done <= event.expected
            and _is_new_tenth(done, done - 1, event.expected)
        ):
            at = event.at.isoformat(timespec="milliseconds")
            line = {"at": at, "level": "INFO", "day": event.batch_id, "asset": event.asset, "run_id": event.run_id}
            count = {"event": "DAYS_PROGRESS", "done": done, "of": event.expected}
            print(json.dumps(line | count), file=sys.stderr)


def _is_curated_day(event: RunEvent) -> bool:
    return event.event == "ASSET_MATERIALIZATION" and event.kind == "day"


@contextmanager
def followed_batch(level: str, *, as_text: bool) -> Iterator[dg.LoggerDefinition]:
    """A logger for the runs of `gata prepare`: a line per asset, above a spinner on a terminal; elsewhere JSON lines,
    unless it is to be text there too.
    """
    is_text = as_text or sys.stderr.isatty()
    columns = (bars.SpinnerColumn(finished_text="✓"), _description(), bars.TimeElapsedColumn())
    with progress_on_terminal(*columns) as progress, without_json_lines() if is_text else nullcontext():
        tasks: list[bars.TaskID] = []
        days = _Days(level)

        def show(event: RunEvent) -> None:
            title = f"{event.kind} {event.batch_id}"
            if event.event == "STEP_START":
                tasks.append(progress.add_task(title, total=1))
            elif _is_curated_day(event) and tasks:
                # There are too many for separate lines.
                progress.update(tasks[-1], description=f"{days.count(event)} of {event.asset}, {event.batch_id} last")
            elif event.event == "ASSET_MATERIALIZATION":
                progress.console.print(f"✓ {event.asset}: {event.numbers.get('row_count', 0):,} rows")
            elif event.event == "STEP_SUCCESS" and tasks:
                progress.update(tasks[-1], completed=1)
            elif event.event == "STEP_FAILURE" and tasks:
                progress.update(tasks[-1], completed=1, description=f"[red]{title}: failed[/red]")
            else:
                _print_above(progress, event)

        yield event_logger(show, level) if is_text else event_logger(write_json_line, level, watch=days.write)


class FollowedBackfill:
    """What `gata backfill` shows, stage by stage, through one logger for all of its runs."""

    def __init__(self, level: str) -> None:
        self._progress: bars.Progress | None = None
        self._show: Show | None = None
        self._is_terminal = sys.stderr.isatty()
        self._days = _Days(level)
        self.logger = event_logger(self._say if self._is_terminal else write_json_line, level, watch=self._watch)

    @contextmanager
    def refresh(self, pipeline: Pipeline) -> Iterator[None]:
        """Show the progress of bringing a pipeline's inputs up to date: the number of days."""
        title = pipeline.scope or pipeline.name
        columns = (bars.SpinnerColumn(finished_text=""), _description(), bars.TimeElapsedColumn())
        with progress_on_terminal(*columns, transient=True) as progress:
            task = progress.add_task(f"looking at the files and days of {title}", total=None)

            def show(event: RunEvent) -> None:
                if not self._is_terminal:
                    self._days.write(event)
                elif _is_curated_day(event):
                    description = f"{self._days.count(event)} of {title} curated, {event.batch_id} last"
                    progress.update(task, description=description)

            with self._stage(progress, show):
                yield

    @contextmanager
    def batches(self, pipeline: Pipeline, batch_ids: Sequence[str]) -> Iterator[None]:
        """Show the progress of batches: a bar with an estimate on a terminal, a line per tenth elsewhere.

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
                before = int(task.completed)
                progress.update(task.id, completed=done, description=f"batch {event.batch_id}", refresh=True)
                if not self._is_terminal and _is_new_tenth(done, before, len(batch_ids)):
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
